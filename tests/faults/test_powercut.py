"""A power cut at a random moment, or in the middle of a checkpoint: what is
left of the database must open, pass integrity_check, hold what was promised,
and be taken up by evhub-wsd without help.

synchronous = full    every acknowledged event is there
synchronous = normal  the newest commits may be gone, but never one in the
                      middle: it is what the database was at one moment.  The
                      ids of what is gone are not given again.
"""

import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess

import pytest

import clients
import ledger
import procs
import shims
from hub import Hub
from sizes import size

IMAGES = size("images", 5, 150)
COPIES = size("copies", 5, 150)
PAGE = 4096


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return b""


def unsynced(world, disk):
    """How many pages of the database are written and not synced."""
    kept, now = read(os.path.join(disk.directory, "evhub.db")), read(world.hub.database)
    return sum(kept[at:at + PAGE] != now[at:at + PAGE] for at in range(0, len(now), PAGE))


def torn(kept, now, choice):
    """Of what was written and not synced, some pages have reached the disk."""
    out = bytearray()
    chance = choice.choice([0, 0, 0.1, 0.5, 0.9, 1])
    for at in range(0, max(len(kept), len(now)), PAGE):
        a, b = kept[at:at + PAGE], now[at:at + PAGE]
        page = b if choice.random() < chance else a
        out += b"\0" * (at - len(out)) + page
    return bytes(out)


class Checkpoint:
    """The log is being copied into the database, whose pages are written and
    not synced, until the end of the block.  (When the log grows meanwhile,
    SQLite leaves the sync to the next checkpoint.)"""

    def __init__(self, world, disk):
        self.disk = disk
        disk.order("h")
        with procs.preloaded(world.preload):
            self.process = subprocess.Popen(
                ["/usr/bin/sqlite3", world.hub.database, ".timeout 10000", "PRAGMA wal_checkpoint"],
                env=procs.environment(), stdout=subprocess.DEVNULL)

    def __enter__(self):
        procs.wait_for(lambda: self.disk.ordered() == "H" or self.process.poll() is not None,
                       "neither a sync of the database nor the end of the checkpoint")

    def __exit__(self, *_):
        self.disk.order("-")
        assert self.process.wait(procs.PATIENCE) == 0


def image_of(world, disk, target):
    """What a power cut would leave: one moment of all files."""
    lock = os.open(os.path.join(disk.directory, "lock"), os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)  # nobody gets anything synced meanwhile
    for end in ("", "-wal"):
        kept = read(os.path.join(disk.directory, "evhub.db" + end))
        now = read(world.hub.database + end)
        with open(target + end, "wb") as f:
            f.write(torn(kept, now, world.random))
        procs.give(target + end)
    os.close(lock)


def rows_of(path):
    db = sqlite3.connect(path)
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = db.execute("SELECT seq, event_type, body FROM event ORDER BY seq").fetchall()
        # rules that no transaction may leave broken
        assert db.execute("SELECT count(*) FROM subscription WHERE client_id NOT IN"
                          " (SELECT id FROM client)").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM client WHERE id NOT IN (SELECT client_id FROM subscription"
                          " WHERE event_type = 'global')").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM event WHERE event_type NOT IN"
                          " (SELECT name FROM event_type)").fetchone() == (0,)
        db.execute("UPDATE meta SET value = 'the boot before' WHERE key = 'boot'")
        db.commit()
    finally:
        db.close()
    for end in ("", "-wal", "-shm"):
        if os.path.exists(path + end):
            procs.give(path + end)
    return rows


def is_one_moment(rows, live):
    """True if rows is what the database held at some moment."""
    return rows == live[:len(rows)]


def taken_up(image, world, position):
    """evhub-wsd starts on it by itself; a client resumes, and new events have
    ids that nobody has seen."""
    image.start_wsd()
    ws = clients.subscribe(image.wsd.listen, world.who, "ta", last_event_id=position)
    assert ws.welcome["body"]["resumed"] is True, ws.welcome
    with clients.Control(image.control) as control:
        answer = control.ask({"op": "publish", "event_type": "ta", "message": "after the cut"})
    assert answer["ok"], answer
    while ws.recv()["id"] != answer["id"]:
        pass
    given = {f["id"] for follower in world.followers for f in list(follower.frames)}
    given |= {f"{answer['id'].split('-')[0]}-{e.seq}" for e in list(world.ledger.events.values()) if e.seq}
    assert answer["id"] not in given, "the id of an event that was lost was given again"
    ws.close()
    image.stop()


def checkpoint(world):
    """What was made so far is on the disk."""
    with procs.preloaded(world.preload):
        subprocess.run(["/usr/bin/sqlite3", world.hub.database, ".timeout 10000", "PRAGMA wal_checkpoint"],
                       env=procs.environment(), check=True, stdout=subprocess.DEVNULL)


@pytest.mark.shim
@pytest.mark.timeout(60 + IMAGES * 6)
@pytest.mark.parametrize("synchronous", ["full", "normal"])
def test_power_cut(make_world, synchronous, figure):
    disk = shims.Disk()
    world = make_world(followers_count=4, rate=25, changes=False, preload=disk.variables, synchronous=synchronous,
                       publishers=("sql", "http", "control") if synchronous == "full" else ("http", "control"))
    checkpoint(world)
    world.start()
    lost = held = pages = 0
    for n in range(IMAGES):
        world.ending.wait(world.random.uniform(0.05, 0.6))
        promised = world.ledger.acknowledged()
        position = world.followers[0].last_id  # a client that comes back after the cut
        image = Hub()
        if n % 3 == 2:
            with Checkpoint(world, disk):
                behind = unsynced(world, disk)
                held, pages = held + (behind > 0), pages + behind
                image_of(world, disk, image.database)
        else:
            image_of(world, disk, image.database)
        rows = rows_of(image.database)
        live = world.rows()
        assert is_one_moment(rows, live), f"{len(rows)} of {len(live)} events, not the first ones; seed {world.seed}"
        there = {row[0] for row in rows}
        missing = [e.key for e in promised.values() if e.seq not in there]
        if synchronous == "full":
            assert not missing, f"{len(missing)} acknowledged events are gone: {missing[:5]}; seed {world.seed}"
        lost += len(missing)
        taken_up(image, world, position)
    figure(f"power cut, synchronous = {synchronous}: {IMAGES} images opened and taken up,"
           f" {held} of them from the middle of a checkpoint with {pages} pages not synced;"
           f" {lost} acknowledged events gone; {world.judge()}")


@pytest.mark.timeout(60 + COPIES * 6)
def test_copy_of_the_files(make_world, figure):
    """db, -wal and -shm as they stand at a random moment: every acknowledged
    event is in the copy."""
    world = make_world(followers_count=8)
    world.start()
    for n in range(COPIES):
        world.ending.wait(world.random.uniform(0.05, 0.5))
        stopped = [world.hub.wsd.process, world.hub.fcgi, world.sql_process]
        for process in stopped:
            process.send_signal(signal.SIGSTOP)
        try:
            for process in stopped:
                procs.wait_for(lambda p=process: state(p.pid) == "T", "is not stopped")
            promised = world.ledger.acknowledged()
            position = world.followers[n % 8].last_id
            image = Hub()
            for end in ("", "-wal", "-shm"):
                shutil.copy(world.hub.database + end, image.database + end)
                procs.give(image.database + end)
        finally:
            for process in stopped:
                process.send_signal(signal.SIGCONT)
        rows = rows_of(image.database)
        assert is_one_moment(rows, world.rows())
        there = {r[0] for r in rows}
        missing = [e.key for e in promised.values() if e.seq not in there]
        assert not missing, f"{len(missing)} acknowledged events are gone: {missing[:5]}; seed {world.seed}"
        taken_up(image, world, position)
    figure(f"copies: {COPIES} of db, -wal and -shm opened and taken up; {world.judge()}")


def state(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0]
