"""Many clients in one thread, for the tests that are about numbers.

The frames are recognised by a regular expression over what a read brought,
which is fast enough for a million of them; that the framing is right is for
the tests that use a real WebSocket library.  These clients send nothing, so
the hub must not ping them: give it a long ping_interval.
"""

import heapq
import random
import re
import select
import socket
import struct
import threading
import time

from clients import API, UPGRADE

FRAME = re.compile(
    rb'\{"id":"([^"]+)","event_type":"(\w+)","timestamp":"[^"]+","message":"([^"]*)"(?:,"body":(?:(\d+)\}|\{([^}]*)\}))?')
RETRY_SECONDS = 0.05
CONNECT_SECONDS = 20


class Client:
    def __init__(self, address, credential, types):
        self.address = address
        self.credential = credential
        self.types = types
        self.sock = None
        self.open = False
        self.tail = b""
        self.client_id = None
        self.last_id = None
        self.events = []        # (type, body) in the order of arrival
        self.cut_at = {}        # type: how many events of it came before its "unsubscribed"
        self.connects = 0
        self.not_resumed = []   # welcomes of a reconnect that did not resume
        self.faults = []
        self.began = 0.0

    def request(self):
        path = f"{API}/subscribe?event_types={','.join(self.types)}"
        if self.last_id:
            path += f"&last_event_id={self.last_id}"
        lines = [f"GET {path} HTTP/1.1", "Host: localhost"]
        lines += [f"{k}: {v}" for k, v in {**UPGRADE, **self.credential.headers}.items()]
        return "\r\n".join(lines + ["", ""]).encode()

    def take(self, data):
        """Reads what arrived.  Each of the frames that these clients get has
        one '}' or, with a body that is an object, all that matters before its
        first one: what is behind the last '}' waits for more."""
        data = self.tail + data
        end = data.rfind(b"}") + 1
        self.tail = data[end:]
        for frame_id, event_type, message, number, body in FRAME.findall(data[:end]):
            self.last_id = frame_id.decode()
            if number:
                self.events.append((event_type, int(number)))
            elif message == b"unsubscribed":
                for names in re.findall(rb'"event_types":\[([^\]]*)\]', body):
                    for name in names.split(b","):
                        self.cut_at[name.strip(b'"').decode()] = len(self.events)
            elif message.startswith(b"WebSocket connection established"):
                self.client_id = re.search(rb'"client_id":"([^"]+)"', body).group(1).decode()
                if self.connects > 1 and b'"resumed":true' not in body:
                    self.not_resumed.append(body)


class Swarm:
    """Runs its clients in a thread of its own until stop()."""

    def __init__(self, clients, reconnect=False, cuts=None, seed=0):
        self.clients = clients
        self.reconnect = reconnect
        self.cuts = cuts            # (shortest, longest) time between two cuts of one client
        self.random = random.Random(seed)
        self.timers = []
        self.order = 0
        self.ending = threading.Event()
        self.cutting = cuts is not None
        self.failure = None
        self.epoll = select.epoll()
        self.by_fd = {}
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.ending.set()
        self.thread.join(60)
        for client in self.clients:
            if client.sock is not None:
                client.sock.close()
        self.epoll.close()
        if self.failure:
            raise self.failure

    def after(self, seconds, action, *args):
        self.order += 1
        heapq.heappush(self.timers, (time.monotonic() + seconds, self.order, action, args))

    def run(self):
        try:
            for i, client in enumerate(self.clients):
                self.after(i * 0.001, self.connect, client)
            while not self.ending.is_set():
                now = time.monotonic()
                while self.timers and self.timers[0][0] <= now:
                    _, _, action, args = heapq.heappop(self.timers)
                    action(*args)
                wait = min(0.05, max(0.0, self.timers[0][0] - now)) if self.timers else 0.05
                for fd, events in self.epoll.poll(wait, 512):
                    client = self.by_fd.get(fd)
                    if client is not None:
                        self.on_event(client, events)
        except BaseException as e:
            self.failure = e
            raise

    def connect(self, client):
        if client.sock is not None:
            return
        client.sock = socket.socket()
        client.sock.setblocking(False)
        client.open, client.tail, client.began = False, b"", time.monotonic()
        host, port = client.address().rsplit(":", 1)
        client.sock.connect_ex((host, int(port)))
        self.by_fd[client.sock.fileno()] = client
        self.epoll.register(client.sock, select.EPOLLOUT)
        self.after(CONNECT_SECONDS, self.too_slow, client, client.sock)

    def too_slow(self, client, sock):
        if client.sock is sock and not client.open:
            client.faults.append(f"no welcome within {CONNECT_SECONDS} s")
            self.lost(client)

    def lost(self, client, reset=False):
        sock = client.sock
        if sock is None:
            return
        del self.by_fd[sock.fileno()]
        self.epoll.unregister(sock)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        client.sock, client.open = None, False
        if self.reconnect and not self.ending.is_set():
            self.after(RETRY_SECONDS * (0.5 + self.random.random()), self.connect, client)
        elif not reset:
            client.faults.append("the connection was lost")

    def cut(self, client, sock):
        if client.sock is sock and self.cutting:
            self.lost(client, reset=True)

    def on_event(self, client, events):
        if events & select.EPOLLOUT and not events & (select.EPOLLERR | select.EPOLLHUP):
            try:
                client.sock.send(client.request())
            except OSError:
                self.lost(client)
                return
            self.epoll.modify(client.sock, select.EPOLLIN)
            return
        for _ in range(4):
            try:
                data = client.sock.recv(262144)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.lost(client)
                return
            if not client.open:
                data = self.handshake(client, data)
                if data is None:
                    return
            client.take(data)
            if len(data) < 262144:
                return

    def handshake(self, client, data):
        client.tail += data
        head, found, rest = client.tail.partition(b"\r\n\r\n")
        if not found:
            return None
        if not head.startswith(b"HTTP/1.1 101"):
            status = head.split(b"\r\n")[0]
            # 500 (lighttpd), 502 to 504: the daemon behind the proxy, or the daemon itself, is on its way down or up
            if not self.reconnect or not re.match(rb"HTTP/1.1 50[0234]", status):
                client.faults.append(f"refused: {status!r} {rest[:300]!r}")
            self.lost(client)
            return None
        client.tail = b""
        client.open = True
        client.connects += 1
        if self.cuts:
            self.after(self.random.uniform(*self.cuts), self.cut, client, client.sock)
        return rest
