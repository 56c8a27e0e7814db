"""Databases of older versions, as their programs left them: brought up to date by
the first evhub-wsd that opens them, whole or not at all."""

import glob
import os
import re
import subprocess

import pytest

import clients
import procs
import upgrade_sample
from clients import API, subscribe
from hub import Credential, sqlite3_shell

DIRECTORY = os.path.join(procs.SOURCE, "tests", "upgrade")
SAMPLES = sorted(int(re.search(r"v(\d+)\.sql$", p).group(1)) for p in glob.glob(os.path.join(DIRECTORY, "v*.sql")))
MIGRATIONS = sorted(glob.glob(os.path.join(procs.SOURCE, "sql", "migrations", "[0-9]*.sql")))
CURRENT = len(MIGRATIONS)
OLD = [v for v in SAMPLES if v < CURRENT]

SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"
# what an upgrade must leave as it was, whatever columns come
KEPT = {
    "event": "seq, event_type, message, body, client_id, user_id, dedup_id, created_at",
    "credential": "id, user_id, username, kind, hash, scopes, event_types, created_at, expires_at, revoked_at, label",
    "event_type": "name, description, mandatory, persistent, retain_seconds, retain_count",
    "change": "seq, kind, client_id, event_type, credential_id, after_event, created_at",
}

ALICE = Credential("alice", "key", upgrade_sample.ALICE_KEY)
ALICE_TOKEN = Credential("alice", "token", upgrade_sample.ALICE_TOKEN)
BOB = Credential("bob", "key", upgrade_sample.BOB_KEY)


def put(hub, version):
    """The sample in the place of the hub's database."""
    with open(os.path.join(DIRECTORY, f"v{version}.sql")) as f:
        sqlite3_shell(hub.database, f.read())
    hub.sql("PRAGMA journal_mode = WAL")
    assert hub.value("PRAGMA user_version") == version
    procs.give(hub.database)


def kept(hub):
    return {table: hub.sql(f"SELECT {columns} FROM {table} ORDER BY 1") for table, columns in KEPT.items()}


@pytest.fixture(scope="module")
def fresh():
    """The schema of a new database."""
    from hub import Hub
    hub = Hub()
    try:
        hub.start_wsd()
        schema = hub.sql(SCHEMA)
    except BaseException:
        hub.abandon()
        raise
    hub.stop()
    return schema


def test_each_version_has_a_sample():
    """A new migration comes with a sample of the version before it."""
    assert OLD == list(range(1, CURRENT))


@pytest.mark.parametrize("version", OLD)
def test_upgrade(make_hub, fresh, version):
    hub = make_hub(wsd=False)
    put(hub, version)
    before = kept(hub)
    assert len(before["event"]) > 20 and len(before["credential"]) == 5 and hub.value("SELECT count(*) FROM client") == 2
    epoch = hub.value("SELECT value FROM meta WHERE key = 'epoch'")
    hub.start_wsd()
    assert hub.value("PRAGMA user_version") == CURRENT
    assert hub.value("SELECT value FROM meta WHERE key = 'schema_version'") == str(CURRENT)
    assert hub.value("SELECT value FROM meta WHERE key = 'epoch'") == epoch
    assert hub.sql(SCHEMA) == fresh
    after = kept(hub)
    assert all(row in before["change"] for row in after["change"])  # those older than an hour go every day
    after["change"] = before["change"]
    assert after == before
    assert hub.value("PRAGMA integrity_check") == "ok"
    # the clients of the daemon that was killed
    assert hub.value("SELECT count(*) FROM client") == hub.value("SELECT count(*) FROM subscription") == 0

    # and it goes on as if nothing had happened: keys, resume, order, dedup_id
    ws = subscribe(hub.wsd.listen, ALICE, "pdfm,shop.order", last_event_id=f"{epoch}-3")
    assert ws.welcome["body"]["resumed"] is True
    assert "notice" in ws.welcome["body"]["subscriptions"]
    for event in before["event"]:
        if event["client_id"] is None:
            frame = ws.recv()
            assert (frame["id"], frame["message"]) == (f"{epoch}-{event['seq']}", event["message"])
    ws.nothing()
    tom = subscribe(hub.wsd.listen, ALICE, "pdfm", last_event_id=f"{epoch}-1")
    assert tom.welcome["body"]["reason"] == "expired"
    hub.sql("""INSERT INTO event(event_type, message, dedup_id) VALUES('shop.order', 'once', 'sample-1')
        ON CONFLICT DO NOTHING""")
    seq = hub.publish("shop.order", "after the upgrade")
    assert seq > before["event"][-1]["seq"]
    assert ws.expect("shop.order", "after the upgrade")["id"] == f"{epoch}-{seq}"
    subscribe(hub.wsd.listen, ALICE_TOKEN).close()
    with pytest.raises(clients.Refused):
        subscribe(hub.wsd.listen, BOB, "health")
    subscribe(hub.wsd.listen, BOB, "pdfm").close()
    hub.sql("UPDATE credential SET revoked_at = datetime('now') WHERE user_id = 'alice'")
    assert ws.closed()[0] == tom.closed()[0] == 1008


@pytest.mark.parametrize("version", OLD)
def test_with_tables_of_an_application(make_hub, version):
    """What others keep in the file, though it be out of date, does not keep the daemon from starting."""
    hub = make_hub(wsd=False)
    put(hub, version)
    hub.sql("""CREATE TABLE purged(x); CREATE TABLE other(x); CREATE VIEW stale AS SELECT x FROM other;
        CREATE TRIGGER stale_too AFTER INSERT ON purged BEGIN INSERT INTO other VALUES(NEW.x); END;
        CREATE VIEW old AS SELECT name, purged_seq FROM event_type; DROP TABLE other;
        CREATE TRIGGER publish AFTER INSERT ON purged BEGIN INSERT INTO event(event_type) VALUES('pdfm'); END""")
    hub.start_wsd()
    assert hub.value("PRAGMA user_version") == CURRENT
    subscribe(hub.wsd.listen, ALICE).close()


@pytest.mark.parametrize("version", OLD)
def test_http_waits_for_the_daemon(make_hub, version):
    """evhub-fcgi leaves an old database alone and says what is to be done."""
    hub = make_hub(wsd=False)
    put(hub, version)
    hub.start_fcgi()
    response = clients.fcgi_request(hub.fcgi_socket, "GET", API + "/clients", ALICE.headers)
    if response.status == 503:
        assert f"its schema version is {version}, not {CURRENT}: start evhub-wsd" in hub.fcgi.text()
        assert hub.value("PRAGMA user_version") == version
    else:
        assert response.status == 200 and hub.value("PRAGMA user_version") == CURRENT
    hub.start_wsd()
    response = clients.fcgi_request(hub.fcgi_socket, "GET", API + "/clients", ALICE.headers)
    assert response.status == 200 and response.json() == []


def test_a_newer_one_is_left_alone(make_hub):
    hub = make_hub()
    hub.wsd.stop()
    hub.sql(f"PRAGMA user_version = {CURRENT + 1}")
    with open(hub.database, "rb") as f:
        before = f.read()
    result = hub.run_wsd()
    assert result.returncode == 1
    assert f"its schema version is {CURRENT + 1} and this program knows {CURRENT}: upgrade evhub" in result.stderr
    fcgi = hub.start_fcgi()
    response = clients.fcgi_request(hub.fcgi_socket, "GET", API + "/clients", ALICE.headers)
    assert response.status == 503 and "upgrade evhub" in fcgi.text()
    hub.stop_fcgi()
    with open(hub.database, "rb") as f:
        assert f.read() == before


def kill_at(hub, number):
    """Starts evhub-wsd and kills it as it is about to write for the n-th time.
    True if it did not come to that."""
    argv = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=pwrite64", "-e",
            f"inject=pwrite64:signal=KILL:when={number}", *hub.wsd_argv()]
    env = procs.environment()
    env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # it is traced already
    log = os.path.join(hub.directory, f"killed-{number}.txt")
    with open(log, "w") as out:
        process = subprocess.Popen(procs.drop_prefix() + argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                                   cwd="/", start_new_session=True)

    def look():
        with open(log) as f:
            return "info ready" in f.read() or process.poll() is not None
    try:
        procs.wait_for(look, "neither ready nor killed", procs.PATIENCE * 2)
        ready = process.poll() is None
    finally:
        try:
            os.killpg(process.pid, 9)
        except ProcessLookupError:
            pass
        process.wait()
    return ready


@pytest.mark.parametrize("version", OLD)
def test_killed_in_the_middle(make_hub, fresh, version):
    """Whenever the machine stops, there is the old schema or the new one, with
    every row; and the next start brings it to the end."""
    hub = make_hub(wsd=False)
    put(hub, version)
    old_schema, rows = hub.sql(SCHEMA), kept(hub)
    seen = set()
    number = 1
    while CURRENT not in seen:
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(hub.database + suffix):
                os.unlink(hub.database + suffix)
        put(hub, version)
        assert not kill_at(hub, number) or number > 1
        now = hub.value("PRAGMA user_version")
        assert hub.sql(SCHEMA) == (old_schema if now == version else fresh), number
        assert now in (version, CURRENT)
        after = kept(hub)
        after["change"] = rows["change"]
        assert after == rows, number
        assert hub.value("PRAGMA integrity_check") == "ok"
        seen.add(now)
        if now == version and number in (1, 4):
            hub.start_wsd()
            assert hub.sql(SCHEMA) == fresh
            hub.wsd.kill()
        number += 1 if number < 4 else 5
        assert number < 400
    assert seen == {version, CURRENT}
