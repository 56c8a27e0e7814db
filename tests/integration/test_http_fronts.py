"""HTTP as attackers write it, through each web server: what one of them lets
through is refused by us or does no harm, and nobody does with two requests in
one what he may not do with one.

A row is raw bytes and what may come of them.  The web servers differ in what
they take, so most rows name more than one status; what matters is that no
event is stored, nobody gets in, and the next request is served.
"""

import json
import socket

import pytest

import procs
import rawws
from clients import API, check_error, http_request
from test_http import UPGRADE

EVENTS, SUBSCRIBE = API + "/events", API + "/subscribe"
EVENT = '{"event_type":"pdfm","message":"smuggled"}'
BAD = "0123456789abcdef-bad"
ENDED = 0  # the connection ends without an answer
REFUSED = {ENDED, 400, 401, 403, 404, 405, 411, 413, 414, 431, 501, 505}


def post(*more, body=EVENT, length=True, who=("X-Api-Key: KEY",), path=EVENTS, version="1.1"):
    head = [f"POST {path} HTTP/{version}", "Host: x", "Content-Type: application/json", *who, *more]
    if length:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head + ["", body])


def upgrade(*more, who=("X-Api-Key: KEY",), path=SUBSCRIBE, behind=""):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *UPGRADE, *who, *more, "", behind])


CHUNKED = f"{len(EVENT):x}\r\n{EVENT}\r\n0\r\n\r\n"
NOBODY = ("X-A: b",)

# name, bytes, statuses of the first answer, how many events may be stored
CASES = [
    ("good", post(), {201}, 1),
    ("chunked", post("Transfer-Encoding: chunked", body=CHUNKED, length=False), {201}, 1),
    ("an extension of a chunk", post("Transfer-Encoding: chunked", body=CHUNKED.replace("\r\n", ";x=y\r\n", 1), length=False),
     {201} | REFUSED, 1),
    ("HTTP/1.0", post(version="1.0"), {201}, 1),

    # ---- lengths
    ("more than Content-Length", post(body=EVENT + "xxxx", length=False).replace("\r\n\r\n", f"\r\nContent-Length: {len(EVENT)}\r\n\r\n"), {201}, 1),
    ("Content-Length twice", post(f"Content-Length: {len(EVENT)}"), {201} | REFUSED, 1),
    ("two Content-Lengths", post("Content-Length: 5"), REFUSED, 0),
    ("negative", post("Content-Length: -1", length=False), REFUSED, 0),
    ("hexadecimal", post("Content-Length: 0x2a", length=False), REFUSED, 0),
    ("none", post(length=False), REFUSED, 0),
    ("too large to be true", post("Content-Length: 99999999999999999999", length=False), REFUSED, 0),
    ("broken chunks", post("Transfer-Encoding: chunked", body="zz\r\n" + EVENT, length=False), REFUSED | {500, 502}, 0),
    ("unknown coding", post("Transfer-Encoding: x", body=CHUNKED, length=False), REFUSED | {500, 502}, 0),

    # ---- two requests in one: the second is somebody's who may nothing
    ("length and chunks", post("Transfer-Encoding: chunked", who=NOBODY, body=CHUNKED + post()), REFUSED, 0),
    ("chunks and length", post("Transfer-Encoding: chunked", f"Content-Length: {len(CHUNKED)}", who=NOBODY, body=CHUNKED,
                               length=False), REFUSED, 0),
    ("a handshake with a body", upgrade(f"Content-Length: {len(post())}", behind=post()), REFUSED, 0),
    ("a handshake with chunks", upgrade("Transfer-Encoding: chunked", behind="0\r\n\r\n" + post()), REFUSED | {101}, 0),
    ("a handshake with both", upgrade("Content-Length: 4", "Transfer-Encoding: chunked", behind="0\r\n\r\n" + post()),
     REFUSED | {101}, 0),
    ("a request behind a handshake", upgrade(behind=post()), {101}, 0),

    # ---- credentials that are there twice, or nearly
    ("a good and a bad key", post(who=("X-Api-Key: KEY", f"X-Api-Key: {BAD}")), REFUSED, 0),
    ("a bad and a good key", post(who=(f"X-Api-Key: {BAD}", "X-Api-Key: KEY")), REFUSED, 0),
    ("a good and a bad token", post(who=("Authorization: Bearer TOKEN", f"Authorization: Bearer {BAD}")), REFUSED, 0),
    ("a bad and a good token", post(who=(f"Authorization: Bearer {BAD}", "Authorization: Bearer TOKEN")), REFUSED, 0),
    ("a key with underscores beside a bad one", post(who=(f"X-Api-Key: {BAD}", "X_Api_Key: KEY")), REFUSED, 0),
    ("a handshake with a good and a bad key", upgrade(who=("X-Api-Key: KEY", f"X-Api-Key: {BAD}")), REFUSED, 0),
    ("a handshake with a bad and a good key", upgrade(who=(f"X-Api-Key: {BAD}", "X-Api-Key: KEY")), REFUSED, 0),
    ("a blank before the colon", post(who=("X-Api-Key : KEY",)), REFUSED, 0),
    ("a folded key", post(who=("X-Api-Key:\r\n KEY",)), REFUSED | {201}, 1),
    ("a NUL behind the key", post(who=("X-Api-Key: KEY\0",)), REFUSED, 0),
    ("the variable of another header", post(who=("Redirect-Http-Authorization: Bearer TOKEN", "Remote-User: alice",
                                                 "Http-X-Api-Key: KEY")), {401} | REFUSED, 0),

    # ---- the path, which the web server and we must understand alike
    *[(f"path {p}", post(path=p), {404} | REFUSED, 0)
      for p in (EVENTS + "/", EVENTS + ";x", EVENTS + "%00", EVENTS + "%0a", "/api/v1/ws/event%73%2f", "/api/v1/ws")],
    ("handshake at an escaped slash", upgrade(path="/api/v1/ws%2fsubscribe"), REFUSED | {101}, 0),
    ("handshake at a NUL", upgrade(path=SUBSCRIBE + "%00"), REFUSED, 0),
    ("handshake at another path", upgrade(path=API + "/nosuch"), REFUSED, 0),
    ("absolute form", upgrade(path="http://x" + SUBSCRIBE), REFUSED | {101}, 0),
]


@pytest.fixture(params=["lighttpd", "apache", "apache-cgi", "nginx"])
def server(request):
    return request.getfixturevalue("front_" + request.param.replace("-", "_"))


def secrets(hub):
    """One user for all rows of a front, with a key and a token."""
    if not hasattr(hub, "http_secrets"):
        user = hub.unique("http")
        hub.http_secrets = hub.credential(user), hub.credential(user, kind="token")
    return hub.http_secrets


def first_status(sock):
    """The status of the first answer; a 101 is closed at once."""
    line = b""
    try:
        stream = sock.makefile("rb")
        line = stream.readline()
        if b" 101 " in line:
            sock.sendall(rawws.frame(rawws.CLOSE))
    except (ConnectionError, socket.timeout):
        pass
    return int(line.split()[1]) if line.startswith(b"HTTP/1.") else ENDED


@pytest.mark.parametrize("name, sent, statuses, events", CASES, ids=[c[0] for c in CASES])
def test_request(server, name, sent, statuses, events):
    hub = server.hub
    key, token = secrets(hub)
    sent = sent.replace("KEY", key.secret).replace("TOKEN", token.secret).encode("latin-1")
    count = "SELECT count(*) FROM event WHERE message = 'smuggled'"
    before = hub.value(count)
    host, port = server.ws_address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), procs.PATIENCE) as sock:
        sock.sendall(sent)
        status = first_status(sock)
        assert status in statuses, status
        # what is behind it would have been done before this is
        answer = http_request(server.ws_address, "POST", EVENTS, {"Content-Type": "application/json", **key.headers},
                              json.dumps({"event_type": "pdfm", "message": "after"}))
        assert answer.status == 201
        assert hub.value(count) - before <= events
    if status == 201:
        assert hub.value(count) == before + events


def test_body_that_does_not_come(server):
    """Less than Content-Length, and then the end."""
    key, _ = secrets(server.hub)
    before = server.hub.value("SELECT count(*) FROM event")
    host, port = server.ws_address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), procs.PATIENCE) as sock:
        sock.sendall(post(f"Content-Length: {len(EVENT) + 10}", length=False).replace("KEY", key.secret).encode())
        sock.shutdown(socket.SHUT_WR)
        assert first_status(sock) in REFUSED | {408, 499, 500, 502}
    assert server.hub.value("SELECT count(*) FROM event") == before


def test_frames_behind_the_handshake(server):
    """Through a web server they are the first frames, too."""
    key, _ = secrets(server.hub)
    message = rawws.frame(rawws.TEXT, '{"event_type":"health","message":"ping","id":"early"}')
    head = rawws.handshake(server.hub, key, lines=upgrade().split("\r\n")[:-2])
    sent = head.replace(b"KEY", key.secret.encode())
    host, port = server.ws_address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), procs.PATIENCE) as sock:
        sock.sendall(sent + message)
        stream = sock.makefile("rb")
        assert b" 101 " in stream.readline()
        while stream.readline().strip():
            pass
        for _ in range(2):
            first, length = stream.read(2)
            length = int.from_bytes(stream.read(2), "big") if length == 126 else length
            data = stream.read(length)
            assert first == 0x81
        assert json.loads(data)["ref_id"] == "early"
        sock.sendall(rawws.frame(rawws.CLOSE))


# ---- bodies

GOOD_BODIES = [
    '{"event_type":"pdfm","body":123456789012345678901234567890}', '{"event_type":"pdfm","body":-0.0}',
    '{"event_type":"pdfm","body":1e400}', '{"event_type":"pdfm","body":"\\u0000"}',
    '{"event_type":"pdfm","body":[[[[[[[[]]]]]]]]}', ' \r\n\t{"event_type":"pdfm"}\n', '{"event_type":"pdfm","body":{"":{"":0}}}',
]
BAD_BODIES = [
    "", " ", "{", "nul", "{}", "[]", "[[]]", "[{}]", '"x"', "1e999", "-", "\ufeff{}", '{"event_type":"pdfm"}}', '{"event_type":"pdfm"} {}',
    '{"event_type":"pdfm","event_type":"pdfm"}', '{"event_type":"pdfm","body":{"a":1,"a":2}}', '{"event_type":"pdfm","body":01}',
    '{"event_type":"pdfm","body":+1}', '{"event_type":"pdfm","body":NaN}', '{"event_type":"pdfm","message":"\\ud800"}',
    '{"event_type":"pdfm","message":"\\u0000"}', '{"event_type":"pdfm","message":"a\tb"}', "{'event_type':'pdfm'}",
    '{"event_type":["pdfm"]}', '{"event_type":null}', '{"event_type":"pdfm","message":5}', '{"event_type":"pdfm","more":1}',
    '{"event_type":"pdfm","client_id":5}', '{"event_type":"pdfm","client_id":"x"}', '{"event_type":"PD FM"}',
    '{"event_type":"pdfm","body":' + "[" * 100 + "]" * 100 + "}", "[" * 60000, '{"a":' * 10000 + "1" + "}" * 10000,
    "[" + ",".join(['{"event_type":"pdfm"}'] * 1001) + "]", b'{"event_type":"pdfm","message":"\xff"}',
    b'{"event_type":"pdfm","message":"\xed\xa0\x80"}', b'{"event_type":"pdfm"}\0', b"\0" * 100, b"\x1f\x8b\x08\0\0\0\0\0",
    "9" * 60000, '{"event_type":"' + "x" * 60000 + '"}',
]


@pytest.mark.parametrize("body", GOOD_BODIES, ids=repr)
def test_good_body(front, body):
    key, _ = secrets(front.hub)
    answer = front.post("events", body, key)
    assert answer.status == 201, answer


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda b: repr(b[:40]))
def test_bad_body(front, body):
    key, _ = secrets(front.hub)
    before = front.hub.value("SELECT count(*) FROM event")
    answer = front.post("events", body.encode() if isinstance(body, str) else body, key)
    # a web server need not hand on what has no body at all
    assert answer.status == 400 or not body and answer.status == 411, answer
    if answer.status == 400:
        check_error(answer, 400)
    assert front.hub.value("SELECT count(*) FROM event") == before
