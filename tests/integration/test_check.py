"""evhub-wsd -t and evhub-fcgi -t: everything that is wrong, at once, with a hint for
each; and keys of evhub.conf that are never silently ignored."""

import os
import re
import signal
import socket
import sqlite3
import subprocess

import pytest

import procs

PROGRAMS = ["evhub-wsd", "evhub-fcgi"]


def run(name, hub, *more, conf=None, test=True):
    argv = [procs.program(name), "-c", conf or hub.conf_path, *(["-t"] if test else []), *more]
    return subprocess.run(procs.drop_prefix() + argv, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          cwd="/", env=procs.environment(), check=False, timeout=procs.PATIENCE * 2)


def problems(result):
    """[(problem, hint)] and the notes; each problem must have a hint."""
    found, notes = [], []
    lines = result.stderr.splitlines()
    summary = lines.pop()
    for line in lines:
        text = re.match(r"evhub-\w+: (note: )?(.*)$", line)
        if line.startswith("    "):
            target = notes if last_is_note else found
            target[-1] = (target[-1][0], line.strip())
        else:
            assert text, result.stderr
            last_is_note = bool(text.group(1))
            (notes if last_is_note else found).append((text.group(2), None))
    assert all(hint for _, hint in found), result.stderr
    if found:
        assert result.returncode == 1
        assert summary.endswith(f": {len(found)} problem" + ("s" if len(found) > 1 else "")), summary
    else:
        assert result.returncode == 0, result
        assert ": in order: database " in summary, summary
    return found, notes


def only(result, *words):
    """Exactly one problem, which has these words in it or its hint."""
    found, _ = problems(result)
    assert len(found) == 1, found
    assert all(w in " ".join(found[0]) for w in words), found
    return found[0]


@pytest.mark.parametrize("name", PROGRAMS)
def test_in_order(make_hub, name):
    hub = make_hub(wsd=False)
    found, notes = problems(run(name, hub))
    assert found == []
    assert any("does not exist yet" in text for text, _ in notes)
    assert not os.path.exists(hub.database) and not os.path.exists(hub.control)
    hub.start_wsd()
    found, notes = problems(run(name, hub))
    assert found == []


def test_while_it_runs(make_hub):
    """What is in use by the daemon itself is no problem, whoever looks."""
    hub = make_hub(listen=["127.0.0.1:0"])
    path = os.path.join(hub.directory, "ws.sock")
    second = hub.start_wsd("second", [f"listen={hub.wsd.listen},unix:{path}"])
    argv = ["-o", "name=second", "-o", f"control_socket={second.control}", "-o", f"listen={hub.wsd.listen},unix:{path}"]
    found, notes = problems(run("evhub-wsd", hub, *argv))
    assert found == [] and any("in use, by the running program itself" in text for text, _ in notes), notes
    if procs.RUN_AS:  # as root: SO_REUSEPORT does not share between users
        result = subprocess.run([procs.program("evhub-wsd"), "-c", hub.conf_path, "-t", *argv], capture_output=True,
                                text=True, check=False, timeout=procs.PATIENCE)
        found, notes = problems(result)
        assert found == [] and sum("in use" in text for text, _ in notes) == 3, notes
    # another name on the same socket is a problem
    found, _ = problems(run("evhub-wsd", hub, "-o", f"control_socket={second.control}"))
    assert any("control_socket" in text and "in use by another program" in text for text, _ in found), found


def test_everything_at_once(make_hub):
    hub = make_hub(wsd=False)
    with open(hub.conf_path, "a") as f:
        f.write("""
max_client = 5
ping_interval = fast
"log_level" = loud
nonsense { a = 1 }
base_path = "api"
listen += {"127.0.0.1:99999", "256.0.0.1:80", "unix:relative", "unix:/nonexistent/ws.sock"}
allowed_origins = {"app.example.org", "https://ok.example.org"}
trusted_proxies = {"10.0.0.0/8", "everybody"}
control_users = {"nobody", "no such user"}
stall_timeout = 20
stall_timeout = 30
""".replace('"log_level"', "log_level"))
    number = {line.split(" ")[0]: n for n, line in enumerate(open(hub.conf_path), 1)}
    found, _ = problems(run("evhub-wsd", hub))
    text = [t for t, _ in found]
    hints = dict(found)
    where = hub.conf_path
    assert hints[f'{where}:{number["max_client"]}: there is no key "max_client"'] == "did you mean max_clients?"
    assert f'{where}:{number["nonsense"]}: there is no key "nonsense"' in text
    assert any(t.startswith(f'{where}:{number["ping_interval"]}: ping_interval: "fast"') for t in text)
    assert any(t.startswith(f'{where}:{number["log_level"]}: log_level: "loud"') for t in text)
    assert f'{where}:{number["stall_timeout"]}: stall_timeout is set twice' in text
    for word in ("base_path", "127.0.0.1:99999", "256.0.0.1:80", "relative", "/nonexistent", "app.example.org",
                 "everybody", "no such user"):
        assert sum(word in t for t in text) == 1, (word, text)
    assert len(found) == 13, text


@pytest.mark.parametrize("line, word, hint", [
    ("bogus = 1", 'there is no key "bogus"', "evhub.conf(5)"),
    ("max_cleints = 7", 'there is no key "max_cleints"', "did you mean max_clients?"),
    ("Name = x", 'there is no key "Name"', "did you mean name?"),
    ("fcgi_thread = 7", 'there is no key "fcgi_thread"', "did you mean fcgi_threads?"),
    ("bogus += {a}", 'there is no key "bogus"', ""),
    ("bogus { name = x }", 'there is no key "bogus"', ""),
    ("bogus(x)", 'there is no key "bogus"', ""),
    ("max_clients = 7\nmax_clients = 7", "max_clients is set twice", "take one of them away"),
    # keys of the one and of the other program: both look at their values
    ("max_clients = none", "max_clients", "the default is 100000"),
    ("fcgi_threads = none", "fcgi_threads", "the default is 16"),
])
@pytest.mark.parametrize("name", PROGRAMS)
def test_keys_are_never_ignored(make_hub, name, line, word, hint):
    hub = make_hub(wsd=False)
    with open(hub.conf_path, "a") as f:
        f.write(line + "\n")
        number = sum(1 for _ in open(hub.conf_path)) + len(line.splitlines())
    only(run(name, hub), f"{hub.conf_path}:{number}: ", word, hint)
    # and without -t it does not start
    result = run(name, hub, test=False)
    assert result.returncode == 1 and "configuration_refused" in result.stderr and word in result.stderr, result
    assert not os.path.exists(hub.database)


@pytest.mark.parametrize("name", PROGRAMS)
def test_keys_of_the_other_program_are_fine(make_hub, name):
    hub = make_hub(wsd=False)
    with open(hub.conf_path, "a") as f:
        f.write("max_clients = 7\nfcgi_threads = 2\n")
    assert problems(run(name, hub))[0] == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_overrides(make_hub, name):
    hub = make_hub(wsd=False)
    found, _ = problems(run(name, hub, "-o", "max_cleints=7", "-o", "ping_interval=x", "-o", "max_clients"))
    assert [hint for _, hint in found][0] == "did you mean max_clients?"
    assert len(found) == 3


@pytest.mark.parametrize("name", PROGRAMS)
def test_files_that_cannot_be_read(make_hub, name):
    hub = make_hub(wsd=False)
    only(run(name, hub, conf="/nonexistent/evhub.conf"), "/nonexistent/evhub.conf", "-c names the file")
    with open(hub.conf_path, "a") as f:
        f.write('include("more.conf")\nbogus = 1\n')
    found, _ = problems(run(name, hub))
    assert len(found) == 2 and any("more.conf" in t for t, _ in found) and any("bogus" in t for t, _ in found), found
    with open(hub.conf_path, "a") as f:
        f.write('name = "open\n')
    found, notes = problems(run(name, hub))
    assert len(found) == 3 and any("mend this first" in t for t, _ in notes)


# ---- the database

def database_problem(hub, *words):
    for name in PROGRAMS:
        only(run(name, hub), "database", *words)


def test_database_without_directory(make_hub):
    hub = make_hub(wsd=False, database="/nonexistent/evhub.db")
    database_problem(hub, "/nonexistent", "install -d")


def test_no_database(make_hub):
    hub = make_hub(wsd=False)
    with open(hub.database, "w") as f:
        f.write("This is not a database. " * 100)
    procs.give(hub.database)
    database_problem(hub, "not a database", "move it away")


def test_somebody_elses_database(make_hub):
    hub = make_hub(wsd=False)
    with sqlite3.connect(hub.database) as db:
        db.execute("CREATE TABLE theirs(x)")
    procs.give(hub.database)
    database_problem(hub, "another program", "move it away")


def test_newer_and_older_schema(make_hub):
    hub = make_hub()
    hub.wsd.stop()
    version = hub.value("PRAGMA user_version")
    hub.sql(f"PRAGMA user_version = {version + 1}")
    database_problem(hub, f"schema version is {version + 1}", "newer evhub")
    hub.sql(f"PRAGMA user_version = {version - 1}")
    for name in PROGRAMS:
        found, notes = problems(run(name, hub))
        assert found == [] and any("brings it up to date" in t for t, _ in notes)
    assert hub.value("PRAGMA user_version") == version - 1


@pytest.mark.skipif(not procs.RUN_AS, reason="needs root to make files that the programs may not write")
def test_read_only(make_hub):
    hub = make_hub()
    hub.wsd.stop()
    os.chown(hub.database, 0, 0)
    os.chmod(hub.database, 0o644)
    database_problem(hub, "read-only", "must be writable")
    os.chmod(hub.database, 0o600)
    database_problem(hub, "cannot be read", "must be writable")
    os.chmod(hub.database, 0o666)
    os.chown(hub.directory, 0, 0)
    for name in PROGRAMS:
        found, _ = problems(run(name, hub))
        assert any("nothing can be made in the directory" in t for t, _ in found), found
    procs.give(hub.directory)


def test_locked(make_hub):
    hub = make_hub()
    hub.wsd.stop()
    db = sqlite3.connect(hub.database, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    database_problem(hub, "another program has been holding it", "fuser -v")
    db.execute("ROLLBACK")
    db.close()


def test_damaged(make_hub):
    hub = make_hub()
    hub.sql("""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        INSERT INTO event(event_type, message) SELECT 'pdfm', hex(zeroblob(500)) FROM n""")
    hub.wsd.stop()
    hub.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    size = os.path.getsize(hub.database)
    with open(hub.database, "r+b") as f:
        f.seek(size // 2 // 4096 * 4096)
        f.write(b"\xff" * 8192)
    database_problem(hub, "damaged", ".recover")


# ---- sockets

def test_addresses(make_hub):
    hub = make_hub(wsd=False)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        only(run("evhub-wsd", hub, "-o", f"listen=127.0.0.1:{port}"), str(port), "in use", "ss -ltnp")
    only(run("evhub-wsd", hub, "-o", "listen=192.0.2.1:8090"), "192.0.2.1:8090", "no such address")
    only(run("evhub-wsd", hub, "-o", "listen=localhost:8090"), "is no address")
    only(run("evhub-wsd", hub, "-o", f"listen=127.0.0.1:{port},127.0.0.1:{port}"), "there twice")
    only(run("evhub-wsd", hub, "-o", "listen=unix:/tmp/" + "x" * 120), "107 bytes")
    only(run("evhub-wsd", hub, "-o", "control_socket=/tmp/" + "x" * 120), "longer than a socket's may be", "shorter")
    only(run("evhub-fcgi", hub, "-o", "fcgi_listen=/tmp/" + "x" * 120), "107 bytes")
    only(run("evhub-fcgi", hub, "-o", "fcgi_listen=nowhere"), "is no address")
    only(run("evhub-wsd", hub, "-o", "control_socket=/nonexistent/wsd.sock"), "control_socket", "/nonexistent", "install -d")
    only(run("evhub-wsd", hub, "-o", f"control_socket={hub.conf_path}"), "exists and is no socket")
    if procs.RUN_AS:
        only(run("evhub-wsd", hub, "-o", "control_socket=/etc/wsd.sock"), "/etc", "nothing can be made")


def test_fcgi_and_the_daemon(make_hub):
    hub = make_hub(wsd=False)
    found, notes = problems(run("evhub-fcgi", hub))
    assert found == [] and any("evhub-wsd does not run" in t for t, _ in notes)
    wsd = hub.start_wsd()
    found, notes = problems(run("evhub-fcgi", hub))
    assert found == [] and not any("evhub-wsd" in t for t, _ in notes)
    if procs.RUN_AS:
        os.chown(wsd.control, 0, 0)
        only(run("evhub-fcgi", hub), "control_socket", "Permission denied", "control_users")
        procs.give(wsd.control)


def test_a_reload_tells_everything_too(make_hub):
    hub = make_hub()
    with open(hub.conf_path, "a") as f:
        f.write("bogus = 1\nmax_clients = many\n")
    hub.wsd.process.send_signal(signal.SIGHUP)
    procs.wait_for(lambda: "reload_refused" in hub.wsd.process.text(), "no reload_refused")
    text = hub.wsd.process.text()
    assert text.count("configuration_refused") == 2 and "bogus" in text and "many" in text, text
