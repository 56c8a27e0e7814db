"""What a connected client may send, and how its connection is kept and ended."""

import json
import re
import socket
import threading
import time

import pytest

import clients
import procs
import rawws
from clients import Raw, subscribe

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")


@pytest.fixture
def ws(direct):
    ws = direct.subscribe(direct.hub.credential())
    yield ws
    if not ws.ws.closed:
        ws.close()


def check_reply(frame, ws, event_type, message):
    expected = ["id", "ref_id", "event_type", "timestamp", "message"]
    expected += [name for name in ("body", "client_id") if name in frame]
    assert list(frame) == expected, frame
    assert frame["event_type"] == event_type
    assert frame["message"] == message
    assert RFC3339.fullmatch(frame["timestamp"])
    assert isinstance(frame["id"], str) and isinstance(frame["ref_id"], str) and frame["ref_id"]
    assert frame["client_id"] == ws.client_id


# ---- questions with an answer

def test_ping(front):
    ws = front.subscribe(front.hub.credential())
    frame = ws.ask({"event_type": "health", "message": "ping"})
    check_reply(frame, ws, "health", "pong")
    assert "body" not in frame
    ws.close()


def test_ping_in_any_case(ws):
    for event_type in ("HEALTH", " health ", "Health"):
        check_reply(ws.ask({"event_type": event_type, "message": "ping"}), ws, "health", "pong")


@pytest.mark.parametrize("message", ["client-id", "CLIENT-ID", "Client-Id"])
def test_client_id(ws, message):
    frame = ws.ask({"event_type": "system", "message": message})
    check_reply(frame, ws, "system", "client-id")
    assert frame["body"] == {"client-id": ws.client_id}


@pytest.mark.parametrize("given", ["7", "x" * 200, "quote\" \\ back", "é☃", ""])
def test_id_comes_back_as_ref_id(ws, given):
    frame = ws.ask({"event_type": "health", "message": "ping", "id": given})
    if given:
        assert frame["ref_id"] == given
    frame = ws.ask({"id": "next", "event_type": "system", "message": "client-id", "more": [1, {"a": None}]})
    assert frame["ref_id"] == "next"


def test_ref_id_without_an_id(ws):
    """A message without an id is given one; two messages, two ids."""
    first, second = (ws.ask({"event_type": "health", "message": "ping"}) for _ in range(2))
    assert first["ref_id"] != second["ref_id"]


def test_reply_ids_grow(ws):
    """Every frame has an id of its own."""
    ids = [ws.ask({"event_type": "health", "message": "ping"})["id"] for _ in range(5)]
    assert len(set(ids)) == 5 and ws.welcome["id"] not in ids


def test_answers_keep_the_order_of_questions(ws):
    for i in range(20):
        ws.send({"event_type": "health", "message": "ping", "id": str(i)})
    assert [ws.recv()["ref_id"] for _ in range(20)] == [str(i) for i in range(20)]


# ---- errors that leave the connection open

def check_error_frame(frame, ws, error=None):
    check_reply(frame, ws, "global", "error")
    assert list(frame["body"]) == ["error"]
    if error:
        assert frame["body"]["error"] == error
    return frame["body"]["error"]


@pytest.mark.parametrize("event_type", ["nosuch", "Nonsense", "x" * 64])
def test_unknown_type(ws, event_type):
    frame = ws.ask({"event_type": event_type, "message": "hello", "id": "q"})
    error = check_error_frame(frame, ws)
    assert error.lower() == f"invalid message type {event_type}".lower()
    assert frame["ref_id"] == "q"
    ws.nothing()


@pytest.mark.parametrize("event_type", ["pdfm", "global", "job_manager"])
def test_type_that_nobody_answers(ws, event_type):
    check_error_frame(ws.ask({"event_type": event_type, "message": "hello"}), ws,
                      f"no handlers registered for type {event_type}")
    ws.nothing()


DEEP = '{"event_type":"health","message":"ping","body":' + "[" * 1500 + "]" * 1500 + "}"


@pytest.mark.parametrize("text", [
    "", " ", "x", "{", "}", "[]", "null", "42", '"ping"', "{}", '{"event_type":}', '{"event_type":"health"',
    '{"message":"ping"}', '{"event_type":null,"message":"ping"}', '{"event_type":42,"message":"ping"}',
    '{"event_type":["health"],"message":"ping"}', '{"event_type":{},"message":"ping"}',
    '{"event_type":"","message":"ping"}', '{"event_type":"health","message":42}',
    '{"event_type":"health","message":"ping","id":42}', '{"event_type":"health","message":"ping","id":{}}',
    '{"event_type":"health","event_type":"system","message":"ping"}',
    '{"event_type":"health","message":"ping"}{"event_type":"health","message":"ping"}',
    '{"event_type":"health","message":"ping"} x', "{'event_type':'health'}", DEEP,
    '{"event_type":"hea\\u0000lth","message":"ping"}', '{"event_type":"health","message":"ping",}',
    '{"event_type":"\'; DROP TABLE client; --","message":"ping"}',
    '{"event_type":"health","message":"ping\x01"}', "\ufeff{}", "NaN", "[" * 3000,
    '{"event_type":"health","message":"\\ud800"}',
], ids=lambda t: repr(t[:40]))
def test_malformed(ws, text):
    """One error frame, or an answer where the message can be understood; the
    connection stays."""
    frame = ws.ask(text)
    if frame["message"] != "error":
        # an id or message that is of another type may be taken for absent
        assert frame["message"] == "pong" or frame["event_type"] in ("health", "system"), frame
        assert '"id":' in text or "\\ud800" in text, frame
    else:
        check_error_frame(frame, ws)
    ws.nothing()


def test_error_quotes_the_type_safely(ws):
    frame = ws.ask({"event_type": "<script>\"\\\u2028é", "message": "x"})
    check_error_frame(frame, ws)


def test_message_of_unknown_text(ws):
    for event_type in ("health", "system"):
        frame = ws.ask({"event_type": event_type, "message": "nonsense"})
        assert frame["message"] == "error" and frame["event_type"] == "global", frame
    ws.nothing()


def test_message_of_the_longest_length(ws):
    padding = "x" * (4096 - len(json.dumps({"event_type": "health", "message": "ping", "pad": ""})))
    text = json.dumps({"event_type": "health", "message": "ping", "pad": padding})
    assert len(text) == 4096
    assert ws.ask(text)["message"] == "pong"


def test_fragmented_message(direct):
    """Continuation frames are put together (RFC 6455 section 5.4)."""
    with Raw(direct) as raw:
        raw.frame(1, b'{"event_type":"hea', fin=False)
        raw.frame(9, b"between")
        raw.frame(0, b'lth","message":', fin=False)
        raw.frame(0, b'"ping"}')
        seen = [raw.read_frame() for _ in range(2)]
        assert (10, b"between") in seen
        assert any(op == 1 and json.loads(data)["message"] == "pong" for op, data in seen)


# ---- what ends a connection

def test_binary_frame(ws):
    ws.send(b"\x00\x01")
    assert ws.closed()[0] == 1003


def test_too_long(ws):
    ws.send(json.dumps({"event_type": "health", "message": "ping", "pad": "x" * 5000}))
    assert ws.closed()[0] == 1009


def test_too_long_in_fragments(direct):
    with Raw(direct) as raw:
        raw.frame(1, b"x" * 4000, fin=False)
        try:
            for _ in range(100):
                raw.frame(0, b"x" * 4000, fin=False)
        except OSError:
            pass  # it was closed while we wrote
        assert raw.close_code() in (1009, None)
    direct.subscribe(direct.hub.credential()).close()


def test_invalid_utf8(direct):
    with Raw(direct) as raw:
        raw.frame(1, b'{"event_type":"health","message":"\xff\xfe"}')
        assert raw.close_code() == 1007


def test_flood(make_hub):
    hub = make_hub(max_messages_per_second=20)
    quiet = subscribe(hub.wsd.listen, hub.credential())
    ws = subscribe(hub.wsd.listen, hub.credential())
    try:
        for _ in range(400):
            ws.send({"event_type": "health", "message": "ping"})
    except clients.websockets.exceptions.ConnectionClosed:
        pass
    assert ws.closed()[0] == 1008
    quiet.nothing()
    quiet.close()


@pytest.mark.parametrize("bytes_", [
    b"\x89\x80\x00\x00\x00\x00", b"\x8a\x80\x00\x00\x00\x00", b"\x8a\x81\x00\x00\x00\x00x", b"\x00\x80\x00\x00\x00\x00",
], ids=["pings", "empty-pongs", "pongs", "empty-fragments"])
def test_flood_of_what_is_no_message(make_hub, bytes_):
    hub = make_hub(max_messages_per_second=1, max_message_bytes=125, ping_interval="300ms")
    quiet = subscribe(hub.wsd.listen, hub.credential())
    with Raw(hub) as raw:
        if bytes_[0] == 0:
            raw.frame(1, b"", fin=False)

        def flood():
            try:
                for _ in range(100000):
                    raw.sock.sendall(bytes_ * 100)
                raw.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it was closed while we wrote
        sender = threading.Thread(target=flood)
        sender.start()
        code = raw.close_code()
        sender.join()
    assert code == 1008
    quiet.nothing()
    quiet.close()


@pytest.mark.parametrize("bytes_", [
    b"\x81\x02hi",                              # not masked (RFC 6455 section 5.1)
    b"\x83\x80\x00\x00\x00\x00",                # a reserved opcode
    b"\xf1\x80\x00\x00\x00\x00",                # reserved bits
    b"\x89\xfe\x00\x7e" + b"\x00" * 130,        # a control frame of 126 bytes
    b"\x80\x80\x00\x00\x00\x00",                # a continuation of nothing
    b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff" + b"\x00" * 4,  # 2^64 - 1 bytes
    b"\x88\x81\x00\x00\x00\x00\x03",            # a close frame of one byte
], ids=["unmasked", "opcode", "reserved", "long-control", "continuation", "length", "close-1"])
def test_protocol_error(direct, bytes_):
    """Not one of them is answered as a message, and nobody else notices."""
    other = direct.subscribe(direct.hub.credential())
    with Raw(direct) as raw:
        raw.sock.sendall(bytes_ + b"\x00" * 16)
        raw.close_code()
    other.nothing()
    other.close()


def test_close_is_answered(ws):
    ws.close(1000, "bye")
    assert ws.ws.close_code == 1000


# ---- keepalive

def test_rfc6455_ping_is_answered(front):
    ws = front.subscribe(front.hub.credential())
    ws.ping()
    ws.ping(b"")
    ws.ping(b"x" * 125)
    ws.nothing()
    ws.close()


def test_server_pings_and_keeps_who_answers(make_hub):
    hub = make_hub(ping_interval="200ms", pong_timeout="1s")
    ws = subscribe(hub.wsd.listen, hub.credential())
    # the library answers pings by itself; the table shows both times move
    first = procs.wait_for(lambda: hub.value("SELECT last_pong_at FROM client"), "no pong is recorded")
    procs.wait_for(lambda: hub.value("SELECT last_pong_at > '%s' FROM client" % first), "no second pong")
    assert hub.value("SELECT last_ping_at IS NOT NULL FROM client") == 1
    # and after more than pong_timeout it is still there
    begin = time.monotonic()
    procs.wait_for(lambda: time.monotonic() - begin > 1.5, "time stands still")
    ws.nothing()
    ws.close()


def test_dead_peer_is_closed(make_hub):
    hub = make_hub(ping_interval="200ms", pong_timeout="600ms")
    alive = subscribe(hub.wsd.listen, hub.credential())
    with Raw(hub) as raw:
        seen = []
        while True:
            op, data = raw.read_frame()
            if op is None or op == 8:
                break
            seen.append(op)
        assert 9 in seen, "no ping was sent"
    hub.wait_sql("SELECT count(*) FROM client", 1)
    alive.nothing()
    alive.close()


def test_vanished_peer_is_closed(make_hub):
    """A client whose host went away without a word leaves no row behind."""
    hub = make_hub(ping_interval="200ms", pong_timeout="600ms")
    raw = Raw(hub)
    hub.wait_sql("SELECT count(*) FROM client", 1)
    hub.wait_sql("SELECT count(*) FROM client", 0)
    raw.sock.close()


def test_who_asks_and_does_not_read(make_hub):
    """Whatever is sent meanwhile, or not: what it has not read is not piled up."""
    hub = make_hub(max_messages_per_second=50000)
    with rawws.Peer(hub, hub.credential()) as peer:
        ping = json.dumps({"event_type": "health", "message": "ping", "id": "x" * 200}).encode()
        stop = threading.Event()

        def ask():
            try:
                while not stop.is_set():
                    peer.send(rawws.frame(rawws.TEXT, ping) * 200)
            except OSError:
                pass

        asker = threading.Thread(target=ask)
        asker.start()
        procs.wait_for(lambda: 'evhub_closes_total{daemon="wsd",code="1008"} 1' in metrics(hub), "it may go on")
        stop.set()
        peer.sock.shutdown(socket.SHUT_RDWR)
        asker.join()


def metrics(hub):
    with clients.Control(hub.control) as control:
        return control.ask({"op": "metrics"})["text"]
