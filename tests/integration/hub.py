"""A Hub: one database with evhub-wsd and evhub-fcgi around it."""

import json
import os
import re
import secrets
import signal
import socket
import subprocess

import procs
from procs import Process, wait_for

READY = re.compile(r"evhub-wsd(?:: info ready |\",\"level\":\"info\",\"event\":\"ready\",)(.*)")
DEFAULT_TYPES = ["auth", "catalog_cache", "global", "health", "job_manager", "orchestrator", "pdfm",
                 "reverse_proxy", "stats", "system", "system_logs"]


def quote(text):
    """An SQL literal."""
    return "NULL" if text is None else "'" + str(text).replace("'", "''") + "'"


class SqlError(Exception):
    pass


def sqlite3_shell(database, statement, timeout_ms=10000, user=None):
    """Runs the sqlite3 shell with its default pragmas; rows come back as
    dictionaries.  SqlError with what it printed if it complains."""
    prefix = procs.as_user(user) if user else []
    result = subprocess.run(
        prefix + ["/usr/bin/sqlite3", "-batch", "-bail", "-json", "-cmd", f".timeout {timeout_ms}", database],
        input=statement, capture_output=True, text=True, timeout=procs.PATIENCE * 3, cwd="/", check=False)
    if result.returncode != 0 or result.stderr:
        raise SqlError(result.stderr.strip() or f"exit status {result.returncode}")
    rows = []
    decoder = json.JSONDecoder()
    text = result.stdout.strip()
    while text:
        value, end = decoder.raw_decode(text)
        rows.extend(value)
        text = text[end:].lstrip()
    return rows


class Wsd:
    """One running evhub-wsd."""

    def __init__(self, hub, name, process, control):
        self.hub = hub
        self.name = name
        self.process = process
        self.control = control
        self.listen = None

    def wait_ready(self, skip=0):
        def ready():
            found = READY.findall(self.process.text()[skip:])
            return found[-1] if found else None
        line = self.process.wait_ready(ready, "no line with the word ready in its log")
        listen = re.search(r"\blisten(?:=|\":\")([^\s\"]+)", line)
        assert listen, f"the ready line names no address: {line}"
        self.listen = listen.group(1).split(",")[0]
        return self

    @property
    def port(self):
        return int(self.listen.rsplit(":", 1)[1])

    def stop(self, number=signal.SIGTERM):
        self.process.stop(number)
        self.hub.forget(self)

    def kill(self):
        self.process.kill()
        self.process.check_log()
        self.hub.forget(self)

    def wait(self):
        status = self.process.wait()
        self.hub.forget(self)
        return status


class Hub:
    def __init__(self, **conf):
        self.directory = procs.new_directory()
        self.database = os.path.join(self.directory, "evhub.db")
        self.control = os.path.join(self.directory, "wsd.sock")
        self.conf_path = os.path.join(self.directory, "evhub.conf")
        self.fcgi_socket = os.path.join(self.directory, "fcgi.sock")
        self.daemons = []
        self.others = []  # evhub-fcgi, web servers: stopped in reverse
        self.fcgi = None
        self.conf = {
            "database": self.database,
            "control_socket": self.control,
            "listen": ["127.0.0.1:0"],
            "fcgi_listen": self.fcgi_socket,
            "drain_timeout": "2s",
        }
        self.conf.update(conf)
        self.database = self.conf["database"]
        self.write_conf()
        self._numbers = 0

    # configuration

    def write_conf(self, path=None, **changes):
        conf = dict(self.conf, **changes)
        with open(path or self.conf_path, "w") as f:
            for key, value in conf.items():
                if isinstance(value, list):
                    items = ", ".join(f'"{item}"' for item in value)
                    f.write(f"{key} = {{{items}}}\n")
                elif isinstance(value, bool):
                    f.write(f"{key} = {'yes' if value else 'no'}\n")
                else:
                    f.write(f'{key} = "{value}"\n')
        return path or self.conf_path

    def wsd_argv(self, *more):
        return [procs.program("evhub-wsd"), "-c", self.conf_path, *more]

    def run_wsd(self, *more, **kwargs):
        """Runs evhub-wsd to its end (for -t and refusals)."""
        return subprocess.run(
            procs.drop_prefix() + self.wsd_argv(*more), capture_output=True, text=True,
            timeout=procs.PATIENCE * 2, env=procs.environment(), stdin=subprocess.DEVNULL, cwd="/",
            check=False, **kwargs)

    # daemons

    def start_wsd(self, name="wsd", overrides=(), wait=True, prefix=()):
        """prefix: a program that becomes it, with its arguments."""
        control = self.control if name == "wsd" else os.path.join(self.directory, name + ".sock")
        argv = ["-o", f"name={name}", "-o", f"control_socket={control}"]
        for override in overrides:
            argv += ["-o", override]
        log = os.path.join(self.directory, name + ".log")
        skip = os.path.getsize(log) if os.path.exists(log) else 0
        process = Process(name, [*prefix, *self.wsd_argv(*argv)], log)
        wsd = Wsd(self, name, process, control)
        self.daemons.append(wsd)
        if wait:
            wsd.wait_ready(skip)
        return wsd

    @property
    def wsd(self):
        return self.daemons[0]

    def forget(self, wsd):
        if wsd in self.daemons:
            self.daemons.remove(wsd)

    def start_fcgi(self, how="listen"):
        """how: "listen" (it opens fcgi_listen) or "spawn" (spawn-fcgi gives it
        the socket as fd 0)."""
        argv = [procs.program("evhub-fcgi"), "-c", self.conf_path]
        if how == "spawn":
            argv = ["spawn-fcgi", "-n", "-s", self.fcgi_socket, "-M", "0600", "--"] + argv
        # a socket file left by a killed one must not be taken for ready
        if os.path.exists(self.fcgi_socket):
            os.unlink(self.fcgi_socket)
        self.fcgi = Process("fcgi", argv, os.path.join(self.directory, "fcgi.log"))
        self.others.append(self.fcgi)

        def answers():
            with socket.socket(socket.AF_UNIX) as s:
                try:
                    s.connect(self.fcgi_socket)
                    return True
                except OSError:
                    return False
        self.fcgi.wait_ready(answers, "its socket does not answer")
        return self.fcgi

    def stop_fcgi(self):
        self.others.remove(self.fcgi)
        self.fcgi.stop()
        self.fcgi = None

    def stop(self):
        """Stops everything; each must end with status 0 and a clean log."""
        faults = []
        for process in reversed(self.others):
            try:
                process.stop()
            except AssertionError as e:
                faults.append(str(e))
        self.others = []
        for wsd in list(self.daemons):
            try:
                wsd.stop()
            except AssertionError as e:
                faults.append(str(e))
        self.daemons = []
        for name in sorted(os.listdir(self.directory)):
            if name.endswith(".log"):
                with open(os.path.join(self.directory, name), errors="replace") as f:
                    text = f.read()
                found = procs.SANITIZER.search(text)
                if found:
                    faults.append(f"{name}: {text[max(0, found.start() - 500):found.start() + 4000]}")
        procs.remove_directory(self.directory)
        assert not faults, "\n".join(faults)

    def abandon(self):
        for process in self.others + [wsd.process for wsd in self.daemons]:
            process.kill()
        procs.remove_directory(self.directory)

    # SQL

    def sql(self, statement, **kwargs):
        return sqlite3_shell(self.database, statement, **kwargs)

    def value(self, statement):
        """The one value that a SELECT gives."""
        rows = self.sql(statement)
        assert len(rows) == 1 and len(rows[0]) == 1, rows
        return next(iter(rows[0].values()))

    def wait_sql(self, statement, expected, timeout=procs.PATIENCE):
        """Polls until the SELECT's one value is as expected."""
        seen = []

        def look():
            seen[:] = [self.value(statement)]
            return seen[0] == expected
        wait_for(look, lambda: f"{statement} is {seen[0]!r}, not {expected!r}", timeout, 0.02)

    # what tests need of their own

    def unique(self, prefix):
        self._numbers += 1
        return f"{prefix}{self._numbers}"

    def credential(self, user=None, scopes="subscribe publish", kind="key", event_types=None, secret=None):
        """Makes a credential as the contract documents it."""
        user = user or self.unique("user")
        secret = secret or secrets.token_urlsafe(24)
        self.sql(f"""INSERT INTO credential(user_id, kind, hash, scopes, event_types) VALUES(
            {quote(user)}, {quote(kind)}, lower(hex(sha3({quote(secret)},256))), {quote(scopes)},
            {quote(event_types)})""")
        return Credential(user, kind, secret)

    def event_type(self, name=None, **columns):
        name = name or self.unique("type")
        names = ["name"] + list(columns)
        values = [quote(name)] + [quote(v) if isinstance(v, str) else str(v) for v in columns.values()]
        self.sql(f"INSERT INTO event_type({', '.join(names)}) VALUES({', '.join(values)})")
        return name

    def publish(self, event_type, message="", body=None, client_id=None, user_id=None):
        """One INSERT by the sqlite3 shell; returns its seq."""
        return self.value(f"""INSERT INTO event(event_type, message, body, client_id, user_id) VALUES(
            {quote(event_type)}, {quote(message)}, {quote(body)}, {quote(client_id)}, {quote(user_id)})
            RETURNING seq""")

    def event_id(self, seq):
        epoch = self.value("SELECT value FROM meta WHERE key = 'epoch'")
        return f"{epoch}-{seq}"


class Credential:
    def __init__(self, user, kind, secret):
        self.user = user
        self.kind = kind
        self.secret = secret

    @property
    def headers(self):
        if self.kind == "key":
            return {"X-Api-Key": self.secret}
        return {"Authorization": "Bearer " + self.secret}
