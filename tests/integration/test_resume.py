"""Reconnecting with the id of the last frame seen."""

import json
import re
import socket
import struct

import pytest

import procs
from clients import Control, Raw, Refused, subscribe
from hub import SqlError


def resume(hub, who, last, event_types="pdfm", address=None):
    return subscribe(address or hub.wsd.listen, who, event_types, last_event_id=last)


def bodies(ws, n):
    return [ws.recv()["body"] for _ in range(n)]


def publish(hub, first, last, event_type="pdfm", **target):
    column, value = next(iter(target.items()), ("client_id", None))
    value = f"'{value}'" if value else "NULL"
    hub.sql(f"""WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
        INSERT INTO event(event_type, message, body, {column}) SELECT '{event_type}', 'n', i, {value} FROM n""")


def test_from_an_event(front):
    """Through each front end; the hub is shared, hence the type of its own."""
    hub = front.hub
    name = hub.event_type(hub.unique("resume"))
    who = hub.credential()

    def connect():
        try:
            return front.subscribe(who, name)
        except Refused:
            return None
    ws = procs.wait_for(connect, "the new type is unknown")
    publish(hub, 1, 5, name)
    frames = [ws.recv() for _ in range(5)]
    ws.cut()
    publish(hub, 6, 20, name)
    ws = front.subscribe(who, name, last_event_id=frames[2]["id"])
    assert ws.welcome["body"]["resumed"] is True
    assert "reason" not in ws.welcome["body"]
    assert bodies(ws, 17) == list(range(4, 21))
    publish(hub, 21, 22, name)
    assert bodies(ws, 2) == [21, 22]
    ws.nothing()
    ws.close()


def test_from_the_newest_event(hub):
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    publish(hub, 1, 1)
    last = ws.recv()["id"]
    ws.close()
    ws = resume(hub, who, last)
    assert ws.welcome["body"]["resumed"] is True
    ws.nothing()
    publish(hub, 2, 2)
    assert bodies(ws, 1) == [2]
    ws.close()


@pytest.mark.parametrize("kind", ["welcome", "pong", "error", "unsubscribed"])
def test_from_any_frame(hub, kind):
    who = hub.credential()
    publish(hub, 1, 3)
    ws = subscribe(hub.wsd.listen, who, "pdfm,health")
    publish(hub, 4, 6)
    if kind == "welcome":
        last, missed = ws.welcome["id"], [4, 5, 6]
    else:
        assert bodies(ws, 3) == [4, 5, 6]
        missed = []
        if kind == "pong":
            last = ws.ask({"event_type": "health", "message": "ping"})["id"]
        elif kind == "error":
            last = ws.ask("nonsense")["id"]
        else:
            hub.sql(f"DELETE FROM subscription WHERE client_id = '{ws.client_id}' AND event_type = 'health'")
            last = ws.expect("system", "unsubscribed")["id"]
    ws.cut()
    publish(hub, 7, 9)
    ws = resume(hub, who, last)
    assert ws.welcome["body"]["resumed"] is True
    assert bodies(ws, len(missed) + 3) == missed + [7, 8, 9]
    ws.nothing()
    ws.close()


def test_before_any_event(hub):
    """The very first welcome of a database is a position too."""
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    ws.cut()
    publish(hub, 1, 3)
    ws = resume(hub, who, ws.welcome["id"])
    assert ws.welcome["body"]["resumed"] is True
    assert bodies(ws, 3) == [1, 2, 3]
    ws.close()


def test_only_the_types_of_the_new_connection(hub):
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    ws.cut()
    publish(hub, 1, 3)
    publish(hub, 11, 13, "health")
    publish(hub, 21, 23, "stats")
    ws = resume(hub, who, ws.welcome["id"], "health,stats")
    assert bodies(ws, 6) == [11, 12, 13, 21, 22, 23]
    ws.nothing()
    ws.close()


def test_addressed_events(hub):
    """What was addressed to the user is resumed; what was addressed to another
    user or another connection is not."""
    who, other = hub.credential(), hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    ws.cut()
    publish(hub, 1, 1)
    publish(hub, 2, 2, user_id=who.user)
    publish(hub, 3, 3, user_id=other.user)
    publish(hub, 4, 4, client_id="00000000-0000-4000-8000-000000000000")
    publish(hub, 5, 5)
    ws = resume(hub, who, ws.welcome["id"])
    assert bodies(ws, 3) == [1, 2, 5]
    ws.nothing()
    ws.close()


def test_unknown_epoch(hub):
    who = hub.credential()
    publish(hub, 1, 3)
    ws = resume(hub, who, "deadbeef-1")
    assert ws.welcome["body"]["resumed"] is False
    assert ws.welcome["body"]["reason"] == "unknown"
    publish(hub, 4, 4)
    assert bodies(ws, 1) == [4]
    ws.close()


def test_from_the_future(hub):
    """An id that this history never gave."""
    who = hub.credential()
    publish(hub, 1, 3)
    epoch = hub.value("SELECT value FROM meta WHERE key = 'epoch'")
    ws = resume(hub, who, f"{epoch}-1000000")
    assert ws.welcome["body"]["resumed"] is False
    assert ws.welcome["body"]["reason"] == "unknown"
    publish(hub, 4, 4)
    assert bodies(ws, 1) == [4]
    ws.close()


def test_expired(make_hub):
    hub = make_hub(retain_interval="200ms")
    hub.sql("UPDATE event_type SET retain_count = 5 WHERE name = 'pdfm'")
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    ws.cut()
    publish(hub, 1, 20)
    hub.wait_sql("SELECT count(*) FROM event", 5)
    hub.wsd.stop()  # nothing of it is left in memory either
    hub.start_wsd()
    ws2 = resume(hub, who, ws.welcome["id"])
    assert ws2.welcome["body"]["resumed"] is False
    assert ws2.welcome["body"]["reason"] == "expired"
    publish(hub, 21, 21)
    assert bodies(ws2, 1) == [21]
    # the types that lost nothing are still resumable
    ws3 = resume(hub, who, ws.welcome["id"], "health")
    assert ws3.welcome["body"]["resumed"] is True
    ws2.close()
    ws3.close()


def test_deleted_by_an_operator(make_hub):
    hub = make_hub()
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    ws.cut()
    publish(hub, 1, 3)
    hub.sql("DELETE FROM event")
    hub.wsd.stop()
    hub.start_wsd()
    ws = resume(hub, who, ws.welcome["id"])
    assert (ws.welcome["body"]["resumed"], ws.welcome["body"]["reason"]) == (False, "expired")
    ws.close()


@pytest.mark.parametrize("statement", [
    "DELETE FROM event_type WHERE name = 'extra'; INSERT INTO event_type(name) VALUES('extra')",
    "INSERT OR REPLACE INTO event_type(name) VALUES('extra')",
])
def test_what_is_gone_is_remembered_without_its_type(make_hub, statement):
    hub = make_hub()
    who = hub.credential()
    hub.sql("INSERT INTO event_type(name) VALUES('extra'), ('other')")
    ws = subscribe(hub.wsd.listen, who, "extra,other")
    ws.close()
    hub.wait_sql("SELECT count(*) FROM client", 0)
    publish(hub, 1, 3, "extra")
    hub.sql("DELETE FROM event; " + statement + "; INSERT INTO event_type(name) VALUES('new')")
    publish(hub, 4, 4, "extra")
    ws2 = resume(hub, who, ws.welcome["id"], "extra")
    assert (ws2.welcome["body"]["resumed"], ws2.welcome["body"]["reason"]) == (False, "expired")
    ws3 = resume(hub, who, ws.welcome["id"], "other,new")
    assert ws3.welcome["body"]["resumed"] is True
    ws2.close()
    ws3.close()


def test_a_published_event_is_not_replaced(make_hub):
    hub = make_hub()
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    ws.cut()
    hub.sql("INSERT INTO event(event_type, body, dedup_id) VALUES('pdfm', 1, 'one')")
    with pytest.raises(SqlError, match="event.dedup_id: an event has it"):
        hub.sql("INSERT OR REPLACE INTO event(event_type, body, dedup_id) VALUES('pdfm', 2, 'one')")
    hub.sql("INSERT OR IGNORE INTO event(event_type, body, dedup_id) VALUES('pdfm', 3, 'one'), ('pdfm', 4, 'two')")
    ws = resume(hub, who, ws.welcome["id"])
    assert ws.welcome["body"]["resumed"] is True and bodies(ws, 2) == [1, 4]
    ws.close()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_across_a_restart(make_hub, how):
    hub = make_hub()
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    publish(hub, 1, 5)
    frames = [ws.recv() for _ in range(5)]
    getattr(hub.wsd, how)()
    publish(hub, 6, 10)  # while nobody runs
    hub.start_wsd()
    publish(hub, 11, 12)
    ws = resume(hub, who, frames[1]["id"])
    assert ws.welcome["body"]["resumed"] is True
    assert bodies(ws, 10) == list(range(3, 13))
    publish(hub, 13, 13)
    assert bodies(ws, 1) == [13]
    ws.nothing()
    ws.close()


def test_more_than_memory_holds(make_hub):
    """Most of what is resumed has left the daemon's memory."""
    hub = make_hub(log_memory="64K")
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    ws.cut()
    publish(hub, 1, 5000)
    ws = resume(hub, who, ws.welcome["id"])
    assert ws.welcome["body"]["resumed"] is True
    publish(hub, 5001, 5100)
    assert bodies(ws, 5100) == list(range(1, 5101))
    ws.nothing()
    ws.close()


def test_what_was_read_for_a_resume_is_let_go(make_hub):
    """It comes on top of log_memory, so it stays no longer than somebody may
    be reading it."""
    hub = make_hub(log_memory="64K", stall_timeout="2s")
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm,health")
    ws.cut()
    publish(hub, 1, 5000)

    def figure(name):
        with Control(hub.wsd.control) as control:
            text = control.ask({"op": "metrics"})["text"]
        return float(re.search(rf"^{name}{{[^}}]*}} (\S+)$", text, re.M).group(1))
    ws = resume(hub, who, ws.welcome["id"])
    assert bodies(ws, 5000) == list(range(1, 5001))
    assert figure("evhub_history_reads_total") > 0
    procs.wait_for(lambda: figure("evhub_history_bytes") == 0, "pieces of the past stay in memory")
    reads = figure("evhub_history_reads_total")
    again = resume(hub, who, ws.welcome["id"].split("-")[0] + "-1")  # and are read once more
    assert bodies(again, 4999) == list(range(2, 5001))
    assert figure("evhub_history_reads_total") > reads
    for each in (ws, again):
        each.close()


def test_rare_type_among_many_events(make_hub):
    hub = make_hub(log_memory="64K")
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "health")
    ws.cut()
    for i in range(1, 4):
        publish(hub, 1, 3000)
        publish(hub, i, i, "health")
    ws = resume(hub, who, ws.welcome["id"], "health")
    assert bodies(ws, 3) == [1, 2, 3]
    ws.nothing()
    ws.close()


def test_resume_many_times(hub):
    """Each event exactly once over forty short connections."""
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    last, seen = ws.welcome["id"], []
    for i in range(40):
        publish(hub, 10 * i + 1, 10 * i + 10)
        for _ in range(3 if i % 2 else 12):
            if len(seen) < 10 * i + 10:
                frame = ws.recv()
                seen.append(frame["body"])
                last = frame["id"]
        ws.cut()
        ws = resume(hub, who, last)
        assert ws.welcome["body"]["resumed"] is True
    seen += bodies(ws, 400 - len(seen))
    assert seen == list(range(1, 401))
    ws.nothing()
    ws.close()


def test_another_user_may_not_resume_into_what_was_not_theirs(hub):
    """An id is no secret: it gives nothing but public events."""
    alice, bob = hub.credential(), hub.credential()
    ws = subscribe(hub.wsd.listen, alice, "pdfm")
    publish(hub, 1, 1, user_id=alice.user)
    publish(hub, 2, 2)
    ws.cut()
    ws = resume(hub, bob, ws.welcome["id"])
    assert bodies(ws, 1) == [2]
    ws.nothing()
    ws.close()


def test_slow_reader_loses_nothing(make_hub):
    """A client that does not read for a while gets everything afterwards, and
    the daemon's memory does not pay for it."""
    hub = make_hub(log_memory="256K")
    who = hub.credential()
    slow = subscribe(hub.wsd.listen, who, "pdfm", options={"max_queue": 4, "read_limit": 1024})
    fast = subscribe(hub.wsd.listen, who, "pdfm")
    padding = "x" * 2000
    hub.sql(f"""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
        INSERT INTO event(event_type, message, body) SELECT 'pdfm', '{padding}', i FROM n""")
    assert bodies(fast, 10000) == list(range(1, 10001))
    procs.wait_for(lambda: hub.value(f"SELECT queue_depth FROM client WHERE id = '{slow.client_id}'") > 0,
                   "the table does not show that the client lags")
    assert resident(hub) < 200 << 20
    assert bodies(slow, 10000) == list(range(1, 10001))
    hub.wait_sql(f"SELECT queue_depth FROM client WHERE id = '{slow.client_id}'", 0)
    slow.nothing()
    for ws in (slow, fast):
        ws.close()


def resident(hub):
    with open(f"/proc/{hub.wsd.process.pid}/status") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
    return 0


def test_stalled_reader_is_told_where_to_resume(make_hub):
    hub = make_hub(stall_timeout="500ms")
    raw = Raw(hub, "pdfm")
    padding = "x" * 20000
    hub.sql(f"""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
        INSERT INTO event(event_type, message, body) SELECT 'pdfm', '{padding}', i FROM n""")
    hub.wait_sql("SELECT count(*) FROM client", 0)
    # now it reads again: what was on its way, perhaps the close frame, and the end
    last, code, reason = None, None, ""
    while True:
        op, data = raw.read_frame()
        if op is None:
            break
        if op == 1:
            try:
                last = json.loads(data)
            except ValueError:
                break  # the end came in the middle of a frame
        if op == 8:
            code, reason = struct.unpack("!H", data[:2])[0], data[2:].decode()
            try:
                raw.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
    assert last is not None and last["body"] < 1500, "it was not stalled"
    if code is not None:
        assert code == 1013
        assert last["id"] in reason or "-" in reason, reason
    ws = resume(hub, hub.credential(), last["id"])
    assert ws.welcome["body"]["resumed"] is True
    assert bodies(ws, 1500 - last["body"]) == list(range(last["body"] + 1, 1501))
    ws.close()


def test_an_old_event_takes_no_young_ones_with_it(make_hub):
    """Imported with the time that it had: they are kept for retain_seconds."""
    hub = make_hub(retain_interval="1s")
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    last = ws.welcome["id"]
    ws.close()
    hub.publish("pdfm", "young")
    hub.sql("INSERT INTO event(event_type, message, created_at) VALUES ('pdfm', 'imported', '2001-01-01T00:00:00.000Z')")
    for _ in range(2):  # by the second time pdfm has been looked at
        hub.sql("INSERT INTO event(event_type, message, created_at) VALUES ('stats', 'old', '2001-01-01T00:00:00.000Z')")
        hub.wait_sql("SELECT count(*) FROM event WHERE event_type = 'stats'", 0)
    again = subscribe(hub.wsd.listen, who, "pdfm", last_event_id=last)
    assert again.welcome["body"]["resumed"] is True
    again.expect("pdfm", "young")
    again.expect("pdfm", "imported")
