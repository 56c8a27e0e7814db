"""Connections that are cut, delayed and duplicated, packets that are lost,
peers that vanish, daemons that stand still or die: no gap, no repeat."""

import json
import signal
import subprocess
import threading
import time

import pytest

import clients
import netspace
import procs
from rough_proxy import RoughProxy
from sizes import size
from test_clock import answering

PROXY_SECONDS = size("proxy_seconds", 8, 240)
LOSS_SECONDS = size("loss_seconds", 8, 240)
DAEMON_KILLS = size("daemon_kills", 6, 100)
STOPS = size("stops", 2, 30)


@pytest.fixture
def network():
    with netspace.entered() as n:
        yield n


@pytest.mark.timeout(120 + PROXY_SECONDS)
def test_rough_proxy(make_world, figure):
    world = make_world(followers_count=16, via=lambda: proxy.address)
    proxy = RoughProxy(world.address, world.seed)
    world.start()
    world.ending.wait(PROXY_SECONDS)
    proxy.rough = False
    world.settle()
    figure(f"proxy: {proxy.counts}; {world.judge()}")
    procs.wait_for(lambda: world.hub.value("SELECT count(*) FROM client") == 0, "clients stay behind")
    proxy.close()


@pytest.mark.timeout(120 + LOSS_SECONDS)
def test_packet_loss(network, make_world, figure):
    """2 % of the packets each way."""
    world = make_world(followers_count=16, cuts=(0.5, 4), ping_interval="1s", pong_timeout="10s")
    for f in world.followers:
        f.on_frame = answering(f)
    network.lose(world.hub.wsd.port, 2)
    world.start()
    world.ending.wait(LOSS_SECONDS)
    dropped = network.dropped()
    assert dropped > 20, f"{dropped} packets lost: the test is void"
    network.restore()
    world.settle()
    figure(f"packet loss: {dropped} packets lost; {world.judge()}")


def test_peers_that_vanish(network, make_world, figure):
    """Half-open connections: both sides find out by themselves, the rows go,
    and everybody resumes."""
    world = make_world(followers_count=8, changes=False, ping_interval="400ms", pong_timeout="1500ms")
    for f in world.followers:
        f.on_frame = answering(f)
    world.start()
    world.ending.wait(1)
    network.vanish(world.hub.wsd.port)
    procs.wait_for(lambda: world.hub.value("SELECT count(*) FROM client") == 0, "half-open clients stay")
    network.restore()
    world.settle()
    assert all(f.connects >= 2 for f in world.followers)
    figure(f"vanished: {world.judge()}")


@pytest.mark.timeout(120 + STOPS * 12)
def test_daemon_that_stands_still(make_world, figure):
    """SIGSTOP: publishing by HTTP and SQL goes on, what needs the daemon gets
    its 503 in time, and everything is made up for at SIGCONT."""
    world = make_world(followers_count=8, publishers=("sql", "http"), changes=False, confirm_timeout="1s")
    hub = world.hub
    world.start()
    slowest = 0
    for _ in range(STOPS):
        world.ending.wait(0.3)
        follower = next(f for f in world.followers if f.types)
        event_type = follower.types[0]
        hub.wsd.process.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        answer = clients.fcgi_request(
            hub.fcgi_socket, "POST", clients.API + "/unsubscribe",
            {"Content-Type": "application/json", **world.who.headers},
            json.dumps({"client_id": follower.client_id, "event_types": [event_type]}))
        slowest = max(slowest, time.monotonic() - begin)
        clients.check_error(answer, 503)
        assert clients.fcgi_request(hub.fcgi_socket, "GET", clients.API + "/health").status == 503
        before = len(world.ledger.acknowledged())
        procs.wait_for(lambda: len(world.ledger.acknowledged()) > before + 20, "publishing stands still")
        hub.wsd.process.send_signal(signal.SIGCONT)
        # the change was stored, so it is applied all the same
        procs.wait_for(lambda: event_type not in follower.types, "the unsubscribe is not applied")
        hub.sql(f"INSERT INTO subscription(client_id, event_type) VALUES('{follower.client_id}', '{event_type}')")
        procs.wait_for(lambda: event_type in follower.types, "the subscribe is not applied")
    world.settle()
    assert [f.connects for f in world.followers] == [1] * 8
    assert slowest < 1 + procs.PATIENCE / 10, f"the 503 took {slowest} s"
    figure(f"SIGSTOP: {STOPS} times, 503 after {slowest:.2f} s at most; {world.judge()}")


@pytest.mark.timeout(120 + DAEMON_KILLS * 5)
def test_two_daemons_and_one_is_killed(make_world, figure):
    """They share the port; clients of the dead one resume at the other."""
    world = make_world(followers_count=16)
    hub = world.hub
    names = ["wsd", "two"]
    hub.start_wsd("two")
    world.start()
    for _ in range(DAEMON_KILLS):
        world.ending.wait(world.random.uniform(0.1, 0.8))
        name = world.random.choice(names)
        next(d for d in hub.daemons if d.name == name).kill()
        world.ending.wait(world.random.uniform(0, 0.6))
        hub.start_wsd(name)
    world.settle()
    procs.wait_for(lambda: hub.value("SELECT count(*) FROM client") == 0, "clients stay behind")
    figure(f"two daemons: one of them killed {DAEMON_KILLS} times; {world.judge()}")


@pytest.mark.timeout(120)
def test_lock_held_for_ten_seconds(make_world, figure):
    """Another program holds the database: nothing is lost, nobody is
    disconnected, and what waited goes through."""
    world = make_world(followers_count=8)
    world.start()
    world.ending.wait(0.5)
    with subprocess.Popen(["/usr/bin/sqlite3", "-batch", world.hub.database], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, bufsize=1) as shell:
        shell.stdin.write(".timeout 10000\nBEGIN IMMEDIATE;\nSELECT 'locked';\n")
        assert shell.stdout.readline() == "locked\n"
        threading.Event().wait(10)
        # told to come back, rather than left to wait
        assert clients.refusal(world.address, world.who).status == 503
        shell.stdin.write("COMMIT;\n")
        shell.stdin.close()
        assert shell.wait() == 0
    world.ending.wait(1)
    world.settle()
    assert [f.connects for f in world.followers] == [1] * 8
    figure(f"locked for 10 s: {world.judge()}")
