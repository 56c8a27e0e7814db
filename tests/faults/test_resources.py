"""What runs out or is taken away: the disk, the right to write, descriptors,
a disk that fails.  Nothing that was acknowledged is lost, who cannot be served
is told, and all goes on when there is room again, without a restart."""

import json
import os
import signal
import socket
import subprocess
import threading

import pytest

import clients
import procs
import shims
from hub import Hub




def as_root():
    if os.geteuid() != 0:
        pytest.skip("needs root, for mount")


@pytest.fixture
def small_disk():
    """A file system of 3 MiB, and what can be done to it."""
    as_root()
    path = procs.new_directory()
    owner = procs.RUN_AS.pw_uid if procs.RUN_AS else os.geteuid()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=3m,mode=0755,uid={owner}", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def fill(path):
    """Takes all the room that is left; gives the file."""
    filler = os.path.join(path, "filler")
    with open(filler, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            pass
    return filler


def health(hub):
    return clients.fcgi_request(hub.fcgi_socket, "GET", clients.API + "/health").status


def stands_still(world):
    """Until a publisher of each kind was refused."""
    procs.wait_for(lambda: any(k.startswith("http: 503") for k in world.ledger.errors)
                   and any(k.startswith("control: ") for k in world.ledger.errors),
                   lambda: f"nobody is refused: {world.ledger.errors}")


def goes_on(world):
    world.ledger.read_files()
    before = len(world.ledger.acknowledged())
    procs.wait_for(lambda: len(world.ledger.acknowledged()) > before + 30,
                   lambda: f"publishing does not go on: {world.ledger.errors}")


def test_disk_full(make_world, small_disk, figure):
    world = make_world(followers_count=8, database=os.path.join(small_disk, "evhub.db"))
    world.start()
    goes_on(world)
    filler = fill(small_disk)
    stands_still(world)
    # who is connected stays connected, and is answered
    ws = [f for f in world.followers if f.open]
    assert len(ws) == 8
    refused = clients.refusal(world.address, world.who)
    body = clients.check_error(refused, 503)
    assert body["stack"][0]["error"] == "database_unavailable" and "full" in body["message"], body
    procs.wait_for(lambda: health(world.hub) == 503, "healthy on a full disk")
    os.unlink(filler)
    goes_on(world)
    procs.wait_for(lambda: health(world.hub) == 200, "not healthy again")
    assert [f.connects for f in world.followers] == [1] * 8
    figure(f"disk full: {world.judge()}")


@pytest.mark.timeout(120)
def test_start_on_a_full_disk(small_disk):
    """Says so, ends, and leaves a database that the next start takes."""
    filler = fill(small_disk)
    hub = Hub(database=os.path.join(small_disk, "evhub.db"))
    result = hub.run_wsd()
    assert result.returncode == 1 and "evhub.db" in result.stderr, result
    os.unlink(filler)
    hub.start_wsd()
    assert hub.value("PRAGMA integrity_check") == "ok"
    hub.stop()


def test_read_only_file_system(small_disk):
    """The start says so, and the next one takes the database as it is."""
    hub = Hub(database=os.path.join(small_disk, "evhub.db"))
    hub.start_wsd()
    assert hub.publish("pdfm", "kept")
    hub.wsd.stop()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    result = hub.run_wsd()
    assert result.returncode == 1 and "evhub.db" in result.stderr and "read" in result.stderr, result
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    hub.start_wsd()
    assert hub.value("SELECT message FROM event") == "kept"
    hub.stop()


@pytest.mark.shim
@pytest.mark.parametrize("order", ["f", "w", "o", "s", "r"],
                         ids=["no-space", "write-error", "read-only", "sync-error", "read-error"])
def test_disk_that_fails(make_world, order, figure):
    disk = shims.Disk()
    world = make_world(followers_count=6, preload=disk.variables, synchronous="full")
    world.start()
    goes_on(world)
    disk.order(order)
    if order == "r":
        # pages are in memory as long as nobody needs others: no more than a while of it
        world.ending.wait(1.5)
    else:
        stands_still(world)
    disk.order("-")
    goes_on(world)
    figure(f"disk fails ({order}): {world.judge()}")


# ---- descriptors

def limited(process, count):
    """Sets the soft limit, as the user that it belongs to."""
    prefix = procs.as_user(procs.RUN_AS.pw_name) if procs.RUN_AS else []
    subprocess.run(prefix + ["prlimit", "--pid", str(process.pid), f"--nofile={count}:"], check=True)


def open_files(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def cpu_seconds(process):
    with open(f"/proc/{process.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_descriptors_run_out(make_hub, figure):
    """Those who are in stay in and are served; who comes waits or is refused;
    the daemon does not spin; when some go, others come in."""
    hub = make_hub()
    who = hub.credential()
    first = clients.subscribe(hub.wsd.listen, who, "pdfm")
    limited(hub.wsd.process, open_files(hub.wsd.process) + 5)
    host, port = hub.wsd.listen.rsplit(":", 1)
    head = "\r\n".join([f"GET {clients.API}/subscribe?event_types=pdfm HTTP/1.1", f"Host: {hub.wsd.listen}"]
                       + [f"{k}: {v}" for k, v in {**clients.UPGRADE, **who.headers}.items()] + ["", ""]).encode()
    crowd = []
    for _ in range(40):
        s = socket.create_connection((host, int(port)))
        s.sendall(head)
        crowd.append(s)
    procs.wait_for(lambda: "no_descriptors" in hub.wsd.process.text(), "the crowd does not come")
    procs.wait_for(lambda: " error=full " in hub.wsd.process.text(), "who is refused is not told in the log")
    asker = clients.Control(hub.control)  # it is in the queue, and let in later
    begin = cpu_seconds(hub.wsd.process)
    pace = threading.Event()
    for i in range(4):
        hub.publish("pdfm", f"{i}")
        first.expect("pdfm", f"{i}")
        pace.wait(0.5)
    spent = cpu_seconds(hub.wsd.process) - begin
    assert spent < 1.0, f"{spent} s of processor time in 2 s: it spins"
    for s in crowd:
        s.close()
    procs.wait_for(lambda: came_in(hub, who), "nobody comes in after descriptors are free again")
    assert asker.ask({"op": "hello"})["ok"]
    asker.close()
    first.nothing()
    first.close()
    figure(f"descriptors: 40 connections at 5 free descriptors, {spent:.2f} s of processor time in 2 s")


def test_more_descriptors_than_at_the_start(make_hub):
    """The library has places for the limit of the start (max_clients and 256 more):
    whose number is behind it is refused, and not let in to be dropped."""
    hub = make_hub(max_clients=300)
    who = hub.credential()
    limited(hub.wsd.process, 2000)
    address = hub.wsd.listen.rsplit(":", 1)
    waiting = [socket.create_connection(address, procs.PATIENCE) for _ in range(560)]
    for s in waiting:
        s.sendall(b"GET /")  # or the kernel would keep it
    procs.wait_for(lambda: " error=full " in hub.wsd.process.text(), "nobody is refused")
    with pytest.raises(clients.Refused) as refused:
        clients.subscribe(hub.wsd.listen, who, "pdfm")
    assert refused.value.status == 503
    for s in waiting:
        s.close()
    procs.wait_for(lambda: came_in(hub, who), "nobody comes in after descriptors are free again")


def came_in(hub, who):
    try:
        clients.subscribe(hub.wsd.listen, who, "pdfm").close()
        return True
    except (clients.Refused, OSError, AssertionError, clients.websockets.exceptions.WebSocketException):
        return False


def test_fcgi_without_descriptors(make_hub):
    """It answers again as soon as it can, and loses no request that it took."""
    hub = make_hub(fcgi=True)
    who = hub.credential(scopes="subscribe publish")
    assert health(hub) == 200
    before = open_files(hub.fcgi)
    limited(hub.fcgi, 3)
    waiting = []

    def ask():
        waiting.append(clients.fcgi_request(
            hub.fcgi_socket, "POST", clients.API + "/events", {"Content-Type": "application/json", **who.headers},
            json.dumps({"event_type": "pdfm", "message": "x"})).status)
    thread = threading.Thread(target=ask)
    thread.start()
    procs.wait_for(lambda: "accept_failed" in hub.fcgi.text(), "it does not notice")
    begin = cpu_seconds(hub.fcgi)
    threading.Event().wait(1)
    assert cpu_seconds(hub.fcgi) - begin < 0.5, "it spins"
    limited(hub.fcgi, before + 50)
    thread.join(procs.PATIENCE)
    assert waiting == [201]


def test_start_with_few_descriptors(make_hub):
    """Too few to work with: says so and ends, or works."""
    hub = make_hub(wsd=False)
    for count in (4, 6, 9, 12, 15, 18, 21, 24, 27, 30, 40, 63, 64):
        result = subprocess.run(
            ["timeout", "--preserve-status", "-s", "TERM", "2"] + procs.drop_prefix()
            + ["prlimit", f"--nofile={count}:{count}"] + hub.wsd_argv(), capture_output=True, text=True, env=procs.environment(),
            stdin=subprocess.DEVNULL, cwd="/", timeout=60, check=False)
        assert result.returncode in (0, 1), f"{count} descriptors: {result}"
        assert result.returncode == 0 or result.stderr, f"{count} descriptors: it ends without a word"
        if " ready " in result.stderr:
            break
    else:
        pytest.fail(f"not even with {count} descriptors: {result}")
