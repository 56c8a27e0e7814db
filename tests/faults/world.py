"""A hub under load: publishers by all three ways, followers that come back,
somebody who subscribes and unsubscribes them; and a ledger of it all."""

import json
import os
import random
import sys
import threading
import time

import clients
import followers
import ledger
import lean
import procs

TYPES = ["ta", "tb", "tc", "td"]
HERE = os.path.dirname(os.path.abspath(__file__))


class Stopped(Exception):
    pass


class World:
    def __init__(self, make_hub, followers_count=12, rate=60, seed=None, publishers=("sql", "http", "control"),
                 changes=True, cuts=None, fcgi=True, preload=None, via=None, **conf):
        """rate: events a second by each publisher.  cuts: as for lean.Swarm.
        via: gives the address that followers use, else the daemon's."""
        self.seed = random.randrange(1 << 30) if seed is None else seed
        print(f"seed {self.seed}")
        self.random = random.Random(self.seed)
        conf.setdefault("ping_interval", "1h")
        conf.setdefault("pong_timeout", "2h")
        self.hub = make_hub(wsd=False, **conf)
        self.preload = preload or {}
        self.start_wsd()
        # it comes back where it was
        self.hub.conf["listen"] = [self.hub.wsd.listen]
        self.hub.write_conf()
        self.address = self.hub.wsd.listen
        for name in TYPES:
            self.hub.event_type(name)
        self.has_fcgi = fcgi
        if fcgi:
            self.start_fcgi()
        self.who = self.hub.credential(scopes="subscribe publish admin")
        self.ledger = ledger.Ledger(self.hub.directory)
        self.ending = threading.Event()
        self.threads, self.failures = [], []
        self.sql_process, self.sql_runs = None, 0
        self.kinds = publishers
        self.rate = rate
        self.followers = [
            followers.Follower(f"follower {i}", via or (lambda: self.address), self.who,
                               self.random.sample(TYPES, self.random.randint(1, len(TYPES))))
            for i in range(followers_count)]
        self.swarm = lean.Swarm(self.followers, reconnect=True, cuts=cuts, seed=self.seed)
        self.changes = changes
        self.ended = False

    # programs

    def start_wsd(self, **kwargs):
        with procs.preloaded(self.preload):
            return self.hub.start_wsd(**kwargs)

    def start_fcgi(self):
        with procs.preloaded(self.preload):
            return self.hub.start_fcgi()

    def kill_wsd(self):
        self.hub.wsd.kill()

    def kill_fcgi(self):
        self.hub.others.remove(self.hub.fcgi)
        self.hub.fcgi.kill()

    # load

    def start(self):
        procs.wait_for(lambda: self._types_are_known(), "the new types are unknown")
        self.swarm.start()
        procs.wait_for(lambda: all(f.last_id for f in self.followers), "not all are connected", 60)
        if "sql" in self.kinds:
            self.start_sql()
        for kind in ("http", "control"):
            if kind in self.kinds:
                self._thread(getattr(self, "_" + kind))
        if self.changes:
            self._thread(self._change)
        return self

    def _types_are_known(self):
        try:
            ws = clients.subscribe(self.address, self.who, TYPES)
        except clients.Refused:
            return False
        ws.close()
        return True

    def _thread(self, action):
        def run():
            try:
                action()
            except Stopped:
                pass
            except BaseException as e:
                self.failures.append(e)
                raise
        t = threading.Thread(target=run, daemon=True)
        self.threads.append(t)
        t.start()

    def start_sql(self):
        self.sql_runs += 1
        name = f"sql{self.sql_runs}"
        path = os.path.join(self.hub.directory, name + ".ledger")
        self.ledger.add_file(path)
        script = os.path.join(self.hub.directory, "sql_publisher.py")
        if not os.path.exists(script):
            with open(os.path.join(HERE, "sql_publisher.py")) as f, open(script, "w") as out:
                out.write(f.read())
        with procs.preloaded(self.preload):
            self.sql_process = procs.Process(
                name, [sys.executable, script, self.hub.database, path, name, str(self.rate),
                       str(self.seed + self.sql_runs), *TYPES], os.path.join(self.hub.directory, name + ".out"))
        return self.sql_process

    def kill_sql(self):
        self.sql_process.kill()
        self.sql_process = None

    def pause(self, seconds):
        """A part of the load, not a way to wait for something."""
        if self.ending.wait(seconds):
            raise Stopped

    def _http(self):
        """Each event has a dedup_id and is tried until there is an answer."""
        choice, n = random.Random(self.seed + 1), 0
        while True:
            n += 1
            key, event_type = f"http-{n}", choice.choice(TYPES)
            body = json.dumps({"event_type": event_type, "message": "m", "body": key, "dedup_id": key})
            self.ledger.begin(key, event_type)
            while True:
                try:
                    answer = clients.fcgi_request(
                        self.hub.fcgi_socket, "POST", clients.API + "/events",
                        {"Content-Type": "application/json", **self.who.headers}, body)
                except (OSError, AssertionError):
                    self.ledger.error("http: no answer")
                    self.pause(0.02)
                    continue
                if answer.status in (200, 201):
                    self.ledger.settle(key, ledger.ACK, ledger.position(answer.json()["id"])[1])
                    break
                self.ledger.error(f"http: {answer.status} {answer.json()['stack'][0]['error']}")
                assert answer.status == 503, answer
                self.pause(0.02)
            self.pause(choice.expovariate(self.rate))

    def _control(self):
        """Pipelined, with and without a dedup_id; what was not answered
        without one stays unknown."""
        choice, n, control = random.Random(self.seed + 2), 0, None
        todo = []
        while True:
            if not todo:
                for _ in range(choice.choice([1, 1, 3])):
                    n += 1
                    key, event_type = f"control-{n}", choice.choice(TYPES)
                    request = {"op": "publish", "event_type": event_type, "body": key, "rid": key}
                    if choice.random() < 0.5:
                        request["dedup_id"] = key
                    self.ledger.begin(key, event_type)
                    todo.append(request)
            try:
                if control is None:
                    control = clients.Control(self.hub.control)
                control.send(*todo)
                answered = []
                for request in todo:
                    answer = control.recv()
                    if answer is None:
                        raise ConnectionError("closed")
                    assert answer["rid"] == request["rid"], answer
                    answered.append(request)
                    if answer["ok"]:
                        self.ledger.settle(answer["rid"], ledger.ACK, ledger.position(answer["id"])[1])
                    else:
                        self.ledger.error("control: " + answer["error"])
                todo = []
            except (OSError, AssertionError) as e:
                if isinstance(e, AssertionError) and "half a line" not in str(e):
                    raise
                self.ledger.error("control: no answer")
                if control is not None:
                    control.close()
                    todo = [r for r in todo if r not in answered and "dedup_id" in r] if control else todo
                    control = None
                self.pause(0.02)
                continue
            self.pause(choice.expovariate(self.rate))

    def _change(self):
        """Takes a type from a follower and gives it back, by HTTP or by SQL."""
        choice = random.Random(self.seed + 3)
        taken = []
        while True:
            self.pause(choice.expovariate(15))
            if taken and (len(taken) > 5 or choice.random() < 0.5):
                kind, (follower, event_type) = "subscribe", taken.pop(0)
            else:
                kind, follower = "unsubscribe", choice.choice(self.followers)
                types = list(follower.types)
                if not types:
                    continue
                event_type = choice.choice(types)
            client_id = follower.client_id
            if follower.open and (self._change_by_http if choice.random() < 0.6 and self.has_fcgi
                                  else self._change_by_sql)(kind, client_id, event_type):
                if kind == "unsubscribe":
                    taken.append((follower, event_type))

    def _change_by_http(self, kind, client_id, event_type):
        asked = time.monotonic()
        endpoint = "unsubscribe" if kind == "unsubscribe" else "subscriptions"
        if kind == "subscribe":  # from here on events may come again
            self.ledger.changed(kind, client_id, event_type, asked, asked)
        try:
            answer = clients.fcgi_request(
                self.hub.fcgi_socket, "POST", f"{clients.API}/{endpoint}",
                {"Content-Type": "application/json", **self.who.headers},
                json.dumps({"client_id": client_id, "event_types": [event_type]}))
        except (OSError, AssertionError):
            self.ledger.error(f"{kind}: no answer")
            return False
        if answer.status == 200:
            if kind == "unsubscribe":
                self.ledger.changed(kind, client_id, event_type, asked, time.monotonic())
            return True
        assert answer.status in (400, 404, 503), answer
        self.ledger.error(f"{kind}: {answer.status} {answer.json()['stack'][0]['error']}")
        return False

    def _change_by_sql(self, kind, client_id, event_type):
        asked = time.monotonic()
        statement = (f"DELETE FROM subscription WHERE client_id='{client_id}' AND event_type='{event_type}'"
                     if kind == "unsubscribe" else
                     f"INSERT OR IGNORE INTO subscription(client_id,event_type) VALUES('{client_id}','{event_type}')")
        if kind == "subscribe":
            self.ledger.changed(kind, client_id, event_type, asked, asked)
        try:
            self.hub.sql(statement)
        except Exception as e:  # the client is gone, or the database is what the test has made of it
            self.ledger.error(f"{kind} by SQL: " + str(e)[:60].splitlines()[0])
            return False
        return True

    # the end

    def settle(self, timeout=60):
        """Stops the load and waits until every follower has everything."""
        self.ending.set()
        for t in self.threads:
            t.join(procs.PATIENCE * 3)
            assert not t.is_alive(), "a publisher hangs"
        if self.sql_process is not None:
            self.kill_sql()
        self.swarm.cutting = False
        assert not self.failures, self.failures
        last = json.dumps("the end")
        self.hub.publish("global", "end", last)
        try:
            procs.wait_for(lambda: all(f.open and f.has("the end") for f in self.followers),
                           lambda: f"{sum(not f.has('the end') for f in self.followers)} followers"
                                   " did not get the last event", timeout, 0.02)
        finally:
            self.swarm.stop()
            self.ended = True

    def rows(self):
        return [(r["seq"], r["event_type"], r["body"])
                for r in self.hub.sql("SELECT seq, event_type, body FROM event ORDER BY seq")]

    def judge(self):
        """Returns a line of figures, or fails with all that is wrong."""
        if not self.ended:
            self.settle()
        self.ledger.read_files()
        rows = self.rows()
        faults = self.ledger.judge_rows(rows)
        order = ledger.Order(rows)
        for f in self.followers:
            faults += ledger.judge_follower(f, order, self.ledger)
        integrity = self.hub.value("PRAGMA integrity_check")
        if integrity != "ok":
            faults.append(f"integrity_check: {integrity}")
        assert not faults, f"{len(faults)} faults; seed {self.seed}\n" + "\n".join(faults[:40])
        return (f"{self.ledger.counts()}; {len(self.followers)} followers,"
                f" {sum(f.connects for f in self.followers)} connections,"
                f" {sum(len(f.frames) for f in self.followers)} frames judged: 0 lost, 0 repeated, 0 out of order")

    def end(self):
        """After a test that failed: lets go of everything."""
        self.ending.set()
        if self.sql_process is not None:
            self.kill_sql()
        if not self.ended and self.swarm.thread.is_alive():
            try:
                self.swarm.stop()
            except BaseException:
                pass
            self.ended = True
