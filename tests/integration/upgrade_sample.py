"""Makes a database by the programs themselves, with something of everything
in it, and prints it as SQL: what a new schema version leaves behind in
tests/upgrade/, so that test_upgrades.py can bring it up to date ever after.

	EVHUB_BUILD=<build directory> python3 upgrade_sample.py >../upgrade/v<N>.sql

The daemon is killed at the end: the rows of its clients stay, as they do when
a machine is switched off.  Secrets are those below."""

import json
import os
import sys

import clients
import procs
from clients import Control, subscribe
from hub import Hub, sqlite3_shell

ALICE_KEY = "alices-key-0123456789"
ALICE_TOKEN = "alices-token-0123456789"
BOB_KEY = "bobs-key-0123456789"


def fill(hub):
    alice = hub.credential("alice", "subscribe publish admin", secret=ALICE_KEY)
    hub.credential("alice", "subscribe", "token", secret=ALICE_TOKEN)
    bob = hub.credential("bob", "subscribe publish", event_types="pdfm shop.*", secret=BOB_KEY)
    hub.sql("""UPDATE credential SET username = 'Alice Ü.', label = 'of the sample' WHERE user_id = 'alice';
        INSERT INTO credential(user_id, kind, hash, revoked_at) VALUES('mallory', 'key', printf('%064d', 7), '2026-01-01 00:00:00');
        INSERT INTO credential(user_id, kind, hash, expires_at) VALUES('late', 'token', printf('%064d', 8), '2020-01-01');
        UPDATE event_type SET retain_seconds = 0, retain_count = 0 WHERE name = 'pdfm';
        INSERT INTO event_type(name, description, retain_seconds, retain_count) VALUES('shop.order', 'Orders', 0, 0);
        INSERT INTO event_type(name, description, persistent) VALUES('passing', 'Not kept', 0);
        INSERT INTO event_type(name, description, mandatory) VALUES('notice', 'For all', 1)""")
    one = subscribe(hub.wsd.listen, alice, "pdfm,shop.order")
    two = subscribe(hub.wsd.listen, bob, "pdfm")
    for n in range(20):
        hub.publish("pdfm", f"m{n}", json.dumps({"n": n, "text": "quote ' and \" and ü"}))
    hub.publish("shop.order", "for alice", user_id="alice")
    hub.publish("pdfm", "for one client", client_id=two.client_id)
    hub.sql("""INSERT INTO event(event_type, message, dedup_id) VALUES('shop.order', 'once', 'sample-1');
        DELETE FROM event WHERE seq <= 3;
        DELETE FROM subscription WHERE event_type = 'shop.order' AND client_id = '""" + one.client_id + "'")
    while one.recv()["message"] != "unsubscribed":
        pass
    with Control(hub.wsd.control) as control:
        assert control.ask({"op": "publish", "event_type": "shop.order", "message": "by socket"})["ok"]
    hub.wait_sql("SELECT count(*) FROM client WHERE user_id IN ('alice', 'bob')", 2)


def dump(path):
    """The whole file; what .dump leaves out comes first."""
    rows = sqlite3_shell(path, "PRAGMA user_version; PRAGMA application_id")
    text = clients.subprocess.run(["sqlite3", path, ".dump"], capture_output=True, text=True, check=True).stdout
    text = text.replace(os.path.dirname(path), "/run/evhub")
    return "".join(f"PRAGMA {name} = {value};\n" for row in rows for name, value in row.items()) + text


def main():
    hub = Hub()
    try:
        hub.start_wsd()
        fill(hub)
        hub.wsd.kill()
        sys.stdout.write(dump(hub.database))
    finally:
        hub.abandon()
        procs.remove_directory(hub.directory)


if __name__ == "__main__":
    main()
