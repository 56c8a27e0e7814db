"""The database is replaced, taken away, put back, or goes back in time,
underneath a daemon that runs or before it starts.

What must hold: nothing is acknowledged that is not in the file at the path;
no id ever names two events; who resumes where that cannot be granted is told.
"""

import json
import os
import shutil
import subprocess

import pytest

import clients
import procs
from clients import subscribe

TYPE = "pdfm"


def other_database(make_hub, who):
    """The path of another evhub database that knows the same credential."""
    other = make_hub()
    other.sql(f"""INSERT INTO credential(user_id, kind, hash, scopes) VALUES('{who.user}', 'key',
        lower(hex(sha3('{who.secret}',256))), 'subscribe publish admin')""")
    for i in range(3):
        other.publish(TYPE, f"of the other {i}")
    other.wsd.stop()
    other.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return other.database


def backup(hub, name="backup.db"):
    path = os.path.join(hub.directory, name)
    hub.sql(f"VACUUM INTO '{path}'")
    procs.give(path)
    return path


def put_in_place(hub, path):
    """As an operator does who forgets to stop the daemon."""
    for end in ("-wal", "-shm"):
        if os.path.exists(hub.database + end):
            os.unlink(hub.database + end)
    copy = hub.database + ".new"
    shutil.copy(path, copy)
    os.chmod(copy, 0o644)
    procs.give(copy)
    os.rename(copy, hub.database)


def fixed_port(hub):
    hub.conf["listen"] = [hub.wsd.listen]
    hub.write_conf()


def ready_again(hub, times):
    procs.wait_for(lambda: hub.wsd.process.text().count(" ready ") >= times, "the daemon does not begin again")


def publish(hub, message):
    with clients.Control(hub.control) as control:
        return control.ask({"op": "publish", "event_type": TYPE, "message": message})


def test_replaced_underneath(make_hub):
    hub = make_hub(fcgi=True)
    who = hub.credential(scopes="subscribe publish admin")
    ws = subscribe(hub.wsd.listen, who, TYPE)
    hub.publish(TYPE, "old")
    last = ws.expect(TYPE, "old")["id"]
    path = other_database(make_hub, who)

    put_in_place(hub, path)
    assert ws.closed() == (1012, "the server restarts; reconnect and resume")
    ready_again(hub, 2)
    listen = hub.wsd.wait_ready(hub.wsd.process.text().rfind("database_replaced")).listen
    assert "database_replaced" in hub.wsd.process.text()
    back = subscribe(listen, who, TYPE, last_event_id=last)
    assert back.welcome["body"]["resumed"] is False and back.welcome["body"]["reason"] == "unknown"
    assert back.welcome["id"].split("-")[0] != last.split("-")[0]
    assert publish(hub, "new")["ok"]
    back.expect(TYPE, "new")
    answer = clients.fcgi_request(hub.fcgi_socket, "POST", clients.API + "/events",
                                  {"Content-Type": "application/json", **who.headers},
                                  json.dumps({"event_type": TYPE, "message": "by HTTP"}))
    assert answer.status == 201, answer
    back.expect(TYPE, "by HTTP")
    assert hub.value("SELECT count(*) FROM event WHERE message IN ('new', 'by HTTP')") == 2
    back.close()


def test_nothing_is_acknowledged_that_went_into_a_deleted_file(make_hub):
    """From the moment when the file is gone: not after the next look."""
    hub = make_hub(fcgi=True)
    who = hub.credential(scopes="subscribe publish admin")
    ws = subscribe(hub.wsd.listen, who, TYPE)
    kept = backup(hub)
    ask = {"Content-Type": "application/json", **who.headers}
    event = json.dumps({"event_type": TYPE, "message": "x"})
    assert clients.fcgi_request(hub.fcgi_socket, "POST", clients.API + "/events", ask, event).status == 201
    ws.expect(TYPE, "x")
    for end in ("", "-wal", "-shm"):
        os.unlink(hub.database + end)
    answer = publish(hub, "into the void")
    assert answer["ok"] is False and answer["error"], answer
    answer = clients.fcgi_request(hub.fcgi_socket, "POST", clients.API + "/events", ask, event)
    clients.check_error(answer, 503)
    procs.wait_for(lambda: "database_gone" in hub.wsd.process.text(), "it does not notice")
    refused = clients.refusal(hub.wsd.listen, who)
    clients.check_error(refused, 503)
    assert not os.path.exists(hub.database), "a new file was made where the old one is missed"

    put_in_place(hub, kept)
    ready_again(hub, 2)
    ws.closed()
    fresh = subscribe(hub.wsd.wait_ready(hub.wsd.process.text().rfind("database_replaced")).listen, who, TYPE)
    assert publish(hub, "again")["ok"]
    fresh.expect(TYPE, "again")
    fresh.close()


def test_ends_while_the_database_is_gone(make_hub):
    hub = make_hub()
    for end in ("", "-wal", "-shm"):
        os.unlink(hub.database + end)
    hub.wsd.stop()
    assert not os.path.exists(hub.database)


def test_moved_away_and_back(make_hub):
    """The same file comes back: nobody is disconnected and nothing is lost."""
    hub = make_hub()
    ws = subscribe(hub.wsd.listen, hub.credential(), TYPE)
    assert publish(hub, "one")["ok"]
    away = hub.database + ".away"
    os.rename(hub.database, away)
    assert publish(hub, "two")["ok"] is False
    procs.wait_for(lambda: "database_gone" in hub.wsd.process.text(), "it does not notice")
    os.rename(away, hub.database)
    procs.wait_for(lambda: "database_back" in hub.wsd.process.text(), "it does not notice that it is back")
    procs.wait_for(lambda: publish(hub, "three")["ok"], "nothing is accepted")
    got = []
    while not got or got[-1] != "three":
        got.append(ws.recv()["message"])
    # "two" was not acknowledged and may be there or not
    assert [m for m in got if m != "two"] == ["one", "three"] and got.count("two") <= 1
    ws.close()


def test_symbolic_link_to_the_database(make_hub):
    """The path may be a link; it is the file behind it that counts."""
    hub = make_hub(wsd=False)
    real = os.path.join(hub.directory, "real.db")
    os.symlink(real, hub.database)
    hub.start_wsd()
    ws = subscribe(hub.wsd.listen, hub.credential(), TYPE)
    assert publish(hub, "one")["ok"]
    ws.expect(TYPE, "one")
    ws.nothing()
    ws.close()


@pytest.mark.parametrize("how", ["stopped", "killed", "running"])
def test_backup_with_fewer_events(make_hub, how):
    """The ids of what is gone must not be given again: a client that resumes
    with one is told to reload, however many events there are since."""
    hub = make_hub()
    who = hub.credential()
    for i in range(5):
        hub.publish(TYPE, f"kept {i}")
    kept = backup(hub)
    ws = subscribe(hub.wsd.listen, who, TYPE)
    for i in range(10):
        assert publish(hub, f"lost {i}")["ok"]
    ids = [ws.expect(TYPE, f"lost {i}")["id"] for i in range(10)]
    if how == "running":
        subprocess.run(["/usr/bin/sqlite3", hub.database, ".timeout 10000", f".restore {kept}"], check=True)
        assert ws.closed()[0] == 1012
        ready_again(hub, 2)
        listen = hub.wsd.wait_ready(hub.wsd.process.text().rfind("database_replaced")).listen
    else:
        if how == "stopped":
            ws.close()
            hub.wsd.stop()
        else:
            # what it knew last is written once a second
            procs.wait_for(lambda: ids[-1].split("-")[1] in remembered(hub), "nothing is remembered")
            hub.wsd.kill()
        put_in_place(hub, kept)
        listen = hub.start_wsd().listen
    for count in (0, 20):
        for i in range(count):
            assert publish(hub, f"new {i}")["ok"]
        back = subscribe(listen, who, TYPE, last_event_id=ids[4])
        assert back.welcome["body"]["resumed"] is False, back.welcome
        assert back.welcome["body"]["reason"] == "unknown"
        back.nothing()
        back.close()
    rows = hub.sql("SELECT seq FROM event")
    epoch = hub.value("SELECT value FROM meta WHERE key = 'epoch'")
    assert not set(ids) & {f"{epoch}-{r['seq']}" for r in rows}, "an id was given twice"


def remembered(hub):
    with open(hub.database + "-wsd.lock") as f:
        return f.read()


def test_first_start_after_a_boot(make_hub):
    """A power cut may take the last commits with it.  Their ids are not given
    again, and who has them resumes without a gap."""
    hub = make_hub()
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, TYPE)
    for i in range(5):
        hub.publish(TYPE, f"kept {i}")
    kept = [ws.recv()["id"] for _ in range(5)]
    image = backup(hub)
    for i in range(5):
        hub.publish(TYPE, f"lost {i}")
    lost = [ws.recv()["id"] for _ in range(5)]
    hub.wsd.kill()
    put_in_place(hub, image)  # what the disk had
    hub.sql("UPDATE meta SET value = 'the boot before' WHERE key = 'boot'")
    listen = hub.start_wsd().listen
    for i in range(8):
        hub.publish(TYPE, f"new {i}")
    epoch = hub.value("SELECT value FROM meta WHERE key = 'epoch'")
    ids = {f"{epoch}-{r['seq']}" for r in hub.sql("SELECT seq FROM event")}
    assert set(kept) < ids and not set(lost) & ids
    for last in (kept[-1], lost[2], lost[-1]):
        back = subscribe(listen, who, TYPE, last_event_id=last)
        assert back.welcome["body"]["resumed"] is True, back.welcome
        assert [back.recv()["message"] for _ in range(8)] == [f"new {i}" for i in range(8)]
        back.nothing()
        back.close()


def test_an_ordinary_restart_does_not_jump(make_hub):
    hub = make_hub()
    first = hub.publish(TYPE, "one")
    hub.wsd.stop()
    hub.start_wsd()
    assert hub.publish(TYPE, "two") == first + 1
    epoch = hub.value("SELECT value FROM meta WHERE key = 'epoch'")
    hub.wsd.kill()
    hub.start_wsd()
    assert hub.publish(TYPE, "three") == first + 2
    assert epoch == hub.value("SELECT value FROM meta WHERE key = 'epoch'")


def test_epoch_changed_by_an_operator(make_hub):
    """The documented way to make all clients reload."""
    hub = make_hub()
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, TYPE)
    hub.sql("UPDATE meta SET value = lower(hex(randomblob(4))) WHERE key = 'epoch'")
    assert ws.closed()[0] == 1012
    ready_again(hub, 2)
    listen = hub.wsd.wait_ready(hub.wsd.process.text().rfind("database_replaced")).listen
    back = subscribe(listen, who, TYPE, last_event_id=ws.welcome["id"])
    assert back.welcome["body"]["reason"] == "unknown"
    back.close()


def test_the_counter_of_changes_goes_back(make_hub):
    """As it does when an older copy is restored into the file, or a table is emptied
    thoroughly: nobody is told that a change is in force that was never seen."""
    hub = make_hub(fcgi=True)
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, TYPE)
    for _ in range(5):
        hub.sql(f"DELETE FROM subscription WHERE client_id = '{ws.client_id}' AND event_type = '{TYPE}'")
        ws.expect("system", "unsubscribed")
        hub.sql(f"INSERT INTO subscription(client_id, event_type) VALUES ('{ws.client_id}', '{TYPE}')")
        ws.expect("system", "subscribed")
    hub.sql("DELETE FROM change; DELETE FROM sqlite_sequence WHERE name = 'change'")
    assert ws.closed() == (1012, "the server restarts; reconnect and resume")
    ready_again(hub, 2)
    listen = hub.wsd.wait_ready(hub.wsd.process.text().rfind("database_replaced")).listen
    back = subscribe(listen, who, TYPE)
    answer = clients.fcgi_request(hub.fcgi_socket, "POST", clients.API + "/unsubscribe",
                                  {"Content-Type": "application/json", **who.headers},
                                  json.dumps({"client_id": back.client_id, "event_types": [TYPE]}))
    assert answer.status == 200, answer
    back.expect("system", "unsubscribed")
    hub.publish(TYPE, "after the 200")
    back.nothing()
