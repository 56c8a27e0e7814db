"""The wall clock jumps an hour back and forth under load: nobody is
disconnected, ids and their order do not care, credentials and tickets end
when their time has come by the clock as it is."""

import time

import pytest

import clients
import procs
import shims

pytestmark = pytest.mark.shim
HOUR = 3600


def test_jumps_under_load(make_world, figure):
    clock = shims.Clock()
    world = make_world(followers_count=8, preload=clock.variables, ping_interval="1s", pong_timeout="3s",
                       stall_timeout="2s")
    quiet = clients.subscribe(world.address, world.who, "ta", options={"ping_interval": None})
    # these answer no pings, and the jumps must not make them older than they are
    for f in world.followers:
        f.on_frame = answering(f)
    world.start()
    before = [f.connects for f in world.followers]
    jumps = [HOUR, 0, -HOUR, HOUR, 0]
    for offset in jumps:
        clock.set(offset)
        mark = time.monotonic()
        procs.wait_for(lambda m=mark: len([e for e in world.ledger.acknowledged().values() if e.told > m + 0.3]) > 20,
                       "publishing stands still")
    world.settle()
    assert [f.connects for f in world.followers] == before, "somebody was disconnected"
    assert not any(f.closes for f in world.followers)
    stamps = [f["timestamp"] for f in world.followers[0].frames]
    assert len({s[:13] for s in stamps}) >= 3, "the clock did not jump: the test is void"
    figure(f"clock: {len(jumps)} jumps of an hour or two; {world.judge()}")
    quiet.ping()
    quiet.close()


def answering(follower):
    """A follower that answers pings, as every WebSocket library does."""
    plain = follower.on_frame

    def on_frame(op, payload):
        if op == 9 and follower.sock is not None:
            try:
                follower.sock.send(bytes([0x8a, 0x80 | len(payload)]) + b"\0\0\0\0" + payload)
            except OSError:
                pass  # it will be seen when it is read
        plain(op, payload)
    return on_frame


def test_restart_after_a_jump_back(make_hub):
    """Ids of frames that are no events begin at the clock: they are new all
    the same, and a resume from any of them is right."""
    clock = shims.Clock()
    with procs.preloaded(clock.variables):
        hub = make_hub()
        who = hub.credential()
        seen, last = set(), None
        for offset in (0, -HOUR, HOUR, -2 * HOUR):
            clock.set(offset)
            if offset:
                hub.wsd.kill()
                hub.start_wsd()
            more = {"last_event_id": last} if last else {}
            ws = clients.subscribe(hub.wsd.listen, who, "pdfm", **more)
            assert ws.welcome["body"]["resumed"] is (last is not None)
            hub.publish("pdfm", f"at {offset}")
            frames = [ws.welcome, ws.expect("pdfm", f"at {offset}"), ws.ask({"event_type": "health", "message": "ping"})]
            assert not seen & {f["id"] for f in frames}
            seen |= {f["id"] for f in frames}
            last = frames[-1]["id"]
            ws.close()


def test_credential_that_ends(make_hub):
    """expires_at is wall time.  When the clock jumps past it the connection
    ends within ping_interval; when it jumps back before it, the credential is good again."""
    clock = shims.Clock()
    with procs.preloaded(clock.variables):
        hub = make_hub(ping_interval="1s", pong_timeout="60s")
        who = hub.credential()
        hub.sql(f"UPDATE credential SET expires_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+30 minutes')"
                f" WHERE user_id = '{who.user}'")
        other = clients.subscribe(hub.wsd.listen, hub.credential(), "pdfm")
        ws = clients.subscribe(hub.wsd.listen, who, "pdfm")
        clock.set(HOUR)
        assert ws.closed()[0] == 1008
        assert clients.refusal(hub.wsd.listen, who).status == 401
        other.nothing()
        clock.set(0)
        ws = clients.subscribe(hub.wsd.listen, who, "pdfm")
        ws.nothing()
        ws.close()
        other.close()


def test_ticket_and_the_clock(make_hub):
    """A ticket lives for 30 s of the wall clock, and is used once whatever
    the clock does."""
    clock = shims.Clock()
    with procs.preloaded(clock.variables):
        hub = make_hub(fcgi=True)
        who = hub.credential()

        def ticket():
            answer = clients.fcgi_request(hub.fcgi_socket, "POST", clients.API + "/ticket",
                                          who.headers)
            assert answer.status == 201, answer
            return answer.json()["ticket"]
        late = ticket()
        clock.set(HOUR)
        assert clients.refusal(hub.wsd.listen, path=f"{clients.API}/subscribe?ticket={late}").status == 401
        good = ticket()
        ws = clients.Ws(f"ws://{hub.wsd.listen}{clients.API}/subscribe?ticket={good}")
        ws.welcome = ws.recv()
        clock.set(0)
        assert clients.refusal(hub.wsd.listen, path=f"{clients.API}/subscribe?ticket={good}").status == 401
        ws.nothing()
        ws.close()


def test_retention_after_a_jump(make_hub):
    """What is younger than retain_seconds stays, though the clock went back
    in between; nothing is kept for ever because it comes from the future."""
    clock = shims.Clock()
    with procs.preloaded(clock.variables):
        hub = make_hub(retain_interval="200ms")
        name = hub.event_type(retain_seconds=600)
        ws = clients.subscribe(hub.wsd.listen, hub.credential(), "pdfm")

        def publish(message):
            with clients.Control(hub.control) as control:
                answer = control.ask({"op": "publish", "event_type": name, "message": message})
                assert answer["ok"], answer
        publish("now")
        clock.set(-300)
        publish("earlier")
        clock.set(HOUR)
        hub.wait_sql(f"SELECT count(*) FROM event WHERE event_type = '{name}'", 0)
        clock.set(0)
        publish("after")
        ws.nothing()
        assert hub.sql(f"SELECT message FROM event WHERE event_type = '{name}'") == \
            [{"message": "after"}]
        ws.close()
