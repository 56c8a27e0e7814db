"""A WebSocket client that is free to be wrong: RFC 6455 frames built by hand on
a bare socket."""

import json
import socket
import struct

from clients import API, UPGRADE
from procs import PATIENCE

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"


def masked(data, mask):
    return bytes(b ^ mask[i % 4] for i, b in enumerate(data))


def length_bytes(n, form, mask_bit):
    """The second byte and what follows it: form 7, 16 or 64 bits."""
    if form == 7:
        return bytes([mask_bit | n])
    return bytes([mask_bit | 126]) + struct.pack("!H", n) if form == 16 else \
        bytes([mask_bit | 127]) + struct.pack("!Q", n)


def frame(op, data=b"", fin=True, rsv=0, mask=MASK, form=None, length=None):
    """length: what the header tells, if it is not that of data."""
    data = data.encode() if isinstance(data, str) else data
    n = len(data) if length is None else length
    form = form or (7 if n < 126 else 16 if n < 65536 else 64)
    head = bytes([(0x80 if fin else 0) | rsv << 4 | op]) + length_bytes(n, form, 0x80 if mask else 0)
    return head + (mask + masked(data, mask) if mask else data)


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


def handshake(hub, who, path=API + "/subscribe", headers=(), lines=None):
    """The bytes of an upgrade request."""
    head = [f"GET {path} HTTP/1.1", f"Host: {hub.wsd.listen}"]
    head += [f"{k}: {v}" for k, v in {**UPGRADE, **(who.headers if who else {})}.items()]
    head += [f"{k}: {v}" for k, v in headers]
    return "\r\n".join((lines or head) + ["", ""]).encode("latin-1", "surrogateescape")


class Peer:
    """A connection whose handshake has been done and whose welcome was read,
    unless welcome is false."""

    def __init__(self, hub, who, behind=b"", welcome=True, head=None):
        """behind: bytes that go out in one piece with the handshake."""
        host, port = hub.wsd.listen.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.sock.makefile("rb")
        self.sock.sendall((head or handshake(hub, who)) + behind)
        if not welcome:
            return
        status = self.stream.readline()
        assert b" 101 " in status, status
        while self.stream.readline().strip():
            pass
        op, data = self.read()
        assert op == TEXT, (op, data)
        self.client_id = json.loads(data)["body"]["client_id"]

    def send(self, data):
        self.sock.sendall(data)

    def read(self):
        """(opcode, payload) of the next frame, None at the end."""
        try:
            head = self.stream.read(2)
            if len(head) < 2:
                return None
            assert head[0] & 0x70 == 0 and head[1] & 0x80 == 0, f"reserved bits or a mask: {head!r}"
            length = head[1]
            if length == 126:
                length = struct.unpack("!H", self.stream.read(2))[0]
            elif length == 127:
                length = struct.unpack("!Q", self.stream.read(8))[0]
            data = self.stream.read(length)
            assert len(data) == length, "cut in the middle of a frame"
            return head[0] & 0x0f, data
        except ConnectionError:
            return None

    def rest(self, answer=True):
        """All frames up to the end of the connection.  answer: a close frame
        is answered by one."""
        frames = []
        while True:
            f = self.read()
            if f is None:
                return frames
            frames.append(f)
            if f[0] == CLOSE and answer:
                try:
                    self.send(frame(CLOSE, f[1][:2]))
                    self.sock.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # it has hung up already

    def close(self):
        self.stream.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
