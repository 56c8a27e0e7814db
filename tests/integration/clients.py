"""Clients of the hub.  The WebSocket protocol is the work of the websockets
library, HTTP of http.client and curl; the two small things written here speak
FastCGI and the control socket's lines.  Whatever they receive is held against
the API descriptions (api_docs.py)."""

import asyncio
import collections
import http.client
import json
import os
import socket
import struct
import subprocess
import threading
import urllib.parse

import websockets.client
import websockets.exceptions

import api_docs
from api_docs import API
from procs import PATIENCE

UNSET = object()


# ---- one event loop in a thread, so that the tests read from top to bottom

class _Loop:
    def __init__(self):
        self.loop = None
        self.pid = None

    def run(self, coroutine, timeout=PATIENCE + 5):
        if self.pid != os.getpid():
            self.loop = asyncio.new_event_loop()
            self.pid = os.getpid()
            threading.Thread(target=self.loop.run_forever, daemon=True).start()
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)


_loop = _Loop()


class Refused(Exception):
    """The upgrade was refused."""

    def __init__(self, status, headers):
        super().__init__(f"status {status}")
        self.status = status
        self.headers = headers


class Ws:
    """A WebSocket connection by the websockets library, without asyncio."""

    def __init__(self, url, headers=None, **options):
        options.setdefault("ping_interval", None)
        options.setdefault("max_size", None)
        options.setdefault("max_queue", None)
        options.setdefault("open_timeout", PATIENCE)
        options.setdefault("close_timeout", 5)
        self.welcome = None
        headers = dict(headers or {})
        if "Host" in headers:  # the library would add its own, and two are refused
            parts = urllib.parse.urlsplit(url)
            options.update(host=parts.hostname, port=parts.port)
            url = parts._replace(netloc=headers.pop("Host")).geturl()
        try:
            self.ws = _loop.run(self._connect(url, headers, options))
        except websockets.exceptions.InvalidStatusCode as e:
            raise Refused(e.status_code, e.headers) from None

    @staticmethod
    async def _connect(url, headers, options):
        return await websockets.client.connect(url, extra_headers=list(headers.items()), **options)

    def recv_text(self, timeout=PATIENCE):
        async def receive():
            return await asyncio.wait_for(self.ws.recv(), timeout)
        try:
            return _loop.run(receive(), timeout + 5)
        except asyncio.TimeoutError:
            raise AssertionError(f"no frame within {timeout} s") from None

    def recv(self, timeout=PATIENCE):
        """The next frame, parsed; the order of members is kept."""
        text = self.recv_text(timeout)
        assert isinstance(text, str), "a binary frame"
        frame = json.loads(text)
        assert isinstance(frame, dict)
        api_docs.check_frame(frame)
        return frame

    def expect(self, event_type=None, message=None, timeout=PATIENCE):
        """The next frame, which must be this one."""
        frame = self.recv(timeout)
        if event_type is not None:
            assert frame["event_type"] == event_type, frame
        if message is not None:
            assert frame["message"] == message, frame
        return frame

    def nothing(self, hub=None):
        """Asserts that nothing waits to be read: whatever was sent before the
        reply to a ping has arrived with it."""
        reply = self.ask({"event_type": "health", "message": "ping"})
        assert reply["message"] == "pong", f"an unexpected frame: {reply}"

    def send(self, message):
        if isinstance(message, (dict, list)):
            message = json.dumps(message)
        _loop.run(self.ws.send(message))

    def ask(self, message, timeout=PATIENCE):
        self.send(message)
        return self.recv(timeout)

    def ping(self, data=b"evhub"):
        """An RFC 6455 ping, until its pong is there."""
        async def ping():
            await asyncio.wait_for(await self.ws.ping(data), PATIENCE)
        _loop.run(ping())

    def closed(self, timeout=PATIENCE):
        """Waits for the server's close; returns code and reason, and leaves
        the frames that came before it in self.rest."""
        self.rest = []

        async def drain():
            try:
                while True:
                    self.rest.append(json.loads(await asyncio.wait_for(self.ws.recv(), timeout)))
            except websockets.exceptions.ConnectionClosed:
                return True
            except asyncio.TimeoutError:
                return False
        assert _loop.run(drain(), timeout + 10), f"not closed within {timeout} s; got {self.rest[-3:]}"
        for frame in self.rest:
            api_docs.check_frame(frame)
        api_docs.check_close(self.ws.close_code, self.ws.close_reason)
        return self.ws.close_code, self.ws.close_reason

    def close(self, code=1000, reason=""):
        _loop.run(self.ws.close(code, reason))

    def cut(self):
        """Ends the TCP connection by a reset, as a network that dies does."""
        async def abort():
            sock = self.ws.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.ws.transport.abort()
            await self.ws.wait_closed()
        _loop.run(abort())

    @property
    def client_id(self):
        return self.welcome["body"]["client_id"]

    @property
    def subscriptions(self):
        return self.welcome["body"]["subscriptions"]


def subscribe_path(event_types=None, base=API, **query):
    if event_types is not None:
        query["event_types"] = event_types if isinstance(event_types, str) else ",".join(event_types)
    text = urllib.parse.urlencode(query)
    return f"{base}/subscribe" + ("?" + text if text else "")


def subscribe(address, credential=None, event_types=None, headers=None, base=API, options=None, **query):
    """Connects, reads the welcome frame into .welcome, and returns the Ws."""
    all_headers = dict(credential.headers if credential else {})
    all_headers.update(headers or {})
    ws = Ws(f"ws://{address}{subscribe_path(event_types, base, **query)}", all_headers, **(options or {}))
    ws.welcome = ws.recv()
    assert ws.welcome["message"].startswith("WebSocket connection established"), ws.welcome
    return ws


# ---- HTTP

class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # names in lower case
        self.body = body

    def json(self):
        assert self.headers.get("content-type", "").split(";")[0] == "application/json", \
            f"{self.status} {self.headers} {self.body[:300]!r}"
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:500]!r}>"


def http_request(address, method, path, headers=None, body=None, timeout=PATIENCE):
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    response = Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, data)
    api_docs.check_response(method, path, response, body)
    return response


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def refusal(address, credential=None, path=API + "/subscribe", headers=None, upgrade=True):
    """What curl is told when it asks for an upgrade that is not granted."""
    all_headers = dict(UPGRADE if upgrade else {})
    all_headers.update(credential.headers if credential else {})
    all_headers.update(headers or {})
    command = ["curl", "-sS", "-i", "--http1.1", "--max-time", str(int(PATIENCE)), "-K", "-"]
    config = "".join('header = "' + f"{k}: {v}".replace("\\", "\\\\").replace('"', '\\"') + '"\n'
                     for k, v in all_headers.items())
    config += f'url = "http://{address}{path}"\n'
    result = subprocess.run(command, input=config.encode(), capture_output=True, check=False,
                            timeout=PATIENCE * 2)
    head, _, body = result.stdout.partition(b"\r\n\r\n")
    assert head, f"curl: {result.stderr.decode(errors='replace')}"
    lines = head.decode("latin-1").split("\r\n")
    fields = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    status = int(lines[0].split()[1])
    assert status != 101, "the upgrade was granted"
    response = Response(status, fields, body)
    api_docs.check_response("GET", path, response)
    return response


def check_error(response, code, faults=None):
    """Asserts the one error body; returns it.  faults: how many."""
    assert response.status == code, response
    body = response.json()
    assert list(body) == ["code", "message", "stack"], body
    assert body["code"] == code and isinstance(body["code"], int), body
    assert isinstance(body["message"], str) and body["message"], body
    assert isinstance(body["stack"], list) and body["stack"], body
    for entry in body["stack"]:
        check_stack_entry(entry)
    if faults is not None:
        assert len(body["stack"]) == faults, body
    assert response.headers.get("cache-control") == "no-store", response
    if code == 401:
        assert response.headers.get("www-authenticate", "").startswith("Bearer"), response
    if code in (429, 503):
        assert int(response.headers.get("retry-after", "-1")) >= 0, response
    if code == 405:
        assert response.headers.get("allow"), response
    return body


def check_stack_entry(entry):
    assert sorted(entry) == ["code", "description", "error", "path"], entry
    assert isinstance(entry["code"], int), entry
    for name in ("description", "error", "path"):
        assert isinstance(entry[name], str), entry
    assert entry["description"] and entry["error"], entry
    assert entry["error"].replace("_", "").isalnum() and entry["error"] == entry["error"].lower(), entry


class Raw:
    """A WebSocket connection on a bare socket, for what no library sends."""

    def __init__(self, where, event_types="global"):
        hub = getattr(where, "hub", where)
        who = hub.credential()
        self.sock = socket.create_connection(hub.wsd.listen.rsplit(":", 1), PATIENCE)
        head = [f"GET {API}/subscribe?event_types={event_types} HTTP/1.1", f"Host: {hub.wsd.listen}"]
        head += [f"{k}: {v}" for k, v in {**UPGRADE, **who.headers}.items()]
        self.sock.sendall("\r\n".join(head + ["", ""]).encode())
        self.stream = self.sock.makefile("rb")
        status = self.stream.readline()
        assert b" 101 " in status, status
        while self.stream.readline().strip():
            pass
        op, data = self.read_frame()
        assert op == 1 and b"WebSocket connection established" in data

    def frame(self, op, data, fin=True):
        head = bytes([op | (0x80 if fin else 0)])
        if len(data) < 126:
            head += bytes([0x80 | len(data)])
        else:
            head += bytes([0x80 | 126]) + struct.pack("!H", len(data))
        self.sock.sendall(head + b"\x00\x00\x00\x00" + data)

    def read_frame(self):
        """(opcode, payload), or (None, b"") at the end."""
        try:
            head = self.stream.read(2)
            if len(head) < 2:
                return None, b""
            length = head[1] & 0x7f
            if length == 126:
                length = struct.unpack("!H", self.stream.read(2))[0]
            elif length == 127:
                length = struct.unpack("!Q", self.stream.read(8))[0]
            return head[0] & 0x0f, self.stream.read(length)
        except ConnectionError:
            return None, b""

    def close_code(self):
        """Reads to the end; the code of the close frame, or None."""
        return self.close_frame()[0]

    def close_frame(self):
        """Reads to the end; code and reason of the close frame, or None and ""."""
        code, reason = None, ""
        while True:
            op, data = self.read_frame()
            if op is None:
                return code, reason
            if op == 8:
                code = struct.unpack("!H", data[:2])[0] if len(data) >= 2 else None
                reason = data[2:].decode()
                try:
                    self.sock.shutdown(socket.SHUT_WR)
                except OSError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.sock.close()


# ---- FastCGI, from the web server's side (FastCGI specification 1.0)

def _fcgi_record(kind, content=b"", request_id=1):
    return struct.pack("!BBHHBx", 1, kind, request_id, len(content), 0) + content


def _fcgi_length(n):
    return struct.pack("!B", n) if n < 128 else struct.pack("!I", n | 0x80000000)


def fcgi_request(path, method, uri, headers=None, body=None, timeout=PATIENCE, params=None, finished=True):
    """One request over the Unix socket at path; if it is not to be finished, its end does not come."""
    body = body.encode() if isinstance(body, str) else body or b""
    target, _, query = uri.partition("?")
    env = {
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "test",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": method, "REQUEST_URI": uri, "SCRIPT_NAME": target, "PATH_INFO": "",
        "QUERY_STRING": query, "CONTENT_LENGTH": str(len(body)) if body or method == "POST" else "",
    }
    for name, value in (headers or {}).items():
        key = name.upper().replace("-", "_")
        env[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key] = value
    env.update(params or {})
    block = b""
    for name, value in env.items():
        name, value = name.encode(), value.encode("latin-1", "surrogateescape")
        block += _fcgi_length(len(name)) + _fcgi_length(len(value)) + name + value
    out = _fcgi_record(1, struct.pack("!HBxxxxx", 1, 0))
    for i in range(0, len(block), 65528):
        out += _fcgi_record(4, block[i:i + 65528])
    out += _fcgi_record(4)
    for i in range(0, len(body), 65528):
        out += _fcgi_record(5, body[i:i + 65528])
    if finished:
        out += _fcgi_record(5)

    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout)
        s.connect(path)
        sender = threading.Thread(target=_send_quietly, args=(s, out))
        sender.start()
        answer, errors, ended = b"", b"", False
        stream = s.makefile("rb")
        while not ended:
            head = stream.read(8)
            assert len(head) == 8, f"the FastCGI program closed without an end: {answer!r} {errors!r}"
            _, kind, _, length, padding = struct.unpack("!BBHHBx", head)
            content = stream.read(length + padding)[:length]
            if kind == 6:
                answer += content
            elif kind == 7:
                errors += content
            elif kind == 3:
                ended = True
        sender.join()
    head, separator, data = answer.partition(b"\r\n\r\n")
    assert separator, f"no end of the headers: {answer[:300]!r}"
    fields = {}
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    status = int(fields.pop("status", "200").split()[0])
    response = Response(status, fields, data)
    api_docs.check_response(method, uri, response, body)
    return response


def _send_quietly(s, out):
    try:
        s.sendall(out)
    except OSError:
        pass  # it answered without reading all of the body


# ---- the control socket

class Control:
    """One connection to the control socket: a line each way."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(path)
        self.buffer = b""
        self.lines = collections.deque()

    def send(self, *requests):
        self.send_raw(b"".join(json.dumps(r).encode() + b"\n" for r in requests))

    def send_raw(self, data):
        self.sock.sendall(data)

    def recv(self):
        """The next answer; None at the end of the connection."""
        while b"\n" not in self.buffer:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                assert not self.buffer, f"half a line: {self.buffer!r}"
                return None
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def ask(self, request):
        self.send(request)
        answer = self.recv()
        assert answer is not None, "the connection was closed"
        return answer

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
