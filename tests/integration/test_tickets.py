"""Tickets: how a browser, which cannot set headers on a WebSocket, gets in."""

import datetime
import hashlib
import re
import socket
import sqlite3
import threading

import pytest

import clients
from clients import API, check_error, subscribe
from hub import quote
from procs import PATIENCE, wait_for


def get_ticket(front, who):
    response = front.post("ticket", "", who)
    assert response.status == 201, response
    body = response.json()
    assert sorted(body) == ["expires_at", "ticket"], body
    return body["ticket"]


def refused(front, ticket, **kwargs):
    """The 401 that a ticket of no use gets."""
    response = front.refusal(path=f"{API}/subscribe?ticket={ticket}", **kwargs)
    body = check_error(response, 401, faults=1)
    assert body["stack"][0]["error"] == "invalid_ticket", body
    assert body["stack"][0]["path"] == "ticket", body


def digest(ticket):
    return hashlib.sha3_256(ticket.encode()).hexdigest()


# ---- getting one and using it

def test_ticket(front):
    who = front.hub.credential(event_types="pdfm health")
    response = front.post("ticket", "", who)
    assert response.status == 201 and response.headers["cache-control"] == "no-store", response
    body = response.json()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", body["ticket"]), body
    until = datetime.datetime.strptime(body["expires_at"], "%Y-%m-%dT%H:%M:%S.%f%z")
    left = (until - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    assert 0 < left <= 30, body
    ws = front.subscribe(None, "pdfm", ticket=body["ticket"])
    assert sorted(ws.subscriptions) == ["global", "pdfm"]
    row = front.hub.sql(f"SELECT user_id, credential_id FROM client WHERE id = '{ws.client_id}'")[0]
    assert row["user_id"] == who.user
    assert row["credential_id"] == front.hub.value(f"SELECT id FROM credential WHERE user_id = '{who.user}'")
    refused(front, body["ticket"])
    ws.nothing()
    ws.close()
    refused(front, body["ticket"])


def test_stored_as_a_hash(direct):
    ticket = get_ticket(direct, direct.hub.credential())
    assert direct.hub.value(f"SELECT count(*) FROM ticket WHERE hash = '{digest(ticket)}'") == 1
    for suffix in ("", "-wal"):
        with open(direct.hub.database + suffix, "rb") as f:
            assert ticket.encode() not in f.read()
    ws = direct.subscribe(None, ticket=ticket)
    assert direct.hub.value(f"SELECT count(*) FROM ticket WHERE hash = '{digest(ticket)}'") == 0
    ws.close()


def test_no_two_are_alike(direct):
    who = direct.hub.credential()
    assert len({get_ticket(direct, who) for _ in range(50)}) == 50


@pytest.mark.parametrize("ticket", ["", "x", "A" * 43, "A" * 42, "A" * 44, "A" * 3000,
                                    "A" * 42 + "=", "'%20OR%201=1--", "%ff" * 43, "+" * 43])
def test_unknown_ticket(direct, ticket):
    refused(direct, ticket)


def test_two_tickets_in_one_request(direct):
    a, b = (get_ticket(direct, direct.hub.credential()) for _ in range(2))
    body = check_error(direct.refusal(path=f"{API}/subscribe?ticket={a}&ticket={b}"), 400)
    assert body["stack"][0]["error"] == "repeated_parameter"
    direct.subscribe(None, ticket=a).close()


def test_who_gets_none(direct):
    check_error(direct.post("ticket", ""), 401)
    check_error(direct.post("ticket", "", direct.hub.credential(scopes="publish")), 403)
    check_error(direct.post("ticket", "", direct.hub.credential(scopes="admin")), 403)
    assert check_error(direct.get("ticket", direct.hub.credential()), 405)


def test_a_ticket_is_no_credential_elsewhere(direct):
    ticket = get_ticket(direct, direct.hub.credential(scopes="subscribe publish admin"))
    for headers in ({"X-Api-Key": ticket}, {"Authorization": "Bearer " + ticket}):
        check_error(direct.get("clients", headers=headers), 401)
        check_error(direct.refusal(headers=headers), 401)
    check_error(direct.request("GET", f"{API}/clients?ticket={ticket}"), 401)


# ---- what it allows

def test_allows_what_the_credential_allows(direct):
    hub = direct.hub
    ticket = get_ticket(direct, hub.credential(event_types="pdfm orchestrator.*"))
    body = check_error(direct.refusal(path=f"{API}/subscribe?event_types=stats,pdfm,auth&ticket={ticket}"), 403, 2)
    assert {entry["error"] for entry in body["stack"]} == {"event_type_not_allowed"}
    ws = direct.subscribe(None, "pdfm", ticket=ticket)  # a refusal for another reason does not use it up
    ws.close()


def test_narrowed_between_issue_and_use(direct):
    hub = direct.hub
    who = hub.credential()
    ticket = get_ticket(direct, who)
    hub.sql(f"UPDATE credential SET event_types = 'health' WHERE user_id = '{who.user}'")
    check_error(direct.refusal(path=f"{API}/subscribe?event_types=pdfm&ticket={ticket}"), 403)
    hub.sql(f"UPDATE credential SET scopes = 'publish' WHERE user_id = '{who.user}'")
    check_error(direct.refusal(path=f"{API}/subscribe?ticket={ticket}"), 403)


@pytest.mark.parametrize("statement", [
    "UPDATE credential SET revoked_at = datetime('now') WHERE user_id = '{0}'",
    "DELETE FROM credential WHERE user_id = '{0}'",
    "UPDATE credential SET expires_at = datetime('now', '-1 second') WHERE user_id = '{0}'",
    "UPDATE credential SET user_id = '{0}-new' WHERE user_id = '{0}'",
    "UPDATE credential SET revoked_at = datetime('now') WHERE user_id = '{0}';"
    "UPDATE credential SET revoked_at = NULL WHERE user_id = '{0}'",
    "DELETE FROM ticket WHERE user_id = '{0}'",
    "UPDATE ticket SET expires_at = datetime('now', '-1 second') WHERE user_id = '{0}'",
])
def test_void(direct, statement):
    who = direct.hub.credential()
    ticket = get_ticket(direct, who)
    direct.hub.sql(statement.format(who.user))
    refused(direct, ticket)


def test_ends_with_its_credential(direct):
    hub = direct.hub
    who = hub.credential()
    hub.sql(f"UPDATE credential SET expires_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '+3 seconds')"
            f" WHERE user_id = '{who.user}'")
    response = direct.post("ticket", "", who)
    assert response.status == 201, response
    expires = hub.value(f"SELECT strftime('%Y-%m-%dT%H:%M:%S', expires_at) FROM credential"
                        f" WHERE user_id = '{who.user}'")
    assert response.json()["expires_at"] == expires + ".000000Z"
    ws = direct.subscribe(None, ticket=response.json()["ticket"])
    assert ws.closed() == (1008, "credential expired")


def test_revoking_closes_what_a_ticket_opened(direct):
    who = direct.hub.credential()
    ws = direct.subscribe(None, ticket=get_ticket(direct, who))
    direct.hub.sql(f"UPDATE credential SET revoked_at = datetime('now') WHERE user_id = '{who.user}'")
    assert ws.closed()[0] == 1008


# ---- a ticket and something else

def test_with_the_credential_of_the_same_user(direct):
    who = direct.hub.credential()
    direct.subscribe(who, ticket=get_ticket(direct, who)).close()


def test_with_the_credential_of_another_user(direct):
    hub = direct.hub
    ticket = get_ticket(direct, hub.credential())
    for other in (hub.credential(), hub.credential(kind="token")):
        body = check_error(direct.refusal(other, path=f"{API}/subscribe?ticket={ticket}"), 401)
        assert body["stack"][0]["error"] == "credential_mismatch", body
    check_error(direct.refusal(headers={"X-Api-Key": "no such key at all"}, path=f"{API}/subscribe?ticket={ticket}"), 401)
    direct.subscribe(None, ticket=ticket).close()


def test_behind_basic_authentication(direct):
    """A browser sends what it knows for the web server's own password."""
    ws = direct.subscribe(None, ticket=get_ticket(direct, direct.hub.credential()),
                          headers={"Authorization": "Basic dXNlcjpwYXNzd29yZA=="})
    ws.close()


# ---- once

class Attempt:
    """An upgrade request that is sent when it is told to."""

    def __init__(self, address, ticket):
        host, port = address.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), PATIENCE)
        head = [f"GET {API}/subscribe?ticket={ticket} HTTP/1.1", f"Host: {address}"]
        head += [f"{k}: {v}" for k, v in clients.UPGRADE.items()]
        self.request = "\r\n".join(head + ["", ""]).encode()
        self.got = b""

    def send(self):
        self.sock.sendall(self.request)

    def status(self):
        while b"\r\n" not in self.got:
            data = self.sock.recv(4096)
            assert data, "closed without an answer"
            self.got += data
        return int(self.got.split()[1])

    def rest(self):
        """All that comes until the other side closes."""
        while True:
            data = self.sock.recv(4096)
            if not data:
                return self.got
            self.got += data

    def has_welcome(self):
        while b"WebSocket connection established" not in self.got:
            data = self.sock.recv(4096)
            if not data:
                return False
            self.got += data
        return True


def race(addresses, ticket, count=24):
    attempts = [Attempt(addresses[i % len(addresses)], ticket) for i in range(count)]
    barrier = threading.Barrier(count)

    def run(attempt):
        barrier.wait()
        attempt.send()
    threads = [threading.Thread(target=run, args=(a,)) for a in attempts]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    statuses = [a.status() for a in attempts]
    welcome = [a for a in attempts if a.status() == 101 and a.has_welcome()]
    for a in attempts:
        a.sock.close()
    return statuses, len(welcome)


def test_race_on_one_daemon(direct):
    for _ in range(5):
        statuses, welcome = race([direct.hub.wsd.listen], get_ticket(direct, direct.hub.credential()))
        assert (statuses.count(101), statuses.count(401), welcome) == (1, len(statuses) - 1, 1), statuses


def test_race_on_two_daemons(make_hub):
    front = make_hub(front="direct").front
    hub = front.hub
    second = hub.start_wsd("second")
    for _ in range(10):
        statuses, welcome = race([hub.wsd.listen, second.listen], get_ticket(front, hub.credential()))
        assert (statuses.count(101), statuses.count(401), welcome) == (1, len(statuses) - 1, 1), statuses
    hub.wait_sql("SELECT count(*) FROM client", 0)


@pytest.fixture
def held(make_hub):
    """Two daemons, a ticket, and a writer that holds the database: nobody's
    use of the ticket can be committed."""
    front = make_hub(front="direct").front
    hub = front.hub
    hub.second = hub.start_wsd("second")
    front.ticket = get_ticket(front, hub.credential())
    writer = sqlite3.connect(hub.database, timeout=PATIENCE, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    front.writer = writer
    yield front
    writer.close()


def test_no_welcome_before_the_use_is_committed(held):
    hub = held.hub
    first = Attempt(hub.wsd.listen, held.ticket)
    first.send()
    assert first.status() == 101
    # the use is not committed, yet nobody else gets as far as that
    refused(held, held.ticket)
    for wsd in (hub.wsd, hub.second):
        check_error(clients.refusal(wsd.listen, path=f"{API}/subscribe?ticket={held.ticket}"), 401)
    assert b"established" not in first.got
    held.writer.execute("ROLLBACK")
    assert first.has_welcome()
    first.sock.close()
    refused(held, held.ticket)


def test_withdrawn_while_being_used(held):
    first = Attempt(held.hub.wsd.listen, held.ticket)
    first.send()
    assert first.status() == 101
    held.writer.execute("DELETE FROM ticket")
    held.writer.execute("COMMIT")
    rest = first.rest().partition(b"\r\n\r\n")[2]
    assert rest[0] == 0x88 and rest[2:4] == (1008).to_bytes(2, "big"), rest
    assert b"ticket" in rest and b"established" not in rest
    assert held.hub.value("SELECT count(*) FROM client") == 0
    assert "error=invalid_ticket" in held.hub.wsd.process.text()


def test_a_daemon_killed_before_the_commit_used_nothing(held):
    hub = held.hub
    first = Attempt(hub.wsd.listen, held.ticket)
    first.send()
    assert first.status() == 101
    hub.wsd.kill()
    held.writer.execute("ROLLBACK")
    ws = subscribe(hub.second.listen, None, ticket=held.ticket)
    ws.close()
    first.sock.close()


def test_a_restart_does_not_bring_it_back(make_hub):
    front = make_hub(front="direct").front
    hub = front.hub
    ticket = get_ticket(front, hub.credential())
    front.subscribe(None, ticket=ticket)
    hub.wsd.kill()
    hub.start_wsd()
    refused(front, ticket)


# ---- nothing piles up, nothing leaks

def test_expired_ones_are_removed(make_hub):
    front = make_hub(front="direct", retain_interval="100ms").front
    hub = front.hub
    for _ in range(3):
        get_ticket(front, hub.credential())
    keep = get_ticket(front, hub.credential("keeper"))
    hub.sql("UPDATE ticket SET expires_at = datetime('now', '-1 second') WHERE user_id <> 'keeper'")
    hub.wait_sql("SELECT count(*) FROM ticket", 1)
    front.subscribe(None, ticket=keep).close()


def test_expired_ones_are_removed_without_a_daemon(make_hub):
    hub = make_hub()
    who = hub.credential()
    rows = ", ".join(f"('{i:064x}', 'x', '2020-01-01T00:00:00.000Z')" for i in range(25))
    hub.wsd.stop()
    hub.sql(f"INSERT INTO ticket(hash, user_id, expires_at) VALUES {rows}")
    hub.start_fcgi()
    for _ in range(3):
        response = clients.fcgi_request(hub.fcgi_socket, "POST", f"{API}/ticket", who.headers)
        assert response.status == 201, response
    assert hub.value("SELECT count(*) FROM ticket") == 3


def test_not_in_logs_nor_in_the_database(make_hub):
    front = make_hub(front="direct", log_level="debug").front
    hub = front.hub
    used, unknown = get_ticket(front, hub.credential()), "B" * 43
    front.subscribe(None, ticket=used).close()
    refused(front, used)
    refused(front, unknown)
    hub.wait_sql("SELECT count(*) FROM client", 0)
    wait_for(lambda: "invalid" in hub.wsd.process.text() or "refused" in hub.wsd.process.text(), "no refusal in the log")
    for text in (hub.wsd.process.text(), hub.fcgi.text()):
        assert used not in text and unknown not in text
    dump = "\n".join(sqlite3.connect(hub.database).iterdump())
    assert used not in dump and unknown not in dump


@pytest.mark.parametrize("row", [
    "'abc', 'x', datetime('now')", f"'{'A' * 64}', 'x', datetime('now')", f"'{'a' * 64}', '', datetime('now')",
    f"'{'a' * 64}', 'x', 'tomorrow'"])
def test_rules_of_the_table(direct, row):
    with pytest.raises(Exception, match="ticket"):
        direct.hub.sql(f"INSERT INTO ticket(hash, user_id, expires_at) VALUES({row})")


def test_by_sql(direct):
    """An operator may hand one out as well."""
    hub = direct.hub
    user, ticket = hub.unique("guest"), "C" * 43
    hub.sql(f"INSERT INTO ticket(hash, user_id, scopes, event_types, expires_at) VALUES("
            f"lower(hex(sha3({quote(ticket)}, 256))), '{user}', 'subscribe', 'pdfm', datetime('now', '+10 seconds'))")
    ws = direct.subscribe(None, "pdfm", ticket=ticket)
    assert hub.sql(f"SELECT user_id, credential_id FROM client WHERE id = '{ws.client_id}'") == [
        {"user_id": user, "credential_id": None}]
    hub.sql(f"DELETE FROM client WHERE user_id = '{user}'")
    assert ws.closed()[0] == 1008
