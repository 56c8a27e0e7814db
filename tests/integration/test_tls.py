"""TLS in the daemon: what is negotiated, wss clients, and a new certificate."""

import os
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest

import clients
import procs
from clients import API, Refused, Ws, subscribe_path


def make_pair(directory, name, subject="localhost", days=30, key_mode=0o600):
    """A self-signed certificate; returns the paths of it and its key."""
    certificate, key = (os.path.join(directory, f"{name}.{kind}") for kind in ("crt", "key"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-subj", f"/CN={subject}", "-days", str(days),
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True, timeout=procs.PATIENCE)
    os.chmod(key, key_mode)
    procs.give(key)
    return certificate, key


def trust(*certificates):
    context = ssl.create_default_context()
    for certificate in certificates:
        context.load_verify_locations(certificate)
    return context


class Tls:
    """A hub that does TLS, and its certificate."""

    def __init__(self, make_hub, **conf):
        self.hub = make_hub(wsd=False)
        self.certificate, self.key = make_pair(self.hub.directory, "one")
        self.hub.conf.update(tls_certificate=self.certificate, tls_key=self.key, **conf)
        self.hub.write_conf()
        self.context = trust(self.certificate)
        self.hub.start_wsd()

    def subscribe(self, who, event_types=None, context=None, options=None, **query):
        address = self.hub.wsd.listen
        ws = Ws(f"wss://{address}{subscribe_path(event_types, **query)}", who.headers,
                ssl=context or self.context, **(options or {}))
        ws.welcome = ws.recv()
        return ws


@pytest.fixture
def tls(make_hub):
    return Tls(make_hub)


def s_client(hub, *arguments):
    return subprocess.run(
        ["openssl", "s_client", "-connect", hub.wsd.listen, *arguments], input=b"", capture_output=True,
        timeout=procs.PATIENCE, check=False)


def subject(hub):
    text = s_client(hub).stdout.decode()
    return re.search(r"subject=CN = (\S+)", text).group(1)


# ---- what is negotiated

@pytest.mark.parametrize("version,granted", [
    ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)])
def test_versions(tls, version, granted):
    # at security level 0 the client itself would speak 1.1
    done = s_client(tls.hub, version, "-cipher", "ALL:@SECLEVEL=0")
    text = done.stdout.decode()
    if granted:
        assert re.search(r"Cipher is (ECDHE-\S+GCM\S+|ECDHE-\S+POLY1305|TLS_\S+)", text), text
    else:
        assert "Cipher is (NONE)" in text and done.returncode != 0, text


@pytest.mark.parametrize("cipher", ["AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "NULL", "aNULL"])
def test_weak_ciphers(tls, cipher):
    """No forward secrecy, no CBC, no encryption: no handshake."""
    done = s_client(tls.hub, "-tls1_2", "-cipher", cipher + ":@SECLEVEL=0")
    assert done.returncode != 0 and b"Cipher is (NONE)" in done.stdout, done


def test_no_http2(tls):
    """Frames are written raw, so the protocol below must be HTTP/1.1."""
    text = s_client(tls.hub, "-alpn", "h2,http/1.1").stdout.decode()
    assert "ALPN protocol: http/1.1" in text, text


def test_refusals_come_through(tls):
    done = subprocess.run(
        ["curl", "-sS", "-i", "--http1.1", "--cacert", tls.certificate, f"https://{tls.hub.wsd.listen}{API}/subscribe"],
        capture_output=True, timeout=procs.PATIENCE, check=True)
    assert b"HTTP/1.1 401" in done.stdout and b"missing_credential" in done.stdout
    with pytest.raises(Refused) as refused:
        Ws(f"wss://{tls.hub.wsd.listen}{API}/subscribe", {"X-Api-Key": "0123456789abcdef"}, ssl=tls.context)
    assert refused.value.status == 401


@pytest.mark.parametrize("loop", ["ev", "uv", "poll"])
def test_no_tls_on_a_tls_port(make_hub, loop):
    """It ends, and the others do not notice: the libraries beneath differ in when they let go."""
    tls = Tls(make_hub, event_loop=loop)
    ws = tls.subscribe(tls.hub.credential())
    for what in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x80" * 600):
        with socket.create_connection(tls.hub.wsd.listen.rsplit(":", 1), timeout=procs.PATIENCE) as s:
            s.sendall(what)
            try:
                while s.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    assert s_client(tls.hub, "-tls1_2", "-cipher", "NULL-SHA256:@SECLEVEL=0").returncode != 0
    tls.subscribe(tls.hub.credential()).close()
    ws.nothing()
    ws.close()


KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="      # of RFC 6455 section 1.3
ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
HEAD = {"Host": "Host: x", "Connection": "Connection: Upgrade", "Upgrade": "Upgrade: websocket",
        "Sec-WebSocket-Version": "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key": KEY}


def status_of(tls, *lines, query=""):
    """Asks for a WebSocket with HEAD, in which these lines stand for those of the
    same header.  None, or the status; what is granted has the right answer to the key."""
    head = {**HEAD, **{line.split(":")[0].rstrip(): line for line in lines}}
    who = tls.hub.credential()
    host, port = tls.hub.wsd.listen.rsplit(":", 1)
    with socket.create_connection((host, int(port)), procs.PATIENCE) as raw:
        with tls.context.wrap_socket(raw, server_hostname="localhost") as sock:
            sock.sendall("\r\n".join([f"GET {API}/subscribe{query} HTTP/1.1", *head.values(),
                                      f"X-Api-Key: {who.secret}", "", ""]).encode())
            answer = sock.makefile("rb")
            first, rest = answer.readline(), b""
            while (line := answer.readline()) not in (b"", b"\r\n"):
                rest += line
    if first == b"":
        return None
    status = int(first.split()[1])
    assert (ACCEPT in rest) if status == 101 else (b"Content-Type: application/json\r\n" in rest), rest
    return status


# The library keeps each name in 64 bytes, and takes but tokens for names.
@pytest.mark.parametrize("offered, granted", [
    ("x" * 62 + ", evhub.v1", True), ("x" * 63 + ", evhub.v1", False), ("evhub.v1, " + "x" * 100, True),
    ("a=, evhub.v1", False), ("a/b, evhub.v1", False), ("17, evhub.v1", False), ("1.5, evhub.v1", False),
    (", evhub.v1", False), ("a,, evhub.v1", False), ("a.b-c~_1, evhub.v1", True), ("evhub.v1, a=", True)])
def test_subprotocols_before_ours(tls, offered, granted):
    """None is let in to be dropped without a word."""
    assert status_of(tls, f"Sec-WebSocket-Protocol: {offered}") == (101 if granted else 400)


# What the library reads otherwise than we do: it keeps blanks behind a value, and
# so hashed another key than the client's; it knows no list that is not made of
# tokens; it has 95 places for headers that it knows; it overlooks the colon behind
# the beginning of such a name, and with it the next header.
@pytest.mark.parametrize("status, line", [
    (101, "Upgrade:websocket"), (101, "Upgrade:  WebSocket"), (400, "Upgrade: websocket "), (400, "Upgrade:\twebsocket"),
    (400, KEY + " "), (400, KEY + "\t"), (400, KEY.replace(" ", "\t")), (101, KEY.replace(" ", "  ")),
    (400, "Sec-WebSocket-Version: 13 "), (400, "Host:"), (400, "Host: x "),
    (101, "Connection: keep-alive, upgrade"), (101, "Connection: Upgrade, a=b"), (101, "Connection: " + "x" * 118 + ",Upgrade"),
    (400, "Connection: " + "x" * 119 + ",Upgrade"), (400, "Connection: keep-alive Upgrade"), (400, "Connection: ,Upgrade"),
    (400, "Connection: a=b, Upgrade"), (400, 'Connection: "a", Upgrade'), (400, "Connection: 17, Upgrade"), (400, "Connection: 1.0.0a, Upgrade"), (101, "Connection: 1.0a, Upgrade"),
    (400, "Connection: Upgrade "), (101, "Connection: keep-alive\r\nConnection: Upgrade"),
    (400, "Connection:\r\nConnection: Upgrade"), (101, "Sec-WebSocket-Protocol:"),
    (400, "Sec-WebSocket-Protocol: evhub.v1\t"), (101, "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: evhub.v1"),
    (400, "Sec-WebSocket-Protocol:\r\nSec-WebSocket-Protocol: evhub.v1"),
    (101, "Connection: " + "x" * 116 + "\r\nConnection: Upgrade"), (400, "Connection: " + "x" * 117 + "\r\nConnection: Upgrade"),
    (400, "Connection: x\r\nConnection:" + " " * 120 + "Upgrade"),
    (101, "Accept: a\r\n" * 79 + "Accept: b"), (400, "Accept: a\r\n" * 199 + "Accept: b"),
    (101, "Y: a\r\n" * 199 + "Y: b"), (101, "Sec-WebSocket-Extensions: " + "x" * 254),
    (400, "Sec-WebSocket-Extensions: " + "x" * 255), (400, "Acce: a"), (400, "Putter:%")])
def test_odd_heads(tls, status, line):
    """What the library cannot take is told, and the others get what they asked for."""
    assert status_of(tls, line) == status


def test_many_parts_of_a_query(tls):
    query = "?" + "&".join(f"x{i}=1" for i in range(32))
    assert status_of(tls, "Accept: a\r\n" * 51 + "Accept: b", query=query) == 101
    assert status_of(tls, "Accept: a\r\n" * 61 + "Accept: b", query=query) == 400


# ---- clients

def test_all_that_a_client_does(tls):
    hub = tls.hub
    who = hub.credential()
    ws = tls.subscribe(who, "pdfm,stats")
    for i in range(50):
        hub.publish("pdfm", f"number {i}", body=f'"{i}"')
        last = ws.expect("pdfm", f"number {i}")
    ws.ping()
    for i in range(40):  # more messages in one record than the daemon reads at once
        ws.send({"event_type": "health", "message": "ping", "id": f"{i}" + "x" * 200})
    for i in range(40):
        assert ws.recv()["ref_id"].startswith(str(i))
    hub.sql(f"DELETE FROM subscription WHERE client_id = '{ws.client_id}' AND event_type = 'stats'")
    ws.expect("system", "unsubscribed")
    ws.cut()
    seq = hub.publish("pdfm", "missed")
    again = tls.subscribe(who, "pdfm", last_event_id=last["id"])
    assert again.welcome["body"]["resumed"] is True
    assert again.recv()["id"] == hub.event_id(seq)
    hub.sql(f"UPDATE credential SET revoked_at = datetime('now') WHERE user_id = '{who.user}'")
    assert again.closed()[0] == 1008


def test_large_events(tls):
    """Longer than a record, than a socket buffer, and than what the library takes at once."""
    hub = tls.hub
    ws = tls.subscribe(hub.credential(), "pdfm")
    for size in (10, 16000, 17000, 70000, 200000, 5):
        body = '"' + "x" * size + '"'
        hub.publish("pdfm", str(size), body=body)
        frame = ws.expect("pdfm", str(size))
        assert len(frame["body"]) == size
    ws.close()


class Slow:
    """A TLS client that reads when it is told to."""

    def __init__(self, tls, who, types, **query):
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        host, port = tls.hub.wsd.listen.rsplit(":", 1)
        raw.settimeout(procs.PATIENCE)
        raw.connect((host, int(port)))
        self.sock = tls.context.wrap_socket(raw, server_hostname="localhost")
        head = [f"GET {subscribe_path(types, **query)} HTTP/1.1", "Host: localhost"]
        head += [f"{k}: {v}" for k, v in {**clients.UPGRADE, **who.headers}.items()]
        self.sock.sendall("\r\n".join(head + ["", ""]).encode())
        self.data = bytearray()

    def read_until(self, mark):
        seen = 0
        while mark not in self.data[seen:]:
            seen = max(0, len(self.data) - len(mark))
            more = self.sock.recv(65536)
            assert more, f"closed after {len(self.data)} bytes"
            self.data += more

    def frames(self):
        """The frames behind the HTTP answer."""
        data, at = bytes(self.data), self.data.index(b"\r\n\r\n") + 4
        while at < len(data):
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[at + 2:at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(data[at + 2:at + 10], "big"), at + 10
            yield data[at] & 15, data[start:start + size]
            at = start + size


def memory(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def test_handshakes_that_do_not_end(make_hub):
    """Who has not agreed on TLS, or has and asks for nothing, counts for its address."""
    tls = Tls(make_hub, max_clients_per_address=4, trusted_proxies="203.0.113.1", handshake_timeout="5m")
    fds = f"/proc/{tls.hub.wsd.process.pid}/fd"
    before = len(os.listdir(fds))
    address = tls.hub.wsd.listen.rsplit(":", 1)
    held = []
    for _ in range(2):
        held.append(socket.create_connection(address, timeout=procs.PATIENCE))
        held[-1].sendall(b"\x16\x03\x01")
    for _ in range(2):
        raw = socket.create_connection(address, timeout=procs.PATIENCE)
        held.append(tls.context.wrap_socket(raw, server_hostname="localhost"))
    with socket.create_connection(address, timeout=procs.PATIENCE) as raw:
        with pytest.raises((ConnectionError, ssl.SSLError)):
            tls.context.wrap_socket(raw, server_hostname="localhost")
    procs.wait_for(lambda: "too_many_connections" in tls.hub.wsd.process.text(), "it is not told in the log")
    held.pop().close()
    held.pop(0).close()
    procs.wait_for(lambda: len(os.listdir(fds)) <= before + 2, "they are still there")
    tls.subscribe(tls.hub.credential()).close()
    for sock in held:
        sock.close()


def test_a_slow_reader(make_hub):
    """It costs a position, not a queue, and gets everything in order."""
    tls = Tls(make_hub, stall_timeout="1m", log_memory="1M")
    hub = tls.hub
    slow = [Slow(tls, hub.credential(), "pdfm") for _ in range(8)]
    for s in slow:
        s.read_until(b'"resumed":false}}')
    before = memory(hub.wsd.process.pid)
    count, filler = 300, "y" * 20000
    with clients.Control(hub.control) as control:
        for start in range(0, count, 50):
            control.send(*[{"op": "publish", "event_type": "pdfm", "message": f"n{i}.", "body": filler}
                           for i in range(start, start + 50)])
            for _ in range(50):
                assert control.recv()["ok"]
    # six megabytes for each of the eight: had they been queued, it would show
    grown = memory(hub.wsd.process.pid) - before
    assert grown < 30000 or procs.is_sanitized(), f"{grown} KiB more"
    threads = [threading.Thread(target=s.read_until, args=(f'"message":"n{count - 1}."'.encode(),)) for s in slow]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for s in slow:
        s.read_until(b'"message":"n%d."' % (count - 1))
        numbers = [int(re.search(rb'"message":"n(\d+)\."', text).group(1))
                   for op, text in s.frames() if op == 1 and b'"event_type":"pdfm"' in text]
        assert numbers == list(range(count))
        s.sock.close()


def test_a_stalled_reader_is_closed(make_hub):
    tls = Tls(make_hub, stall_timeout="500ms")
    hub = tls.hub
    slow = Slow(tls, hub.credential(), "pdfm")
    slow.read_until(b'"resumed":false}}')
    with clients.Control(hub.control) as control:
        for _ in range(300):
            control.send({"op": "publish", "event_type": "pdfm", "body": "z" * 20000})
        for _ in range(300):
            assert control.recv()["ok"]
    hub.wait_sql("SELECT count(*) FROM client", 0)
    slow.sock.close()


def test_unix_sockets_stay_plain(make_hub):
    """They are for a web server on the same machine."""
    hub = make_hub(wsd=False)
    certificate, key = make_pair(hub.directory, "one")
    path = os.path.join(hub.directory, "ws.sock")
    hub.conf.update(tls_certificate=certificate, tls_key=key, listen=["127.0.0.1:0", "unix:" + path])
    hub.write_conf()
    hub.start_wsd()
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(procs.PATIENCE)
        s.connect(path)
        s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert s.recv(4096).startswith(b"HTTP/1.1 404")
    assert subject(hub) == "localhost"


# ---- a new certificate

def test_new_certificate_without_dropping_connections(tls):
    hub = tls.hub
    who = hub.credential()
    ws = tls.subscribe(who, "pdfm")
    assert subject(hub) == "localhost"
    certificate, key = make_pair(hub.directory, "two", "second.example")
    os.replace(certificate, tls.certificate)
    os.replace(key, tls.key)
    hub.wsd.process.send_signal(signal.SIGHUP)
    procs.wait_for(lambda: "certificate_loaded" in hub.wsd.process.text(), "the certificate is not loaded")
    assert subject(hub) == "second.example"
    hub.publish("pdfm", "still there")
    ws.expect("pdfm", "still there")
    again = tls.subscribe(who, "pdfm", context=trust(tls.certificate))
    again.close()
    ws.close()


def test_new_names_of_the_files(tls):
    hub = tls.hub
    certificate, key = make_pair(hub.directory, "two", "second.example")
    hub.write_conf(tls_certificate=certificate, tls_key=key)
    hub.wsd.process.send_signal(signal.SIGHUP)
    procs.wait_for(lambda: "certificate_loaded" in hub.wsd.process.text(), "the certificate is not loaded")
    assert subject(hub) == "second.example"


def spoil_mismatch(tls):
    os.replace(make_pair(tls.hub.directory, "two")[1], tls.key)
    return "is not the key of tls_certificate"


def spoil_mode(tls):
    os.chmod(tls.key, 0o644)
    return "everybody on this machine may use it (mode 0644)"


def spoil_missing(tls):
    os.unlink(tls.certificate)
    return "No such file"


def spoil_garbage(tls):
    with open(tls.certificate, "w") as f:
        f.write("no certificate\n")
    return "holds no certificate"


def spoil_chain(tls):
    with open(tls.certificate, "a") as f:
        f.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    return "its chain cannot be read"


def spoil_passphrase(tls):
    subprocess.run(["openssl", "ec", "-in", tls.key, "-out", tls.key + ".new", "-aes128", "-passout", "pass:secret"],
                   check=True, capture_output=True)
    os.chmod(tls.key + ".new", 0o600)
    procs.give(tls.key + ".new")
    os.replace(tls.key + ".new", tls.key)
    return "one with a passphrase"


SPOILS = [spoil_mismatch, spoil_mode, spoil_missing, spoil_garbage, spoil_chain, spoil_passphrase]


@pytest.mark.parametrize("spoil", SPOILS)
def test_bad_pair(tls, spoil):
    """Refused by a reload, which keeps the old pair; by -t; and at the start."""
    hub = tls.hub
    ws = tls.subscribe(hub.credential())
    words = spoil(tls)
    hub.wsd.process.send_signal(signal.SIGHUP)
    procs.wait_for(lambda: "certificate_refused" in hub.wsd.process.text(), "no word about the bad pair")
    assert words in hub.wsd.process.text()
    assert subject(hub) == "localhost"
    ws.nothing()
    ws.close()
    tested = hub.run_wsd("-t")
    assert tested.returncode == 1 and words in tested.stderr, tested
    started = hub.run_wsd("-o", "name=other", "-o", f"control_socket={hub.directory}/other.sock")
    assert started.returncode == 1 and words in started.stderr, started


def test_one_without_the_other(make_hub):
    hub = make_hub(wsd=False)
    for key in ("tls_certificate", "tls_key"):
        result = hub.run_wsd("-t", "-o", f"{key}=/tmp/nothing.pem")
        assert result.returncode == 1 and f"{key}: must be given together with" in result.stderr, result


def test_tls_cannot_be_switched_on_by_a_reload(make_hub):
    hub = make_hub()
    certificate, key = make_pair(hub.directory, "one")
    hub.write_conf(tls_certificate=certificate, tls_key=key)
    hub.wsd.process.send_signal(signal.SIGHUP)
    procs.wait_for(lambda: 'needs_restart keys="tls_certificate, tls_key"' in hub.wsd.process.text(), "no word")
    clients.subscribe(hub.wsd.listen, hub.credential()).close()
