"""The recipes of evhub-sql(7), taken from the page and pasted into the sqlite3 shell
while a daemon runs: each does what the page says."""

import os
import re
import shutil
import sqlite3
import subprocess

import pytest

import procs
import snippets
from clients import subscribe
from hub import sqlite3_shell


def recipes():
    """{title: [snippet]}"""
    path = os.path.join(procs.SOURCE, "man", "evhub-sql.7")
    with open(path) as f:
        lines = f.read().split("\n")
    found = {}
    for s in snippets.of_page(path):
        titles = [line for line in lines[:s.line] if line.startswith((".Sh ", ".Ss "))]
        if titles[-1].startswith(".Ss ") and ".Sh RECIPES" in titles:
            found.setdefault(titles[-1][4:], []).append(s.text)
    return found


RECIPES = recipes()


class Recipe:
    def __init__(self, hub, title):
        self.hub = hub
        self.texts = [self.here(text) for text in RECIPES[title]]

    def here(self, text):
        for name in ("/var/lib/shop/", "/var/backups/"):
            text = text.replace(name, self.hub.directory + "/")
        return text.replace("/var/lib/evhub/evhub.db", self.hub.database)

    def paste(self, number=0):
        """Rows of all statements."""
        return self.hub.sql(self.texts[number])

    def pasted(self):
        assert len(self.texts) == 1
        return self.paste()


@pytest.fixture
def alice(hub):
    who = hub.credential(user="alice")
    ws = subscribe(hub.wsd.listen, who, "pdfm,job_manager,stats")
    yield ws
    ws.close()


def test_who_is_connected(hub, alice):
    others = [subscribe(hub.wsd.listen, hub.credential(user="bob"), "health") for _ in range(2)]
    rows = Recipe(hub, "Who is connected").pasted()
    by_user, one_by_one = rows[:2], rows[2:]
    assert [(r["user_id"], r["connections"], r["addresses"]) for r in by_user] == [
        ("bob", 2, "127.0.0.1"), ("alice", 1, "127.0.0.1")]
    assert sorted(r["id"] for r in one_by_one) == sorted(ws.client_id for ws in others + [alice])
    assert one_by_one[0]["event_subscriptions"] == "global,job_manager,pdfm,stats"
    for ws in others:
        ws.close()


def test_who_is_slow(hub):
    who = hub.credential(user="slow")
    slow = subscribe(hub.wsd.listen, who, "pdfm", options={"max_queue": 4, "read_limit": 1024})
    quick = subscribe(hub.wsd.listen, who, "health")
    recipe = Recipe(hub, "Who is slow")
    assert recipe.paste() == []
    hub.sql("""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO event(event_type, message) SELECT 'pdfm', hex(zeroblob(400)) FROM n""")
    hub.wait_sql("SELECT max(queue_depth) > 10000 FROM client", 1)
    rows = recipe.paste()
    assert [(r["user_id"], r["id"]) for r in rows] == [("slow", slow.client_id)]
    assert rows[0]["events_behind"] > 10000
    recipe.paste(1)
    assert slow.closed()[0] == 1008
    quick.nothing()
    # it comes back, and what it missed with it
    last = slow.rest[-1]["id"]
    again = subscribe(hub.wsd.listen, who, "pdfm", last_event_id=last)
    assert again.welcome["body"]["resumed"] is True
    assert int(again.recv()["id"].split("-")[1]) == int(last.split("-")[1]) + 1
    again.close()
    quick.close()


def test_last_minute(hub, alice):
    for n in range(3):
        hub.publish("pdfm", f"m{n}", '{"a":"' + "x" * 100 + '"}')
    hub.sql("INSERT INTO event(event_type, message, created_at) VALUES('pdfm', 'old', '2020-01-01T00:00:00.000Z')")
    rows = Recipe(hub, "What was published in the last minute").pasted()
    assert [r["message"] for r in rows] == ["m0", "m1", "m2"]
    assert rows[0]["seq"] == 1 and len(rows[0]["body"]) == 60 and rows[0]["event_type"] == "pdfm"


def test_counts_by_type(hub, alice):
    for event_type, count in (("pdfm", 3), ("stats", 1)):
        for n in range(count):
            hub.publish(event_type, str(n))
    hub.sql("INSERT INTO event(event_type, created_at) VALUES('stats', '2020-01-01T00:00:00.000Z')")
    rows = {r["name"]: r for r in Recipe(hub, "How many there are of each type").pasted()}
    assert len(rows) == hub.value("SELECT count(*) FROM event_type")
    assert list(rows)[:2] == ["pdfm", "stats"]
    assert (rows["pdfm"]["kept"], rows["pdfm"]["last_hour"], rows["pdfm"]["subscribers"]) == (3, 3, 1)
    assert (rows["stats"]["kept"], rows["stats"]["last_hour"]) == (2, 1)
    assert rows["stats"]["oldest"].startswith("2020")
    assert (rows["auth"]["kept"], rows["auth"]["oldest"]) == (0, None)


def test_top_talkers(hub, alice):
    for _ in range(5):
        hub.publish("auth", "NOBODY_LISTENS", '"' + "x" * 500 + '"')
    hub.publish("pdfm", "LONG", '"' + "x" * 400 + '"')
    for _ in range(3):
        hub.publish("pdfm", "SHORT", "1")
    rows = Recipe(hub, "Top talkers").pasted()
    assert [(r["event_type"], r["message"], r["events"], r["bytes"], r["deliveries"]) for r in rows] == [
        ("pdfm", "LONG", 1, 406, 1), ("pdfm", "SHORT", 3, 18, 3), ("auth", "NOBODY_LISTENS", 5, 2580, 0)]


def test_with_a_change_of_ones_own(hub, alice):
    recipe = Recipe(hub, "Publish with a change of one's own")
    recipe.pasted()
    frame = alice.expect("job_manager", "ORDER_NEW")
    assert frame["body"] == {"id": 4711, "state": "new"}
    assert hub.value("SELECT state FROM shop_order WHERE id = 4711") == "new"
    # neither, if it is not committed
    undone = recipe.texts[0].replace("4711", "4712").replace("COMMIT;", "ROLLBACK;")
    assert undone.count("4712") == 2
    hub.sql(undone)
    assert hub.value("SELECT count(*) FROM shop_order") == 1
    alice.nothing()


def test_with_a_change_in_another_file(hub, alice):
    """The outbox; taken from twice, and by one that was cut short."""
    write, take = Recipe(hub, "Publish with a change in another file").texts
    shop = os.path.join(hub.directory, "shop.db")
    sqlite3_shell(shop, "PRAGMA journal_mode = WAL")
    hub.sql(write)
    alice.nothing()
    hub.sql(take)
    assert alice.expect("job_manager", "ORDER_NEW")["body"] == {"id": 1}
    hub.sql(take)
    alice.nothing()
    assert sqlite3_shell(shop, "SELECT count(*) AS n FROM outbox") == [{"n": 0}]
    # ended between its two transactions, and tried again
    publish, delete = re.match(r"(.*?ON CONFLICT DO NOTHING;)(.*)$", take, re.S).groups()
    assert "DELETE FROM shop.outbox" in delete
    hub.sql(write)
    hub.sql(publish)
    assert alice.expect("job_manager", "ORDER_NEW")["body"] == {"id": 2}
    hub.sql(take)
    alice.nothing()
    assert sqlite3_shell(shop, "SELECT count(*) AS n FROM outbox") == [{"n": 0}]
    # and what came in between is not lost
    hub.sql(write)
    hub.sql(take)
    assert alice.expect("job_manager", "ORDER_NEW")["body"] == {"id": 3}
    assert hub.value("SELECT count(*) FROM event") == 3


def test_an_event_for_each_change(hub, alice):
    Recipe(hub, "An event for each change of a table").pasted()
    assert alice.expect("stats", "STOCK_NEW")["body"] == {"item": "teapot", "amount": 3}
    assert alice.expect("stats", "STOCK_CHANGED")["body"] == {"item": "teapot", "amount": 2, "was": 3}
    assert alice.expect("stats", "STOCK_GONE")["body"] == {"item": "teapot"}
    # by any program, and not for what is rolled back or no change
    with sqlite3.connect(hub.database, timeout=20) as db:
        db.execute("INSERT INTO shop_stock VALUES('cup', 1)")
    db.close()
    assert alice.expect("stats", "STOCK_NEW")["body"] == {"item": "cup", "amount": 1}
    hub.sql("UPDATE shop_stock SET amount = 1; BEGIN; DELETE FROM shop_stock; ROLLBACK")
    alice.nothing()


def test_retention(make_hub):
    hub = make_hub(retain_interval="100ms")
    hub.sql("""INSERT INTO event(event_type, created_at) VALUES
        ('stats', strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 hours')), ('stats', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
        ('system_logs', strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 hours')), ('system_logs', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))""")
    recipe = Recipe(hub, "Keep less, or more")
    recipe.paste(1)
    assert hub.sql("SELECT seq FROM event") == [{"seq": 1}, {"seq": 2}, {"seq": 4}]
    recipe.paste(0)
    hub.wait_sql("SELECT count(*) FROM event WHERE event_type = 'stats'", 1)
    assert hub.sql("SELECT retain_seconds, retain_count FROM event_type WHERE name = 'auth'") == [
        {"retain_seconds": 604800, "retain_count": 1000000}]
    ws = subscribe(hub.wsd.listen, hub.credential(), "stats", last_event_id=hub.event_id(0 + 1).replace("-1", "-0"))
    assert ws.welcome["body"]["resumed"] is False and ws.welcome["body"]["reason"] == "expired"
    ws.close()


def test_turn_somebody_out(hub, alice):
    bob = subscribe(hub.wsd.listen, hub.credential(user="bob"), "pdfm")
    recipe = Recipe(hub, "Turn somebody out")
    recipe.paste(0)
    assert alice.closed()[0] == 1008
    bob.nothing()
    hub.sql("""INSERT INTO credential(user_id, kind, hash, created_at)
        VALUES('never', 'key', printf('%064d', 1), datetime('now', '-100 days')), ('new', 'key', printf('%064d', 2), datetime('now'))""")
    recipe.paste(1)
    assert hub.sql("SELECT user_id FROM credential WHERE revoked_at IS NOT NULL ORDER BY user_id") == [
        {"user_id": "alice"}, {"user_id": "never"}]
    bob.nothing()
    bob.close()


def test_back_up_and_restore(hub):
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    hub.publish("pdfm", "kept")
    ws.expect("pdfm", "kept")
    for text in Recipe(hub, "Back up while it runs").texts:
        subprocess.run(["sh", "-e"], input=text.removeprefix("$ "), text=True, check=True, timeout=procs.PATIENCE)
    copies = [os.path.join(hub.directory, name) for name in ("evhub-today.db", "evhub-copy.db")]
    for copy in copies:
        assert sqlite3_shell(copy, "SELECT message FROM event") == [{"message": "kept"}]
        assert sqlite3_shell(copy, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    hub.publish("pdfm", "lost by the restore")
    later = [ws.expect("pdfm", "lost by the restore")["id"]]
    ws.close()
    # as the page says, and once more with what was the first history
    for copy in copies + copies[:1]:
        hub.wsd.stop()
        shutil.copy(copy, hub.database)
        procs.give(hub.database)
        for suffix in ("-wal", "-shm"):
            if os.path.exists(hub.database + suffix):
                os.unlink(hub.database + suffix)
        hub.start_wsd()
        for lost in later:
            ws = subscribe(hub.wsd.listen, who, "pdfm", last_event_id=lost)
            assert ws.welcome["body"]["resumed"] is False and ws.welcome["body"]["reason"] == "unknown"
            ws.close()
        ws = subscribe(hub.wsd.listen, who, "pdfm")
        hub.publish("pdfm", "after")
        after = ws.expect("pdfm", "after")["id"]
        assert after not in later  # no id names two events
        later.append(after)
        ws.close()


def test_every_recipe_is_tested():
    """Read from this file, for the tests may run in several processes."""
    with open(__file__) as f:
        tested = set(re.findall(r'Recipe\(hub, "([^"]*)"\)', f.read()))
    assert tested == set(RECIPES)
    assert len(tested) >= 11
