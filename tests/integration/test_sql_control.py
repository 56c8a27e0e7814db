"""SQL is the control plane: each statement of the contract's table, with the
sqlite3 shell, and live connections that follow."""

import hashlib
import json
import os
import signal
import sqlite3
import struct
import time

import pytest

import clients
import procs
import rawws
from clients import API, subscribe
from hub import Credential, SqlError

LIVE = 1.0  # the contract says 50 ms; what is measured is printed


@pytest.fixture
def timed(figure):
    def run(what, action):
        begin = time.perf_counter()
        result = action()
        figure(f"{what} to client: {(time.perf_counter() - begin) * 1000:.1f} ms after the shell has ended")
        return result
    return run


@pytest.fixture
def ws(direct):
    who = direct.hub.credential()
    ws = direct.subscribe(who, "pdfm,health")
    ws.who, ws.hub = who, direct.hub
    yield ws
    if not ws.ws.closed:
        ws.close()


def test_delete_subscription(ws, timed):
    ws.hub.sql(f"DELETE FROM subscription WHERE client_id = '{ws.client_id}' AND event_type = 'pdfm'")
    frame = timed("DELETE FROM subscription", lambda: ws.expect("system", "unsubscribed", LIVE))
    assert frame["body"] == {"event_types": ["pdfm"], "subscriptions": frame["body"]["subscriptions"]}
    assert sorted(frame["body"]["subscriptions"]) == ["global", "health"]
    assert frame["client_id"] == ws.client_id
    ws.hub.publish("pdfm", "no", client_id=ws.client_id)
    ws.hub.publish("health", "yes", client_id=ws.client_id)
    ws.expect("health", "yes")
    ws.nothing()


def test_insert_subscription(ws, timed):
    ws.hub.sql(f"INSERT INTO subscription(client_id, event_type) VALUES('{ws.client_id}', 'stats')")
    frame = timed("INSERT INTO subscription", lambda: ws.expect("system", "subscribed", LIVE))
    assert frame["body"]["event_types"] == ["stats"]
    assert sorted(frame["body"]["subscriptions"]) == ["global", "health", "pdfm", "stats"]
    assert frame["client_id"] == ws.client_id
    ws.hub.publish("stats", "yes", client_id=ws.client_id)
    ws.expect("stats", "yes")


def test_rolled_back_changes_do_nothing(ws):
    ws.hub.sql(f"BEGIN; DELETE FROM subscription WHERE client_id = '{ws.client_id}' AND event_type = 'pdfm';"
               f"DELETE FROM client WHERE id = '{ws.client_id}'; ROLLBACK")
    ws.hub.publish("pdfm", "yes", client_id=ws.client_id)
    ws.expect("pdfm", "yes")
    ws.nothing()


def test_change_and_events_in_one_transaction(ws):
    """What was inserted before the DELETE is sent before the frame, nothing after it."""
    insert = f"INSERT INTO event(event_type, message, client_id) VALUES('pdfm', '%s', '{ws.client_id}');"
    ws.hub.sql("BEGIN;" + insert % "before" +
               f"DELETE FROM subscription WHERE client_id = '{ws.client_id}' AND event_type = 'pdfm';" +
               insert % "after" + "COMMIT")
    first = ws.recv()
    if first["message"] == "before":
        ws.expect("system", "unsubscribed")
    else:
        assert first["message"] == "unsubscribed", first
    ws.nothing()


def test_subscribe_and_events_in_one_transaction(ws):
    insert = f"INSERT INTO event(event_type, message, client_id) VALUES('stats', '%s', '{ws.client_id}');"
    ws.hub.sql("BEGIN;" + insert % "before" +
               f"INSERT INTO subscription(client_id, event_type) VALUES('{ws.client_id}', 'stats');" +
               insert % "after" + "COMMIT")
    ws.expect("system", "subscribed")
    ws.expect("stats", "after")
    ws.nothing()


def test_unsubscribe_everybody_from_a_type(make_hub):
    hub = make_hub()
    hub.event_type("old")
    connections = []

    def connect():
        try:
            connections.append(subscribe(hub.wsd.listen, hub.credential(), "old,pdfm"))
        except clients.Refused:
            pass
        return len(connections) == 10
    procs.wait_for(connect, "the new type is unknown")
    hub.sql("DELETE FROM subscription WHERE event_type = 'old'; DELETE FROM event_type WHERE name = 'old'")
    for ws in connections:
        assert ws.expect("system", "unsubscribed")["body"]["event_types"] == ["old"]
        ws.close()
    body = clients.check_error(
        clients.refusal(hub.wsd.listen, hub.credential(), clients.API + "/subscribe?event_types=old"), 400)
    assert "old" in body["stack"][0]["description"]


def test_hundreds_of_types_by_one_statement(make_hub):
    """Each is told of once, in few frames, and what is published meets what was told."""
    hub = make_hub()
    hub.sql("""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
        INSERT INTO event_type(name) SELECT 'many.' || i FROM n""")
    names = {f"many.{i}" for i in range(1, 601)}
    ws = subscribe(hub.wsd.listen, hub.credential(), "pdfm")
    for verb, statement, have in (
            ("subscribed", f"""INSERT INTO subscription(client_id, event_type)
                SELECT '{ws.client_id}', name FROM event_type WHERE name GLOB 'many.*'""", names | {"global", "pdfm"}),
            ("unsubscribed", f"DELETE FROM subscription WHERE client_id = '{ws.client_id}' AND event_type GLOB 'many.*'",
             {"global", "pdfm"})):
        hub.sql(statement + "; INSERT INTO event(event_type, message) VALUES('many.300', 'x'), ('pdfm', 'after')")
        told = []
        for _ in range(3):
            frame = ws.expect("system", verb)
            told += frame["body"]["event_types"]
        assert sorted(told) == sorted(names) and set(frame["body"]["subscriptions"]) == have
        if verb == "subscribed":
            ws.expect("many.300", "x")
        ws.expect("pdfm", "after")
    ws.close()


def test_global_cannot_be_deleted(ws):
    with pytest.raises(SqlError, match="subscription.event_type"):
        ws.hub.sql(f"DELETE FROM subscription WHERE client_id = '{ws.client_id}' AND event_type = 'global'")
    with pytest.raises(SqlError, match="subscription.event_type"):
        ws.hub.sql(f"DELETE FROM subscription WHERE client_id = '{ws.client_id}'")
    with pytest.raises(SqlError, match="event_type.mandatory"):
        ws.hub.sql("DELETE FROM event_type WHERE name = 'global'")
    ws.nothing()


def test_delete_client(ws, direct, timed):
    other = direct.subscribe(direct.hub.credential())
    ws.hub.sql(f"DELETE FROM client WHERE user_id = '{ws.who.user}'")
    code, reason = timed("DELETE FROM client", lambda: ws.closed(LIVE + 4))
    assert (code, reason) == (1008, "disconnected by the operator")
    assert ws.hub.value(f"SELECT count(*) FROM subscription WHERE client_id = '{ws.client_id}'") == 0
    other.nothing()
    other.close()
    # the credential still works
    direct.subscribe(ws.who).close()


def test_delete_one_of_two_clients(ws, direct):
    second = direct.subscribe(ws.who)
    ws.hub.sql(f"DELETE FROM client WHERE id = '{ws.client_id}'")
    assert ws.closed() == (1008, "disconnected by the operator")
    second.nothing()
    second.close()


def test_delete_all_clients(make_hub):
    hub = make_hub()
    connections = [subscribe(hub.wsd.listen, hub.credential()) for _ in range(20)]
    hub.sql("DELETE FROM client")
    for ws in connections:
        assert ws.closed() == (1008, "disconnected by the operator")
    assert hub.value("SELECT count(*) FROM client") == 0


def test_revoke_credential(ws, direct, timed):
    ws.hub.sql(f"UPDATE credential SET revoked_at = datetime('now') WHERE user_id = '{ws.who.user}'")
    code, reason = timed("UPDATE credential SET revoked_at", lambda: ws.closed(LIVE + 4))
    assert code == 1008 and reason
    clients.check_error(direct.refusal(ws.who), 401)
    clients.check_error(direct.get("clients", ws.who), 401)


def test_delete_credential(ws, direct):
    ws.hub.sql(f"DELETE FROM credential WHERE user_id = '{ws.who.user}'")
    assert ws.closed()[0] == 1008
    clients.check_error(direct.refusal(ws.who), 401)


@pytest.mark.parametrize("kind", ["key", "token"])
def test_replaced_credential(ws, direct, kind):
    """As if it had been deleted and inserted: nobody stays by the row that is gone."""
    hub, who = ws.hub, ws.who
    hub.sql(f"""INSERT OR REPLACE INTO credential(user_id, kind, hash)
        VALUES('{who.user}', '{kind}', lower(hex(sha3('{who.secret}', 256))))""")
    assert ws.closed()[0] == 1008
    again = direct.subscribe(Credential(who.user, kind, who.secret))
    hub.sql(f"UPDATE credential SET revoked_at = datetime('now') WHERE user_id = '{who.user}'")
    assert again.closed()[0] == 1008


def test_credential_that_is_there_already(ws):
    """A script that may run twice changes nothing the second time."""
    hub, who = ws.hub, ws.who
    hub.sql(f"""INSERT INTO credential(user_id, kind, hash)
        VALUES('{who.user}', 'key', lower(hex(sha3('{who.secret}', 256)))) ON CONFLICT DO NOTHING""")
    ws.nothing()
    hub.sql(f"INSERT INTO subscription(client_id, event_type) VALUES('{ws.client_id}', 'stats')")
    ws.expect("system", "subscribed")


@pytest.mark.parametrize("column", ["id", "rowid", "hash"])
def test_what_a_connection_is_known_by_stays(ws, column):
    other = ws.hub.credential()
    with pytest.raises(SqlError, match="credential.(id: cannot be changed|hash: another credential has it)"):
        ws.hub.sql(f"""UPDATE OR REPLACE credential
            SET {column} = (SELECT {column} FROM credential WHERE user_id = '{other.user}') WHERE user_id = '{ws.who.user}'""")
    ws.nothing()
    ws.hub.sql(f"UPDATE credential SET revoked_at = datetime('now') WHERE user_id = '{ws.who.user}'")
    assert ws.closed()[0] == 1008


def test_revoke_one_of_two_credentials(direct):
    user = direct.hub.unique("user")
    first, second = direct.hub.credential(user), direct.hub.credential(user)
    gone, stays = direct.subscribe(first), direct.subscribe(second)
    direct.hub.sql("UPDATE credential SET revoked_at = datetime('now')"
                   f" WHERE hash = lower(hex(sha3('{first.secret}', 256)))")
    assert gone.closed()[0] == 1008
    stays.nothing()
    stays.close()


def test_expired_credential(make_hub):
    """A credential that runs out while it is in use."""
    hub = make_hub(ping_interval="200ms", pong_timeout="2s")
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who)
    hub.sql(f"UPDATE credential SET expires_at = datetime('now', '-1 second') WHERE user_id = '{who.user}'")
    assert ws.closed()[0] == 1008


@pytest.fixture
def halting(make_hub):
    """A hub whose daemon is stopped as it is about to answer its first
    handshake: in the middle of a turn of its loop."""
    hub = make_hub(wsd=False)
    hub.trace = os.path.join(hub.directory, "trace.txt")
    leaks = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # it is traced already
    with procs.preloaded({"ASAN_OPTIONS": leaks}):
        hub.start_wsd(prefix=["strace", "-D", "-qq", "-o", hub.trace, "-e", "trace=sendto",
                              "-e", "inject=sendto:signal=STOP:when=1"])
    return hub


def wait_stopped(hub, times):
    def stopped():
        with open(hub.trace) as f:
            return f.read().count("--- stopped by SIGSTOP ---") >= times
    procs.wait_for(stopped, "it does not stop")


def outcome(peer, patient):
    """401, or what closes the connection; of who is not patient, None once it
    is welcome."""
    status = int(peer.stream.readline().split()[1])
    if status != 101:
        return status
    while peer.stream.readline().strip():
        pass
    while True:
        op, data = peer.read()
        if op == rawws.CLOSE:
            return struct.unpack("!H", data[:2])[0]
        assert json.loads(data)["message"].startswith("WebSocket connection established")
        if not patient:
            return None


def test_credentials_that_change_within_a_turn(halting):
    """The handshakes of a turn share one reading of the credentials.  Still a new
    credential works at once, and nobody stays by one that is revoked."""
    hub = halting
    old, new = hub.credential(), Credential("carol", "key", "carols-key-0123456789")
    db = sqlite3.connect(hub.database, timeout=procs.PATIENCE, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")  # from here on its writer has to wait, and is stopped in no transaction
    db.execute("UPDATE credential SET revoked_at = datetime('now') WHERE user_id = ?", [old.user])
    db.execute("INSERT INTO credential(user_id, kind, hash) VALUES(?, ?, ?)",
               [new.user, new.kind, hashlib.sha3_256(new.secret.encode()).hexdigest()])
    hub.wsd.process.send_signal(signal.SIGSTOP)
    wait_stopped(hub, 1)
    # whichever end is served first, it is in one turn
    peers = [(who, rawws.Peer(hub, who, welcome=False)) for who in (new, old, old, old, new)]
    hub.wsd.process.send_signal(signal.SIGCONT)
    wait_stopped(hub, 2)
    db.execute("COMMIT")
    db.close()
    hub.wsd.process.send_signal(signal.SIGCONT)
    came = [outcome(peer, patient=False) for who, peer in peers if who is new]
    assert None in came and set(came) <= {None, 401}  # 401: shown before it was committed
    assert {outcome(peer, patient=True) for who, peer in peers if who is old} <= {401, 1008}
    for _, peer in peers:
        peer.close()
    clients.check_error(clients.refusal(hub.wsd.listen, old), 401)
    # and no reading outlasts its turn
    assert hub.sql("PRAGMA wal_checkpoint(TRUNCATE)") == [{"busy": 0, "log": 0, "checkpointed": 0}]


def test_narrowed_credential(ws, direct):
    """Taking a type from a credential takes it from its connections: they are
    unsubscribed from it or closed."""
    ws.hub.sql(f"UPDATE credential SET event_types = 'health' WHERE user_id = '{ws.who.user}'")

    def settled():
        rows = ws.hub.sql(f"SELECT event_type FROM subscription WHERE client_id = '{ws.client_id}'")
        return "pdfm" not in [r["event_type"] for r in rows]
    procs.wait_for(settled, "still subscribed to a type that the credential no longer allows")
    clients.check_error(direct.refusal(ws.who, clients.API + "/subscribe?event_types=pdfm"), 403)


def test_new_credential_at_once(direct):
    key = "alice-has-one-key"
    clients.check_error(direct.refusal(headers={"X-Api-Key": key}), 401)
    direct.hub.sql("INSERT INTO credential(user_id, kind, hash, scopes)"
                   f" VALUES('alice','key', lower(hex(sha3('{key}',256))), 'subscribe publish')")
    direct.subscribe(headers={"X-Api-Key": key}).close()
    assert direct.post("events", {"event_type": "auth"}, None, {"X-Api-Key": key}).status == 201


def test_default_scope_is_subscribe(direct):
    direct.hub.sql("INSERT INTO credential(user_id, kind, hash)"
                   " VALUES('bob','key', lower(hex(sha3('the-secret-of-bob',256))))")
    assert direct.hub.value("SELECT scopes FROM credential WHERE user_id = 'bob'") == "subscribe"
    direct.subscribe(headers={"X-Api-Key": "the-secret-of-bob"}).close()
    clients.check_error(direct.post("events", {"event_type": "pdfm"}, None, {"X-Api-Key": "the-secret-of-bob"}), 403)


def test_views_show_the_live_state(make_hub):
    hub = make_hub(ping_interval="200ms", pong_timeout="2s")
    assert hub.value("SELECT total_clients FROM v_stats") == 0
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm,health")
    hub.publish("pdfm", "x")
    ws.expect("pdfm", "x")
    row = hub.sql("SELECT * FROM v_clients")[0]
    assert row["id"] == ws.client_id and row["user_id"] == who.user and row["is_alive"] == 1
    assert row["event_subscriptions"] == "global,health,pdfm"
    assert row["queue_depth"] == 0
    hub.wait_sql("SELECT last_pong_at IS NOT NULL FROM v_clients", 1, 5)
    stats = hub.sql("SELECT * FROM v_stats")[0]
    assert stats["total_clients"] == 1 and stats["total_subscriptions"] == 3
    assert json.loads(stats["type_stats"]) == {"global": 1, "health": 1, "pdfm": 1}
    hub.wait_sql("SELECT messages_sent >= 2 FROM v_stats", 1, 3)
    assert stats["uptime"] >= 0
    ws.cut()
    hub.wait_sql("SELECT count(*) FROM v_clients", 0, 3)


def test_last_used_at(ws):
    ws.hub.wait_sql(f"SELECT last_used_at IS NOT NULL FROM credential WHERE user_id = '{ws.who.user}'", 1)


def test_new_type_by_sql_reaches_http(direct):
    name = direct.hub.event_type(direct.hub.unique("byhttp"))
    assert direct.post("events", {"event_type": name}, direct.hub.credential()).status == 201


def test_type_that_becomes_mandatory(make_hub):
    """New clients get it whether they ask for it or not."""
    hub = make_hub()
    hub.event_type("notice", mandatory=1)

    def has_it():
        ws = subscribe(hub.wsd.listen, hub.credential())
        subscriptions = ws.subscriptions
        ws.close()
        return sorted(subscriptions) == ["global", "notice"]
    procs.wait_for(has_it, "a mandatory type is not given")


def test_changes_while_the_daemon_is_away(make_hub):
    """What was changed meanwhile holds when it is back."""
    hub = make_hub()
    who, other = hub.credential(), hub.credential()
    hub.wsd.stop()
    hub.sql(f"UPDATE credential SET revoked_at = datetime('now') WHERE user_id = '{who.user}';"
            "INSERT INTO event_type(name) VALUES('later')")
    hub.start_wsd()
    clients.check_error(clients.refusal(hub.wsd.listen, who), 401)
    subscribe(hub.wsd.listen, other, "later").close()


def test_row_of_the_daemon(make_hub):
    """It stays while its clients are there, and comes again if it was deleted."""
    hub = make_hub(fcgi=True)
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who)
    with pytest.raises(SqlError, match="daemon.name: its clients are there; delete them first"):
        hub.sql("DELETE FROM daemon")
    with pytest.raises(SqlError, match="daemon: rows are written by evhub-wsd alone"):
        hub.sql("UPDATE daemon SET control_socket = '/nowhere'")
    before = hub.sql("SELECT name, pid, control_socket FROM daemon")
    hub.sql("DELETE FROM client; DELETE FROM daemon")
    assert ws.closed()[0] == 1008
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    response = clients.fcgi_request(hub.fcgi_socket, "GET", API + "/clients", who.headers)
    assert [c["id"] for c in response.json()] == [ws.client_id]
    hub.wait_sql("SELECT count(*) FROM daemon", 1)
    assert hub.sql("SELECT name, pid, control_socket FROM daemon") == before
    response = clients.fcgi_request(hub.fcgi_socket, "POST", API + "/unsubscribe",
                                    dict(who.headers, **{"Content-Type": "application/json"}),
                                    json.dumps({"client_id": ws.client_id, "event_types": ["pdfm"]}).encode())
    assert response.status == 200, response


def test_changes_go_soon_when_everybody_has_applied_them(make_hub):
    """By the thousand at once; but not those that another daemon may still need."""
    hub = make_hub(retain_interval="100ms")
    many = "INSERT INTO change(kind, client_id, event_type, after_event, created_at)" \
        " SELECT 'subscribe', 'x', 'pdfm', 0, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 minutes') FROM n"
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) "
    hub.sql(numbers + many)
    hub.wait_sql("SELECT count(*) FROM change", 0)
    hub.sql(""".once /dev/null
.dbconfig enable_trigger off
        INSERT INTO daemon(name, pid, control_socket, started_at, seen_at) VALUES('slow', 1, '/nowhere', '', '')""")
    hub.sql("""INSERT INTO change(kind, client_id, after_event, created_at)
        VALUES('disconnect', 'x', 0, '2026-01-01T00:00:00.000Z'); """ + numbers + many)
    hub.wait_sql("SELECT count(*) FROM change WHERE kind = 'disconnect'", 0)  # older than anybody is waited for
    assert hub.value("SELECT count(*) FROM change WHERE kind = 'subscribe'") == 60000
    hub.sql("DELETE FROM daemon WHERE name = 'slow'")
    hub.wait_sql("SELECT count(*) FROM change", 0)


def test_the_table_of_changes_does_not_grow(make_hub):
    hub = make_hub(retain_interval="200ms")
    for i in range(20):
        hub.event_type(f"t{i}")
    hub.sql("UPDATE change SET created_at = '2020-01-01T00:00:00.000Z'")
    procs.wait_for(lambda: hub.value("SELECT count(*) FROM change") < 20, "changes are kept for ever")


def test_vacuum_and_checkpoint(ws):
    """Maintenance by an operator does not disturb anybody."""
    ws.hub.sql("PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA optimize")
    ws.hub.publish("pdfm", "after", client_id=ws.client_id)
    ws.expect("pdfm", "after")
