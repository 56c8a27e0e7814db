"""Publishing: by INSERT, by HTTP, by the control socket; what arrives, and what is refused."""

import json
import re
import statistics
import subprocess
import time

import pytest

import clients
import procs
from clients import subscribe
from hub import Hub, SqlError

EVENT_ID = re.compile(r"[0-9a-f]{1,16}-\d+")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")


@pytest.fixture
def own(direct):
    """A type of the test's own, and a client of it."""
    name = direct.hub.event_type(direct.hub.unique("pub"))

    def known():
        response = clients.refusal(direct.ws_address, direct.hub.credential(), f"{clients.API}/subscribe?event_types=zz")
        return name in response.json()["stack"][0]["description"]
    procs.wait_for(known, "the new type is not known")
    ws = direct.subscribe(direct.hub.credential(), name)
    ws.type = name
    ws.hub = direct.hub
    yield ws
    if not ws.ws.closed:
        ws.close()


# ---- INSERT

def test_insert_is_published(front):
    ws = front.subscribe(front.hub.credential(), "pdfm")
    seq = front.hub.publish("pdfm", "VM_STATE_CHANGED", '{"vm_id":"4711"}')
    text = ws.recv_text()
    frame = json.loads(text)
    assert list(frame) == ["id", "event_type", "timestamp", "message", "body"], text
    assert frame["id"] == front.hub.event_id(seq)
    assert frame["event_type"] == "pdfm"
    assert RFC3339.fullmatch(frame["timestamp"])
    assert frame["message"] == "VM_STATE_CHANGED"
    assert frame["body"] == {"vm_id": "4711"}
    ws.close()


def test_no_body_no_member(own):
    own.hub.publish(own.type, "bare")
    frame = own.expect(own.type, "bare")
    assert list(frame) == ["id", "event_type", "timestamp", "message"]


def test_timestamp_is_the_rows(own):
    own.hub.sql(f"INSERT INTO event(event_type, created_at) VALUES('{own.type}', '2026-11-23T20:42:11.123456Z')")
    assert own.recv()["timestamp"] == "2026-11-23T20:42:11.123456Z"


def test_global_reaches_everybody(make_hub):
    hub = make_hub()
    everybody = [subscribe(hub.wsd.listen, hub.credential(), t) for t in (None, "pdfm", "health,stats")]
    hub.publish("global", "hello")
    for ws in everybody:
        ws.expect("global", "hello")
        ws.close()


def test_types_that_were_not_asked_for(own):
    own.hub.publish("pdfm", "for others")
    own.hub.publish(own.type, "for us")
    own.expect(own.type, "for us")
    own.nothing()


def test_rollback_publishes_nothing(own):
    own.hub.sql(f"""BEGIN; INSERT INTO event(event_type, message) VALUES('{own.type}', 'never'); ROLLBACK;
        INSERT INTO event(event_type, message) VALUES('{own.type}', 'after')""")
    own.expect(own.type, "after")
    own.nothing()


def test_nothing_before_the_commit(own):
    with subprocess.Popen(["/usr/bin/sqlite3", "-batch", own.hub.database], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, bufsize=1) as shell:
        shell.stdin.write(f".timeout 10000\nBEGIN IMMEDIATE;\nINSERT INTO event(event_type, message)"
                          f" VALUES('{own.type}', 'held');\nSELECT 'inserted';\n")
        assert shell.stdout.readline() == "inserted\n"
        own.nothing()
        shell.stdin.write("COMMIT;\n")
        own.expect(own.type, "held")
        shell.stdin.close()
        assert shell.wait() == 0


def test_many_in_one_transaction(own):
    own.hub.sql(f"""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO event(event_type, message, body) SELECT '{own.type}', 'n', i FROM n""")
    frames = [own.recv() for _ in range(3000)]
    assert [f["body"] for f in frames] == list(range(1, 3001))
    assert len({f["id"] for f in frames}) == 3000
    own.nothing()


def test_order_of_many_writers(own):
    """Four writers at once: each one's events in its order, all in the order of seq."""
    script = "".join(f"INSERT INTO event(event_type, message, body) VALUES('{own.type}','w%d',{i});\n"
                     for i in range(100))
    shells = []
    for w in range(4):
        shell = subprocess.Popen(["/usr/bin/sqlite3", "-batch", "-bail", "-cmd", ".timeout 20000", own.hub.database],
                                 stdin=subprocess.PIPE, text=True)
        shell.stdin.write(script.replace("w%d", f"w{w}"))
        shell.stdin.close()
        shells.append(shell)
    frames = [own.recv() for _ in range(400)]
    assert [s.wait() for s in shells] == [0] * 4
    seqs = [int(f["id"].rsplit("-", 1)[1]) for f in frames]
    assert seqs == sorted(seqs)
    for w in range(4):
        assert [f["body"] for f in frames if f["message"] == f"w{w}"] == list(range(100))
    own.nothing()


def test_two_clients_see_the_same(own, direct):
    other = direct.subscribe(direct.hub.credential(), own.type)
    for i in range(10):
        own.hub.publish(own.type, str(i))
    assert [own.recv_text() for _ in range(10)] == [other.recv_text() for _ in range(10)]
    other.close()


def test_nested_transaction_and_savepoint(own):
    own.hub.sql(f"""BEGIN; INSERT INTO event(event_type, message) VALUES('{own.type}', 'a');
        SAVEPOINT s; INSERT INTO event(event_type, message) VALUES('{own.type}', 'never'); ROLLBACK TO s;
        INSERT INTO event(event_type, message) VALUES('{own.type}', 'b'); COMMIT""")
    own.expect(own.type, "a")
    own.expect(own.type, "b")
    own.nothing()


def test_events_while_nobody_listens_are_not_repeated(hub):
    hub.publish("pdfm", "before")
    ws = subscribe(hub.wsd.listen, hub.credential(), "pdfm")
    ws.nothing()
    hub.publish("pdfm", "after")
    ws.expect("pdfm", "after")
    ws.close()


# ---- to whom

def test_addressed_to_a_client(own, direct):
    who = direct.hub.credential()
    target, same_user = (direct.subscribe(who, own.type) for _ in range(2))
    direct.hub.publish(own.type, "you", "1", client_id=target.client_id)
    frame = target.expect(own.type, "you")
    assert list(frame) == ["id", "event_type", "timestamp", "message", "body", "client_id"]
    assert frame["client_id"] == target.client_id
    same_user.nothing()
    own.nothing()
    for ws in (target, same_user):
        ws.close()


def test_addressed_to_a_client_in_capitals_is_refused(own):
    with pytest.raises(SqlError, match="event.client_id"):
        own.hub.publish(own.type, client_id=own.client_id.upper())


def test_addressed_to_nobody(own):
    own.hub.publish(own.type, "lost", client_id="00000000-0000-4000-8000-000000000000")
    own.hub.publish(own.type, "lost too", user_id="no such user")
    own.nothing()


def test_addressed_to_a_user(own, direct):
    who = direct.hub.credential()
    first, second = (direct.subscribe(who, own.type) for _ in range(2))
    direct.hub.publish(own.type, "both of you", user_id=who.user)
    for ws in (first, second):
        frame = ws.expect(own.type, "both of you")
        assert "user_id" not in frame
    own.nothing()
    for ws in (first, second):
        ws.close()


def test_address_needs_the_subscription(own, direct):
    """An event of a type that its addressee did not subscribe to is not sent."""
    who = direct.hub.credential()
    target = direct.subscribe(who, "health")
    direct.hub.publish(own.type, "you", client_id=target.client_id)
    direct.hub.publish(own.type, "you", user_id=who.user)
    target.nothing()
    target.close()


# ---- bodies as they were stored

@pytest.mark.parametrize("body", [
    "1.10", "1e400", "-0", "12345678901234567890123456789", "0.1000000000000000055511151231257827",
    "null", "true", '"text"', "[]", "{}", '{"b":1,"a":2}', '{"a": [1, 2,  3] }', '"\\u00e9\\u2603"', '"é☃😀"',
    '"\\ud83d\\ude00"', '"\\/"', '{"a":{"a":{"a":[[[]]]}}}', '{"z":1.0,"y":1.00,"x":1e2}', ' 7 ',
])
def test_body_is_sent_as_stored(own, body):
    own.hub.publish(own.type, "m", body)
    text = own.recv_text()
    assert re.search(r'"body":(.*)\}$', text, re.S).group(1).strip() == body.strip(), text


def test_line_ends_in_a_body(own):
    own.hub.publish(own.type, "m", '{\n\t"a":\r\n1}')
    assert json.loads(own.recv_text())["body"] == {"a": 1}


@pytest.mark.parametrize("message", ["", "é☃😀", "quote \" back \\ slash /", "line\nend\ttab\x01\x1f\x7f", "\u2028\u2029",
                                     "'; DROP TABLE event; --", "%s%n", "x" * 5000])
def test_message_is_escaped(own, message):
    own.hub.publish(own.type, message)
    assert own.recv()["message"] == message


def test_invalid_utf8_becomes_a_replacement(own):
    own.hub.sql(f"INSERT INTO event(event_type, message) VALUES('{own.type}', CAST(x'61ff62' AS TEXT))")
    own.hub.sql(f"INSERT INTO event(event_type, body) VALUES('{own.type}', CAST(x'22c32822' AS TEXT))")
    assert own.recv()["message"] == "a\ufffdb"
    assert own.recv()["body"] == "\ufffd("


def test_message_with_a_nul(own):
    with pytest.raises(SqlError, match="event.message"):
        own.hub.sql(f"INSERT INTO event(event_type, message) VALUES('{own.type}', CAST(x'610062' AS TEXT))")
    own.hub.publish(own.type, "next")
    own.expect(own.type, "next")


def test_largest_event(own):
    body = '"' + "x" * (256 * 1024 - 3) + '"'
    own.hub.publish(own.type, "m", body)
    assert own.recv()["body"] == body[1:-1]
    with pytest.raises(SqlError, match="event.body"):
        own.hub.publish(own.type, "mm", body)
    own.nothing()


# ---- rows that are refused, by whoever writes them

BAD_ROWS = [
    ("event(event_type) VALUES('nosuch')", "event.event_type"),
    ("event(event_type) VALUES(NULL)", "event.event_type"),
    ("event(event_type) VALUES('PDFM')", "event.event_type"),
    ("event(event_type, message) VALUES('pdfm', NULL)", "event.message"),
    ("event(event_type, body) VALUES('pdfm', 'not json')", "event.body"),
    ("event(event_type, body) VALUES('pdfm', '')", "event.body"),
    ("event(event_type, body) VALUES('pdfm', '{\"a\":1} x')", "event.body"),
    ("event(event_type, body) VALUES('pdfm', CAST(x'3100' AS TEXT))", "event.body"),
    ("event(event_type, body) VALUES('pdfm', x'7b7d')", "event.body"),
    ("event(event_type, client_id) VALUES('pdfm', 'x')", "event.client_id"),
    ("event(event_type, client_id) VALUES('pdfm', '')", "event.client_id"),
    ("event(event_type, user_id) VALUES('pdfm', '')", "event.user_id"),
    ("event(event_type, user_id) VALUES('pdfm', printf('%.256c', 'x'))", "event.user_id"),
    ("event(event_type, client_id, user_id) VALUES('pdfm', '00000000-0000-4000-8000-000000000000', 'u')",
     "event: client_id or user_id"),
    ("event(event_type, dedup_id) VALUES('pdfm', '')", "event.dedup_id"),
    ("event(event_type, dedup_id) VALUES('pdfm', printf('%.256c', 'x'))", "event.dedup_id"),
    ("event(event_type, created_at) VALUES('pdfm', 'yesterday')", "event.created_at"),
    ("event(event_type, created_at) VALUES('pdfm', '2026-11-23 20:42:11')", "event.created_at"),
    ("event(event_type, created_at) VALUES('pdfm', '2026-13-23T20:42:11.1Z')", "event.created_at"),
    ("event(event_type, created_at) VALUES('pdfm', '2026-11-23T20:42:11.1\"Z')", "event.created_at"),
    ("event(seq, event_type) VALUES(0, 'pdfm')", "event.seq"),
    ("event(seq, event_type) VALUES(-1, 'pdfm')", "event.seq"),
    ("event(seq, event_type) VALUES(9007199254740992, 'pdfm')", "event.seq"),
    ("event(seq, event_type) VALUES(1, 'pdfm')", "event.seq"),
    ("event_type(name) VALUES('')", "event_type.name"),
    ("event_type(name) VALUES(NULL)", "event_type.name"),
    ("event_type(name) VALUES('Capital')", "event_type.name"),
    ("event_type(name) VALUES('a b')", "event_type.name"),
    ("event_type(name) VALUES('_a')", "event_type.name"),
    ("event_type(name) VALUES('a,b')", "event_type.name"),
    ("event_type(name) VALUES(printf('%.65c', 'x'))", "event_type.name"),
    ("event_type(name) VALUES('pdfm')", "event_type.name"),
    ("event_type(name, mandatory) VALUES('bad', 2)", "event_type.mandatory"),
    ("event_type(name, persistent) VALUES('bad', 'yes')", "event_type.persistent"),
    ("event_type(name, retain_seconds) VALUES('bad', -1)", "event_type.retain_seconds"),
    ("event_type(name, retain_count) VALUES('bad', -1)", "event_type.retain_count"),
    ("credential(user_id, kind, hash) VALUES('', 'key', printf('%.64c', 'a'))", "credential.user_id"),
    ("credential(user_id, kind, hash) VALUES(CAST(x'610062' AS TEXT), 'key', printf('%.64c', 'a'))",
     "credential.user_id"),
    ("credential(user_id, kind, hash) VALUES('u', 'password', printf('%.64c', 'a'))", "credential.kind"),
    ("credential(user_id, kind, hash) VALUES('u', 'key', 'the secret itself')", "credential.hash"),
    ("credential(user_id, kind, hash) VALUES('u', 'key', printf('%.64c', 'A'))", "credential.hash"),
    ("credential(user_id, kind, hash) VALUES('u', 'key', NULL)", "credential.hash"),
    ("credential(user_id, kind, hash, scopes) VALUES('u', 'key', printf('%.64c', 'a'), 'root')",
     "credential.scopes"),
    ("credential(user_id, kind, hash, scopes) VALUES('u', 'key', printf('%.64c', 'a'), 'subscribe,publish')",
     "credential.scopes"),
    ("credential(user_id, kind, hash, event_types) VALUES('u', 'key', printf('%.64c', 'a'), 'A,B')",
     "credential.event_types"),
    ("credential(user_id, kind, hash, expires_at) VALUES('u', 'key', printf('%.64c', 'a'), 'soon')",
     "credential.expires_at"),
    ("client(id, user_id, daemon, connected_at) VALUES('00000000-0000-4000-8000-000000000000', 'u', 'wsd', 'x')",
     "client"),
    ("subscription(client_id, event_type) VALUES('00000000-0000-4000-8000-000000000000', 'pdfm')",
     "subscription.client_id"),
]


@pytest.fixture(scope="module")
def rows_hub():
    hub = Hub(max_messages_per_second=1000)  # the watcher asks after each statement
    try:
        hub.start_wsd()
        hub.publish("pdfm", "first")
        hub.publish("pdfm", "second")
        hub.watcher = subscribe(hub.wsd.listen, hub.credential(), "pdfm,health")
        yield hub
    except BaseException:
        hub.abandon()
        raise
    hub.watcher.close()
    hub.stop()


@pytest.mark.parametrize("row, field", BAD_ROWS, ids=[r[0][:60] for r in BAD_ROWS])
def test_bad_row_is_refused(rows_hub, row, field):
    with pytest.raises(SqlError) as refused:
        rows_hub.sql("INSERT INTO " + row)
    assert field in str(refused.value), refused.value
    rows_hub.watcher.nothing()


@pytest.mark.parametrize("statement, field", [
    ("UPDATE event SET message = 'other'", "event"),
    ("UPDATE event SET seq = seq + 1000", "event"),
    ("UPDATE client SET user_id = 'mallory'", "client"),
    ("UPDATE subscription SET event_type = 'stats'", "subscription"),
    ("UPDATE event_type SET name = 'renamed' WHERE name = 'pdfm'", "event_type.name"),
    ("DELETE FROM event_type WHERE name = 'global'", "event_type.mandatory"),
    ("DELETE FROM event_type WHERE name = 'pdfm'", "event_type.name"),
    ("DELETE FROM subscription WHERE event_type = 'global'", "subscription.event_type"),
    ("INSERT INTO subscription(client_id, event_type) SELECT id, 'nosuch' FROM client", "subscription.event_type"),
    ("INSERT INTO subscription(client_id, event_type) SELECT id, 'pdfm' FROM client", "subscription"),
])
def test_bad_change_is_refused(rows_hub, statement, field):
    with pytest.raises(SqlError) as refused:
        rows_hub.sql(statement)
    assert field in str(refused.value), refused.value
    rows_hub.watcher.nothing()


def test_one_bad_row_takes_the_transaction_back(rows_hub):
    with pytest.raises(SqlError):
        rows_hub.sql("BEGIN; INSERT INTO event(event_type, message) VALUES('pdfm', 'good');"
                     "INSERT INTO event(event_type, body) VALUES('pdfm', 'bad'); COMMIT")
    rows_hub.watcher.nothing()


def test_dedup_id_twice(rows_hub):
    rows_hub.sql("INSERT INTO event(event_type, message, dedup_id) VALUES('health', 'once', 'd1')")
    with pytest.raises(SqlError, match="event.dedup_id"):
        rows_hub.sql("INSERT INTO event(event_type, message, dedup_id) VALUES('health', 'twice', 'd1')")
    rows_hub.sql("INSERT INTO event(event_type, message, dedup_id) VALUES('health', 'twice', 'd1')"
                 " ON CONFLICT DO NOTHING")
    rows_hub.watcher.expect("health", "once")
    rows_hub.watcher.nothing()


# ---- new types, and types that are not kept

def test_new_type_at_once(hub, figure):
    who = hub.credential()
    hub.sql("INSERT INTO event_type(name, description) VALUES('billing', 'invoices')")

    def connect():
        try:
            return subscribe(hub.wsd.listen, who, "billing")
        except clients.Refused:
            return None
    begin = time.monotonic()
    ws = procs.wait_for(connect, "the new type is unknown", 1)
    figure(f"new event type usable after {(time.monotonic() - begin) * 1000:.1f} ms")
    hub.publish("billing", "invoice", "1.10")
    ws.expect("billing", "invoice")
    ws.close()


def test_new_type_and_its_event_in_one_transaction(hub):
    """A client of global sees an event that follows, so nothing was held up."""
    ws = subscribe(hub.wsd.listen, hub.credential())
    hub.sql("BEGIN; INSERT INTO event_type(name, mandatory) VALUES('motd', 0);"
            "INSERT INTO event(event_type, message) VALUES('motd', 'x');"
            "INSERT INTO event(event_type, message) VALUES('global', 'y'); COMMIT")
    ws.expect("global", "y")
    ws.close()


@pytest.fixture
def ephemeral(make_hub):
    hub = make_hub(fcgi=True)
    hub.event_type("cursor", persistent=0)

    def connect():
        try:
            return subscribe(hub.wsd.listen, hub.credential(), "cursor")
        except clients.Refused:
            return None
    hub.ws = procs.wait_for(connect, "the new type is unknown")
    yield hub
    hub.ws.close()


def test_ephemeral_by_insert_is_refused(ephemeral):
    with pytest.raises(SqlError, match="event.event_type"):
        ephemeral.publish("cursor", "x")
    ephemeral.ws.nothing()


def test_ephemeral_by_the_control_socket(ephemeral):
    with clients.Control(ephemeral.control) as control:
        answer = control.ask({"op": "publish", "event_type": "cursor", "message": "moved", "body": {"x": 1.10}})
    assert answer["ok"] is True, answer
    frame = ephemeral.ws.expect("cursor", "moved")
    assert frame["body"] == {"x": 1.1}
    assert ephemeral.value("SELECT count(*) FROM event") == 0


def test_ephemeral_by_http(ephemeral):
    who = ephemeral.credential()
    response = clients.fcgi_request(
        ephemeral.fcgi_socket, "POST", clients.API + "/events",
        {"Content-Type": "application/json", **who.headers},
        json.dumps({"event_type": "cursor", "message": "moved", "client_id": ephemeral.ws.client_id}))
    assert response.status == 201, response
    frame = ephemeral.ws.expect("cursor", "moved")
    assert frame["client_id"] == ephemeral.ws.client_id
    assert ephemeral.value("SELECT count(*) FROM event") == 0


def test_ephemeral_and_kept_keep_their_order(ephemeral):
    """One asker, one order, though only one of the two kinds waits for a commit."""
    with clients.Control(ephemeral.control) as control:
        ws = subscribe(ephemeral.wsd.listen, ephemeral.credential(), "cursor,pdfm")
        for i in range(50):
            control.send({"op": "publish", "event_type": "cursor" if i % 2 else "pdfm", "message": str(i)})
        for _ in range(50):
            assert control.recv()["ok"] is True
        seen = [int(ws.recv()["message"]) for _ in range(50)]
        assert seen == list(range(50))
        ws.close()


# ---- keeping

def test_retention_by_count(make_hub):
    hub = make_hub(retain_interval="200ms")
    hub.event_type("short", retain_count=5)
    for _ in range(20):
        hub.publish("short")
    hub.wait_sql("SELECT count(*) FROM event WHERE event_type = 'short'", 5)
    assert hub.value("SELECT min(seq) FROM event WHERE event_type = 'short'") == 16


def test_retention_by_age(make_hub):
    hub = make_hub(retain_interval="200ms")
    hub.event_type("short", retain_seconds=60)
    hub.sql("INSERT INTO event(event_type, created_at) VALUES('short', '2020-01-01T00:00:00.0Z')")
    hub.publish("short", "fresh")
    hub.wait_sql("SELECT count(*) FROM event WHERE event_type = 'short'", 1)
    assert hub.value("SELECT message FROM event WHERE event_type = 'short'") == "fresh"


# ---- how fast (printed; the bound is only there for what is broken)

def test_latency_of_a_plain_insert(hub, figure):
    ws = subscribe(hub.wsd.listen, hub.credential(), "pdfm")
    times = []
    with subprocess.Popen(["/usr/bin/sqlite3", "-batch", hub.database], stdin=subprocess.PIPE, text=True,
                          bufsize=1) as shell:
        for i in range(200):
            begin = time.perf_counter()
            shell.stdin.write(f"INSERT INTO event(event_type, message, body) VALUES('pdfm', 'm', {i});\n")
            assert ws.recv()["body"] == i
            times.append((time.perf_counter() - begin) * 1000)
        shell.stdin.close()
    figure(f"INSERT to client: median {statistics.median(times):.2f} ms, p99 {sorted(times)[-3]:.2f} ms,"
           f" worst {max(times):.2f} ms of {len(times)}")
    assert statistics.median(times) < 250
    ws.close()


