"""Runs inside of the system that boot-units has booted, as root: do the
services do their work, and does the sandbox hold?"""

import json
import os
import signal
import ssl
import subprocess
import sys
import traceback

HERE = os.path.join(os.path.dirname(__file__), "integration")
sys.path.insert(0, HERE)

import clients  # noqa: E402
from hub import sqlite3_shell  # noqa: E402
from procs import as_user, wait_for  # noqa: E402

DATABASE = "/var/lib/evhub/evhub.db"
FCGI = "/run/evhub/fcgi.sock"
CONTROL = "/run/evhub/wsd.sock"
SECRET = "a secret of the probe".replace(" ", "-")


class Alice:
    headers = {"Authorization": "Bearer " + SECRET}


def systemctl(*args, check=True):
    done = subprocess.run(["systemctl", "--no-pager", *args], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"systemctl {args}: {done.stdout} {done.stderr}"
    return done.stdout.strip()


def prop(unit, name):
    return systemctl("show", "-P", name, unit)


def run_as(user, groups, code):
    """Python code in a process of that user."""
    who = as_user(user)
    if groups:
        who[who.index("--clear-groups")] = "--groups=" + groups
    return subprocess.run(who + ["/usr/bin/python3", "-c", code], capture_output=True, text=True, check=False)


CONNECT = "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect(%r)\n"


def fcgi(endpoint, body=None):
    """As the web server would ask: the user www-data, in no group of ours."""
    code = f"""
import sys
sys.path.insert(0, {HERE!r})
import clients
r = clients.fcgi_request({FCGI!r}, {"POST" if body else "GET"!r}, clients.API + "/{endpoint}",
    {{"Content-Type": "application/json", **{Alice.headers!r}}}, {json.dumps(body) if body else None!r})
print(r.status, r.body.decode())
"""
    done = run_as("www-data", None, code)
    assert done.returncode == 0, done.stderr
    status, _, text = done.stdout.partition(" ")
    return int(status), json.loads(text)


def sql(statement):
    """By a user of the group evhub."""
    user = as_user("games")
    user[user.index("--clear-groups")] = "--groups=evhub"
    import hub
    hub.procs.as_user = lambda _: user
    return sqlite3_shell(DATABASE, statement, user="games")


def subscribe(types):
    context = ssl.create_default_context(cafile="/etc/evhub/cert.pem")
    ws = clients.Ws(f"wss://127.0.0.1:8090{clients.subscribe_path(types)}", Alice.headers, ssl=context)
    ws.welcome = ws.recv()
    return ws


def check_start():
    for unit in ("evhub-wsd.service", "evhub-fcgi.socket"):
        assert systemctl("is-active", unit) == "active", systemctl("status", unit, check=False)
    status = open(f"/proc/{prop('evhub-wsd', 'MainPID')}/status").read()
    assert "CapBnd:\t0000000000000000" in status and "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status, status
    sql(f"""INSERT INTO credential(user_id, kind, hash, scopes)
        VALUES('alice', 'token', lower(hex(sha3('{SECRET}',256))), 'subscribe publish admin')""")


def check_round_trip():
    ws = subscribe("pdfm,stats")
    sql("INSERT INTO event(event_type, message) VALUES('pdfm', 'by the group')")
    ws.expect("pdfm", "by the group")
    assert fcgi("health")[0] == 200
    assert fcgi("events", {"event_type": "stats", "message": "by HTTP"})[0] == 201
    ws.expect("stats", "by HTTP")
    assert fcgi("unsubscribe", {"client_id": ws.client_id, "event_types": ["stats"]})[0] == 200
    ws.expect("system", "unsubscribed")
    ws.close()
    assert prop("evhub-fcgi.service", "ActiveState") == "active"


def check_who_may():
    """The web server reaches the FastCGI socket and nothing else."""
    for code in (CONNECT % CONTROL, f"open({DATABASE!r})", "import os\nos.listdir('/var/lib/evhub')"):
        done = run_as("www-data", None, code)
        assert "PermissionError" in done.stderr, (code, done)
    assert run_as("nobody", None, CONNECT % FCGI).returncode != 0
    # publish_users names a user: the daemon must see who its peers are
    ask = CONNECT % CONTROL + "s.sendall(b'%s\\n')\nprint(s.makefile().readline())"
    done = run_as("games", "evhub", ask % '{"op":"publish","event_type":"pdfm","message":"x"}')
    assert '"ok":true' in done.stdout, done
    done = run_as("games", "evhub", ask % '{"op":"drain"}')
    assert '"ok":false' in done.stdout, done


def check_reload_and_kill():
    ws = subscribe("pdfm")
    systemctl("reload", "evhub-wsd")
    ws.nothing()
    ws.close()
    pid = prop("evhub-wsd", "MainPID")
    os.kill(int(pid), signal.SIGKILL)
    wait_for(lambda: prop("evhub-wsd", "MainPID") not in (pid, "0") and
             prop("evhub-wsd", "ActiveState") == "active", "evhub-wsd is not started again")
    subscribe("pdfm").close()
    os.kill(int(prop("evhub-fcgi", "MainPID")), signal.SIGKILL)
    wait_for(lambda: fcgi("health")[0] == 200, "evhub-fcgi is not started again")


def check_second():
    systemctl("start", "evhub-wsd@second")
    assert len(fcgi("health")[1]["daemons"]) == 2
    systemctl("restart", "evhub-wsd")
    assert os.path.exists(FCGI) and fcgi("health")[0] == 200
    systemctl("stop", "evhub-wsd@second", "evhub-wsd")
    assert fcgi("health")[0] == 503
    assert os.path.exists(FCGI), "it went with the daemon"


def main():
    for check in (check_start, check_round_trip, check_who_may, check_reload_and_kill, check_second):
        check()
        print(check.__name__, "ok", flush=True)
    systemctl("stop", "evhub-fcgi.socket", "evhub-fcgi.service")
    assert systemctl("--failed", "--no-legend", "--plain", "list-units", "evhub*") == ""
    print("all is well", flush=True)


try:
    main()
except BaseException:
    traceback.print_exc(file=sys.stdout)
    sys.stdout.flush()
    subprocess.run(["journalctl", "--no-pager", "-n", "60", "-u", "evhub*"], check=False)
    sys.exit(1)
