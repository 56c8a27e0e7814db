"""A token in Sec-WebSocket-Protocol, the one header that a page can set on a
WebSocket.  libwebsockets takes 126 bytes of it; ours are longer."""

import os
import secrets
import socket
import string

import pytest

import clients
from clients import API, check_error
from procs import PATIENCE

VISIBLE = string.ascii_letters + string.digits + "-._~!#$%&'*+^`|"  # what RFC 9110 calls a token


def token_of(length):
    return "".join(secrets.choice(VISIBLE) for _ in range(length))


def offer(*protocols):
    return {"options": {"subprotocols": list(protocols)}}


def refusal(front, protocols, path=API + "/subscribe", headers=None):
    return clients.refusal(front.ws_address, None, path, {"Sec-WebSocket-Protocol": protocols, **(headers or {})})


# 98 and 99 are the last that the library takes and the first that it does not
@pytest.mark.parametrize("length", [16, 54, 55, 63, 98, 109, 110, 512])
def test_token(front, length):
    who = front.hub.credential(kind="token", secret=token_of(length))
    ws = front.subscribe(None, "pdfm", **offer("evhub.v1", "bearer." + who.secret))
    assert ws.ws.subprotocol == "evhub.v1"
    assert ws.ws.response_headers["Sec-WebSocket-Protocol"] == "evhub.v1"
    assert who.secret not in str(ws.ws.response_headers)
    front.hub.publish("pdfm", "hello", client_id=ws.client_id)
    ws.expect("pdfm", "hello")
    assert front.hub.value(f"SELECT user_id FROM client WHERE id = '{ws.client_id}'") == who.user
    ws.close()


@pytest.mark.parametrize("length", [16, 100, 512])
def test_in_another_order(direct, length):
    who = direct.hub.credential(kind="token", secret=token_of(length))
    ws = direct.subscribe(None, **offer("bearer." + who.secret, "other", "evhub.v1"))
    assert ws.ws.subprotocol == "evhub.v1"
    ws.close()


def test_a_long_list_without_a_token(direct):
    ws = direct.subscribe(direct.hub.credential(), **offer(*(f"some-other-protocol-{i}" for i in range(100)), "evhub.v1"))
    assert ws.ws.subprotocol == "evhub.v1"
    ws.close()


@pytest.mark.parametrize("length", [16, 200, 512])
def test_unknown_token(direct, length):
    token = token_of(length)
    response = refusal(direct, f"evhub.v1, bearer.{token}")
    body = check_error(response, 401, 1)
    assert body["stack"][0]["path"] == "sec-websocket-protocol", body
    assert token not in str(response)


@pytest.mark.parametrize("protocols", ["other", "bearer.{}", "other, bearer.{}", "EVHUB.V1, bearer.{}", "evhub.v1x, bearer.{}"])
@pytest.mark.parametrize("length", [20, 300])
def test_our_own_name_is_needed(direct, protocols, length):
    token = direct.hub.credential(kind="token", secret=token_of(length)).secret
    response = refusal(direct, protocols.format(token))
    body = check_error(response, 400, 1)
    assert body["stack"][0]["error"] == "unknown_subprotocol"
    assert token not in str(response)


@pytest.mark.parametrize("length", [20, 300])
def test_two_tokens(direct, length):
    token = direct.hub.credential(kind="token", secret=token_of(length)).secret
    check_error(refusal(direct, f"evhub.v1, bearer.{token}, bearer.{token}"), 400, 1)


@pytest.mark.parametrize("token", ["", "short", "x" * 513, "x" * 9000], ids=["empty", "short", "513", "9000"])
def test_malformed_token(direct, token):
    check_error(refusal(direct, f"evhub.v1, bearer.{token}"), 401, 1)


def test_a_key_is_no_token(direct):
    check_error(refusal(direct, "evhub.v1, bearer." + direct.hub.credential(secret=token_of(200)).secret), 401, 1)


def test_with_another_credential(direct):
    hub = direct.hub
    token = hub.credential(kind="token", secret=token_of(200))
    key = hub.credential(user=token.user)
    ws = direct.subscribe(key, **offer("evhub.v1", "bearer." + token.secret))
    ws.close()
    body = check_error(refusal(direct, "evhub.v1, bearer." + token.secret, headers=hub.credential().headers), 401, 1)
    assert body["stack"][0]["error"] == "credential_mismatch"
    # what a browser adds of its own is not looked at
    ws = direct.subscribe(None, headers={"Authorization": "Basic dTpw"}, **offer("evhub.v1", "bearer." + token.secret))
    ws.close()


@pytest.mark.parametrize("length", [20, 300])
def test_all_else_of_the_request_is_kept(front, length):
    """The handshake is written anew for the library: nothing may be lost."""
    hub = front.hub
    who = hub.credential(kind="token", secret=token_of(length))
    seq = hub.publish("stats", "before", user_id=who.user)
    hub.publish("stats", "after", user_id=who.user)
    ws = front.subscribe(None, " PDFM ,stats", last_event_id=hub.event_id(seq),
                         headers={"User-Agent": "Some \"agent\"; of=mine, (really)"},
                         **{"unknown name": "a=b&c%d+e/\u00e9?"}, **offer("evhub.v1", "bearer." + who.secret))
    assert sorted(ws.subscriptions) == ["global", "pdfm", "stats"]
    assert ws.welcome["body"]["resumed"] is True
    ws.expect("stats", "after")
    row = hub.sql(f"SELECT user_agent, remote_addr FROM client WHERE id = '{ws.client_id}'")[0]
    assert row["user_agent"] == "Some \"agent\"; of=mine, (really)"
    assert row["remote_addr"] == "127.0.0.1"
    ws.close()


@pytest.mark.parametrize("length", [20, 300])
def test_refusals(direct, length):
    hub = direct.hub
    who = hub.credential(kind="token", secret=token_of(length), event_types="pdfm")
    protocols = "evhub.v1, bearer." + who.secret
    check_error(refusal(direct, protocols, API + "/subscribe?event_types=nosuch,pdfm,neither"), 400, 2)
    check_error(refusal(direct, protocols, API + "/subscribe?event_types=stats"), 403, 1)
    check_error(refusal(direct, protocols, API + "/elsewhere"), 404, 1)
    check_error(refusal(direct, protocols, headers={"Origin": "https://evil.example"}), 403, 1)
    check_error(refusal(direct, protocols, headers={"Sec-WebSocket-Version": "12"}), 400)
    check_error(clients.refusal(direct.ws_address, None, headers={"Sec-WebSocket-Protocol": protocols}, upgrade=False), 400)


def test_not_in_the_log_nor_in_the_database(make_hub):
    hub = make_hub(log_level="debug")
    tokens = [hub.credential(kind="token", secret=secrets.token_urlsafe(n)).secret for n in (20, 80, 300)]
    tokens.append(secrets.token_urlsafe(200))
    for token in tokens[:-1]:
        clients.subscribe(hub.wsd.listen, None, **offer("evhub.v1", "bearer." + token)).close()
    check_error(clients.refusal(hub.wsd.listen, headers={"Sec-WebSocket-Protocol": "evhub.v1, bearer." + tokens[-1]}), 401)
    check_error(clients.refusal(hub.wsd.listen, headers={"Sec-WebSocket-Protocol": "bearer." + tokens[-1]}), 400)
    hub.wait_sql("SELECT count(*) FROM client", 0)
    log = hub.wsd.process.text()
    assert "client_joined" in log
    with open(hub.database + "-wal", "rb") as f:
        wal = f.read()
    for token in tokens:
        assert token not in log and token[:40] not in log and token.encode() not in wal


def request_of(hub, token):
    head = [f"GET {API}/subscribe HTTP/1.1", "Host: localhost", f"Sec-WebSocket-Protocol: evhub.v1, bearer.{token}"]
    head += [f"{k}: {v}" for k, v in clients.UPGRADE.items()]
    return "\r\n".join(head + ["", ""]).encode()


def connect(hub):
    host, port = hub.wsd.listen.rsplit(":", 1)
    return socket.create_connection((host, int(port)), PATIENCE)


def read_until(sock, mark):
    data = b""
    while mark not in data:
        more = sock.recv(65536)
        assert more, data
        data += more
    return data


def test_many_at_once(make_hub):
    hub = make_hub()
    request = request_of(hub, hub.credential(kind="token", secret=token_of(400)).secret)
    socks = [connect(hub) for _ in range(200)]
    for sock in socks:
        sock.sendall(request)
    for i, sock in enumerate(socks):
        assert read_until(sock, b"established").startswith(b"HTTP/1.1 101 ")
        if i % 2:
            sock.close()
    hub.wait_sql("SELECT count(*) FROM client", 100)
    for sock in socks[::2]:
        sock.close()
    hub.wait_sql("SELECT count(*) FROM client", 0)


def test_gone_before_the_answer(make_hub):
    hub = make_hub()
    request = request_of(hub, hub.credential(kind="token", secret=token_of(400)).secret)
    for _ in range(100):
        sock = connect(hub)
        sock.sendall(request)
        sock.close()
    sock = connect(hub)
    sock.sendall(request)
    read_until(sock, b"established")
    hub.wait_sql("SELECT count(*) FROM client", 1)
    sock.close()


def test_in_pieces(make_hub):
    hub = make_hub()
    request = request_of(hub, hub.credential(kind="token", secret=token_of(400)).secret)
    sock = connect(hub)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(0, len(request), 7):
        sock.sendall(request[i:i + 7])
    assert read_until(sock, b"established").startswith(b"HTTP/1.1 101 ")
    sock.close()


def test_on_a_unix_socket(make_hub):
    hub = make_hub(wsd=False)
    path = hub.directory + "/ws.sock"
    hub.start_wsd(overrides=[f"listen=unix:{path}"])
    who = hub.credential(kind="token", secret=token_of(400))
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    sock.connect(path)
    sock.sendall(request_of(hub, who.secret))
    assert read_until(sock, b"established").startswith(b"HTTP/1.1 101 ")
    assert hub.value("SELECT remote_addr FROM client") == "unix"
    sock.close()


def test_no_descriptor_is_left_behind(make_hub):
    hub = make_hub()
    request = request_of(hub, hub.credential(kind="token", secret=token_of(400)).secret)
    fds = f"/proc/{hub.wsd.process.popen.pid}/fd"

    def round_trip():
        for _ in range(20):
            sock = connect(hub)
            sock.sendall(request)
            read_until(sock, b"established")
            sock.close()
        hub.wait_sql("SELECT count(*) FROM client", 0)
    round_trip()
    before = len(os.listdir(fds))
    round_trip()
    assert len(os.listdir(fds)) <= before + 2
