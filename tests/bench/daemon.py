"""evhub itself: the daemon, and with it evhub-fcgi and lighttpd."""

import hashlib
import json
import os
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

from servers import Server, output

USERS = 100
LIGHTTPD = "/usr/sbin/lighttpd"


def secret(i):
    return "bench-secret-%08d" % i


class Evhub(Server):
    key, title = "evhub", "evhub"
    durable = authenticates = True
    event_type = "bench"
    cpus = "0"

    def __init__(self, *args):
        super().__init__(*args)
        self.db = self.dir / "evhub.db"
        self.control = self.dir / "wsd.sock"
        self.fcgi = self.dir / "fcgi.sock"
        self.keys = self.dir / "keys"

    def version(self):
        return output(self.build / "wsd/evhub-wsd", "-V") or "?"

    def options(self):
        values = {"database": self.db, "control_socket": self.control, "fcgi_listen": self.fcgi,
                  "listen": "{127.0.0.1:%d}" % self.port, "max_clients_per_user": 100000}
        return ["-c", "/dev/null"] + [a for k, v in values.items() for a in ("-o", "%s=%s" % (k, v))]

    def start_daemon(self):
        """Seconds until it answers on its control socket and accepts clients."""
        began = time.monotonic()
        p = self.spawn([self.build / "wsd/evhub-wsd"] + self.options(), self.cpus)
        while time.monotonic() - began < 30:
            if p.poll() is not None:
                raise RuntimeError("evhub-wsd ended:\n" + self.log())
            try:
                self.ask("hello")
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return time.monotonic() - began
            except OSError:
                time.sleep(0.002)
        raise RuntimeError("evhub-wsd is not ready")

    def ask(self, op, **more):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(self.control))
            s.sendall(json.dumps(dict(op=op, **more)).encode() + b"\n")
            return json.loads(s.makefile().readline())

    def prepare(self):
        """What an operator would insert: event types, and keys for 100 users."""
        keys = [(("user%d" % i), hashlib.sha3_256(secret(i).encode()).hexdigest()) for i in range(USERS)]
        db = sqlite3.connect(self.db, timeout=10)
        with db:
            db.executemany("INSERT INTO event_type(name, persistent) VALUES(?, ?)",
                           [("bench", 1), ("bench_live", 0), ("bench_other", 1)])
            db.executemany("INSERT INTO credential(user_id, kind, hash) VALUES(?, 'key', ?)", keys)
        db.close()
        self.keys.write_text("".join(secret(i) + "\n" for i in range(USERS)))

    def start(self):
        self.start_daemon()
        self.prepare()
        self.ask("sync", change=0)

    def path(self, event_type):
        return "/api/v1/ws/subscribe?event_types=" + event_type

    def load_args(self):
        return ["--path", self.path(self.event_type), "--welcome", "--keys", str(self.keys)]

    def pub_args(self):
        return ["--via", "control", "--to", str(self.control), "--type", self.event_type]


class EvhubLive(Evhub):
    """Events of a type that is not kept."""

    key, title, event_type = "evhub_live", "evhub, type not kept", "bench_live"
    durable = False


class EvhubSql(Evhub):
    """Published by INSERT."""

    key, title = "evhub_sql", "evhub, by INSERT"

    def pub_args(self):
        return ["--via", "sql", "--to", str(self.db), "--type", self.event_type]


LIGHTTPD_CONF = """
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{dir}"
server.errorlog = "{dir}/lighttpd.log"
server.max-fds = 4096
server.max-keep-alive-requests = 60000
server.max-keep-alive-idle = 30
server.upload-dirs = ( "{dir}" )
include "{dir}/evhub-lighttpd.conf"
"""


class EvhubFront(Evhub):
    """With lighttpd and evhub-fcgi, on every CPU, for they are three programs."""

    key, title, cpus = "evhub_front", "evhub behind lighttpd", "0-63"

    @classmethod
    def missing(cls, _place):
        return None if os.path.exists(LIGHTTPD) else "lighttpd"

    def version(self):
        return (output(LIGHTTPD, "-v") or "?").splitlines()[0]

    def start(self):
        super().start()
        self.spawn([self.build / "fcgi/evhub-fcgi"] + self.options(), self.cpus)
        self.front = self.start_lighttpd()

    def start_lighttpd(self):
        from servers import HERE, free_port

        port = free_port()
        snippet = (HERE / "../../etc/lighttpd/evhub.conf").read_text()
        snippet = snippet.replace('"port" => 8090', '"port" => %d' % self.port)
        snippet = snippet.replace("/run/evhub/fcgi.sock", str(self.fcgi))
        (self.dir / "evhub-lighttpd.conf").write_text(snippet)
        conf = self.dir / "lighttpd.conf"
        conf.write_text(LIGHTTPD_CONF.format(port=port, dir=self.dir))
        self.spawn([LIGHTTPD, "-D", "-f", conf], self.cpus)
        self.wait_port(port)
        return port


def fill(path, events):
    """Puts many events into a database that no daemon runs on."""
    db = sqlite3.connect(path)
    with db:
        db.execute("UPDATE event_type SET retain_seconds = 0, retain_count = 0")
        db.execute("""INSERT INTO event(event_type, message, body)
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
            SELECT 'bench', 'bench', '{"p":"' || substr(hex(zeroblob(96)), 1, 190) || '"}' FROM n""",
                   (events,))
    db.close()


def stripped(build, directory):
    """Bytes of both programs without symbols."""
    sizes = {}
    for name in ("wsd/evhub-wsd", "fcgi/evhub-fcgi"):
        to = Path(directory) / Path(name).name
        subprocess.run(["strip", "-o", str(to), str(build / name)], check=True)
        sizes[to.name] = to.stat().st_size
    return sizes
