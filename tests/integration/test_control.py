"""The control socket: a line each way."""

import json
import os
import pwd
import socket
import stat
import subprocess
import threading

import pytest

import procs
from clients import Control, subscribe
from hub import Hub


@pytest.fixture(scope="module")
def shared():
    hub = Hub()
    try:
        hub.start_wsd()
        yield hub
    except BaseException:
        hub.abandon()
        raise
    hub.stop()


@pytest.fixture
def control(shared):
    with Control(shared.control) as control:
        yield control


def test_hello(shared, control):
    answer = control.ask({"op": "hello"})
    assert answer["ok"] is True
    assert answer["name"] == "evhub-wsd"
    assert answer["protocol"] == 1
    assert answer["daemon"] == "wsd"
    version = subprocess.run([procs.program("evhub-wsd"), "-V"], capture_output=True, text=True, check=True)
    assert version.stdout.split()[-1] == answer["version"]


def test_socat_is_a_client(shared):
    result = subprocess.run(["socat", "-t5", "-", "UNIX-CONNECT:" + shared.control],
                            input='{"op":"hello"}\n{"op":"stats"}\n', capture_output=True, text=True, check=True,
                            timeout=procs.PATIENCE)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["ok"] for line in lines] == [True, True]


@pytest.mark.parametrize("rid", ["7", 7, "x" * 100, "é\"\\", None, True, {"a": 1}])
def test_rid_is_echoed(control, rid):
    answer = control.ask({"op": "hello", "rid": rid})
    if isinstance(rid, (str, int)) and not isinstance(rid, bool):
        assert answer["ok"] is True and answer["rid"] == rid
    else:
        assert answer["ok"] is False or answer.get("rid") == rid
    answer = control.ask({"op": "nosuch", "rid": "again"})
    assert answer["ok"] is False and answer["rid"] == "again"


def test_sync(shared, control):
    shared.event_type(shared.unique("sync"))
    change = shared.value("SELECT max(seq) FROM change")
    answer = control.ask({"op": "sync", "change": change})
    assert answer["ok"] is True and answer["change"] >= change
    assert control.ask({"op": "sync", "change": 0})["change"] >= change


def test_sync_means_in_force(shared, control):
    """After the answer, the connection has been sent its frame."""
    ws = subscribe(shared.wsd.listen, shared.credential(), "pdfm")
    for _ in range(20):
        for statement, message in (
                (f"DELETE FROM subscription WHERE client_id = '{ws.client_id}' AND event_type = 'pdfm'", "unsubscribed"),
                (f"INSERT INTO subscription(client_id, event_type) VALUES('{ws.client_id}', 'pdfm')", "subscribed")):
            change = shared.value(statement + "; SELECT max(seq) FROM change")
            assert control.ask({"op": "sync", "change": change})["ok"] is True
            ws.expect("system", message)
    ws.close()


def test_sync_of_what_has_not_happened(shared):
    """It waits, or is refused; it never claims it."""
    with Control(shared.control) as control:
        control.send({"op": "sync", "change": 10**9, "rid": "future"})
        control.sock.settimeout(2)
        try:
            answer = control.recv()
        except TimeoutError:
            answer = None
    assert answer is None or answer["ok"] is False or answer["change"] >= 10**9


def test_publish(shared, control):
    ws = subscribe(shared.wsd.listen, shared.credential(), "pdfm")
    answer = control.ask({"op": "publish", "event_type": "pdfm", "message": "m", "body": {"a": [1]}, "rid": 1})
    assert answer["ok"] is True and answer["rid"] == 1
    frame = ws.expect("pdfm", "m")
    assert answer["id"] == frame["id"] and frame["body"] == {"a": [1]}
    seq = int(answer["id"].rsplit("-", 1)[1])
    assert shared.value(f"SELECT body FROM event WHERE seq = {seq}") == '{"a": [1]}'
    ws.close()


def test_publish_keeps_the_body_as_written(shared, control):
    ws = subscribe(shared.wsd.listen, shared.credential(), "pdfm")
    control.send_raw(b'{"op":"publish","event_type":"pdfm","body":{"n": 1.10}}\n')
    assert control.recv()["ok"] is True
    assert '"body":{"n": 1.10}' in ws.recv_text()
    ws.close()


def test_publish_to_a_client_and_a_user(shared, control):
    who = shared.credential()
    first, second = (subscribe(shared.wsd.listen, who, "pdfm") for _ in range(2))
    assert control.ask({"op": "publish", "event_type": "pdfm", "message": "c", "client_id": first.client_id})["ok"]
    assert control.ask({"op": "publish", "event_type": "pdfm", "message": "u", "user_id": who.user})["ok"]
    first.expect("pdfm", "c")
    first.expect("pdfm", "u")
    second.expect("pdfm", "u")
    for ws in (first, second):
        ws.close()


def test_pipelined_publishes(shared, control):
    """A thousand requests in one write: answered in order, sent in order."""
    ws = subscribe(shared.wsd.listen, shared.credential(), "pdfm")
    control.send(*[{"op": "publish", "event_type": "pdfm", "message": "p", "body": i, "rid": i} for i in range(1000)])
    answers = [control.recv() for _ in range(1000)]
    assert all(a["ok"] for a in answers)
    assert [a["rid"] for a in answers] == list(range(1000))
    frames = [ws.recv() for _ in range(1000)]
    assert [f["body"] for f in frames] == list(range(1000))
    assert [f["id"] for f in frames] == [a["id"] for a in answers]
    ws.close()


def test_good_and_bad_pipelined(shared, control):
    ws = subscribe(shared.wsd.listen, shared.credential(), "pdfm")
    control.send_raw(b'{"op":"publish","event_type":"pdfm","message":"1"}\nnonsense\n{"op":"publish","event_type":"nosuch"}\n'
                     b'{"op":"publish","event_type":"pdfm","message":"2"}\n')
    assert [control.recv()["ok"] for _ in range(4)] == [True, False, False, True]
    ws.expect("pdfm", "1")
    ws.expect("pdfm", "2")
    ws.close()


def test_publish_with_dedup_id(shared, control):
    event = {"op": "publish", "event_type": "pdfm", "dedup_id": shared.unique("dedup")}
    first, second = control.ask(event), control.ask(event)
    assert first["ok"] and second["ok"] and first["id"] == second["id"]


@pytest.mark.parametrize("event", [
    {}, {"event_type": "nosuch"}, {"event_type": 7}, {"event_type": "pdfm", "message": 7},
    {"event_type": "pdfm", "client_id": "x"}, {"event_type": "pdfm", "user_id": ""},
    {"event_type": "pdfm", "dedup_id": ""}, {"event_type": "pdfm", "body": "x" * (256 * 1024)},
], ids=lambda e: json.dumps(e)[:40])
def test_bad_publish(control, event):
    answer = control.ask({"op": "publish", **event})
    assert answer["ok"] is False and answer["error"]


def test_stats(shared, control):
    ws = subscribe(shared.wsd.listen, shared.credential(), "pdfm")
    answer = control.ask({"op": "stats"})
    assert answer["ok"] is True
    text = json.dumps(answer)
    assert "clients" in text and "messages_sent" in text
    ws.close()


def test_clients(shared, control):
    who = shared.credential()
    ws = subscribe(shared.wsd.listen, who, "pdfm")
    answer = control.ask({"op": "clients"})
    assert answer["ok"] is True
    mine = [c for c in answer["clients"] if c["id"] == ws.client_id]
    assert len(mine) == 1 and mine[0]["user_id"] == who.user
    ws.close()


def test_clients_of_a_user(shared, control):
    who, other = shared.credential(), shared.credential()
    connections = [subscribe(shared.wsd.listen, who, "pdfm") for _ in range(3)]
    stranger = subscribe(shared.wsd.listen, other)
    answer = control.ask({"op": "clients", "user_id": who.user})
    assert {c["id"] for c in answer["clients"]} == {ws.client_id for ws in connections}
    assert control.ask({"op": "clients", "user_id": who.user, "lagging": True})["clients"] == []
    assert control.ask({"op": "clients", "user_id": "nobody"})["clients"] == []
    for bad in (7, None, ["a"], "a\0b"):
        answer = control.ask({"op": "clients", "user_id": bad})
        assert answer["ok"] is False and "user_id" in answer["error"]
    for ws in connections + [stranger]:
        ws.close()


@pytest.mark.parametrize("line", [
    b"", b" ", b"x", b"{", b"[]", b"null", b"7", b'"hello"', b"{}", b'{"op":null}', b'{"op":7}', b'{"op":""}',
    b'{"op":"nosuch"}', b'{"op":"HELLO"}', b'{"op":"hello","op":"drain"}', b'{"op":"sync"}',
    b'{"op":"sync","change":"1"}', b'{"op":"sync","change":-1}', b'{"op":"sync","change":1e99}',
    b'{"op":"hello"}{"op":"hello"}', b"\x00", b"\xff\xfe", b'{"op":"he\x00llo"}', b"[" * 10000,
    b'{"op":"hello\\u0000"}', b'{"op":"publish"}', b"GET / HTTP/1.1",
], ids=lambda b: repr(b[:30]))
def test_malformed_line(shared, control, line):
    control.send_raw(line + b'\n{"op":"hello","rid":"z"}\n')
    answer = control.recv()
    if line.strip() or answer.get("rid") != "z":
        assert answer is not None and answer["ok"] is False and answer["error"], answer
        answer = control.recv()
    assert answer["ok"] is True and answer["rid"] == "z"


def test_line_end_of_windows(control):
    control.send_raw(b'{"op":"hello"}\r\n')
    assert control.recv()["ok"] is True


def test_a_line_in_pieces(control):
    for byte in b'{"op":"hello"}':
        control.send_raw(bytes([byte]))
    control.send_raw(b"\n")
    assert control.recv()["ok"] is True


def test_line_over_a_mebibyte_closes(shared):
    with Control(shared.control) as control:
        try:
            for _ in range(40):
                control.send_raw(b"x" * 32768)
            control.send_raw(b"\n")
        except OSError:
            pass  # closed while we wrote
        while (answer := control.recv()) is not None:
            assert answer["ok"] is False
    with Control(shared.control) as control:
        assert control.ask({"op": "hello"})["ok"] is True


def test_line_just_under_a_mebibyte(control):
    pad = "x" * ((1 << 20) - 100)
    answer = control.ask({"op": "hello", "pad": pad})
    assert "ok" in answer
    assert control.ask({"op": "hello"})["ok"] is True


def test_half_a_line_and_gone(shared):
    for _ in range(20):
        with Control(shared.control) as control:
            control.send_raw(b'{"op":"publish","event_type":"pdfm"')
    with Control(shared.control) as control:
        assert control.ask({"op": "hello"})["ok"] is True


def test_peer_that_does_not_read(shared):
    """Answers that nobody takes are not gathered without end."""
    with Control(shared.control) as control:
        control.sock.settimeout(1)
        try:
            for _ in range(500):
                control.send(*[{"op": "clients"}] * 100)
        except OSError:
            pass  # it stopped reading, or closed
        with Control(shared.control) as other:
            assert other.ask({"op": "hello"})["ok"] is True


def test_more_lines_than_a_turn_takes(make_hub):
    """All are answered in order, and events do not wait for that: each asker sends more than is taken at once."""
    hub = make_hub()
    ws = subscribe(hub.wsd.listen, hub.credential(), "pdfm")
    lines = b"".join(b'{"op":"hello","rid":%d}\n' % n for n in range(5000))
    askers = [connect(hub) for _ in range(8)]
    senders = [threading.Thread(target=sock.sendall, args=(lines,)) for sock in askers]
    for sender in senders:
        sender.start()
    hub.publish("pdfm", "x")
    ws.expect("pdfm", "x")
    for sock in askers:
        with sock.makefile("rb") as stream:
            assert [json.loads(stream.readline())["rid"] for _ in range(5000)] == list(range(5000))
        sock.close()
    for sender in senders:
        sender.join()
    ws.close()


def test_long_answers_that_nobody_reads(make_hub):
    """600 MB of them in one chunk of questions: they are made as they are read."""
    hub = make_hub()
    who = hub.credential()
    clients_there = [subscribe(hub.wsd.listen, who) for _ in range(200)]
    before = resident(hub)
    sock = connect(hub)
    sock.sendall(b'{"op":"clients"}\n' * 15000)
    clients_there[0].nothing()
    with Control(hub.wsd.control) as control:
        assert len(control.ask({"op": "clients"})["clients"]) == 200
    assert resident(hub) - before < 64 << 10 or procs.is_sanitized()
    with sock.makefile("rb") as stream:
        for _ in range(20):
            assert len(json.loads(stream.readline())["clients"]) == 200
    sock.close()
    for ws in clients_there:
        ws.close()


def connect(hub):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(hub.wsd.control)
    return sock


def resident(hub):
    """KiB."""
    with open(f"/proc/{hub.wsd.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def test_many_connections(shared):
    many = [Control(shared.control) for _ in range(100)]
    for control in many:
        control.send({"op": "hello"})
    assert all(control.recv()["ok"] for control in many)
    for control in many:
        control.close()


# ---- who may

def test_mode_of_the_socket(shared):
    mode = os.stat(shared.control).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660


SCRIPT = """
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
out = []
f = s.makefile("rw")
for line in sys.argv[2:]:
    try:
        f.write(line + "\\n"); f.flush()
        answer = f.readline()
    except OSError:
        answer = ""
    out.append(json.loads(answer) if answer else None)
print(json.dumps(out))
"""


def ask_as(user, path, *requests):
    """Asks as another user; None where the connection was closed instead."""
    os.chmod(path, 0o666)  # so that it is the daemon, not the mode, that decides
    result = subprocess.run(procs.as_user(user) + ["/usr/bin/python3", "-c", SCRIPT, path] +
                            [json.dumps(r) for r in requests],
                            capture_output=True, text=True, check=True, timeout=procs.PATIENCE)
    return json.loads(result.stdout)


def refused(answer):
    return answer is None or answer["ok"] is False


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
EVENT = {"op": "publish", "event_type": "pdfm", "message": "x"}


@root_only
def test_a_stranger_may_nothing(make_hub):
    hub = make_hub()
    ws = subscribe(hub.wsd.listen, hub.credential(), "pdfm")
    answers = ask_as("nobody", hub.control, EVENT, {"op": "stats"}, {"op": "drain"})
    assert all(refused(a) for a in answers), answers
    ws.nothing()
    ws.close()


@root_only
def test_publish_users_may_only_publish(make_hub):
    hub = make_hub(publish_users=["nobody"])
    ws = subscribe(hub.wsd.listen, hub.credential(), "pdfm")
    for request in ({"op": "stats"}, {"op": "clients"}, {"op": "drain"}):
        assert refused(ask_as("nobody", hub.control, request)[0]), request
    assert ask_as("nobody", hub.control, EVENT)[0]["ok"] is True
    ws.expect("pdfm", "x")
    ws.nothing()
    ws.close()


@root_only
def test_control_users_by_name_and_id(make_hub):
    for user in ("nobody", str(pwd.getpwnam("nobody").pw_uid)):
        hub = make_hub(control_users=[user])
        assert ask_as("nobody", hub.control, {"op": "stats"})[0]["ok"] is True
        assert refused(ask_as("daemon", hub.control, {"op": "stats"})[0])


@root_only
def test_root_and_the_daemons_own_user_may(shared):
    with Control(shared.control) as control:
        assert control.ask({"op": "stats"})["ok"] is True
    assert ask_as("www-data", shared.control, {"op": "stats"})[0]["ok"] is True
    os.chmod(shared.control, 0o660)


# ---- drain

def test_drain(make_hub):
    hub = make_hub()
    connections = [subscribe(hub.wsd.listen, hub.credential(), "pdfm") for _ in range(20)]
    with Control(hub.control) as control:
        assert control.ask({"op": "drain"})["ok"] is True
    for ws in connections:
        assert ws.closed()[0] == 1012
    wsd = hub.wsd
    assert wsd.wait() == 0
    wsd.process.check_log()
    assert hub.value("SELECT count(*) FROM client") == 0
    with pytest.raises(OSError), socket.create_connection(wsd.listen.rsplit(":", 1), 5):
        pass
