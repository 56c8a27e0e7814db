"""Web servers that pass a body on as it comes: clients that take their time hold up nobody else."""

import json
import socket
import struct

import pytest

import clients
import procs
from clients import API

JSON = {"Content-Type": "application/json"}
EVENT = json.dumps({"event_type": "pdfm"}).encode()


def begin(front, headers, sent, length=60000, path="events"):
    """A POST of which so many bytes of the body are sent."""
    host, port = front.ws_address.rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), procs.PATIENCE)
    lines = [f"POST {API}/{path} HTTP/1.1", "Host: x", f"Content-Length: {length}"]
    sock.sendall("\r\n".join(lines + [f"{k}: {v}" for k, v in {**headers, **JSON}.items()] + ["", ""]).encode() + b" " * sent)
    return sock


@pytest.mark.parametrize("sent", [1, 30000])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("front", ["apache", "nginx", "lighttpd"])
def test_unfinished_bodies(make_hub, front, known, sent):
    front = make_hub(front=front, fcgi_threads=2, handshake_timeout="5s").front
    who = front.hub.credential()
    slow = [begin(front, who.headers if known else {}, sent) for _ in range(12)]
    for _ in range(5):
        response = front.post("events", json.loads(EVENT), who)
        assert response.status == 201, response
    for sock in slow:
        sock.close()


@pytest.mark.parametrize("sent", [1, 30000])
def test_told_that_it_was_late(make_hub, sent):
    hub = make_hub(fcgi=True, fcgi_threads=2, handshake_timeout="1s")
    response = clients.fcgi_request(hub.fcgi_socket, "POST", API + "/events", {**hub.credential().headers, **JSON}, b" " * sent,
                                    params={"CONTENT_LENGTH": "60000"}, finished=False)
    assert response.status == 408


@pytest.mark.parametrize("path, expected", [("events", 401), ("nothing", 404)])
def test_who_is_refused_need_not_send_all(make_hub, path, expected):
    hub = make_hub(fcgi=True, fcgi_threads=1, handshake_timeout="5m")
    for _ in range(3):
        response = clients.fcgi_request(hub.fcgi_socket, "POST", f"{API}/{path}", JSON, b" " * 30000,
                                        params={"CONTENT_LENGTH": "60000"}, finished=False)
        assert response.status == expected


def test_a_body_in_many_pieces(make_hub):
    """As chunks that a web server passes on one by one."""
    front = make_hub(front="apache", fcgi_threads=2).front
    host, port = front.ws_address.rsplit(":", 1)
    who = front.hub.credential()
    with socket.create_connection((host, int(port)), procs.PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [f"POST {API}/events HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"]
        sock.sendall("\r\n".join(lines + [f"{k}: {v}" for k, v in {**who.headers, **JSON}.items()] + ["", ""]).encode())
        for byte in EVENT + b" " * 300:
            sock.sendall(b"1\r\n" + bytes([byte]) + b"\r\n")
        sock.sendall(b"0\r\n\r\n")
        assert int(sock.makefile("rb").readline().split()[1]) == 201


def test_a_byte_now_and_then(make_hub):
    """Each comes in time; all of them do not."""
    hub = make_hub(fcgi=True, fcgi_threads=1, handshake_timeout="1s")
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(hub.fcgi_socket)
    sock.settimeout(0.2)
    env = {"REQUEST_METHOD": "POST", "REQUEST_URI": API + "/events", "CONTENT_LENGTH": "60000", "CONTENT_TYPE": "application/json",
           "HTTP_X_API_KEY": hub.credential().secret}
    params = b"".join(bytes([len(k), len(v)]) + k.encode() + v.encode() for k, v in env.items())
    sock.sendall(record(1, struct.pack("!HBxxxxx", 1, 0)) + record(4, params) + record(4) + record(5, b" " * 20000))
    for _ in range(100):
        sock.sendall(record(5, b" "))
        try:
            assert b"Status: 408" in sock.recv(65536)
            break
        except TimeoutError:
            pass
    else:
        pytest.fail("it waited on")
    sock.close()


def record(kind, content=b""):
    return struct.pack("!BBHHBx", 1, kind, 1, len(content), 0) + content


@pytest.mark.parametrize("sent", [
    b"", record(1, struct.pack("!HBxxxxx", 1, 0)), record(1, struct.pack("!HBxxxxx", 1, 0)) + record(4),
    b"GET / HTTP/1.1\r\n\r\n", record(2), record(5), record(1, struct.pack("!HBxxxxx", 9, 0)) + record(5), b"\1" * 20000,
], ids=["nothing", "begin", "params", "http", "abort", "end", "role", "noise"])
def test_no_request(make_hub, sent):
    """Whatever web servers leave half done, others are served."""
    hub = make_hub(fcgi=True, fcgi_threads=1, handshake_timeout="1s")
    socks = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    for sock in socks:
        sock.connect(hub.fcgi_socket)
        sock.sendall(sent)
    response = clients.fcgi_request(hub.fcgi_socket, "POST", API + "/events", {**hub.credential().headers, **JSON}, EVENT)
    assert response.status == 201
    for sock in socks:
        sock.settimeout(procs.PATIENCE)
        try:
            while sock.recv(65536):
                pass
        except ConnectionError:
            pass
        sock.close()


def test_more_than_may_wait(make_hub):
    """Who has waited longest makes room."""
    hub = make_hub(fcgi=True, fcgi_threads=1, handshake_timeout="5m")
    socks = []
    for _ in range(600):
        socks.append(socket.socket(socket.AF_UNIX))
        socks[-1].connect(hub.fcgi_socket)
        socks[-1].sendall(record(1, struct.pack("!HBxxxxx", 1, 0)))
    response = clients.fcgi_request(hub.fcgi_socket, "POST", API + "/events", {**hub.credential().headers, **JSON}, EVENT)
    assert response.status == 201
    for sock in socks[:100]:
        sock.settimeout(procs.PATIENCE)
        assert b"408" in sock.recv(65536)
    for sock in socks[100:]:  # and nobody else
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
    for sock in socks:
        sock.close()


def test_more_long_ones_than_may_wait(make_hub):
    """One is read, a hundred wait for that, and whoever comes then is told."""
    hub = make_hub(fcgi=True, fcgi_threads=2, handshake_timeout="5m")
    env = {"REQUEST_METHOD": "POST", "REQUEST_URI": API + "/events", "CONTENT_LENGTH": "60000", "CONTENT_TYPE": "application/json",
           "HTTP_X_API_KEY": hub.credential().secret}
    params = b"".join(bytes([len(k), len(v)]) + k.encode() + v.encode() for k, v in env.items())
    socks = []
    for _ in range(103):
        socks.append(socket.socket(socket.AF_UNIX))
        socks[-1].connect(hub.fcgi_socket)
        socks[-1].sendall(record(1, struct.pack("!HBxxxxx", 1, 0)) + record(4, params) + record(4) + record(5, b" " * 20000))
    socks[-1].settimeout(procs.PATIENCE)
    assert b"Status: 408" in socks[-1].recv(65536)
    for sock in socks:
        sock.close()
