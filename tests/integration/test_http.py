"""HTTP as attackers write it, against evhub-wsd itself: RFC 9112 and what web
servers in front of it could understand in another way.  All of it holds on plain
connections and with the daemon's own TLS.

Each row of the table is one request, raw, and the status that it is answered
with (101: it gets in); every refusal has the error body of the contract, ends
the connection, and leaves no row behind.
"""

import json
import os
import select
import socket
import ssl
import threading

import pytest

import procs
import rawws
from clients import API, check_error, Response, subscribe, Ws
from hub import Hub
from test_tls import make_pair, trust

SUBSCRIBE = API + "/subscribe"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}"]


def lines(*more, line=f"GET {SUBSCRIBE} HTTP/1.1", host=("Host: x",), who=("X-Api-Key: ALICE",), upgrade=tuple(UPGRADE),
          end="\r\n", behind=""):
    """A request; ALICE, BOB and TOKEN stand for secrets."""
    return end.join([line, *host, *upgrade, *who, *more, "", ""]) + behind


def target(text):
    return lines(line=f"GET {text} HTTP/1.1")


def query(text):
    return target(f"{SUBSCRIBE}?{text}")


def header(text):
    return lines(text)


GOOD = lines()
CASES = [
    # ---- RFC 9112 section 2.2: the message
    ("good", GOOD, 101),
    ("an empty line before it", "\r\n" + GOOD, 101),
    ("bare LF", lines(end="\n"), 400),
    ("one bare LF", GOOD.replace("Host: x\r\n", "Host: x\n"), 400),
    ("a bare CR", header("X-A: b\rX-Api-Key: c"), 400),
    ("an empty line of LF alone", GOOD[:-2] + "\n", 400),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(1, 200)), 400),
    ("NULs", "\0" * 100, 400),
    ("binary", bytes(range(128, 256)) * 4, 400),
    ("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("nothing but empty lines", "\r\n" * 20, 400),

    # ---- section 3: the request line
    ("HTTP/1.0", lines(line=f"GET {SUBSCRIBE} HTTP/1.0"), 400),
    ("HTTP/0.9", f"GET {SUBSCRIBE}\r\n", 400),
    ("HTTP/2.0", lines(line=f"GET {SUBSCRIBE} HTTP/2.0"), 505),
    ("HTTP/1.10", lines(line=f"GET {SUBSCRIBE} HTTP/1.10"), 505),
    ("http/1.1", lines(line=f"GET {SUBSCRIBE} http/1.1"), 400),
    ("another protocol", lines(line=f"GET {SUBSCRIBE} ICAP/1.0"), 400),
    ("no version", lines(line=f"GET {SUBSCRIBE}"), 400),
    ("a blank at the end", lines(line=f"GET {SUBSCRIBE} HTTP/1.1 "), 505),
    ("two blanks", lines(line=f"GET  {SUBSCRIBE} HTTP/1.1"), 400),
    ("tabs", lines(line=f"GET\t{SUBSCRIBE}\tHTTP/1.1"), 400),
    ("a blank in the target", lines(line=f"GET {SUBSCRIBE} x HTTP/1.1"), 400),
    ("a blank before the method", " " + GOOD, 400),
    *[(f"method {m}", lines(line=f"{m} {SUBSCRIBE} HTTP/1.1"), 405)
      for m in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "get", "FOO", "CONNECT", "M-SEARCH")],
    ("a method of 5000 letters", "A" * 5000, 400),

    # ---- section 3.2: the target.  The absolute form is for proxies, which we
    # are not, and no client of a WebSocket writes it; that we should take it
    # all the same (section 3.2.2) is a known deviation
    ("absolute form", target(f"http://x{SUBSCRIBE}"), 400),
    ("absolute form of another host", target(f"http://evil{SUBSCRIBE}"), 400),
    ("asterisk form", target("*"), 400),
    ("OPTIONS *", lines(line="OPTIONS * HTTP/1.1"), 400),
    ("authority form", lines(line="CONNECT x:80 HTTP/1.1"), 405),
    ("authority form of a GET", target("x:80"), 400),
    ("no leading slash", target(SUBSCRIBE[1:]), 400),
    ("unknown path", target("/"), 404),
    ("case of the path", target(SUBSCRIBE.upper()), 404),
    ("a slash at the end", target(SUBSCRIBE + "/"), 404),
    ("an escaped letter", target("/api/v1/ws/%73ubscribe"), 101),
    *[(f"path {p}", target(p), 400) for p in (
        "/api/v1/ws//subscribe", "//api/v1/ws/subscribe", "/api/v1/ws/../ws/subscribe", "/api/v1/ws/./subscribe",
        "/api/v1/ws/%2e%2e/ws/subscribe", "/api/v1/ws/%2E/subscribe", "/api/v1/ws/.%2e/ws/subscribe", "/x/../api/v1/ws/subscribe",
        "/api/v1/ws/subscribe/..", "/api/v1/ws/subscribe/.", "/..", "/api/v1/ws%2fsubscribe", "/api/v1/ws%5csubscribe",
        "/api\\v1\\ws\\subscribe", "/api/v1/ws/subscribe%00", "/api/v1/ws/subscribe%09", "/api/v1/ws/subscribe%0d%0a", "/api/v1/ws/subscribe%", "/api/v1/ws/subscribe%7",
        "/api/v1/ws/subscribe%zz", "/api/v1/ws/%2573ubscribe", "/api/v1/ws/subscribe;x", "/api/v1/ws/subscribe#x",
        "/api/v1/ws/subscrib\xe9", "/api/v1/ws/<x>")],
    ("a NUL in the path", target(SUBSCRIBE + "\0"), 400),
    ("a target of 5000 bytes", query("x=" + "a" * 5000), 101),
    ("a target over the limit", query("x=" + "a" * 100000), 414),
    ("a path over the limit", target("/" + "a" * 100000), 414),

    # ---- the query
    ("escaped comma", query("event_types=pdfm%2Chealth"), 101),
    ("escaped letter", query("event_types=%70dfm"), 101),
    ("escaped name", query("event%5ftypes=pdfm"), 101),
    ("escaped =", query("event_types%3Dnosuch"), 101),
    ("plus is a blank", query("event_types=+pdfm+"), 101),
    ("escaped tab", query("event_types=%09pdfm%09"), 101),
    ("plus within", query("event_types=pdfm+health"), 400),
    ("escaped twice", query("event_types=%2570dfm"), 400),
    ("empty parts", query("&&event_types=pdfm&=&"), 101),
    ("a second list", query("event_types=pdfm&event_types=nosuch"), 400),
    *[(f"query event_types={q}", query(f"event_types={q}"), 400) for q in (
        "pdfm%00", "pdfm%0A", "pdfm%0D%0AX-Api-Key:x", "%00pdfm", "%zz", "%", "%7", "pdfm#x", "pdfm%23x", "pdfm?x", "%c0%af", "%e0%80%80",
        "%ed%a0%80", "%ff", "pdf\xe9", "pdfm%7f", "%u0070dfm")],
    ("a NUL in the query", query("event_types=\0pdfm"), 400),
    ("a control character in the query", query("event_types=\x01pdfm"), 400),
    ("40 parts", query("&".join(["a=1"] * 40)), 400),
    ("4000 parts", query("&".join(["a=1"] * 4000)), 400),

    # ---- section 5: headers
    ("a blank before the colon", lines(who=("X-Api-Key : ALICE",)), 400),
    ("a tab before the colon", lines(who=("Authorization\t: Bearer TOKEN",)), 400),
    ("no blank behind the colon", lines(who=("X-Api-Key:ALICE",)), 101),
    ("blanks around the value", lines(who=("X-Api-Key: \t ALICE",)), 101),
    ("case of the name", lines(who=("x-aPI-kEY: ALICE",)), 101),
    ("a folded header", header("X-A: b\r\n c"), 400),
    ("a folded key", lines(who=("X-Api-Key:\r\n ALICE",)), 400),
    ("a folded first header", lines(host=(" Host: x",)), 400),
    ("no colon", header("garbage"), 400),
    ("no name", header(": x"), 400),
    ("a NUL in a value", header("X-A: b\0c"), 400),
    ("a NUL behind the key", lines(who=("X-Api-Key: ALICE\0",)), 400),
    ("a NUL behind the token", lines(who=("Authorization: Bearer TOKEN\0x",)), 400),
    ("a NUL in a name", header("X-\0A: b"), 400),
    ("a DEL in a value", header("X-A: \x7f"), 400),
    ("a letter beyond ASCII in a name", header("X-\xe9: b"), 400),
    ("letters beyond ASCII in a value", header("User-Agent: \xe9\xff"), 101),
    ("a bracket in a name", header("X(A): b"), 400),
    ("1000 headers", lines(*[f"X-{i}: a" for i in range(1000)]), 101),
    ("100000 headers", lines(*[f"X-{i}: a" for i in range(100000)]), 431),
    ("a long value", header("X-A: " + "a" * 20000), 431),
    ("a long name", header("X" * 20000 + ": a"), 431),

    # ---- two of what there is one of
    ("no host", lines(host=()), 400),
    ("two hosts", lines(host=("Host: x", "Host: y")), 400),
    ("a path as host", lines(host=("Host: x/y",)), 400),
    ("two names as host", lines(host=("Host: x, y",)), 400),
    ("two tokens", lines(who=("Authorization: Bearer TOKEN", "Authorization: Bearer TOKEN")), 400),
    ("a bad and a good token", lines(who=("Authorization: Bearer xxxxxxxxxxxxxxxxxx", "authorization: Bearer TOKEN")), 400),
    ("two keys", lines(who=("X-Api-Key: ALICE", "X-Api-Key: BOB")), 400),
    ("a bad and a good key", lines(who=("X-Api-Key: xxxxxxxxxxxxxxxxxx", "X-API-KEY: ALICE")), 400),
    ("key and token of one user", lines(who=("X-Api-Key: ALICE", "Authorization: Bearer TOKEN")), 101),
    ("key and token of two", lines(who=("X-Api-Key: BOB", "Authorization: Bearer TOKEN")), 401),
    ("two Sec-WebSocket-Keys", header(f"Sec-WebSocket-Key: {KEY}"), 400),
    ("two versions", header("Sec-WebSocket-Version: 8"), 400),
    ("two origins", lines("Origin: http://x", "Origin: http://evil"), 400),
    ("two upgrades", header("Upgrade: h2c"), 400),
    ("a list of subprotocols in two headers", lines("Sec-WebSocket-Protocol: foo", "Sec-WebSocket-Protocol: evhub.v1"), 101),

    # ---- section 6: a body, which a handshake has not
    ("Content-Length: 0", header("Content-Length: 0"), 101),
    ("a body", lines("Content-Length: 5", behind="hello"), 400),
    ("a body that does not come", header("Content-Length: 5"), 400),
    ("chunked", lines("Transfer-Encoding: chunked", behind="0\r\n\r\n"), 400),
    ("identity", header("Transfer-Encoding: identity"), 400),
    ("Content-Length and chunked", lines("Content-Length: 0", "Transfer-Encoding: chunked", behind="0\r\n\r\n"), 400),
    ("chunked and Content-Length", lines("Transfer-Encoding: chunked", "Content-Length: 0", behind="0\r\n\r\n"), 400),
    ("a blank before the colon of chunked", lines("Transfer-Encoding : chunked", behind="0\r\n\r\n"), 400),
    ("Content-Length twice", lines("Content-Length: 0", "Content-Length: 0"), 400),
    ("two Content-Lengths", lines("Content-Length: 0", "Content-Length: 5", behind="hello"), 400),
    *[(f"Content-Length: {n}", header(f"Content-Length: {n}"), 400) for n in ("x", "-1", "+0", "0x0", "0, 0", "", "99999999999999999999999")],
    ("a POST with two bodies", lines("Content-Length: 0", "Transfer-Encoding: chunked", line=f"POST {SUBSCRIBE} HTTP/1.1",
                                     behind="0\r\n\r\n" + GOOD), 400),

    # ---- RFC 6455 section 4.2.1
    ("no upgrade", lines(upgrade=()), 400),
    ("h2c", lines(upgrade=("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")), 400),
    *[(f"key {k}", lines(upgrade=(*UPGRADE[:3], f"Sec-WebSocket-Key: {k}")), 400)
      for k in ("", "x", KEY[:-1], KEY + "=", "!" * 22 + "==", KEY[:22] + "AA", KEY + "," + KEY)],
    ("no key", lines(upgrade=UPGRADE[:3]), 400),
    *[(f"version {v}", lines(upgrade=(*UPGRADE[:2], f"Sec-WebSocket-Version: {v}", UPGRADE[3])), 400)
      for v in ("", "8", "13.0", "013", "13, 8")],
    ("Connection without the word", lines(upgrade=("Connection: keep-alive", *UPGRADE[1:])), 400),
    ("Connection with more words", lines(upgrade=("Connection: keep-alive, uPgrade", *UPGRADE[1:])), 101),

    # ---- more behind what was refused: it is never looked at
    ("a good one behind a refused one", lines(who=(), behind=GOOD), 401),
    ("a good one behind an unknown path", lines(line="GET /x HTTP/1.1", behind=GOOD), 404),
    ("a good one behind no upgrade", lines(upgrade=(), behind=GOOD), 400),
    ("a good one as a body", lines(f"Content-Length: {len(GOOD)}", line=f"POST {SUBSCRIBE} HTTP/1.1", behind=GOOD), 405),
    ("keep-alive changes nothing", lines("Connection: keep-alive", upgrade=(), behind=GOOD * 3), 400),
]


def use_tls(hub):
    certificate, key = make_pair(hub.directory, "one")
    hub.conf.update(tls_certificate=certificate, tls_key=key)
    hub.write_conf()
    hub.tls = trust(certificate)


class Place:
    def __init__(self, tls):
        self.hub = Hub(max_messages_per_second=50000)
        self.hub.tls = None
        if tls:
            use_tls(self.hub)
        self.hub.start_wsd()
        self.alice = self.hub.credential("alice")
        self.bob = self.hub.credential("bob")
        self.token = self.hub.credential("alice", kind="token")
        self.other = self.subscribe()

    def subscribe(self):
        if not self.hub.tls:
            return subscribe(self.hub.wsd.listen, self.alice)
        ws = Ws(f"wss://{self.hub.wsd.listen}{SUBSCRIBE}", self.alice.headers, ssl=self.hub.tls)
        ws.recv()
        return ws

    def bytes(self, request):
        if isinstance(request, str):
            request = request.encode("latin-1")
        for name, who in (("ALICE", self.alice), ("BOB", self.bob), ("TOKEN", self.token)):
            request = request.replace(name.encode(), who.secret.encode())
        return request


@pytest.fixture(scope="module", params=["plain", "tls"])
def place(request):
    place = Place(request.param == "tls")
    try:
        yield place
        place.other.close()
    except BaseException:
        place.hub.abandon()
        raise
    place.hub.stop()


def connect(hub):
    host, port = hub.wsd.listen.rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), procs.PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return hub.tls.wrap_socket(sock, server_hostname="localhost") if getattr(hub, "tls", None) else sock


def read_all(sock):
    """All that comes up to the end of the connection."""
    data = b""
    while True:
        try:
            more = sock.recv(65536)
        except (ConnectionError, ssl.SSLError):
            return data
        if not more:
            return data
        data += more


def parse(data):
    head, separator, body = data.partition(b"\r\n\r\n")
    assert separator, data
    first, *rest = head.decode("latin-1").split("\r\n")
    assert first.startswith("HTTP/1.1 "), first
    fields = {}
    for line in rest:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    return Response(int(first.split()[1]), fields, body)


def check_refused(data, status):
    answer = parse(data)
    check_error(answer, status)
    assert len(answer.body) == int(answer.headers["content-length"]), "more than one answer"
    assert answer.headers["connection"] == "close"


def check_accepted(place, sock):
    stream = sock.makefile("rb")
    assert b" 101 " in stream.readline()
    while stream.readline().strip():
        pass
    head = stream.read(2)
    assert head[0] == 0x81, head
    length = head[1] if head[1] < 126 else int.from_bytes(stream.read(2), "big")
    client_id = json.loads(stream.read(length))["body"]["client_id"]
    sock.sendall(rawws.frame(rawws.CLOSE, rawws.close_payload(1000)))
    assert stream.read() == b"\x88\x02\x03\xe8"
    place.hub.wait_sql(f"SELECT count(*) FROM client WHERE id = '{client_id}'", 0)


@pytest.mark.parametrize("name, request_, status", CASES, ids=[c[0] for c in CASES])
def test_request(place, name, request_, status):
    with connect(place.hub) as sock:
        try:
            sock.sendall(place.bytes(request_))
        except (ConnectionError, ssl.SSLError):
            pass  # it has been refused by now
        if status == 101:
            check_accepted(place, sock)
        else:
            check_refused(read_all(sock), status)
    place.other.nothing()


def test_nobody_is_left(place):
    place.hub.wait_sql("SELECT count(*) FROM client", 1)


# ---- slow ones

@pytest.mark.parametrize("size", [1, 7, 100])
def test_in_pieces(place, size):
    """A head may come in any pieces, and so may what is behind it."""
    data = place.bytes(GOOD)
    with connect(place.hub) as sock:
        for i in range(0, len(data), size):
            sock.sendall(data[i:i + size])
        check_accepted(place, sock)
    bad = place.bytes(lines("Content-Length: 5"))
    with connect(place.hub) as sock:
        try:
            for i in range(0, len(bad), size):
                sock.sendall(bad[i:i + size])
        except (ConnectionError, ssl.SSLError):
            pass
        check_refused(read_all(sock), 400)


def test_what_is_wrong_is_told_at_once(place):
    """Nobody waits for the end of a request that is none."""
    for start in (b"\x16\x03\x01", b"hello\r\n", b"GET /../x HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX : y\r\n"):
        with connect(place.hub) as sock:
            sock.sendall(start)
            check_refused(read_all(sock), 400)


def test_slowloris(place):
    """Hundreds of heads that never end: the others are served meanwhile, each
    is told 408 after the time for a handshake, and all are gone."""
    half = place.bytes(GOOD)[:-10]
    before = len(os.listdir(f"/proc/{place.hub.wsd.process.pid}/fd"))
    slow = [connect(place.hub) for _ in range(300)]
    stop = threading.Event()

    def dribble():
        sent = 0
        while not stop.is_set() and sent < len(half):
            for sock in slow[:100]:
                try:
                    sock.send(half[sent:sent + 1])
                except OSError:
                    pass
            sent += 1
            stop.wait(0.05)

    for sock in slow[100:200]:
        sock.sendall(half)
    for sock in slow[200:]:
        sock.sendall(b"G")
    thread = threading.Thread(target=dribble)
    thread.start()
    try:
        for _ in range(20):
            with connect(place.hub) as sock:
                sock.sendall(place.bytes(GOOD))
                check_accepted(place, sock)
        for sock in slow[100:]:
            check_refused(read_all(sock), 408)
    finally:
        stop.set()
        thread.join()
        for sock in slow:
            sock.close()
    procs.wait_for(lambda: len(os.listdir(f"/proc/{place.hub.wsd.process.pid}/fd")) <= before, "descriptors are left")
    place.other.nothing()
    place.hub.wait_sql("SELECT count(*) FROM client", 1)


def test_half_heads_that_hang_up(place):
    """Connections that end before their head does are forgotten at once."""
    pid = place.hub.wsd.process.pid
    before = len(os.listdir(f"/proc/{pid}/fd"))
    data = place.bytes(GOOD)
    for i in range(0, len(data), 3):
        with connect(place.hub) as sock:
            sock.sendall(data[:i])
    procs.wait_for(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= before, "descriptors are left")
    place.other.nothing()


def test_a_long_connection_header(place):
    """Over TLS the library, which has 126 bytes for it, reads the request too."""
    data = place.bytes(lines(upgrade=("Connection: " + "x, " * 50 + "Upgrade", *UPGRADE[1:])))
    with connect(place.hub) as sock:
        sock.sendall(data)
        if place.hub.tls:
            check_refused(read_all(sock), 400)
        else:
            check_accepted(place, sock)


@pytest.mark.parametrize("tls, loop", [(False, "auto"), (True, "ev"), (True, "uv"), (True, "poll")])
def test_an_answer_is_not_taken_away(make_hub, tls, loop):
    """A close with something unread resets the connection, and the peer may lose
    what it was told (RFC 9112 section 9.6): so the rest is read.  Not for ever."""
    hub = make_hub(wsd=False, handshake_timeout="2s", event_loop=loop)
    if tls:
        use_tls(hub)
    hub.start_wsd()
    fds = f"/proc/{hub.wsd.process.pid}/fd"
    before = len(os.listdir(fds))
    body = b"x" * 100000
    with connect(hub) as sock, sock.makefile("rb") as stream:
        head = lines(f"Content-Length: {2 * len(body)}", line=f"POST {SUBSCRIBE} HTTP/1.1", upgrade=()).encode()
        sock.sendall(head + body)
        select.select([sock], [], [], procs.PATIENCE)  # the answer is there, and not read yet
        for _ in range(20):  # a reset comes with the first of them, and is seen by one of the next
            sock.sendall(body[:5000])
        check_refused(stream.read(), 405)
        procs.wait_for(lambda: len(os.listdir(fds)) <= before, "it waits for a peer that does not hang up")
