"""evhub.js in a Node process of its own, and a network that can be cut."""

import json
import os
import socket
import struct
import subprocess
import threading

import procs


class Node:
    """Runs lines of JavaScript in node_client.mjs; keeps what is reported."""

    def __init__(self, module=os.path.join(procs.WEB, "evhub.js")):
        script = os.path.join(os.path.dirname(__file__), "node_client.mjs")
        self.popen = subprocess.Popen(["node", script, module], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True, bufsize=1)
        self.reports = []
        self.errors = []
        self.count = 0
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=self._read), threading.Thread(target=self._read_errors)]
        for thread in self.threads:
            thread.start()

    def _read(self):
        for line in self.popen.stdout:
            with self.changed:
                self.reports.append(json.loads(line))
                self.changed.notify_all()

    def _read_errors(self):
        self.errors.extend(self.popen.stderr)

    def begin(self, code):
        """Starts a line; finish() of what this returns waits for its end."""
        self.count += 1
        self.popen.stdin.write(json.dumps(code) + "\n")
        return self.count

    def finish(self, number, timeout=procs.PATIENCE):
        return self.wait(lambda r: r.get("done") == number, f"the end of line {number}", timeout)

    def run(self, code, timeout=procs.PATIENCE):
        """Runs a line; its value, or an AssertionError with its error."""
        report = self.finish(self.begin(code), timeout)
        assert "error" not in report, (code, report)
        return report.get("value")

    def make(self, **options):
        """Connects; "ws" gives the constructor that can send headers."""
        with_headers = options.pop("ws", False)
        code = json.dumps(options)[:-1] + (", " if options else "") + ("WebSocket" if with_headers else "") + "}"
        self.run(f"make({code})")

    def wait(self, condition, what, timeout=procs.PATIENCE, after=0):
        """The first report since the after-th for which condition is true."""
        def look():
            return next((r for r in self.reports[after:] if condition(r)), None)
        with self.changed:
            assert self.changed.wait_for(look, timeout), \
                f"not within {timeout} s: {what}; {self.reports[-5:]} {self.errors[-20:]}"
            return look()

    def wait_state(self, state, after=0, timeout=procs.PATIENCE):
        return self.wait(lambda r: r.get("state") == state, f"the state {state}", timeout, after)

    @property
    def mark(self):
        return len(self.reports)

    def events(self):
        return [r["event"] for r in list(self.reports) if "event" in r]

    def bodies(self):
        return [e.get("body") for e in self.events()]

    def wait_bodies(self, expected, timeout=procs.PATIENCE):
        """Waits until as many have come, which must be these."""
        procs.wait_for(lambda: len(self.bodies()) >= len(expected),
                       lambda: f"{len(self.bodies())} of {len(expected)} events; {self.reports[-3:]}", timeout)
        assert self.bodies() == expected

    def close(self):
        self.popen.stdin.close()
        try:
            self.popen.wait(procs.PATIENCE)
        finally:
            self.popen.kill()
            for thread in self.threads:
                thread.join()
            self.popen.stdout.close()
            self.popen.stderr.close()


class Network:
    """A TCP relay on a port of its own to an address that may change."""

    def __init__(self, address):
        self.address = address
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs = []
        self.flowing = threading.Event()
        self.flowing.set()
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/api/v1/ws"

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                host, port = self.address.rsplit(":", 1)
                far = socket.create_connection((host, int(port)), procs.PATIENCE)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            with self.lock:
                self.pairs.append((near, far))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._relay, args=(one, other), daemon=True).start()

    def _relay(self, one, other):
        try:
            while data := one.recv(65536):
                self.flowing.wait()
                other.sendall(data)
        except OSError:
            pass
        for s in (one, other):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Resets all connections."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for s in pair:
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    s.shutdown(socket.SHUT_RDWR)
                    s.close()
                except OSError:
                    pass
        return len(pairs)

    def freeze(self):
        """Nothing passes any more, and nobody is told."""
        self.flowing.clear()

    def thaw(self):
        self.flowing.set()

    def close(self):
        self.thaw()
        self.listener.close()
        self.cut()
