"""What is measured: each function starts a server, loads it, and returns what
the load client has printed."""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import daemon

CLIENT_CPU = "1"


class Settings:
    """How long and how much."""

    def __init__(self, build, place, work, quick):
        self.build, self.place, self.work, self.quick = Path(build), place, Path(work), quick
        self.seconds = 2 if quick else 6  # of publishing
        self.flood_events = 8000 if quick else 30000
        self.patience = 10 if quick else 40  # for the last event of a flood
        self.idle_conns = 10000
        self.many = 18000
        self.stored = 1000000

    def server(self, kind):
        return kind(self.place, self.build, tempfile.mkdtemp(prefix=kind.key + "-", dir=self.work))


def load_command(settings, server, conns, *args, pub=()):
    argv = ["taskset", "-c", CLIENT_CPU, settings.build / "tests/bench/load",
            "--to", "127.0.0.1:%d" % server.port, "--conns", conns,
            "--server-pids", ",".join(map(str, server.pids()))] + server.load_args() + list(args)
    if pub:
        argv += ["--", settings.build / "tests/bench/pub"] + server.pub_args() + list(pub)
    return [str(a) for a in argv]


def load(settings, server, conns, *args, pub=()):
    """Runs the load client to its end; its result."""
    done = subprocess.run(load_command(settings, server, conns, *args, pub=pub), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=180, check=False)
    if done.returncode != 0 or not done.stdout.startswith("{"):
        raise RuntimeError("%s: load: %s" % (server.key, done.stderr.strip()[-500:] or done.returncode))
    result = json.loads(done.stdout)
    if done.stderr.strip():
        result["said"] = done.stderr.strip()[-500:]
    return result


def idle(settings, kind):
    """10,000 connections made as fast as they are taken, then silence."""
    with settings.server(kind) as server:
        return load(settings, server, settings.idle_conns, "--settle", 1500, "--timeout", 60)


def flood(settings, kind, window=32, batch=100, slow=0):
    """Events as fast as they are accepted, to 1,000 subscribers."""
    with settings.server(kind) as server:
        return load(settings, server, 1000, "--timeout", settings.patience, "--slow", slow,
                    pub=["--window", window, "--batch", batch, "--seconds", settings.seconds,
                         "--count", settings.flood_events])


def paced(settings, kind, conns, rate):
    """Events one at a time."""
    with settings.server(kind) as server:
        return load(settings, server, conns, "--timeout", 60,
                    pub=["--rate", rate, "--count", max(rate * settings.seconds, 40)])


def one_percent(settings):
    """18,000 connections, 20 events/s to 1% of them."""
    with settings.server(daemon.Evhub) as server:
        return load(settings, server, settings.many, "--every", 100, "--timeout", 60,
                    "--other-path", server.path("bench_other"),
                    pub=["--rate", 20, "--count", 20 * max(settings.seconds, 3)])


def one_client(settings, conns):
    """The cost of one client that matches among many that do not."""
    with settings.server(daemon.EvhubLive) as server:
        return load(settings, server, conns, "--every", conns, "--timeout", 60,
                    "--other-path", server.path("bench_other"),
                    pub=["--rate", 500, "--count", 500 * settings.seconds])


class Held:
    """A load client that says when it is ready, and goes on at a word."""

    def __init__(self, argv):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def wait(self):
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("load does not get ready")

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self):
        return json.loads(self.process.stdout.readline())


def storm(settings):
    """10,000 come back at once and resume 100 events each, while 1,000 others
    get events, which a client of their own reads."""
    with settings.server(daemon.Evhub) as server:
        many = load_command(settings, server, 10000, "--storm", "--in-flight", 2000, "--timeout", 60,
                            pub=["--window", 32])
        server.event_type = "bench_other"
        few = load_command(settings, server, 1000, "--announce", "--timeout", 60,
                           pub=["--rate", 20, "--count", 40])
        with Held(many) as storming:
            storming.wait()
            with Held(few) as staying:
                staying.wait()
                storming.go_on()
                result, live = storming.result(), staying.result()
    result["latency_us"] = live["latency_us"]
    result["wrong"] = {k: v + live["wrong"][k] for k, v in result["wrong"].items()}
    return result


def unsubscribe(settings):
    """POST /unsubscribe through lighttpd, 32 at a time, with 10,000 clients."""
    with settings.server(daemon.EvhubFront) as server:
        ids = server.dir / "ids"
        held = load_command(settings, server, settings.idle_conns, "--hold", "--ids", ids, "--timeout", 60)
        post = [settings.build / "tests/bench/post", "--to", "127.0.0.1:%d" % server.front,
                "--ids", ids, "--parallel", 32]
        with Held(held) as clients:
            clients.wait()
            done = subprocess.run([str(a) for a in post], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=90, check=False)
            clients.go_on()
            told = clients.result()["notices"]
    if not done.stdout:
        raise RuntimeError("post: " + done.stderr[-500:])
    return {**json.loads(done.stdout), "told_in_band": told}


def start(settings):
    """From the start to the first answer, with a million events in the file."""
    with settings.server(daemon.Evhub) as server:
        pass  # makes the schema
    daemon.fill(server.db, settings.stored)
    # it is in the page cache, as it is after a restart of the daemon alone
    seconds = []
    for _ in range(3):
        try:
            seconds.append(server.start_daemon())
        finally:
            server.stop()
    return {"ms": sorted(seconds)[1] * 1000, "events": settings.stored,
            "bytes": os.path.getsize(server.db)}


def size(settings):
    sizes = daemon.stripped(settings.build, settings.work)
    return {"bytes": sum(sizes.values()), **sizes}


def switches(pids):
    """How often the threads have gone to sleep by themselves."""
    total = 0
    for pid in pids:
        for status in Path("/proc/%d/task" % pid).glob("*/status"):
            for line in status.read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    total += int(line.split()[1])
    return total


def wakeups(settings):
    """How often an idle daemon wakes."""
    seconds = 4 if settings.quick else 10
    with settings.server(daemon.Evhub) as server:
        time.sleep(1.5)
        before = switches(server.pids())
        time.sleep(seconds)
        return {"per_s": (switches(server.pids()) - before) / seconds}
