"""Clients that write down every frame, on the connections of lean.py."""

import json
import struct
import time

import lean

TEXT, CLOSE, PING = 1, 8, 9


class Follower(lean.Client):
    """Takes its subscriptions along when it reconnects, as an application
    does: what the in-band frames last said."""

    def __init__(self, name, address, credential, types):
        super().__init__(address, credential, sorted(types))
        self.name = name
        self.frames = []
        self.closes = []        # (code, reason) of each close frame
        self.asked = set()
        self.head = 0           # the sequence of the last event of the type "global"

    def request(self):
        self.asked = set(self.types)
        return super().request()

    def take(self, data):
        data = self.tail + data
        at = 0
        while len(data) - at >= 2:
            op, length = data[at] & 0x0f, data[at + 1]
            start = at + 2
            if length == 126:
                if len(data) - at < 4:
                    break
                length, start = struct.unpack_from("!H", data, at + 2)[0], at + 4
            elif length == 127:
                if len(data) - at < 10:
                    break
                length, start = struct.unpack_from("!Q", data, at + 2)[0], at + 10
            if len(data) - start < length:
                break
            if not data[at] & 0x80 or op not in (TEXT, CLOSE, PING):
                self.faults.append(f"{self.name}: a frame that nobody sends: {data[at:at + 2]!r}")
            self.on_frame(op, data[start:start + length])
            at = start + length
        self.tail = data[at:]

    def on_frame(self, op, payload):
        if op == CLOSE:
            code = struct.unpack_from("!H", payload)[0] if len(payload) >= 2 else None
            self.closes.append((code, payload[2:].decode()))
        if op != TEXT:
            return
        frame = json.loads(payload)
        frame["at"] = time.monotonic()
        if frame.get("message", "").startswith("WebSocket connection established"):
            frame["connection"] = self.connects
            frame["asked"] = self.asked
            self.client_id = frame["body"]["client_id"]
            if self.connects > 1 and frame["body"]["resumed"] is not True:
                self.not_resumed.append(frame["body"])
            self.types = [t for t in frame["body"]["subscriptions"] if t != "global"]
        elif frame["event_type"] == "system" and frame["message"] in ("subscribed", "unsubscribed"):
            self.types = [t for t in frame["body"]["subscriptions"] if t != "global"]
        frame["client"] = self.client_id
        self.frames.append(frame)
        self.last_id = frame["id"]

    def has(self, key):
        return any(f.get("body") == key for f in self.frames[-50:])
