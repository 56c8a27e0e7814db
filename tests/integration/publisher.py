#!/usr/bin/python3
"""Publishes by INSERT at a steady rate: publisher.py DATABASE RATE SECONDS SEED TYPE...

The n-th event has the body n and a type chosen by the seed, so that whoever
knows the seed knows what must arrive.  Prints how many there were.
"""

import random
import sqlite3
import sys
import threading
import time

BATCH_SECONDS = 0.01


def sequence(seed, types):
    """The types of the events, in their order, without an end."""
    choice = random.Random(seed)
    while True:
        yield choice.choice(types)


def main():
    database, rate, seconds, seed = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    types = sequence(seed, sys.argv[5:])
    db = sqlite3.connect(database, timeout=60, isolation_level=None)
    pace = threading.Event()
    begin, n = time.monotonic(), 0
    while (elapsed := time.monotonic() - begin) < seconds:
        due = int(min(elapsed + BATCH_SECONDS, seconds) * rate)
        if due > n:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO event(event_type, body) VALUES(?, ?)",
                           [(next(types), str(i)) for i in range(n + 1, due + 1)])
            db.execute("COMMIT")
            n = due
        pace.wait(max(0.0, begin + n / rate - time.monotonic()))
    db.close()
    print(n)


if __name__ == "__main__":
    main()
