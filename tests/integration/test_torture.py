"""Resume: clients that are cut at random moments, a proxy that is restarted and
a daemon that is killed, and in the end every client has every event of its
types exactly once and in order.

EVHUB_RUNS=50 repeats it.
"""

import os
import random
import threading
import time

import pytest

import fronts
import lean
import procs
from test_barrier import RUNS, expected, knows, start_publisher

CLIENTS = int(os.environ.get("EVHUB_CLIENTS", "100"))
RATE = int(os.environ.get("EVHUB_RATE", "1000"))
SECONDS = float(os.environ.get("EVHUB_SECONDS", "10"))
TYPES = ["ta", "tb", "tc"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize("proxy", ["nginx", "lighttpd-socket"])
def test_resume_torture(make_hub, run, proxy, figure):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    choice = random.Random(seed)
    hub = make_hub(ping_interval="1h", pong_timeout="2h", log_memory="1M")
    # the daemon comes back where it was
    hub.conf["listen"] = [hub.wsd.listen]
    hub.write_conf()
    address = hub.wsd.listen
    for name in TYPES:
        hub.event_type(name)
    if fronts.missing(proxy):
        pytest.skip(f"{fronts.missing(proxy)} is not installed")
    front = fronts.start(proxy, hub)
    who = hub.credential()
    procs.wait_for(lambda: knows(hub, who), "the new types are unknown")

    swarm_clients = []
    for i in range(CLIENTS):
        types = choice.sample(TYPES, choice.randint(1, 3))
        reach = (lambda: front.ws_address) if i % 2 else (lambda: address)
        swarm_clients.append(lean.Client(reach, who, types))
    swarm = lean.Swarm(swarm_clients, reconnect=True, cuts=(0.1, 2.0), seed=seed).start()
    pace = threading.Event()
    try:
        procs.wait_for(lambda: all(c.last_id for c in swarm.clients), "not all are connected", 60)
        stream = start_publisher(hub, RATE, SECONDS, seed, TYPES)
        begin = time.monotonic()
        for moment, what in sorted([(choice.uniform(0.1, 0.4), "proxy"), (choice.uniform(0.1, 0.4), "daemon"),
                                    (choice.uniform(0.5, 0.9), "proxy"), (choice.uniform(0.5, 0.9), "daemon")]):
            pace.wait(max(0.0, begin + moment * SECONDS - time.monotonic()))
            if what == "proxy":
                front.restart()
            else:
                hub.wsd.kill()
                pace.wait(choice.uniform(0, 0.3))
                hub.start_wsd()
        count = int(stream.communicate(timeout=SECONDS + 120)[0])
        swarm.cutting = False
        hub.publish("global", "end", "0")
        procs.wait_for(lambda: all(c.events and c.events[-1] == (b"global", 0) for c in swarm.clients),
                       lambda: f"{sum(c.events[-1:] != [(b'global', 0)] for c in swarm.clients)} clients"
                               " did not get the last event", 120, 0.05)
    finally:
        swarm.stop()

    for client in swarm.clients:
        assert not client.faults, client.faults
        assert not client.not_resumed, client.not_resumed[0]
        wanted = expected(seed, count, TYPES, client.types) + [(b"global", 0)]
        if client.events != wanted:
            got, want = [n for _, n in client.events], [n for _, n in wanted]
            at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
            raise AssertionError(f"{len(got)} instead of {len(want)} events; first difference at {at}:"
                                 f" {got[max(0, at - 3):at + 5]} instead of {want[max(0, at - 3):at + 5]}")
    figure(f"resume: {CLIENTS} clients, {count} events, {sum(c.connects for c in swarm.clients)} connections,"
           f" {sum(len(c.events) for c in swarm.clients)} deliveries checked")
