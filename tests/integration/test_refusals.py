"""What is refused, is told in the log, and how: one line each in one form for
both programs, without secrets, and without a way for a client to write into it."""

import json
import os
import re
import secrets
import subprocess

import pytest

import clients
import procs
from clients import API, Refused, check_error, fcgi_request, refusal, subscribe
from hub import quote

FILTER = os.path.join(procs.SOURCE, "etc", "fail2ban", "filter.d", "evhub.conf")
JAIL = os.path.join(procs.SOURCE, "etc", "fail2ban", "jail.d", "evhub.conf")

VALUE = r'((?:"(?:[^"\\]|\\.)*"|[^ "]*))'
LINE = re.compile(
    r"^\S+Z evhub-(wsd|fcgi): info refused status=(\d+) remote_addr=(\S+) user=" + VALUE + r" error=(\w+) path=" +
    VALUE + " reason=" + VALUE + r"( repeats=\d+)?$")


def refused_lines(hub):
    """(program, status, remote_addr, user, error, path) of each line of both logs."""
    found = []
    for name in ("wsd.log", "fcgi.log"):
        path = os.path.join(hub.directory, name)
        if os.path.exists(path):
            with open(path, newline="\n") as f:
                for line in f.read().split("\n"):
                    if re.match(r"\S+ \S+ info refused ", line):
                        match = LINE.match(line)
                        assert match, line
                        found.append(match.groups()[:6])
    return found


def wrong(address, program="wsd", hub=None, key=None, path=API + "/subscribe"):
    """A wrong key from that address; the status."""
    key = key or secrets.token_urlsafe(16)
    if program == "wsd":
        return refusal(hub.wsd.listen, path=path, headers={"X-Api-Key": key, "X-Forwarded-For": address})
    return fcgi_request(hub.fcgi_socket, "GET", API + "/clients", {"X-Api-Key": key}, params={"REMOTE_ADDR": address})


# ---- the form

def test_one_line_in_one_form(make_hub):
    hub = make_hub(fcgi=True, max_clients_per_user=1)
    who = hub.credential(user='al "ice"')
    check_error(wrong("203.0.113.5", hub=hub), 401)
    check_error(refusal(hub.wsd.listen), 401)
    check_error(wrong("2001:db8::5", "fcgi", hub), 401)
    held = subscribe(hub.wsd.listen, who)
    check_error(refusal(hub.wsd.listen, who), 409)
    check_error(fcgi_request(hub.fcgi_socket, "GET", API + "/stats", who.headers), 403)
    check_error(fcgi_request(hub.fcgi_socket, "GET", API + "/nosuch?access_token=x"), 404)
    held.close()
    assert refused_lines(hub) == [
        ("wsd", "401", "203.0.113.5", "-", "invalid_credential", API + "/subscribe"),
        ("wsd", "401", "127.0.0.1", "-", "missing_credential", API + "/subscribe"),
        ("wsd", "409", "127.0.0.1", r'"al \"ice\""', "too_many_connections", API + "/subscribe"),
        ("fcgi", "401", "2001:db8::5", "-", "invalid_credential", API + "/clients"),
        ("fcgi", "403", "127.0.0.1", r'"al \"ice\""', "insufficient_scope", API + "/stats"),
        ("fcgi", "404", "127.0.0.1", "-", "unknown_endpoint", API + "/nosuch"),
    ]


FORGED = 'x" status=401 remote_addr=6.6.6.6 user=- error=invalid_credential path="'
FORGED_LINE = "\n2026-11-24T00:00:00.000000Z evhub-wsd: info refused status=401 remote_addr=6.6.6.6 user=- " \
    "error=invalid_credential path=\"/\" reason=\"x\"\n"


def test_nobody_writes_into_the_log(make_hub):
    """Quotes, ends of lines, escape sequences and bytes that are no text, in
    every place that a client can reach."""
    hub = make_hub(fcgi=True, log_level="debug")
    user = FORGED + FORGED_LINE + "\x1b[2J\x9b"
    hub.sql(f"""INSERT INTO credential(user_id, kind, hash, scopes) VALUES({quote(user)}, 'key',
        lower(hex(sha3('0123456789abcdefgh',256))), 'publish')""")
    escaped = "".join(f"%{b:02x}" for b in (FORGED + FORGED_LINE + "\x1b[2J").encode() + b"\xff\xfe")
    for path in (f"{API}/subscribe/{escaped}", f"{API}/subscribe?event_types={escaped}",
                 f"{API}/subscribe?last_event_id={escaped}", f"/{escaped}"):
        for headers in ({}, {"X-Api-Key": "0123456789abcdefgh"}):
            try:
                answer = refusal(hub.wsd.listen, path=path, headers=headers)
                assert answer.status >= 400
            except AssertionError as e:
                assert "curl" in str(e)  # the library closed without a word
    for name in ("User-Agent", "X-Forwarded-For", "Origin", "Authorization", "X-Api-Key", "Sec-WebSocket-Protocol"):
        assert refusal(hub.wsd.listen, headers={name: FORGED + "\x1b[2J\tx"}).status >= 400
        assert refusal(hub.wsd.listen, headers={name: FORGED}).status >= 400
    for uri in (f"{API}/{escaped}", f"{API}/{FORGED}", FORGED_LINE):
        for params in ({}, {"REMOTE_ADDR": FORGED}, {"REMOTE_ADDR": "6.6.6.6" + FORGED_LINE},
                       {"REQUEST_METHOD": FORGED_LINE}, {"HTTP_X_API_KEY": "0123456789abcdefgh"}):
            assert fcgi_request(hub.fcgi_socket, "GET", uri, params=params).status >= 400
    assert fcgi_request(hub.fcgi_socket, "GET", API + "/stats", {"X-Api-Key": "0123456789abcdefgh"}).status == 403
    lines = refused_lines(hub)
    assert len(lines) > 20
    assert {line[2] for line in lines} <= {"127.0.0.1", "-"}
    for name in ("wsd.log", "fcgi.log"):
        with open(os.path.join(hub.directory, name), "rb") as f:
            data = f.read()
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", data) and data.isascii()
        for line in data.splitlines():
            assert re.match(rb"^\d{4}-\d\d-\d\dT[\d:.]+Z evhub-(wsd|fcgi): \w+ \w+( |$)", line), line
    # one of the keys was a try, from where it came
    assert banned(os.path.join(hub.directory, "wsd.log")) == ["127.0.0.1"]
    assert banned(os.path.join(hub.directory, "fcgi.log")) == []


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_secrets_are_never_logged(make_hub, log_format):
    """Whatever comes as a credential, good or bad, in whatever place."""
    hub = make_hub(fcgi=True, log_level="debug", log_format=log_format, query_credentials=True)
    shown = []

    def secret():
        shown.append(secrets.token_hex(20))
        return shown[-1]

    good = hub.credential(secret=secret())
    token = hub.credential(secret=secret(), kind="token")
    subscribe(hub.wsd.listen, good).close()
    subscribe(hub.wsd.listen, token).close()
    ws = clients.Ws(f"ws://{hub.wsd.listen}{API}/subscribe?access_token={token.secret}")
    ws.recv()
    ticket = fcgi_request(hub.fcgi_socket, "POST", API + "/ticket",
                          good.headers).json()["ticket"]
    shown.append(ticket)
    with_ticket = clients.Ws(f"ws://{hub.wsd.listen}{API}/subscribe?ticket={ticket}")
    with_ticket.recv()
    for query in (f"ticket={ticket}", f"access_token={secret()}", f"authorization={secret()}",
                  f"authorization=Bearer%20{secret()}", f"ticket={secret()}", f"access_token={secret()}&access_token={secret()}",
                  f"nosuch={secret()}", f"event_types=nosuch&access_token={token.secret}"):
        with pytest.raises(Refused):
            clients.Ws(f"ws://{hub.wsd.listen}{API}/subscribe?{query}")
        fcgi_request(hub.fcgi_socket, "GET", f"{API}/clients?{query}")
    for headers in ({"X-Api-Key": secret()}, {"Authorization": "Bearer " + secret()},
                    {"Authorization": "Basic " + secret()}, {"Authorization": secret()},
                    {"X-Api-Key": secret() + " "}, {"X-Api-Key": secret() + "\t" + secret()},
                    {"X-Api-Key": good.secret, "Authorization": "Bearer " + secret()},
                    {"Sec-WebSocket-Protocol": "evhub.v1, bearer." + secret()},
                    {"Cookie": "session=" + secret()}):
        assert refusal(hub.wsd.listen, headers=headers).status >= 400
        assert fcgi_request(hub.fcgi_socket, "GET", API + "/stats", headers).status >= 400
    fcgi_request(hub.fcgi_socket, "POST", API + "/events", {"Content-Type": "application/json", **good.headers},
                 '{"event_type": "pdfm", "message": "%s' % secret())
    ws.send({"event_type": "health", "message": secret()})
    ws.recv()
    ws.close()
    with_ticket.close()
    for name in ("wsd.log", "fcgi.log"):
        with open(os.path.join(hub.directory, name)) as f:
            text = f.read()
        assert len(text) > 1000
        assert [s for s in shown if s in text or s[:16] in text] == []


# ---- fail2ban

def banned(log):
    """The addresses that fail2ban would count, one for each line that matches."""
    done = subprocess.run(["fail2ban-regex", "-o", "<ip>", log, FILTER], capture_output=True, text=True,
                          timeout=procs.PATIENCE * 2, check=False)
    assert done.returncode in (0, 1) and "ERROR" not in done.stdout + done.stderr, done
    return done.stdout.split()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_fail2ban(make_hub, log_format):
    hub = make_hub(fcgi=True, log_format=log_format, max_auth_failures=3)
    for program, log in (("wsd", "wsd.log"), ("fcgi", "fcgi.log")):
        statuses = [wrong("203.0.113.5", program, hub).status for _ in range(4)]
        statuses += [wrong("2001:db8:1::5", program, hub).status]
        assert statuses == [401, 401, 401, 429, 401]
        # neither a lack of a credential nor other faults
        assert refusal(hub.wsd.listen, headers={"X-Forwarded-For": "198.51.100.1"}).status == 401
        assert refusal(hub.wsd.listen, hub.credential(), API + "/subscribe?event_types=nosuch",
                       headers={"X-Forwarded-For": "198.51.100.2"}).status == 400
        assert fcgi_request(hub.fcgi_socket, "GET", API + "/stats", params={"REMOTE_ADDR": "198.51.100.3"}).status == 401
        path = os.path.join(hub.directory, log)
        assert banned(path) == ["203.0.113.5"] * 4 + ["2001:db8:1::5"]
        if log_format == "json":
            with open(path) as f:
                assert all(json.loads(line)["event"] for line in f)
        else:
            with open(path) as f, open(path + ".journal", "w") as out:
                for line in f:  # as syslog and the journal tell it
                    out.write(f"Nov 24 13:48:20 host evhub-{program}[4711]: {line.partition(': ')[2]}")
            assert len(banned(path + ".journal")) == 5


def test_fail2ban_takes_the_jail(tmp_path):
    """The configuration as a whole, with the filter of ours in it."""
    for name in ("action.d", "filter.d", "jail.conf", "fail2ban.conf", "paths-common.conf", "paths-debian.conf"):
        os.symlink("/etc/fail2ban/" + name, tmp_path / name) if name != "filter.d" else None
    os.mkdir(tmp_path / "filter.d")
    for name in os.listdir("/etc/fail2ban/filter.d"):
        os.symlink("/etc/fail2ban/filter.d/" + name, tmp_path / "filter.d" / name)
    os.symlink(FILTER, tmp_path / "filter.d" / "evhub.conf")
    os.mkdir(tmp_path / "jail.d")
    os.symlink(JAIL, tmp_path / "jail.d" / "evhub.conf")
    done = subprocess.run(["fail2ban-client", "-c", str(tmp_path), "-d"], capture_output=True, text=True,
                          timeout=procs.PATIENCE * 2, check=False)
    assert done.returncode == 0 and "'evhub'" in done.stdout and "remote_addr=" in done.stdout, done
    assert "['start', 'evhub']" in done.stdout, done.stdout[-2000:]
