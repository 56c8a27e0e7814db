"""The figures: GET …/metrics for Prometheus, and the live ones of …/clients
and …/stats."""

import os
import re
import signal
import socket
import subprocess

import pytest

import clients
import procs
from clients import API, Control, subscribe

SAMPLE = re.compile(r'^([a-z_][a-z0-9_]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"(?:,|$)')


def scrape(hub, credential):
    response = clients.fcgi_request(hub.fcgi_socket, "GET", API + "/metrics", credential.headers)
    assert response.status == 200, response
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return response.body.decode()


def check(text):
    """promtool finds nothing to say about it."""
    result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True,
                            timeout=procs.PATIENCE, check=False)
    assert result.returncode == 0 and not result.stdout + result.stderr, result.stdout + result.stderr


def samples(text):
    """{name: {frozenset of labels: value}}; each family stands in one piece."""
    found = {}
    family = None
    seen = set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in seen, f"{family} is there twice"
            seen.add(family)
        elif not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            assert name == family or re.sub("_(bucket|sum|count)$", "", name) == family, line
            found.setdefault(name, {})[frozenset(LABEL.findall(labels or ""))] = float(value)
    return found


def one(found, name, **labels):
    """The value of the sample that has these labels."""
    want = set(labels.items())
    values = [v for have, v in found[name].items() if want <= have]
    assert len(values) == 1, (name, labels, found[name])
    return values[0]


@pytest.fixture
def watched(make_hub):
    hub = make_hub(fcgi=True)
    hub.admin = hub.credential(scopes="admin")
    return hub


def figures(hub):
    text = scrape(hub, hub.admin)
    check(text)
    return samples(text)


def test_figures(watched):
    hub = watched
    who = hub.credential()
    before = figures(hub)
    assert one(before, "evhub_clients", daemon="wsd") == 0
    readers = [subscribe(hub.wsd.listen, who, "pdfm"), subscribe(hub.wsd.listen, who, "pdfm,health")]
    for n in range(3):
        hub.publish("pdfm", f"m{n}")
    last = hub.event_id(hub.publish("health", "h"))
    for ws in readers:
        for n in range(3):
            ws.expect("pdfm", f"m{n}")
    readers[1].expect("health", "h")
    with pytest.raises(clients.Refused):
        subscribe(hub.wsd.listen, who, "nosuchtype")
    with pytest.raises(clients.Refused):
        subscribe(hub.wsd.listen, None)
    with socket.create_connection(hub.wsd.listen.rsplit(":", 1), procs.PATIENCE) as nonsense:
        nonsense.sendall(b"EHLO x\r\n")
        assert nonsense.recv(64).startswith(b"HTTP/1.1 400 ")
    resumed = subscribe(hub.wsd.listen, who, "pdfm", last_event_id=last)
    assert resumed.welcome["body"]["resumed"] is True

    now = figures(hub)
    assert one(now, "evhub_clients", daemon="wsd") == 3
    assert one(now, "evhub_users") == 1
    assert one(now, "evhub_subscriptions", event_type="pdfm") == 3
    assert one(now, "evhub_subscriptions", event_type="health") == 1
    assert one(now, "evhub_subscriptions", event_type="auth") == 0
    assert one(now, "evhub_events_total", event_type="pdfm") == 3
    assert one(now, "evhub_events_total", event_type="health") == 1
    assert one(now, "evhub_deliveries_total") == 7
    assert one(now, "evhub_replies_total") == 3  # the welcomes
    assert one(now, "evhub_delivery_seconds_count") == 4
    assert one(now, "evhub_pickup_seconds_count") == 4
    assert one(now, "evhub_pickup_seconds_bucket", le="+Inf") == 4
    assert 0 < one(now, "evhub_pickup_seconds_sum") < 4 * procs.PATIENCE
    assert one(now, "evhub_connections_total") == 3
    assert one(now, "evhub_refusals_total", code="400", reason="unknown_event_type") == 1
    assert sum(v for k, v in now["evhub_refusals_total"].items() if ("code", "401") in k) == 1
    assert one(now, "evhub_refusals_total", code="400", reason="malformed_request") == 1
    assert one(now, "evhub_resumes_total", result="resumed") == 1
    assert one(now, "evhub_log_events") == 4
    assert 0 < one(now, "evhub_log_span_seconds") < 600
    assert one(now, "evhub_commit_seconds_count") > one(before, "evhub_commit_seconds_count")
    assert one(now, "evhub_commit_operations_sum") >= 3
    assert one(now, "evhub_database_bytes") == os.path.getsize(hub.database)
    assert one(now, "evhub_database_wal_bytes") > 0
    assert one(now, "evhub_database_writable") == 1
    assert one(now, "evhub_sent_bytes_total") > 500
    assert one(now, "evhub_daemon_up", daemon="wsd") == 1
    pid = hub.wsd.process.pid
    assert one(now, "process_open_fds") == len(os.listdir(f"/proc/{pid}/fd"))
    assert one(now, "process_resident_memory_bytes") > 1 << 20
    assert one(now, "evhub_history_bytes") == 0  # nobody is far behind
    if not procs.is_sanitized():  # they have a malloc of their own
        assert one(now, "evhub_allocated_bytes") > one(now, "evhub_sqlite_bytes") > 1 << 16
    started = one(now, "process_start_time_seconds")
    assert abs(started - os.stat(f"/proc/{pid}").st_ctime) < 60
    version = subprocess.run([procs.program("evhub-wsd"), "-V"], capture_output=True, text=True, check=True)
    assert one(now, "evhub_build_info", version=version.stdout.split()[-1], program="evhub-wsd") == 1

    client_id = readers[0].client_id
    hub.sql(f"DELETE FROM client WHERE id = '{client_id}'")
    assert readers[0].closed()[0] == 1008
    readers[1].send({"event_type": "health", "message": "ping"})
    readers[1].expect("health", "pong")
    now = figures(hub)
    assert one(now, "evhub_closes_total", code="1008") == 1
    assert one(now, "evhub_received_messages_total") == 1
    for ws in readers[1:] + [resumed]:
        ws.close()


def test_http_requests(watched):
    hub = watched
    who = hub.credential()

    def post(endpoint, body, headers):
        return clients.fcgi_request(hub.fcgi_socket, "POST", f"{API}/{endpoint}",
                                    {"Content-Type": "application/json", **headers}, body).status
    assert post("events", '{"event_type":"pdfm"}', who.headers) == 201
    assert post("events", '{"event_type":"nosuch"}', who.headers) == 400
    assert post("events", "{}", {}) == 401
    assert post("nosuch", "{}", who.headers) == 404
    figures(hub)
    now = figures(hub)
    name, process = "evhub_http_requests_total", str(hub.fcgi.pid)
    assert one(now, name, process=process, endpoint="events", code="201", reason="") == 1
    assert one(now, name, endpoint="events", code="400") == 1
    assert one(now, name, endpoint="events", code="401") == 1
    assert one(now, name, endpoint="unknown", code="404", reason="unknown_endpoint") == 1
    assert one(now, name, endpoint="metrics", code="200") == 1


def test_who_may_scrape(make_hub):
    hub = make_hub(fcgi=True, metrics_users=["prometheus"])

    def status(credential):
        return clients.fcgi_request(hub.fcgi_socket, "GET", API + "/metrics",
                                    credential.headers if credential else {}).status
    assert status(None) == 401
    assert status(hub.credential()) == 403
    assert status(hub.credential(scopes="admin")) == 200
    assert status(hub.credential(user="prometheus", scopes="", kind="token")) == 200
    assert status(hub.credential(user="prometheus2", scopes="")) == 403
    response = clients.fcgi_request(hub.fcgi_socket, "POST", API + "/metrics",
                                    {**hub.credential(scopes="admin").headers, "Content-Type": "application/json"}, "{}")
    assert response.status == 405


def test_through_a_web_server(front):
    response = front.get("metrics", front.hub.credential(scopes="admin"))
    assert response.status == 200, response
    assert response.headers["content-type"].startswith("text/plain")
    check(response.body.decode())


def test_several_daemons_on_one_page(watched):
    hub = watched
    other = hub.start_wsd("other")
    who = hub.credential()
    readers = [subscribe(hub.wsd.listen, who, "pdfm"), subscribe(other.listen, who, "pdfm"),
               subscribe(other.listen, who, "pdfm")]
    now = figures(hub)
    assert one(now, "evhub_clients", daemon="wsd") == 1
    assert one(now, "evhub_clients", daemon="other") == 2
    assert {k: v for k, v in now["evhub_daemon_up"].items()} == {
        frozenset([("daemon", "wsd")]): 1, frozenset([("daemon", "other")]): 1}
    for ws in readers:
        ws.close()
    other.kill()
    now = figures(hub)
    assert one(now, "evhub_daemon_up", daemon="wsd") == 1
    assert one(now, "evhub_daemon_up", daemon="other") == 0
    assert len(now["evhub_clients"]) == 1


def test_no_daemon(make_hub):
    hub = make_hub(fcgi=True)
    admin = hub.credential(scopes="admin")
    hub.wsd.stop()
    check(scrape(hub, admin))


def test_a_name_that_is_no_name(watched):
    """Who switches triggers off can write any row; it cannot break the page."""
    hub = watched
    hub.sql(""".once /dev/null
.dbconfig enable_trigger off
        INSERT INTO daemon(name, pid, control_socket, started_at, seen_at)
        VALUES('a"b\\c' || char(10) || 'evil 1', 1, '/nowhere', '', '')""")
    now = figures(hub)
    assert one(now, "evhub_daemon_up", daemon=r'a\"b\\c\nevil 1') == 0
    assert "evil" not in now
    response = clients.fcgi_request(hub.fcgi_socket, "GET", API + "/clients", hub.admin.headers)
    assert response.status == 200 and "evil 1" in response.headers["evhub-note"], response


def test_on_the_control_socket(watched):
    with Control(watched.wsd.control) as control:
        answer = control.ask({"op": "metrics", "rid": 7})
    assert answer["ok"] is True and answer["rid"] == 7
    check(answer["text"])
    assert one(samples(answer["text"]), "evhub_draining") == 0


def test_counts_what_is_not_stored(watched):
    hub = watched
    kind = hub.event_type(persistent=0)
    ws = subscribe(hub.wsd.listen, hub.credential(), kind)
    with Control(hub.wsd.control) as control:
        assert control.ask({"op": "publish", "event_type": kind, "message": "x"})["ok"]
    ws.expect(kind, "x")
    now = figures(hub)
    assert one(now, "evhub_events_total", event_type=kind) == 1
    assert one(now, "evhub_delivery_seconds_count") == 1
    assert one(now, "evhub_pickup_seconds_count") == 0
    ws.close()


# ---- live figures of the other endpoints

def get(hub, endpoint, credential):
    response = clients.fcgi_request(hub.fcgi_socket, "GET", f"{API}/{endpoint}", credential.headers)
    assert response.status == 200, response
    return response


def test_queue_depth_is_live(watched):
    hub = watched
    who = hub.credential()
    slow = subscribe(hub.wsd.listen, who, "pdfm", options={"max_queue": 4, "read_limit": 1024})
    quick = subscribe(hub.wsd.listen, who, "health")

    def depths(endpoint="clients"):
        response = get(hub, endpoint, hub.admin)
        assert "evhub-note" not in response.headers
        return {c["id"]: c["queue_depth"] for c in response.json()}
    assert depths() == {slow.client_id: 0, quick.client_id: 0}
    hub.sql("""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
        INSERT INTO event(event_type, message) SELECT 'pdfm', hex(zeroblob(500)) FROM n""")
    procs.wait_for(lambda: depths()[slow.client_id] > 0, "the slow client is not behind")
    assert depths()[quick.client_id] == 0
    now = figures(hub)
    assert one(now, "evhub_lagging_clients") == 1
    assert one(now, "evhub_lagging_events") >= one(now, "evhub_lagging_events_max") > 0
    assert get(hub, "stats", hub.admin).json()["lagging_clients"] == 1
    for _ in range(10000):
        slow.recv()
    procs.wait_for(lambda: depths()[slow.client_id] == 0, "the client does not catch up")
    # nothing to wait for: the figures are those of this moment
    third = subscribe(hub.wsd.listen, who)
    assert get(hub, "stats", hub.admin).json()["total_clients"] == 3
    for ws in (slow, quick, third):
        ws.close()


def test_rows_while_the_daemon_is_away(watched):
    hub = watched
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    os.kill(hub.wsd.process.pid, signal.SIGSTOP)
    try:
        for asks in (hub.admin, who):
            response = get(hub, "clients", asks)
            assert [c["id"] for c in response.json()] == [ws.client_id]
            assert "no answer from the daemon wsd" in response.headers["evhub-note"]
        response = get(hub, "clients", hub.credential())
        assert response.json() == [] and "evhub-note" in response.headers
        body = get(hub, "stats", hub.admin).json()
        assert body["total_clients"] == 1 and body["type_stats"] == {"global": 1, "pdfm": 1}
        assert "no answer from the daemon wsd" in body["note"]
    finally:
        os.kill(hub.wsd.process.pid, signal.SIGCONT)
    procs.wait_for(lambda: "evhub-note" not in get(hub, "clients", hub.admin).headers, "the note stays", step=0.05)
    ws.close()
