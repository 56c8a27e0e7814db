"""What the contract promises and no test of one feature shows: what is there
at the moment of an acknowledgement, what never reaches the disk, what a slow
reader costs.  doc/promises.md has the whole list."""

import json
import sqlite3

import clients
import procs
from clients import subscribe


def look(hub, statement, *values):
    """What another program sees at this moment."""
    db = sqlite3.connect(f"file:{hub.database}?mode=ro", uri=True)
    try:
        return db.execute(statement, values).fetchone()[0]
    finally:
        db.close()


def post(hub, endpoint, who, body):
    return clients.fcgi_request(hub.fcgi_socket, "POST", f"{clients.API}/{endpoint}",
                                {"Content-Type": "application/json", **who.headers}, json.dumps(body))


def test_committed_before_it_is_acknowledged(make_hub):
    hub = make_hub(fcgi=True)
    who = hub.credential()
    with clients.Control(hub.control) as control:
        for i in range(20):
            ws = subscribe(hub.wsd.listen, who, "pdfm,health")
            assert look(hub, "SELECT count(*) FROM client WHERE id = ?", ws.client_id) == 1
            assert look(hub, "SELECT count(*) FROM subscription WHERE client_id = ?", ws.client_id) == 3

            for message, answer in (
                    (f"c{i}", control.ask({"op": "publish", "event_type": "pdfm", "message": f"c{i}"})),
                    (f"h{i}", post(hub, "events", who, {"event_type": "pdfm", "message": f"h{i}"}).json())):
                seq = int(answer["id"].split("-")[1])
                assert look(hub, "SELECT message FROM event WHERE seq = ?", seq) == message

            answer = post(hub, "unsubscribe", who, {"client_id": ws.client_id, "event_types": ["pdfm"]})
            assert answer.status == 200, answer
            assert look(hub, "SELECT group_concat(event_type) FROM (SELECT event_type FROM subscription"
                             " WHERE client_id = ? ORDER BY 1)", ws.client_id) == "global,health"
            ws.close()


def test_a_type_that_is_not_persistent_never_reaches_the_disk(make_hub):
    """… and is not resumed, without a lie about it: the rest of what was
    missed is there."""
    hub = make_hub(fcgi=True)
    who = hub.credential()
    hub.event_type("cursor", persistent=0)

    def connect():
        try:
            return subscribe(hub.wsd.listen, who, "cursor,pdfm")
        except clients.Refused:
            return None
    ws = procs.wait_for(connect, "the new type is unknown")
    marks = []
    with clients.Control(hub.control) as control:
        for i in range(50):
            marks.append(f"never-on-disk-{i}-by-control")
            assert control.ask({"op": "publish", "event_type": "cursor", "message": marks[-1]})["ok"]
            marks.append(f"never-on-disk-{i}-by-http")
            assert post(hub, "events", who, {"event_type": "cursor", "message": marks[-1]}).status == 201
    assert [ws.expect("cursor")["message"] for _ in marks] == marks
    last = ws.welcome["id"]
    hub.publish("pdfm", "kept")
    ws.expect("pdfm", "kept")
    ws.close()
    for end in ("", "-wal"):
        with open(hub.database + end, "rb") as f:
            assert b"never-on-disk" not in f.read()
    back = subscribe(hub.wsd.listen, who, "cursor,pdfm", last_event_id=last)
    assert back.welcome["body"]["resumed"] is True
    back.expect("pdfm", "kept")
    back.nothing()
    back.close()


def test_a_reader_that_falls_behind_costs_no_memory(make_hub):
    """Twenty of them with 30 MB each to come: a position is a number."""
    hub = make_hub(log_memory="1M", stall_timeout="1h", max_event_bytes="128K")
    fast = subscribe(hub.wsd.listen, hub.credential(), "pdfm")
    slow = [clients.Raw(hub, "pdfm") for _ in range(20)]

    def flood(count, size):
        hub.sql(f"""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
            INSERT INTO event(event_type, message) SELECT 'pdfm', '{"x" * size}' FROM n""")
        for _ in range(count):
            fast.expect("pdfm")

    def resident():
        with open(f"/proc/{hub.wsd.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
    flood(100, 100000)  # what the sockets take, and what is made once
    before = resident()
    flood(300, 100000)
    grown = resident() - before
    hub.wait_sql("SELECT count(*) FROM client WHERE queue_depth > 200", 20)
    assert grown < 64 << 10 or procs.is_sanitized(), f"{grown} KiB more for 600 MB that 20 clients have not read"
    for raw in slow:
        raw.sock.close()
    fast.close()


def test_one_order_for_all_and_no_gap(make_hub):
    """Three ways in at once, and all clients see the same order: that of the
    numbers that the commits gave."""
    hub = make_hub(fcgi=True)
    who = hub.credential()
    readers = [subscribe(hub.wsd.listen, who, "pdfm") for _ in range(3)]
    with clients.Control(hub.control) as control:
        for i in range(30):
            hub.publish("pdfm", f"sql{i}")
            assert control.ask({"op": "publish", "event_type": "pdfm", "message": f"control{i}"})["ok"]
            assert post(hub, "events", who, {"event_type": "pdfm", "message": f"http{i}"}).status == 201
    rows = hub.sql("SELECT seq, message FROM event ORDER BY seq")
    for ws in readers:
        frames = [ws.expect("pdfm") for _ in rows]
        assert [(int(f["id"].split("-")[1]), f["message"]) for f in frames] == [(r["seq"], r["message"]) for r in rows]
        ws.nothing()
        ws.close()
