"""The barrier: after its "unsubscribed" frame a client is sent nothing of that
type, and of the other type it loses nothing, however fast events come.

EVHUB_RUNS=50 repeats it.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time

import pytest

import clients
import lean
import procs
import publisher

RUNS = int(os.environ.get("EVHUB_RUNS", "1"))
CLIENTS = int(os.environ.get("EVHUB_CLIENTS", "200"))
RATE = int(os.environ.get("EVHUB_RATE", "5000"))
SECONDS = float(os.environ.get("EVHUB_SECONDS", "3"))
TYPES = ["ta", "tb"]


def start_publisher(hub, rate, seconds, seed, types):
    script = os.path.join(os.path.dirname(__file__), "publisher.py")
    return subprocess.Popen(
        [sys.executable, script, hub.database, str(rate), str(seconds), str(seed), *types],
        stdout=subprocess.PIPE, text=True)


def expected(seed, count, all_types, types):
    """The (type, body) pairs that a client of these types must get."""
    kinds = publisher.sequence(seed, all_types)
    wanted = []
    for n in range(1, count + 1):
        kind = next(kinds)
        if kind in types:
            wanted.append((kind.encode(), n))
    return wanted


def unsubscribe_all(hub, swarm, plan, answers):
    """Sends the requests of the plan, (moment, client, type), at their moments."""
    pace, begin = threading.Event(), time.monotonic()
    for moment, client, kind in plan:
        pace.wait(max(0.0, begin + moment - time.monotonic()))
        response = clients.fcgi_request(
            hub.fcgi_socket, "POST", clients.API + "/unsubscribe",
            {"Content-Type": "application/json", **client.credential.headers},
            json.dumps({"client_id": client.client_id, "event_types": [kind]}), timeout=60)
        answers.append((client, kind, response))


@pytest.mark.slow
@pytest.mark.parametrize("run", range(RUNS))
def test_barrier(make_hub, run, figure):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    choice = random.Random(seed)
    hub = make_hub(ping_interval="1h", pong_timeout="2h")
    for name in TYPES:
        hub.event_type(name)
    hub.start_fcgi()
    who = hub.credential()
    hub.wait_sql("SELECT count(*) FROM event_type WHERE name IN ('ta', 'tb')", 2)
    procs.wait_for(lambda: knows(hub, who), "the new types are unknown")

    swarm = lean.Swarm([lean.Client(lambda: hub.wsd.listen, who, TYPES) for _ in range(CLIENTS)]).start()
    try:
        procs.wait_for(lambda: all(c.client_id for c in swarm.clients), "not all are connected", 60)
        # each client leaves one type at a random moment of the stream
        plan = sorted(((choice.uniform(0.1, SECONDS * 0.9), c, choice.choice(TYPES)) for c in swarm.clients),
                      key=lambda entry: entry[0])
        answers = []
        stream = start_publisher(hub, RATE, SECONDS, seed, TYPES)
        workers = [threading.Thread(target=unsubscribe_all, args=(hub, swarm, plan[i::4], answers)) for i in range(4)]
        for worker in workers:
            worker.start()
        count = int(stream.communicate(timeout=SECONDS + 120)[0])
        for worker in workers:
            worker.join()
        assert len(answers) == CLIENTS
        for client, kind, response in answers:
            assert response.status == 200, response
            client.left = kind
        hub.publish("global", "end", "0")
        procs.wait_for(lambda: all(c.events and c.events[-1] == (b"global", 0) for c in swarm.clients),
                       lambda: f"{sum(c.events[-1:] != [(b'global', 0)] for c in swarm.clients)} clients"
                               " did not get the last event", 120, 0.05)
    finally:
        swarm.stop()

    by_type = {t: [pair for pair in expected(seed, count, TYPES, [t])] for t in TYPES}
    for client in swarm.clients:
        assert not client.faults
        left, stayed = client.left.encode(), (set(TYPES) - {client.left}).pop()
        assert list(client.cut_at) == [client.left], client.cut_at
        late = [e for e in client.events[client.cut_at[client.left]:] if e[0] == left]
        assert not late, f"{len(late)} events of {left} after the frame, first {late[0]}"
        before = [e for e in client.events if e[0] == left]
        assert before == by_type[client.left][:len(before)], "a gap or a repeat before the frame"
        kept = [e for e in client.events if e[0] == stayed.encode()]
        assert kept == by_type[stayed], f"{len(by_type[stayed]) - len(kept)} events of the other type lost"
        numbers = [n for _, n in client.events[:-1]]
        assert numbers == sorted(numbers), "out of order"
    figure(f"barrier: {CLIENTS} clients, {count} events in {SECONDS} s,"
           f" {sum(len(c.events) for c in swarm.clients)} deliveries checked")


def knows(hub, who):
    response = clients.refusal(hub.wsd.listen, who, f"{clients.API}/subscribe?event_types=zz")
    return all(name in response.json()["stack"][0]["description"] for name in TYPES)
