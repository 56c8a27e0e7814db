"""The ledger: who was promised what, and whether it came true.

It knows nothing of how the hub works: publishers write down what they were
told, followers write down every frame, and judge() compares the two with the
table "event" of the database, which gives the order.
"""

import bisect
import collections
import json
import os
import threading
import time

ACK, ROLLED_BACK, UNKNOWN = "ack", "rollback", "unknown"


def position(event_id):
    """(epoch, seq, number or None) of an id."""
    epoch, _, rest = event_id.partition("-")
    seq, _, number = rest.partition(".")
    return epoch, int(seq), int(number) if number else None


class Published:
    def __init__(self, key, event_type, began):
        self.key = key
        self.event_type = event_type
        self.began = began      # monotonic: nobody can have seen it before
        self.told = None        # monotonic: the acknowledgement was there
        self.fate = UNKNOWN
        self.seq = None


class Ledger:
    """What was published, by whom so ever.  Thread-safe."""

    def __init__(self, directory):
        self.directory = directory
        self.lock = threading.Lock()
        self.events = {}        # key: Published
        self.unsubscribes = []  # (client_id, type, asked at, told at)
        self.subscribes = []    # the same
        self.files = {}         # path of a publisher's file: how much of it was read
        self.errors = collections.Counter()
        self.own = open(os.path.join(directory, "ledger.jsonl"), "w", buffering=1)

    def begin(self, key, event_type):
        with self.lock:
            self.events[key] = Published(key, event_type, time.monotonic())

    def settle(self, key, fate, seq=None, at=None):
        with self.lock:
            e = self.events[key]
            e.fate, e.seq, e.told = fate, seq, at or time.monotonic()
            self.own.write(json.dumps([fate, key, e.event_type, seq, e.told]) + "\n")

    def error(self, what):
        with self.lock:
            self.errors[what] += 1

    def changed(self, kind, client_id, event_type, asked, told):
        with self.lock:
            (self.unsubscribes if kind == "unsubscribe" else self.subscribes).append(
                (client_id, event_type, asked, told))

    def add_file(self, path):
        """A file that a publisher of its own process writes."""
        with self.lock:
            self.files.setdefault(path, 0)

    def read_files(self):
        for path in list(self.files):
            if not os.path.exists(path):
                continue
            with open(path, "rb") as f:
                f.seek(self.files[path])
                data = f.read()
            whole = data.rfind(b"\n") + 1
            self.files[path] += whole
            for line in data[:whole].splitlines():
                entry = json.loads(line)
                for key, event_type, seq in entry["events"]:
                    if entry["op"] == "begin":
                        with self.lock:
                            self.events[key] = Published(key, event_type, entry["at"])
                    elif entry["op"] in (ACK, ROLLED_BACK):
                        self.settle(key, entry["op"], seq if entry["op"] == ACK else None, entry["at"])
                    else:
                        self.error(key)

    def acknowledged(self):
        self.read_files()
        with self.lock:
            return {e.key: e for e in self.events.values() if e.fate == ACK}

    def counts(self):
        with self.lock:
            fates = collections.Counter(e.fate for e in self.events.values())
        return (f"{fates[ACK]} acknowledged, {fates[ROLLED_BACK]} rolled back, {fates[UNKNOWN]} unknown,"
                f" {len(self.unsubscribes)} unsubscribes and {len(self.subscribes)} subscribes told")

    # the judgement

    def judge_rows(self, rows):
        """rows: (seq, type, body) of the table event.  Returns what is wrong."""
        faults = []
        by_key = {}
        for seq, event_type, body in rows:
            key = json.loads(body) if body else None
            if key in by_key:
                faults.append(f"stored twice: {key} as {by_key[key][0]} and {seq}")
            by_key[key] = (seq, event_type)
        for e in list(self.events.values()):
            row = by_key.get(e.key)
            if e.fate == ACK and row is None:
                faults.append(f"lost: {e.key} was acknowledged as {e.seq} and is not in the database")
            elif e.fate == ACK and row != (e.seq, e.event_type):
                faults.append(f"{e.key} was acknowledged as {e.seq} {e.event_type}; it is {row}")
            elif e.fate == ROLLED_BACK and row is not None:
                faults.append(f"{e.key} was rolled back and is there as {row[0]}")
        return faults


class Order:
    """The events of the database, to ask what lies between two positions."""

    def __init__(self, rows):
        self.rows = {seq: (event_type, body) for seq, event_type, body in rows}
        self.by_type = collections.defaultdict(list)
        for seq, event_type, _ in sorted(rows):
            self.by_type[event_type].append(seq)

    def between(self, types, after, upto):
        """The first event of these types in (after, upto], or None."""
        found = []
        for t in types:
            seqs = self.by_type.get(t, [])
            at = bisect.bisect_right(seqs, after)
            if at < len(seqs) and seqs[at] <= upto:
                found.append(seqs[at])
        return min(found) if found else None


def judge_follower(follower, order, ledger):
    """Walks through the frames of one follower in their order.  The
    subscriptions and positions are those that the frames tell: the welcome and
    the in-band frames.  Returns what is wrong."""
    faults = list(follower.faults)
    types, at, last = set(), None, None
    epoch = None
    seen = set()

    def fault(text):
        faults.append(f"{follower.name}: {text}")

    for frame in follower.frames:
        of, seq, number = position(frame["id"])
        if frame.get("connection"):
            body = frame["body"]
            types = set(body["subscriptions"])
            if at is None:
                at, epoch = seq, of
            elif body["resumed"] is not True:
                fault(f"resume from {last} was not granted: {body}")
                at = seq
            elif seq != at:
                fault(f"resumed at {seq} instead of {at}")
            last = frame["id"]
            if frame["asked"] != types - {"global"}:
                fault(f"asked for {sorted(frame['asked'])} and got {sorted(types)}")
            continue
        if of != epoch:
            fault(f"epoch {of} instead of {epoch}")
        if number is None:
            if seq <= at:
                fault(f"event {seq} after position {at}: " + ("repeated" if seq in seen else "out of order"))
            missed = order.between(types, at, seq - 1)
            if missed is not None:
                fault(f"event {missed} is missing before {seq}")
            if frame["event_type"] not in types:
                fault(f"event {seq} of type {frame['event_type']}, which is not subscribed")
            if seq not in order.rows:
                fault(f"event {seq} was delivered and is not in the database")
            elif order.rows[seq][0] != frame["event_type"] or json.loads(order.rows[seq][1]) != frame["body"]:
                fault(f"event {seq} is {order.rows[seq]}, and {frame} was delivered")
            seen.add(seq)
        else:
            if seq < at:
                fault(f"the frame {frame['id']} is behind the position {at}")
            missed = order.between(types, at, seq)
            if missed is not None:
                fault(f"event {missed} is missing before {frame['id']}")
            if frame["event_type"] == "system" and frame["message"] in ("subscribed", "unsubscribed"):
                types = set(frame["body"]["subscriptions"])
        at, last = seq, frame["id"]
    faults += _after_unsubscribe(follower, ledger)
    return faults


def _after_unsubscribe(follower, ledger):
    """No event that began after the acknowledgement of an unsubscribe may
    arrive, unless a subscribe was asked for before it did."""
    faults = []
    mine = {f["body"]["client_id"] for f in follower.frames if f.get("connection")}
    told = [u for u in ledger.unsubscribes if u[0] in mine]
    if not told:
        return faults
    again = [s for s in ledger.subscribes if s[0] in mine]
    for frame in follower.frames:
        event = ledger.events.get(frame["body"]) if isinstance(frame.get("body"), str) else None
        if event is None:
            continue
        for client_id, event_type, _, at in told:
            if client_id != frame["client"] or event_type != event.event_type or event.began <= at:
                continue
            if not any(s[0] == client_id and s[1] == event_type and at <= s[2] < frame["at"] for s in again):
                faults.append(f"{follower.name}: {event.key} began {event.began - at:.6f} s after the"
                              f" acknowledged unsubscribe from {event_type}, and arrived")
    return faults
