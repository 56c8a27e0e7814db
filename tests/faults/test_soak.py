"""A soak: load for a long time, and memory, descriptors and files that stay
what they are.  Not in the quick run:

    make check-faults FAULTS=full PYTEST_FLAGS='-k soak'          half an hour
    FAULTS_SOAK_SECONDS=60 make check-faults PYTEST_FLAGS='-k soak'
"""

import os
import re
import threading
import time

import pytest

import clients
import procs
from sizes import size

SECONDS = size("soak_seconds", 0, 1800)
RATE = size("soak_rate", 300, 300)          # events a second by each of three publishers
FOLLOWERS = size("soak_followers", 60, 60)
CACHES = 4 * 2048                           # KiB
SLACK = 256                                 # KiB that what is allocated may vary by
KEPT = 2000                                 # events of each type


def measures(process):
    with open(f"/proc/{process.pid}/status") as f:
        rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
    return {"rss": rss, "fds": len(os.listdir(f"/proc/{process.pid}/fd"))}


def allocated(hub):
    """What evhub-wsd has allocated, in KiB, without what it has because it is
    told to: the recent events, pieces of older ones, SQLite's caches."""
    with clients.Control(hub.control) as control:
        text = control.ask({"op": "metrics"})["text"]
    figures = {name: float(value) for name, value in re.findall(r"^(\w+){[^,}]*} (\S+)$", text, re.M)}
    return {"wsd_own": int(figures["evhub_allocated_bytes"] - figures["evhub_sqlite_bytes"] - figures["evhub_log_bytes"]
                           - figures["evhub_history_bytes"]) // 1024,
            "wsd_history": int(figures["evhub_history_bytes"]) // 1024,
            "wsd_sqlite": int(figures["evhub_sqlite_bytes"]) // 1024,
            "history_reads": int(figures["evhub_history_reads_total"])}


def processor_seconds(process):
    with open(f"/proc/{process.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sizes_of(path):
    return {end or "db": os.path.getsize(path + end) // 1024 for end in ("", "-wal")}


@pytest.mark.soak
@pytest.mark.timeout(SECONDS * 2 + 300)
def test_soak(make_world, figure):
    """The first quarter is for warming up; from then on nothing may grow.  The
    log is short: it is soon full, and the past is read from the database."""
    world = make_world(followers_count=FOLLOWERS, rate=RATE, cuts=(2, 30), log_memory="256K", retain_interval="1s")
    hub = world.hub
    hub.sql(f"UPDATE event_type SET retain_count = {KEPT}")
    for f in world.followers:
        f.frames = Last()       # a soak is not for the ledger of each frame: only the last ones are kept
    world.start()
    begin, samples, pace = time.monotonic(), [], threading.Event()
    step = max(1.0, SECONDS / 60)
    busy = processor_seconds(hub.wsd.process)
    while (elapsed := time.monotonic() - begin) < SECONDS:
        pace.wait(min(step, SECONDS - elapsed))
        assert not world.failures, world.failures
        wsd, fcgi = measures(hub.wsd.process), measures(hub.fcgi)
        samples.append({"s": int(time.monotonic() - begin), "wsd_rss": wsd["rss"], "wsd_fds": wsd["fds"],
                        "fcgi_rss": fcgi["rss"], "fcgi_fds": fcgi["fds"], **sizes_of(hub.database), **allocated(hub)})
    busy = processor_seconds(hub.wsd.process) - busy
    frames = sum(f.frames.count for f in world.followers)
    world.settle()
    for s in samples[::max(1, len(samples) // 12)]:
        figure("soak: " + ", ".join(f"{k} {v}" for k, v in s.items()))
    figure(f"soak: {SECONDS} s, {len(world.ledger.acknowledged())} events acknowledged, {frames} frames,"
           f" {sum(f.connects for f in world.followers)} connections, evhub-wsd used {busy / SECONDS * 100:.0f} %"
           " of a core")
    assert not any(f.not_resumed for f in world.followers)
    quarter = len(samples) // 4
    warm, last = samples[quarter:2 * quarter], samples[-quarter:]
    # a leak raises the least of a quarter too, however much else comes and goes;
    # what malloc adds to the pieces of history is estimated, to within two hundredths
    before, after = min(s["wsd_own"] for s in warm), min(s["wsd_own"] for s in last)
    slack = SLACK + max(s["wsd_history"] for s in last) // 50
    assert after <= before + slack, f"allocated memory grew from {before} to {after} KiB"
    # the database holds the changes of the last hour, and each of SQLite's four caches takes up to 2 MiB of it
    for name, slack in (("wsd_rss", CACHES), ("fcgi_rss", CACHES), ("db", SECONDS * 2 + 512)):
        before, after = max(s[name] for s in warm), max(s[name] for s in last)
        assert after <= before + slack, f"{name} grew from {before} to {after} KiB"
    for name in ("wsd_fds", "fcgi_fds"):
        before, after = max(s[name] for s in warm), max(s[name] for s in last)
        assert after <= before + 8, f"{name} grew from {before} to {after}"
    assert max(s["-wal"] for s in samples) < 64 * 1024, "the WAL is not checkpointed"
    procs.wait_for(lambda: hub.value("SELECT count(*) FROM client") == 0, "clients stay behind")


class Last(list):
    """A list that keeps the last hundred, and counts."""

    count = 0

    def append(self, frame):
        self.count += 1
        super().append(frame)
        if len(self) > 200:
            del self[:100]
