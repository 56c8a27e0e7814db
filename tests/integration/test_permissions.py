"""Scopes and event types of credentials: at the handshake, at run time, when
publishing, and when SQL changes them under a live connection."""

import sqlite3

import pytest

import clients
import procs
from clients import API, check_error
from hub import SqlError, quote


def narrow(hub, who, patterns):
    hub.sql(f"UPDATE credential SET event_types = {quote(patterns)} WHERE user_id = '{who.user}'")


# ---- what is implied

@pytest.mark.parametrize("patterns", ["pdfm", "", "nothing.*"])
def test_global_is_always_allowed(direct, patterns):
    who = direct.hub.credential(event_types=patterns)
    for asked in (None, "", "global"):
        ws = direct.subscribe(who, asked)
        assert ws.subscriptions == ["global"]
        direct.hub.publish("global", "to all", client_id=ws.client_id)
        ws.expect("global", "to all")
        ws.close()


def test_every_type_that_is_not_allowed_is_named(direct):
    who = direct.hub.credential(event_types="pdfm")
    body = check_error(direct.refusal(who, f"{API}/subscribe?event_types=stats,pdfm,auth,global,health"), 403, 3)
    assert [e["description"].split('"')[1] for e in body["stack"]] == ["stats", "auth", "health"]
    assert {(e["error"], e["path"]) for e in body["stack"]} == {("event_type_not_allowed", "event_types")}


# ---- publishing

def test_publishing(direct):
    who = direct.hub.credential(scopes="publish", event_types="pdfm")
    assert direct.post("events", {"event_type": "pdfm", "message": "x", "user_id": who.user}, who).status == 201
    for event_type in ("stats", "global"):
        check_error(direct.post("events", {"event_type": event_type, "message": "x"}, who), 403, 1)


def test_publishing_an_array(direct):
    hub = direct.hub
    who = hub.credential(scopes="publish", event_types="pdfm")
    before = hub.value("SELECT seq FROM v_event_head")
    body = check_error(direct.post("events", [{"event_type": t, "message": "x"} for t in ("pdfm", "stats", "auth")], who),
                       403, 2)
    assert [e["path"] for e in body["stack"]] == ["[1].event_type", "[2].event_type"]
    assert hub.value("SELECT seq FROM v_event_head") == before


# ---- at run time

def test_a_broad_key_does_not_widen_a_narrow_connection(direct):
    """What a connection may have is what its own credential allows, whoever asks."""
    hub = direct.hub
    narrow_key = hub.credential(event_types="pdfm health")
    broad_key = hub.credential(user=narrow_key.user)
    admin = hub.credential(scopes="subscribe admin")
    ws = direct.subscribe(narrow_key, "pdfm")
    for who in (broad_key, admin):
        body = check_error(direct.post("subscriptions", {"client_id": ws.client_id, "event_types": ["stats"]}, who), 403, 1)
        assert body["stack"][0]["error"] == "event_type_not_allowed"
    response = direct.post("subscriptions", {"client_id": ws.client_id, "event_types": ["stats", "health"]}, broad_key)
    assert response.status == 200 and response.json()["subscribed"] == ["health"], response
    ws.expect("system", "subscribed")
    ws.close()


def test_the_caller_must_be_allowed_too(direct):
    hub = direct.hub
    broad_key = hub.credential()
    narrow_key = hub.credential(user=broad_key.user, event_types="pdfm")
    ws = direct.subscribe(broad_key)
    check_error(direct.post("subscriptions", {"client_id": ws.client_id, "event_types": ["stats"]}, narrow_key), 403, 1)
    ws.nothing()
    ws.close()


# ---- SQL

@pytest.mark.parametrize("patterns, refused", [
    ("pdfm", ["stats", "pdf", "pdfmx"]), ("", ["pdfm", "stats"]), ("team.* pdfm", ["stats", "team"]),
    ("a.* b.*", ["a", "c.d"]),
])
def test_an_operator_cannot_go_beyond_the_credential(direct, patterns, refused):
    hub = direct.hub
    names = refused + ["pdfm", "team.a", "a.b", "b.c"]
    for name in names:
        hub.sql(f"INSERT INTO event_type(name) VALUES('{name}') ON CONFLICT DO NOTHING")
    ws = direct.subscribe(hub.credential(event_types=patterns))
    for name in refused:
        for verb in ("INSERT", "INSERT OR REPLACE"):
            with pytest.raises(SqlError, match="subscription.event_type: the credential of this client does not allow it"):
                hub.sql(f"{verb} INTO subscription(client_id, event_type) VALUES('{ws.client_id}', '{name}')")
    with pytest.raises(SqlError):
        hub.sql(f"INSERT OR IGNORE INTO subscription(client_id, event_type) VALUES('{ws.client_id}', '{refused[0]}')")
    for pattern in patterns.split():
        name = pattern.replace("*", {"team.*": "a", "a.*": "b", "b.*": "c"}.get(pattern, ""))
        hub.sql(f"INSERT INTO subscription(client_id, event_type) VALUES('{ws.client_id}', '{name}')")
        assert ws.expect("system", "subscribed")["body"]["event_types"] == [name]
    ws.nothing()
    ws.close()


@pytest.mark.parametrize("patterns", ["*", "pdfm *", None])
def test_all_types(direct, patterns):
    ws = direct.subscribe(direct.hub.credential(event_types=patterns))
    direct.hub.sql(f"INSERT INTO subscription(client_id, event_type) VALUES('{ws.client_id}', 'stats')")
    ws.expect("system", "subscribed")
    ws.close()


@pytest.mark.parametrize("patterns", ["vm*", "**", "*.vm", "a.*.b", ".*", "_x", ".vm", "vm.**", "pdfm vm*", "x" * 65, "PDFM", "a,b",
                                      "a\"b", "[a]", "a\nb"])
def test_patterns_that_match_nothing_are_refused(direct, patterns):
    hub = direct.hub
    who = hub.credential()
    with pytest.raises(SqlError, match="credential.event_types"):
        narrow(hub, who, patterns)
    with pytest.raises(SqlError, match="credential.event_types"):
        hub.credential(event_types=patterns)


@pytest.mark.parametrize("patterns", ["", "pdfm", "a.b-c_d 0", "vm.* *", " pdfm  stats ", "x" * 64, "x" * 62 + ".*"])
def test_patterns_that_are_fine(direct, patterns):
    narrow(direct.hub, direct.hub.credential(), patterns)


# ---- live connections follow

def test_narrowed(front):
    hub = front.hub
    who = hub.credential()
    ws, other = front.subscribe(who, "pdfm,stats,health"), front.subscribe(hub.credential(), "pdfm,stats,health")
    narrow(hub, who, "health orchestrator")
    frame = ws.expect("system", "unsubscribed", 5)
    assert sorted(frame["body"]["event_types"]) == ["pdfm", "stats"]
    assert sorted(frame["body"]["subscriptions"]) == ["global", "health"]
    assert frame["client_id"] == ws.client_id
    for name in ("pdfm", "stats", "health", "global"):
        hub.publish(name, "after", user_id=who.user)
    ws.expect("health", "after")
    ws.expect("global", "after")
    ws.nothing()
    hub.wait_sql(f"SELECT group_concat(event_type) FROM (SELECT event_type FROM subscription"
                 f" WHERE client_id = '{ws.client_id}' ORDER BY 1)", "global,health")
    # what was taken cannot be had again, until it may be
    check_error(front.post("subscriptions", {"client_id": ws.client_id, "event_types": ["stats"]}, who), 403, 1)
    narrow(hub, who, None)
    assert front.post("subscriptions", {"client_id": ws.client_id, "event_types": ["stats"]}, who).status == 200
    ws.expect("system", "subscribed")
    other.nothing()
    ws.close()
    other.close()


def test_narrowed_to_nothing(direct):
    hub = direct.hub
    who = hub.credential()
    ws = direct.subscribe(who, "pdfm")
    narrow(hub, who, "")
    assert ws.expect("system", "unsubscribed")["body"] == {"event_types": ["pdfm"], "subscriptions": ["global"]}
    ws.nothing()
    ws.close()


def test_many_connections_of_one_credential(direct):
    hub = direct.hub
    who = hub.credential()
    sockets = [direct.subscribe(who, "pdfm,stats" if i % 2 else "stats") for i in range(40)]
    narrow(hub, who, "stats")
    for i, ws in enumerate(sockets):
        if i % 2:
            ws.expect("system", "unsubscribed")
        ws.nothing()
        ws.close()


def test_before_and_after_the_change(direct):
    """An event before the change arrives, one after it does not."""
    hub = direct.hub
    who = hub.credential()
    ws = direct.subscribe(who, "pdfm")
    event = "INSERT INTO event(event_type, message, user_id) VALUES('pdfm', '{}', '" + who.user + "')"
    hub.sql(f"BEGIN; {event.format('before')}; UPDATE credential SET event_types = '' WHERE user_id = '{who.user}';"
            f" {event.format('after')}; COMMIT")
    ws.expect("pdfm", "before")
    ws.expect("system", "unsubscribed")
    ws.nothing()
    ws.close()


@pytest.mark.parametrize("scopes", ["publish", "admin", "publish admin", ""])
def test_no_longer_a_subscriber(direct, scopes):
    hub = direct.hub
    who = hub.credential()
    ws = direct.subscribe(who, "pdfm")
    hub.sql(f"UPDATE credential SET scopes = '{scopes}' WHERE user_id = '{who.user}'")
    assert ws.closed() == (1008, "credential changed")
    check_error(direct.refusal(who), 403, 1)


def test_other_scopes_make_no_difference(direct):
    hub = direct.hub
    who = hub.credential(scopes="subscribe publish admin")
    ws = direct.subscribe(who, "pdfm")
    hub.sql(f"UPDATE credential SET scopes = 'subscribe' WHERE user_id = '{who.user}'")
    check_error(direct.post("events", {"event_type": "pdfm", "message": "x"}, who), 403)
    check_error(direct.get("stats", who), 403)
    ws.nothing()
    ws.close()


@pytest.mark.parametrize("verb", ["INSERT OR REPLACE", "INSERT OR IGNORE"])
def test_narrowed_and_widened_at_once(make_hub, verb):
    """While the daemon waits to remove the row, somebody inserts it again: socket and table say the same."""
    front = make_hub(front="direct").front
    hub = front.hub
    who = hub.credential()
    ws = front.subscribe(who, "pdfm")
    writer = sqlite3.connect(hub.database, timeout=procs.PATIENCE, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE credential SET event_types = 'stats'")
    held = sqlite3.connect(hub.database, timeout=procs.PATIENCE, isolation_level=None)
    writer.execute("COMMIT")
    held.execute("BEGIN IMMEDIATE")
    ws.expect("system", "unsubscribed")
    held.execute("UPDATE credential SET event_types = NULL")
    waits = held.execute("SELECT count(*) FROM subscription WHERE event_type = 'pdfm'").fetchone()[0]
    held.execute(f"{verb} INTO subscription(client_id, event_type) VALUES('{ws.client_id}', 'pdfm')")
    held.execute("COMMIT")
    hub.sql("INSERT INTO event(event_type, message) VALUES('pdfm', 'x')")
    there = verb.endswith("REPLACE") or waits == 0  # the daemon was faster: it was inserted
    hub.wait_sql("SELECT count(*) FROM subscription WHERE event_type = 'pdfm'", 1 if there else 0)
    if there:
        ws.expect("system", "subscribed")
        ws.expect("pdfm", "x")
        response = front.post("unsubscribe", {"client_id": ws.client_id, "event_types": ["pdfm"]}, who)
        assert response.status == 200, response
        ws.expect("system", "unsubscribed")
    ws.nothing()
    ws.close()


def test_narrowed_while_joining(make_hub):
    """The change is committed while the client's rows still wait: the welcome
    comes first, then it is told what it lost."""
    front = make_hub(front="direct").front
    hub = front.hub
    who = hub.credential()
    writer = sqlite3.connect(hub.database, timeout=procs.PATIENCE, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    raw = clients.socket.create_connection(hub.wsd.listen.rsplit(":", 1), procs.PATIENCE)
    head = [f"GET {API}/subscribe?event_types=pdfm,stats HTTP/1.1", f"Host: {hub.wsd.listen}"]
    head += [f"{k}: {v}" for k, v in {**clients.UPGRADE, **who.headers}.items()]
    raw.sendall("\r\n".join(head + ["", ""]).encode())
    got = b""
    procs.wait_for(lambda: hub.wsd.process.popen.poll() is None, "it ended")
    # the handshake is over once the daemon answers others behind it
    check_error(clients.refusal(hub.wsd.listen), 401)
    writer.execute("UPDATE credential SET event_types = 'stats' WHERE user_id = ?", (who.user,))
    writer.execute("COMMIT")
    writer.close()
    while b"unsubscribed" not in got:
        more = raw.recv(65536)
        assert more, got
        got += more
    assert got.index(b"established") < got.index(b"unsubscribed")
    hub.publish("pdfm", "never", user_id=who.user)
    hub.publish("stats", "this", user_id=who.user)
    while b'"this"' not in got:
        more = raw.recv(65536)
        assert more, got
        got += more
    assert b'"never"' not in got
    hub.wait_sql("SELECT count(*) FROM subscription WHERE event_type = 'pdfm'", 0)
    raw.close()


def test_narrowed_by_more_types_than_a_client_may_ask_for(hub):
    """By SQL it has 400."""
    hub.sql(";".join(f"INSERT INTO event_type(name) VALUES('t{i:04d}')" for i in range(400)))
    who = hub.credential()
    ws = clients.subscribe(hub.wsd.listen, who, "pdfm")
    hub.sql("INSERT INTO subscription(client_id, event_type)"
            f" SELECT '{ws.client_id}', name FROM event_type WHERE name GLOB 't0*'")
    while len(ws.expect("system", "subscribed")["body"]["subscriptions"]) < 402:
        pass
    hub.sql(f"UPDATE credential SET event_types = 'pdfm' WHERE user_id = '{who.user}'")
    hub.wait_sql("SELECT count(*) FROM subscription", 2)  # global is for everybody
    while len(ws.expect("system", "unsubscribed")["body"]["subscriptions"]) > 2:
        pass
    hub.publish("t0001", "forbidden")
    hub.publish("t0399", "forbidden")
    hub.publish("pdfm", "allowed")
    ws.expect("pdfm", "allowed")
