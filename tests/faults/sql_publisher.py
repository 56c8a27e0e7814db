#!/usr/bin/python3
"""Publishes by INSERT, as an application does, until it is killed:

    sql_publisher.py DATABASE LEDGER NAME RATE SEED TYPE...

What it is about to do, and what came of it, goes to the ledger: one line for
each transaction before it begins, one after its COMMIT has returned.  A line
is one write(2), so that a kill leaves no half of what matters.
"""

import json
import os
import random
import sqlite3
import sys
import threading
import time


def main():
    database, path, name, rate, seed = sys.argv[1:6]
    types = sys.argv[6:]
    choice = random.Random(int(seed))
    ledger = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    pace = threading.Event()
    n = 0

    def note(op, events):
        line = json.dumps({"op": op, "at": time.monotonic(), "events": events})
        os.write(ledger, line.encode() + b"\n")

    db = None
    while True:
        count = choice.choice([1, 1, 1, 2, 5])
        keeps = choice.random() > 0.15
        events = []
        for _ in range(count):
            n += 1
            events.append([f"{name}-{n}", choice.choice(types), None])
        try:
            if db is None:
                db = sqlite3.connect(database, timeout=30, isolation_level=None)
            note("begin", events)
            db.execute("BEGIN IMMEDIATE")
            for e in events:
                e[2] = db.execute("INSERT INTO event(event_type, body) VALUES(?, ?) RETURNING seq",
                                  (e[1], json.dumps(e[0]))).fetchone()[0]
            if keeps:
                db.execute("COMMIT")
                note("ack", events)
            else:
                db.execute("ROLLBACK")
                note("rollback", events)
        except sqlite3.Error as e:
            note("error", [[str(e), "", None]])
            if db is not None:
                db.close()  # rolls back what is open
                db = None
        pace.wait(choice.expovariate(float(rate)) * count)


if __name__ == "__main__":
    main()
