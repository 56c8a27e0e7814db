"""The other endpoints of evhub-fcgi."""

import json
import socket
import subprocess

import pytest

import clients
import procs
from clients import API, check_error, check_stack_entry, subscribe


# ---- POST …/subscriptions

def test_subscribe_more(front):
    who = front.hub.credential()
    ws = front.subscribe(who, "pdfm")
    response = front.post("subscriptions", {"client_id": ws.client_id, "event_types": ["Health ", "stats"]}, who)
    assert response.status == 200, response
    body = response.json()
    assert body["code"] == 200 and body["client_id"] == ws.client_id
    assert body["subscribed"] == ["health", "stats"]
    assert sorted(body["subscriptions"]) == ["global", "health", "pdfm", "stats"]
    frame = ws.recv()
    assert (frame["event_type"], frame["message"]) == ("system", "subscribed")
    assert frame["body"]["event_types"] == ["health", "stats"]
    assert sorted(frame["body"]["subscriptions"]) == ["global", "health", "pdfm", "stats"]
    assert frame["client_id"] == ws.client_id
    front.hub.publish("stats", "now", client_id=ws.client_id)
    ws.expect("stats", "now")
    ws.close()


def test_subscribe_partial(direct):
    who = direct.hub.credential()
    ws = direct.subscribe(who, "pdfm")
    response = direct.post("subscriptions", {"client_id": ws.client_id, "event_types": ["pdfm", "health", "nosuch"]}, who)
    assert response.status == 200, response
    body = response.json()
    assert body["subscribed"] == ["health"]
    assert len(body["stack"]) == 2
    for entry in body["stack"]:
        check_stack_entry(entry)
    ws.expect("system", "subscribed")
    ws.nothing()
    ws.close()


def test_subscribe_twice(direct):
    who = direct.hub.credential()
    ws = direct.subscribe(who)
    request = {"client_id": ws.client_id, "event_types": ["pdfm"]}
    assert direct.post("subscriptions", request, who).status == 200
    check_error(direct.post("subscriptions", request, who), 400)
    ws.expect("system", "subscribed")
    ws.nothing()
    ws.close()


def test_unsubscribe_and_subscribe_again(direct):
    who = direct.hub.credential()
    ws = direct.subscribe(who, "pdfm")
    for _ in range(5):
        assert direct.unsubscribe(who, ws.client_id, ["pdfm"]).status == 200
        ws.expect("system", "unsubscribed")
        direct.hub.publish("pdfm", "no", client_id=ws.client_id)
        assert direct.post("subscriptions", {"client_id": ws.client_id, "event_types": ["pdfm"]}, who).status == 200
        ws.expect("system", "subscribed")
        direct.hub.publish("pdfm", "yes", client_id=ws.client_id)
        ws.expect("pdfm", "yes")
    ws.close()


def test_subscribe_what_the_credential_forbids(direct):
    who = direct.hub.credential(event_types="pdfm")
    ws = direct.subscribe(who)
    check_error(direct.post("subscriptions", {"client_id": ws.client_id, "event_types": ["health"]}, who), 403)
    assert direct.post("subscriptions", {"client_id": ws.client_id, "event_types": ["pdfm"]}, who).status == 200
    ws.expect("system", "subscribed")
    ws.nothing()
    ws.close()


def test_subscribe_anothers_client(direct):
    ws = direct.subscribe(direct.hub.credential())
    check_error(direct.post("subscriptions", {"client_id": ws.client_id, "event_types": ["pdfm"]},
                            direct.hub.credential()), 403)
    ws.nothing()
    ws.close()


def test_subscribe_without_the_scope(direct):
    user = direct.hub.unique("user")
    who, publisher = direct.hub.credential(user), direct.hub.credential(user, scopes="publish")
    ws = direct.subscribe(who)
    check_error(direct.post("subscriptions", {"client_id": ws.client_id, "event_types": ["pdfm"]}, publisher), 403)
    ws.close()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"client_id":"x"}', b'{"event_types":["pdfm"]}',
                                  b'{"client_id":"%ID%","event_types":[]}',
                                  b'{"client_id":"%ID%","event_types":["nosuch"]}',
                                  b'{"client_id":"%ID%","event_types":"pdfm"}',
                                  b'{"client_id":"%ID%","client_id":"%ID%","event_types":["pdfm"]}'])
def test_subscribe_bad_body(direct, body):
    who = direct.hub.credential()
    ws = direct.subscribe(who)
    check_error(direct.post("subscriptions", body.replace(b"%ID%", ws.client_id.encode()), who), 400)
    ws.nothing()
    ws.close()


# ---- POST …/events

@pytest.fixture
def reader(direct):
    who = direct.hub.credential()
    ws = direct.subscribe(who, "pdfm")
    ws.who = who
    yield ws
    ws.close()


def mine(ws, **event):
    """An event for this reader alone: other tests publish to the same hub."""
    return {"event_type": "pdfm", "client_id": ws.client_id, **event}


def test_publish(front):
    who = front.hub.credential()
    ws = front.subscribe(who, "pdfm")
    response = front.post("events", mine(ws, message="hello", body={"n": 1}), who)
    assert response.status == 201, response
    body = response.json()
    frame = ws.expect("pdfm", "hello")
    assert body["id"] == frame["id"]
    assert frame["body"] == {"n": 1}
    seq = int(body["id"].rsplit("-", 1)[1])
    assert front.hub.value(f"SELECT message FROM event WHERE seq = {seq}") == "hello"
    ws.close()


def test_publish_keeps_the_body_as_written(direct, reader):
    data = f'{{"event_type":"pdfm","client_id":"{reader.client_id}","body":{{"n": 1.10,"big":12345678901234567890123}}}}'
    assert direct.post("events", data, reader.who).status == 201
    assert '"body":{"n": 1.10,"big":12345678901234567890123}' in reader.recv_text()


def test_publish_an_array(direct, reader):
    response = direct.post("events", [mine(reader, message=str(i)) for i in range(100)], reader.who)
    assert response.status == 201, response
    ids = [entry["id"] for entry in response.json()]
    frames = [reader.recv() for _ in range(100)]
    assert [f["id"] for f in frames] == ids
    assert [f["message"] for f in frames] == [str(i) for i in range(100)]


def test_an_array_is_all_or_nothing(direct, reader):
    events = [mine(reader, message="a"), {"event_type": "nosuch"}, {"event_type": 7}, mine(reader, message="b")]
    body = check_error(direct.post("events", events, reader.who), 400)
    assert [e["path"] for e in body["stack"]] == ["[1].event_type", "[2].event_type"], body
    reader.nothing()


def test_an_empty_array(direct, reader):
    response = direct.post("events", [], reader.who)
    assert response.status in (201, 400), response
    reader.nothing()


def test_publish_to_a_user(direct, reader):
    other = direct.subscribe(direct.hub.credential(), "pdfm")
    assert direct.post("events", {"event_type": "pdfm", "message": "u", "user_id": reader.who.user},
                       reader.who).status == 201
    reader.expect("pdfm", "u")
    other.nothing()
    other.close()


def test_dedup_id(direct, reader):
    event = mine(reader, message="once", dedup_id=direct.hub.unique("dedup"))
    first = direct.post("events", event, reader.who)
    assert first.status == 201, first
    again = direct.post("events", event, reader.who)
    assert again.status == 200, again
    assert again.json()["id"] == first.json()["id"]
    reader.expect("pdfm", "once")
    reader.nothing()


@pytest.mark.parametrize("event", [
    {}, {"message": "no type"}, {"event_type": "nosuch"}, {"event_type": ""}, {"event_type": 7},
    {"event_type": "pdfm", "message": 7}, {"event_type": "pdfm", "client_id": "x"},
    {"event_type": "pdfm", "user_id": ""}, {"event_type": "pdfm", "user_id": 7}, {"event_type": "pdfm", "dedup_id": ""},
    {"event_type": "pdfm", "dedup_id": "x" * 256}, {"event_type": "pdfm", "colour": "red"},
    {"event_type": "pdfm", "client_id": "00000000-0000-4000-8000-000000000000", "user_id": "u"},
    {"event_type": "pdfm", "message": "nul \u0000"}, "pdfm", 7, None, [7],
], ids=lambda e: json.dumps(e)[:50])
def test_bad_event(direct, reader, event):
    check_error(direct.post("events", json.dumps(event), reader.who), 400)
    reader.nothing()


@pytest.mark.parametrize("data", [b"", b"{", b'{"event_type":"pdfm","event_type":"health"}', b"[" * 10000,
                                  b'{"event_type":"pdfm","message":"\xff"}', b'{"event_type":"pdfm"}\x00'])
def test_bad_event_body(direct, reader, data):
    check_error(direct.post("events", data, reader.who), 400)
    reader.nothing()


def test_publish_needs_the_scope(direct):
    check_error(direct.post("events", {"event_type": "pdfm"}, direct.hub.credential(scopes="subscribe")), 403)
    check_error(direct.post("events", {"event_type": "pdfm"}), 401)


def test_publish_what_the_credential_forbids(direct):
    who = direct.hub.credential(event_types="health")
    check_error(direct.post("events", {"event_type": "pdfm"}, who), 403)


def test_publish_too_large(make_hub):
    hub = make_hub(fcgi=True, max_body_bytes="1M", max_event_bytes="4K")
    who = hub.credential()
    headers = {"Content-Type": "application/json", **who.headers}

    def post(event):
        return clients.fcgi_request(hub.fcgi_socket, "POST", API + "/events", headers, json.dumps(event))
    check_error(post({"event_type": "pdfm", "message": "x" * 5000}), 413)
    assert post({"event_type": "pdfm", "message": "x" * 4096}).status == 201
    check_error(post({"event_type": "pdfm", "message": "x" * (1 << 20)}), 413)
    assert hub.value("SELECT count(*) FROM event") == 1


@pytest.mark.parametrize("endpoint", ["events", "subscriptions"])
def test_methods_and_content_type(direct, endpoint):
    who = direct.hub.credential()
    for method in ("GET", "PUT", "DELETE"):
        check_error(direct.request(method, f"{API}/{endpoint}", credential=who), 405)
    check_error(direct.post(endpoint, b"{}", who, {"Content-Type": "text/plain"}), 415)


# ---- GET …/clients

CLIENT_FIELDS = ["id", "user_id", "username", "connected_at", "last_ping_at", "last_pong_at",
                 "event_subscriptions", "is_alive", "queue_depth"]


def test_clients_of_ones_own(front):
    who = front.hub.credential()
    connections = [front.subscribe(who, t) for t in ("pdfm", "health")]
    stranger = front.subscribe(front.hub.credential(), "pdfm")
    response = front.get("clients", who)
    assert response.status == 200, response
    listed = response.json()
    assert sorted(c["id"] for c in listed) == sorted(ws.client_id for ws in connections)
    for client in listed:
        assert list(client)[:len(CLIENT_FIELDS)] == CLIENT_FIELDS
        assert client["user_id"] == who.user
        assert client["is_alive"] is True
        assert client["queue_depth"] == 0
        assert client["connected_at"].endswith("Z")
        ws = next(ws for ws in connections if ws.client_id == client["id"])
        assert sorted(client["event_subscriptions"]) == sorted(ws.subscriptions)
    for ws in connections + [stranger]:
        ws.close()


def test_admin_sees_all_clients(direct):
    admin = direct.hub.credential(scopes="subscribe admin")
    connections = [direct.subscribe(direct.hub.credential()) for _ in range(3)]
    listed = {c["id"] for c in direct.get("clients", admin).json()}
    assert {ws.client_id for ws in connections} <= listed
    for ws in connections:
        ws.close()


def test_clients_needs_a_credential(direct):
    check_error(direct.get("clients"), 401)
    assert direct.get("clients", direct.hub.credential()).json() == []


# ---- GET …/stats

def test_stats(make_hub):
    hub = make_hub(fcgi=True)
    admin = hub.credential(scopes="admin")
    connections = [subscribe(hub.wsd.listen, hub.credential(), t) for t in ("pdfm", "pdfm,health")]

    def stats():
        response = clients.fcgi_request(hub.fcgi_socket, "GET", API + "/stats", admin.headers)
        assert response.status == 200, response
        return response.json()
    body = stats()
    assert list(body)[:6] == ["total_clients", "total_subscriptions", "type_stats", "messages_sent", "start_time", "uptime"]
    assert body["total_clients"] == 2
    assert body["total_subscriptions"] == 5
    assert body["type_stats"] == {"global": 2, "health": 1, "pdfm": 2}
    hub.publish("pdfm", "x")
    for ws in connections:
        ws.expect("pdfm", "x")
    procs.wait_for(lambda: stats()["messages_sent"] >= 4, "messages_sent does not follow", 5)
    assert isinstance(body["uptime"], (int, float)) or body["uptime"], body
    for ws in connections:
        ws.close()
    procs.wait_for(lambda: stats()["total_clients"] == 0, "total_clients does not follow")


def test_stats_are_for_admins(direct):
    check_error(direct.get("stats", direct.hub.credential()), 403)
    check_error(direct.get("stats"), 401)


# ---- GET …/event_types

def test_event_types(front):
    """What the credential allows, and what comes anyway."""
    hub = front.hub
    name = hub.event_type(hub.unique("offered.by"), description='a "type"', persistent=0)
    everything = front.get("event_types", hub.credential()).json()
    assert {"name": name, "description": 'a "type"', "mandatory": False, "persistent": False} in everything
    assert [t["name"] for t in everything] == sorted(t["name"] for t in everything)
    some = front.get("event_types", hub.credential(event_types="offered.* health")).json()
    names = {t["name"]: t["mandatory"] for t in some}
    assert names.pop("global") is True
    assert names[name] is False and names["health"] is False and "pdfm" not in names


# ---- GET …/health

def test_health(front):
    response = front.get("health")
    assert response.status == 200, response
    assert response.json()["status"] == "ok"
    assert response.headers["cache-control"] == "no-store"


def test_health_without_the_daemon(make_hub):
    hub = make_hub(front="direct")
    assert hub.front.get("health").status == 200
    hub.wsd.kill()
    response = hub.front.get("health")
    assert response.status == 503, response
    assert "daemon" in response.body.decode() or "wsd" in response.body.decode(), response
    assert response.json()["message" if "message" in response.json() else "status"] != "ok"
    hub.start_wsd()
    procs.wait_for(lambda: hub.front.get("health").status == 200, "not healthy again")


def test_health_without_the_database(make_hub):
    hub = make_hub(wsd=False)
    hub.start_fcgi()
    response = clients.fcgi_request(hub.fcgi_socket, "GET", API + "/health")
    assert response.status == 503, response
    assert "database" in response.body.decode(), response
    hub.start_wsd()
    procs.wait_for(lambda: clients.fcgi_request(hub.fcgi_socket, "GET", API + "/health").status == 200,
                   "not healthy when the daemon has come")


# ---- FastCGI itself

def test_many_requests_on_the_socket(direct):
    for _ in range(200):
        assert direct.get("health").status == 200


def test_half_a_request_does_not_block_others(direct):
    """A web server that dies in the middle of a request."""
    held = []
    for _ in range(3):
        s = socket.socket(socket.AF_UNIX)
        s.connect(direct.hub.fcgi_socket)
        s.sendall(b"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01")
        held.append(s)
    assert direct.get("health").status == 200
    for s in held:
        s.close()
    assert direct.get("health").status == 200


def test_lighttpd_with_a_separate_program(make_hub):
    hub = make_hub(front="lighttpd-socket")
    who = hub.credential()
    ws = hub.front.subscribe(who, "pdfm")
    assert hub.front.unsubscribe(who, ws.client_id, ["pdfm"]).status == 200
    ws.expect("system", "unsubscribed")
    ws.close()


def test_fcgi_checks_its_configuration(make_hub):
    hub = make_hub()
    argv = procs.drop_prefix() + [procs.program("evhub-fcgi"), "-c", hub.conf_path, "-t"]
    result = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result
    result = subprocess.run(argv + ["-o", "nosuch=1"], capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode != 0 and "nosuch" in result.stderr, result
