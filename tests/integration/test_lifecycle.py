"""Starting, stopping, being killed, and what is wrong with a configuration or a database."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import pytest

import clients
import procs
from clients import subscribe


# ---- the end

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_drains(make_hub, number):
    hub = make_hub()
    connections = [subscribe(hub.wsd.listen, hub.credential(), "pdfm") for _ in range(5)]
    hub.publish("pdfm", "last")
    hub.wsd.process.send_signal(number)
    for ws in connections:
        code, _ = ws.closed()
        assert code == 1012
    hub.wsd.stop(number)
    assert hub.value("SELECT count(*) FROM client") == 0
    assert hub.value("SELECT count(*) FROM subscription") == 0
    assert hub.value("SELECT count(*) FROM daemon") == 0
    assert not os.path.exists(hub.control)


def test_drain_does_not_wait_for_ever(make_hub):
    """A client that does not answer the close."""
    hub = make_hub(drain_timeout="500ms")
    raw = clients.Raw(hub)
    hub.wsd.stop()
    assert hub.value("SELECT count(*) FROM client") == 0
    raw.sock.close()


def test_two_signals(make_hub):
    hub = make_hub()
    ws = subscribe(hub.wsd.listen, hub.credential())
    hub.wsd.process.send_signal(signal.SIGTERM)
    hub.wsd.process.send_signal(signal.SIGTERM)
    ws.closed()
    hub.wsd.stop()


def test_events_before_the_end_are_sent(make_hub):
    """What was acknowledged before SIGTERM reaches its readers first."""
    hub = make_hub()
    ws = subscribe(hub.wsd.listen, hub.credential(), "pdfm")
    with clients.Control(hub.control) as control:
        for i in range(100):
            assert control.ask({"op": "publish", "event_type": "pdfm", "body": i})["ok"]
    hub.wsd.process.send_signal(signal.SIGTERM)
    assert ws.closed()[0] == 1012
    assert [f["body"] for f in ws.rest] == list(range(100))


def test_fcgi_ends_cleanly(make_hub):
    hub = make_hub(front="direct")
    assert hub.front.get("health").status == 200
    hub.stop_fcgi()


def test_fcgi_in_the_middle_of_a_request(make_hub):
    """SIGTERM while a request waits for the daemon: it is answered first."""
    hub = make_hub(fcgi=True, confirm_timeout="1s")
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    hub.wsd.process.send_signal(signal.SIGSTOP)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(clients.fcgi_request(
        hub.fcgi_socket, "POST", clients.API + "/unsubscribe", {"Content-Type": "application/json", **who.headers},
        '{"client_id":"%s","event_types":["pdfm"]}' % ws.client_id).status))
    thread.start()
    hub.wait_sql(f"SELECT count(*) FROM subscription WHERE client_id = '{ws.client_id}'", 1)
    hub.fcgi.send_signal(signal.SIGTERM)
    thread.join()
    hub.wsd.process.send_signal(signal.SIGCONT)
    assert answers == [503]
    hub.stop_fcgi()
    ws.close()


def test_reload(make_hub):
    """SIGHUP keeps the connections."""
    hub = make_hub(max_clients_per_user=1)
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who)
    clients.check_error(clients.refusal(hub.wsd.listen, who), 409)
    hub.write_conf(max_clients_per_user=2)
    hub.wsd.process.send_signal(signal.SIGHUP)

    def allowed():
        try:
            subscribe(hub.wsd.listen, who).close()
            return True
        except clients.Refused:
            return False
    procs.wait_for(allowed, "the new limit is not in force")
    ws.nothing()
    ws.close()


def test_reload_of_a_broken_file(make_hub):
    hub = make_hub()
    ws = subscribe(hub.wsd.listen, hub.credential())
    with open(hub.conf_path, "a") as f:
        f.write("nosuch = 1\n")
    hub.wsd.process.send_signal(signal.SIGHUP)
    procs.wait_for(lambda: "nosuch" in hub.wsd.process.text(), "no word about the broken file")
    ws.nothing()
    ws.close()


# ---- kill -9

def test_killed_and_started_again(make_hub):
    hub = make_hub()
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    hub.wsd.kill()
    assert hub.value("SELECT count(*) FROM client") == 1  # nobody was there to remove it
    hub.start_wsd()
    assert hub.value("SELECT count(*) FROM client") == 0
    assert hub.value("SELECT count(*) FROM subscription") == 0
    assert hub.value("PRAGMA integrity_check") == "ok"
    again = subscribe(hub.wsd.listen, who, "pdfm")
    assert again.client_id != ws.client_id
    again.close()


def test_killed_under_load(make_hub):
    """Ten kills while events are published: each acknowledged one is kept."""
    hub = make_hub()
    acknowledged = []
    for round_ in range(10):
        control = clients.Control(hub.control)
        control.send(*[{"op": "publish", "event_type": "pdfm", "body": round_ * 10000 + i} for i in range(2000)])
        ids = []
        for _ in range(1 + 37 * round_):
            ids.append(control.recv()["id"])
        hub.wsd.kill()
        control.sock.setblocking(False)
        try:
            while (answer := control.recv()) is not None:
                ids.append(answer["id"])
        except (BlockingIOError, AssertionError):
            pass
        control.close()
        acknowledged += [int(i.rsplit("-", 1)[1]) for i in ids]
        hub.start_wsd()
    assert len(acknowledged) == len(set(acknowledged))
    kept = {r["seq"] for r in hub.sql("SELECT seq FROM event")}
    assert set(acknowledged) <= kept
    assert hub.value("PRAGMA integrity_check") == "ok"


# ---- several daemons

def test_second_one_of_the_same_name(make_hub):
    hub = make_hub()
    ws = subscribe(hub.wsd.listen, hub.credential())
    result = hub.run_wsd("-o", f"control_socket={hub.directory}/second.sock")
    assert result.returncode != 0
    assert '"wsd"' in result.stderr and hub.database in result.stderr, result.stderr
    # the first one noticed nothing
    with clients.Control(hub.control) as control:
        assert control.ask({"op": "hello"})["ok"] is True
    ws.nothing()
    ws.close()


def test_second_one_on_the_same_control_socket(make_hub):
    hub = make_hub()
    result = hub.run_wsd("-o", "name=other")
    assert result.returncode != 0 and "control_socket" in result.stderr or hub.control in result.stderr, result
    with clients.Control(hub.control) as control:
        assert control.ask({"op": "hello"})["daemon"] == "wsd"


def test_two_daemons_on_one_database(make_hub):
    """One port by SO_REUSEPORT, or two: every client gets every event."""
    hub = make_hub()
    first = hub.wsd
    second = hub.start_wsd("second", [f"listen={first.listen}"])
    assert second.listen == first.listen
    hub.start_fcgi()
    who = hub.credential()
    connections = [subscribe(first.listen, who, "pdfm,health") for _ in range(24)]
    rows = {r["daemon"]: r["n"] for r in hub.sql("SELECT daemon, count(*) AS n FROM client GROUP BY daemon")}
    assert rows.get("wsd") and rows.get("second"), f"the kernel gave all to one: {rows}"
    for i in range(10):
        hub.publish("pdfm", str(i))
    with clients.Control(second.control) as control:
        assert control.ask({"op": "publish", "event_type": "pdfm", "message": "10"})["ok"]
    for ws in connections:
        assert [ws.recv()["message"] for _ in range(11)] == [str(i) for i in range(11)]
    # an unsubscribe finds the daemon that has the client
    for ws in connections:
        response = clients.fcgi_request(
            hub.fcgi_socket, "POST", clients.API + "/unsubscribe",
            {"Content-Type": "application/json", **who.headers},
            '{"client_id":"%s","event_types":["pdfm"]}' % ws.client_id)
        assert response.status == 200, response
        ws.expect("system", "unsubscribed")
    # one goes: its rows too, the other's stay
    second.stop()
    assert hub.value("SELECT count(*) FROM client WHERE daemon = 'second'") == 0
    assert hub.value("SELECT count(*) FROM client WHERE daemon = 'wsd'") == rows["wsd"]
    for ws in connections:
        if not ws.ws.closed:
            ws.cut()


def test_resume_at_another_daemon(make_hub):
    hub = make_hub()
    second = hub.start_wsd("second")
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    for i in range(5):
        hub.publish("pdfm", str(i))
    ids = [ws.recv()["id"] for _ in range(5)]
    ws.cut()
    ws = subscribe(second.listen, who, "pdfm", last_event_id=ids[1])
    assert ws.welcome["body"]["resumed"] is True
    assert [ws.recv()["message"] for _ in range(3)] == ["2", "3", "4"]
    ws.close()


# ---- where it listens

def test_unix_socket(make_hub):
    hub = make_hub(wsd=False)
    hub.conf["listen"] = ["127.0.0.1:0", f"unix:{hub.directory}/ws.sock"]
    hub.write_conf()
    hub.start_wsd()
    result = subprocess.run(
        ["curl", "-sS", "--max-time", "10", "--unix-socket", f"{hub.directory}/ws.sock",
         f"http://localhost{clients.API}/subscribe"], capture_output=True, text=True, check=True)
    assert '"code":4' in result.stdout.replace(" ", ""), result
    subscribe(hub.wsd.listen, hub.credential()).close()


def test_ipv6(make_hub):
    if not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("no IPv6 here")
    with open("/proc/net/if_inet6") as f:
        if "00000000000000000000000000000001" not in f.read():
            pytest.skip("no IPv6 loopback here")
    hub = make_hub(listen=["[::1]:0"])
    assert hub.wsd.listen.startswith("[::1]:"), hub.wsd.listen
    subscribe(hub.wsd.listen, hub.credential()).close()


def test_port_in_use_by_another_program(make_hub):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        hub = make_hub(wsd=False)
        result = hub.run_wsd("-o", f"listen=127.0.0.1:{s.getsockname()[1]}")
    assert result.returncode != 0
    assert "listen" in result.stderr, result.stderr


@pytest.mark.parametrize("loop", ["ev", "uv", "poll"])
def test_event_loops(make_hub, loop):
    hub = make_hub(event_loop=loop)
    ws = subscribe(hub.wsd.listen, hub.credential(), "pdfm")
    hub.publish("pdfm", "x")
    ws.expect("pdfm", "x")
    ws.close()


def test_full_synchronous(make_hub):
    hub = make_hub(synchronous="full")
    ws = subscribe(hub.wsd.listen, hub.credential(), "pdfm")
    hub.publish("pdfm", "x")
    ws.expect("pdfm", "x")
    ws.close()


def test_log_format_json(make_hub):
    hub = make_hub(wsd=False, log_format="json")
    wsd = hub.start_wsd(wait=False)
    procs.wait_for(lambda: '"event":"ready"' in wsd.process.text(), "no JSON line")
    for line in wsd.process.text().splitlines():
        entry = clients.json.loads(line)
        assert entry["program"] == "evhub-wsd"
    wsd.stop()


# ---- configuration

def test_check(make_hub):
    hub = make_hub(wsd=False)
    result = hub.run_wsd("-t")
    assert result.returncode == 0, result
    assert hub.run_wsd("-V").stdout.startswith("evhub-wsd ")
    assert hub.run_wsd("-h").returncode == 0


@pytest.mark.parametrize("line, word", [
    ("nosuch = 1", "nosuch"),
    ("max_clients = lots", "max_clients"),
    ("ping_interval = -1", "ping_interval"),
    ('synchronous = "sometimes"', "synchronous"),
    ("max_body_bytes = 1", "max_body_bytes"),
    ("query_credentials = perhaps", "query_credentials"),
    ("listen = {", ""),
    ('log_memory = "64X"', "log_memory"),
])
@pytest.mark.parametrize("name", ["evhub-wsd", "evhub-fcgi"])
def test_bad_configuration(make_hub, name, line, word):
    hub = make_hub(wsd=False)
    with open(hub.conf_path) as f:
        number = len(f.readlines()) + 1
    with open(hub.conf_path, "a") as f:
        f.write(line + "\n")
    result = subprocess.run(
        procs.drop_prefix() + [procs.program(name), "-c", hub.conf_path, "-t"], capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False, timeout=60)
    assert result.returncode != 0
    assert word in result.stderr, result.stderr
    numbers = (f"{hub.conf_path}:{number}", f"{hub.conf_path}:{number + 1}")
    assert any(n in result.stderr for n in numbers), result.stderr


def test_bad_override(make_hub):
    hub = make_hub(wsd=False)
    for override in ("nosuch=1", "max_clients", "max_clients=0", "pong_timeout=1", "name=a b"):
        result = hub.run_wsd("-t", "-o", override)
        assert result.returncode != 0 and override.split("=")[0] in result.stderr, (override, result)


def test_missing_configuration(make_hub):
    hub = make_hub(wsd=False)
    os.unlink(hub.conf_path)
    result = hub.run_wsd("-t")
    assert result.returncode != 0 and hub.conf_path in result.stderr


def test_the_default_file_is_understood(make_hub):
    """etc/evhub.conf with every "#key" taken at its word."""
    hub = make_hub(wsd=False)
    with open(os.path.join(procs.SOURCE, "etc", "evhub.conf")) as f:
        lines = f.read().splitlines()
    keys = [line[1:] for line in lines if line.startswith("#") and line[1:2] not in (" ", "")]
    assert len(keys) > 30
    with open(hub.conf_path, "w") as f:
        f.write("\n".join(k for k in keys if not k.startswith(("control_users", "publish_users"))) + "\n")
    result = hub.run_wsd("-t", "-o", f"database={hub.database}", "-o", f"control_socket={hub.control}")
    assert result.returncode == 0, result


def test_the_default_file_has_every_key():
    with open(os.path.join(procs.SOURCE, "common", "conf_table.c")) as f:
        known = re.findall(r"^\t(?:STRING|LIST|NUMBER|SIZE|TIME|BOOL|WORD)\((\w+), \"(.*?)\"", f.read(), re.M)
        f.seek(0)
        section = re.findall(r'^\t\{ "jwt\.(\w+)", \w+,\s+AT\([\w.]+\),\s+"(.*?)"', f.read(), re.M)
    with open(os.path.join(procs.SOURCE, "etc", "evhub.conf")) as f:
        text = f.read()
    assert len(section) > 5
    for listed, prefix in ((known, "#"), (section, "#\t")):
        told = dict(re.findall(f"^{prefix}(\\w+) = (.*)$", text, re.M))
        assert sorted(told) == sorted(key for key, _ in listed)
        for key, default in listed:
            if default:
                assert told[key].strip('{}"') == default, key


# ---- the database

def test_created_when_missing(make_hub):
    hub = make_hub()
    assert hub.value("PRAGMA journal_mode") == "wal"
    assert hub.value("PRAGMA user_version") >= 1
    assert hub.value("SELECT value FROM meta WHERE key = 'schema_version'") == str(hub.value("PRAGMA user_version"))


def test_missing_directory(make_hub):
    hub = make_hub(wsd=False)
    result = hub.run_wsd("-o", f"database={hub.directory}/nowhere/evhub.db")
    assert result.returncode != 0 and "nowhere/evhub.db" in result.stderr, result


def test_not_a_database(make_hub):
    hub = make_hub(wsd=False)
    with open(hub.database, "w") as f:
        f.write("This is no database, whatever its name says.\n" * 200)
    procs.give(hub.database)
    result = hub.run_wsd()
    assert result.returncode != 0 and hub.database in result.stderr, result
    with open(hub.database) as f:
        assert f.read().startswith("This is no database")


def test_somebody_elses_database(make_hub):
    hub = make_hub(wsd=False)
    db = sqlite3.connect(hub.database)
    db.execute("CREATE TABLE t(x)")
    db.commit()
    db.close()
    procs.give(hub.database)
    result = hub.run_wsd()
    assert result.returncode != 0 and "another program" in result.stderr, result
    db = sqlite3.connect(hub.database)
    assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("t",)]
    db.close()


def test_newer_schema(make_hub):
    hub = make_hub()
    hub.wsd.stop()
    hub.sql("PRAGMA user_version = 999")
    result = hub.run_wsd()
    assert result.returncode != 0 and "999" in result.stderr, result


def test_read_only_database(make_hub):
    hub = make_hub()
    hub.wsd.stop()
    os.chmod(hub.database, 0o444)
    if procs.RUN_AS:
        os.chown(hub.database, 0, 0)
    else:
        os.chmod(hub.directory, 0o555)
    try:
        result = hub.run_wsd()
    finally:
        os.chmod(hub.directory, 0o755)
    assert result.returncode != 0
    assert hub.database in result.stderr and "read" in result.stderr, result


def test_damaged_database(make_hub):
    """Whether the damage is seen at once or later: told, never a crash."""
    hub = make_hub()
    hub.publish("pdfm", "x")
    hub.wsd.stop()
    hub.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(hub.database, "r+b") as f:
        f.seek(4096)
        f.write(b"\xff" * 40960)
    assert hub.run_wsd("-t").returncode >= 0
    wsd = hub.start_wsd("other", wait=False)
    procs.wait_for(lambda: not wsd.process.alive() or " ready " in wsd.process.text(), "neither ready nor ended")
    wsd.process.expect = None
    wsd.stop()


@pytest.mark.slow
def test_locked_for_ten_seconds(make_hub):
    """Another writer holds the lock: nothing is lost, and what needs no write
    goes on."""
    hub = make_hub()
    ws = subscribe(hub.wsd.listen, hub.credential(), "pdfm")
    late = hub.credential()
    with subprocess.Popen(["/usr/bin/sqlite3", "-batch", hub.database], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, bufsize=1) as shell:
        shell.stdin.write(".timeout 10000\nBEGIN IMMEDIATE;\nINSERT INTO event(event_type, message)"
                          " VALUES('pdfm', 'first');\nSELECT 'locked';\n")
        assert shell.stdout.readline() == "locked\n"
        joined, published = [], []

        def join():
            joined.append(subscribe(hub.wsd.listen, late, "pdfm"))

        def publish():
            with clients.Control(hub.control) as control:
                for i in range(20):
                    published.append(control.ask({"op": "publish", "event_type": "pdfm", "message": f"second{i}"}))
        threads = [threading.Thread(target=f) for f in (join, publish)]
        for thread in threads:
            thread.start()
        pace, begin = threading.Event(), time.monotonic()
        while time.monotonic() < begin + 10:
            ws.nothing()  # it answers while it waits
            pace.wait(0.25)
        shell.stdin.write("COMMIT;\n")
        shell.stdin.close()
        assert shell.wait() == 0
    for thread in threads:
        thread.join()
    assert len(joined) == 1 and [p["ok"] for p in published] == [True] * 20
    ws.expect("pdfm", "first")
    assert [ws.recv()["message"] for _ in range(20)] == [f"second{i}" for i in range(20)]
    ws.nothing()
    ws.close()
    joined[0].close()
