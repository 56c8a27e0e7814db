"""The logs: one line for one thing, whatever clients put into it."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest

import clients
import procs
from clients import API, subscribe

PAIR = re.compile(r' ([a-z0-9_]+)=("(?:[^"\\]|\\.)*"|[^ "]*)')


def unique_members(pairs):
    assert len(pairs) == len({k for k, _ in pairs}), f"a member twice: {pairs}"
    return dict(pairs)


def entries(process):
    """The lines of a JSON log, each of which must be one object."""
    return [json.loads(line, object_pairs_hook=unique_members)
            for line in process.text().splitlines()]


# What somebody may try in order to write lines, pairs or members of his own.
TRICKS = ["x status=200 remote_addr=10.9.8.7", 'x" status=200 y="', "\\", "a\nevil: error x", "\r\x1b[2J", "\u202egnp",
          "é\u2028x", 'q","event":"ready","x":"', "%s%n%d"]


def provoke(hub):
    """Makes both programs tell of what they were sent."""
    for trick in TRICKS:
        # a user's name is in many lines, and who makes users may choose it
        who = hub.credential(user=trick, scopes="subscribe publish admin")
        ws = subscribe(hub.wsd.listen, who, "pdfm")
        hub.sql(f"DELETE FROM client WHERE id = '{ws.client_id}'")
        assert ws.closed()[0] == 1008
        path = "/" + clients.urllib.parse.quote(trick)
        assert clients.http_request(hub.wsd.listen, "GET", path).status in (400, 404)
        for p in ("/nosuch" + path, "/events", "/subscriptions", "/unsubscribe"):
            clients.fcgi_request(hub.fcgi_socket, "POST", API + p, {"Content-Type": "application/json", **who.headers},
                                 json.dumps({"event_type": trick, "client_id": trick, "event_types": [trick]}))
        clients.fcgi_request(hub.fcgi_socket, "GET", API + "/clients", {"X-Api-Key": "k" * 20})
    hub.sql("INSERT INTO change(kind, client_id, event_type, after_event) VALUES('unsubscribe', 'x y=z\n', 'q\"', 0)")


def test_every_line_is_one_json_object(make_hub):
    hub = make_hub(wsd=False, log_format="json", log_level="debug")
    wsd = hub.start_wsd(wait=False)
    procs.wait_for(lambda: [e for e in entries(wsd.process) if e["event"] == "ready"], "not ready")
    ready = [e for e in entries(wsd.process) if e["event"] == "ready"][0]
    wsd.listen = ready["listen"]
    assert isinstance(ready["pid"], int) and ready["pid"] == wsd.process.pid
    fcgi = hub.start_fcgi()
    provoke(hub)
    processes = {"evhub-wsd": wsd.process, "evhub-fcgi": fcgi}
    hub.stop_fcgi()
    wsd.stop()
    for name, process in processes.items():
        found = entries(process)
        assert len(found) > 20
        for e in found:
            assert e["program"] == name and e["level"] in ("error", "warn", "info", "debug")
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", e["time"])
    users = {e["user_id"] for e in entries(processes["evhub-wsd"]) if e["event"] == "client_disconnected"}
    assert users == set(TRICKS)
    refused = [e for e in entries(processes["evhub-wsd"]) if e["event"] == "refused"]
    assert {e["status"] for e in refused} == {400, 404}
    assert {e["remote_addr"] for e in refused} == {"127.0.0.1"}


def test_text_lines_cannot_be_forged(make_hub):
    hub = make_hub(fcgi=True, log_level="debug")
    provoke(hub)
    fcgi = hub.fcgi
    process = hub.wsd.process
    hub.stop_fcgi()
    hub.wsd.stop()
    for name, text in (("evhub-wsd", process.text()), ("evhub-fcgi", fcgi.text())):
        assert "10.9.8.7" in text or name == "evhub-fcgi"
        for line in text.splitlines():
            assert re.match(r"\d{4}-\d\d-\d\dT\S+Z " + name + ": (error|warn|info|debug) [a-z_]+( |$)", line), line
            assert line.isprintable(), repr(line)
            keys = [k for k, _ in PAIR.findall(line)]
            assert len(keys) == len(set(keys)), line
            values = dict(PAIR.findall(line))
            assert values.get("remote_addr") != "10.9.8.7" and values.get("status") != "200", line


def test_repeats_are_counted(make_hub):
    hub = make_hub()
    for _ in range(60):
        assert clients.http_request(hub.wsd.listen, "GET", "/again").status == 404
    process = hub.wsd.process
    hub.wsd.stop()
    lines = [line for line in process.text().splitlines() if "path=/again" in line]
    told = sum(int(re.search(r" repeats=(\d+)$", line).group(1)) for line in lines if " repeats=" in line)
    written = sum(" repeats=" not in line for line in lines)
    assert written + told == 60 and 10 <= written <= 20, (written, told)


def test_journal(make_hub):
    """With standard error a stream of the journal; the lines have priorities."""
    hub = make_hub(wsd=False, log_target="journald")
    wsd = hub.start_wsd(wait=False)
    procs.wait_for(lambda: re.search("^<6>info ready name=wsd ", wsd.process.text(), re.M), wsd.process.text)
    os.kill(wsd.process.pid, signal.SIGHUP)
    procs.wait_for(lambda: re.search("^<6>info reloaded$", wsd.process.text(), re.M), wsd.process.text)
    assert all(re.match("<[3-7]>(error|warn|info|debug) ", line) for line in wsd.process.text().splitlines())
    wsd.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to put a socket in place of /dev/log")
def test_syslog(make_hub):
    hub = make_hub(wsd=False, log_target="syslog")
    path = os.path.join(hub.directory, "syslog.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(path)
        log.settimeout(procs.PATIENCE)
        os.chmod(path, 0o666)
        # a /dev with nothing but what is needed, for this one process
        script = """set -e; mount -t tmpfs none "$1"
            for n in null urandom; do : >"$1/$n"; mount --bind /dev/$n "$1/$n"; done
            ln -s "$2" "$1/log"; mount --rbind "$1" /dev; shift 2; exec "$@" 2>/dev/null"""
        dev = os.path.join(hub.directory, "dev")
        os.mkdir(dev)
        popen = subprocess.Popen(["unshare", "-m", "sh", "-c", script, "sh", dev, path, *procs.drop_prefix(),
                                  *hub.wsd_argv()], stdin=subprocess.DEVNULL, env=procs.environment(), cwd="/")
        try:
            lines = [log.recv(8192).decode()]
            while " ready " not in lines[-1]:
                lines.append(log.recv(8192).decode())
            popen.terminate()
            assert popen.wait(procs.PATIENCE) == 0
        finally:
            popen.kill()
            popen.wait()
    # facility daemon (3), severity info (6)
    assert re.fullmatch(rf"<30>\w+ +\d+ [0-9:]+ evhub-wsd\[{popen.pid}\]: info ready name=wsd .*\n?", lines[-1]), lines
