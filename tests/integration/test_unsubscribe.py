"""POST …/unsubscribe, through every front end."""

import json
import signal
import threading

import pytest

import clients
from clients import API, check_error, check_stack_entry, subscribe


@pytest.fixture
def connected(front):
    """A user of the test's own with a connection to pdfm, health and stats."""
    who = front.hub.credential()
    ws = front.subscribe(who, "pdfm,health,stats")
    ws.who = who
    ws.front = front
    yield ws
    if not ws.ws.closed:
        ws.close()


def rows(hub, client_id):
    return sorted(r["event_type"] for r in
                  hub.sql(f"SELECT event_type FROM subscription WHERE client_id = '{client_id}'"))


def check_unsubscribed(frame, ws, event_types, subscriptions):
    assert frame["event_type"] == "system", frame
    assert frame["message"] == "unsubscribed"
    assert frame["body"]["event_types"] == event_types
    assert sorted(frame["body"]["subscriptions"]) == sorted(subscriptions)
    assert frame["client_id"] == ws.client_id
    assert list(frame) == ["id", "event_type", "timestamp", "message", "body", "client_id"]


# ---- 200

def test_unsubscribe(connected):
    ws, front = connected, connected.front
    response = front.unsubscribe(ws.who, ws.client_id, ["pdfm", "health"])
    assert response.status == 200, response
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert list(body)[:5] == ["code", "message", "client_id", "unsubscribed", "subscriptions"]
    assert body["code"] == 200
    assert body["message"] == "unsubscribed from: pdfm, health"
    assert body["client_id"] == ws.client_id
    assert body["unsubscribed"] == ["pdfm", "health"]
    assert sorted(body["subscriptions"]) == ["global", "stats"]
    assert "stack" not in body
    # in the database, on the connection, and in what is sent
    assert rows(front.hub, ws.client_id) == ["global", "stats"]
    check_unsubscribed(ws.recv(), ws, ["pdfm", "health"], ["global", "stats"])
    front.hub.sql("BEGIN; INSERT INTO event(event_type) VALUES('pdfm'); INSERT INTO event(event_type)"
                  f" VALUES('health'); INSERT INTO event(event_type, message, client_id)"
                  f" VALUES('stats', 'still', '{ws.client_id}'); COMMIT")
    ws.expect("stats", "still")
    ws.nothing()


def test_in_band_frame_alone_when_all_are_removed(connected):
    ws, front = connected, connected.front
    response = front.unsubscribe(ws.who, ws.client_id, ["stats", "pdfm", "health"])
    assert response.status == 200 and response.json()["subscriptions"] == ["global"], response
    check_unsubscribed(ws.recv(), ws, ["stats", "pdfm", "health"], ["global"])
    ws.nothing()


def test_names_are_normalised_and_repeats_ignored(connected):
    ws, front = connected, connected.front
    response = front.unsubscribe(ws.who, ws.client_id, [" PDFM ", "pdfm", "Pdfm"])
    assert response.status == 200, response
    assert response.json()["unsubscribed"] == ["pdfm"]
    assert "stack" not in response.json()


def test_client_id_in_capitals(connected):
    ws, front = connected, connected.front
    response = front.unsubscribe(ws.who, ws.client_id.upper(), ["pdfm"])
    assert response.status == 200, response
    assert response.json()["client_id"] == ws.client_id


def test_short_base_path(connected):
    ws, front = connected, connected.front
    response = front.request("POST", "/v1/ws/unsubscribe", {"Content-Type": "application/json"},
                             json.dumps({"client_id": ws.client_id, "event_types": ["pdfm"]}), ws.who)
    assert response.status == 200, response


def test_token_works_too(front):
    who = front.hub.credential(kind="token")
    ws = front.subscribe(who, "pdfm")
    assert front.unsubscribe(who, ws.client_id, ["pdfm"]).status == 200
    ws.close()


def test_content_type_with_a_charset(connected):
    ws, front = connected, connected.front
    response = front.post("unsubscribe", {"client_id": ws.client_id, "event_types": ["pdfm"]}, ws.who,
                          {"Content-Type": "Application/JSON; charset=utf-8"})
    assert response.status == 200, response


def test_own_user_id(connected):
    ws, front = connected, connected.front
    response = front.unsubscribe(ws.who, ws.client_id, ["pdfm"], user_id=ws.who.user)
    assert response.status == 200, response


def test_partial_result(connected):
    ws, front = connected, connected.front
    response = front.unsubscribe(ws.who, ws.client_id, ["pdfm", "auth", "global"])
    assert response.status == 200, response
    body = response.json()
    assert body["unsubscribed"] == ["pdfm"]
    assert "pdfm" in body["message"] and "auth" in body["message"] and "global" in body["message"]
    assert len(body["stack"]) == 2
    for entry, name in zip(body["stack"], ["auth", "global"]):
        check_stack_entry(entry)
        assert name in entry["description"]
        assert entry["path"].startswith("event_types")
    check_unsubscribed(ws.recv(), ws, ["pdfm"], ["global", "health", "stats"])
    assert rows(front.hub, ws.client_id) == ["global", "health", "stats"]


def test_partial_with_an_unknown_type(connected):
    ws, front = connected, connected.front
    response = front.unsubscribe(ws.who, ws.client_id, ["nosuch", "pdfm"])
    assert response.status == 200, response
    assert len(response.json()["stack"]) == 1


def test_twice(connected):
    ws, front = connected, connected.front
    assert front.unsubscribe(ws.who, ws.client_id, ["pdfm"]).status == 200
    check_error(front.unsubscribe(ws.who, ws.client_id, ["pdfm"]), 400, 1)
    assert rows(front.hub, ws.client_id) == ["global", "health", "stats"]
    ws.expect("system", "unsubscribed")
    ws.nothing()


def test_only_this_connection_of_the_user(connected):
    ws, front = connected, connected.front
    other = front.subscribe(ws.who, "pdfm")
    assert front.unsubscribe(ws.who, ws.client_id, ["pdfm"]).status == 200
    other.nothing()
    front.hub.publish("pdfm", "still", user_id=ws.who.user)
    other.expect("pdfm", "still")
    other.close()


def test_connection_stays_open(connected):
    ws, front = connected, connected.front
    front.unsubscribe(ws.who, ws.client_id, ["pdfm", "health", "stats"])
    ws.expect("system", "unsubscribed")
    ws.nothing()
    ws.ping()


# ---- 400

BODIES = {
    "empty": b"",
    "blank": b"   ",
    "not json": b"event_types=pdfm",
    "half": b'{"client_id":"',
    "two values": b'{"client_id":"%ID%","event_types":["pdfm"]}{}',
    "array": b'["pdfm"]',
    "string": b'"pdfm"',
    "number": b"1",
    "null": b"null",
    "no fields": b"{}",
    "no client_id": b'{"event_types":["pdfm"]}',
    "no event_types": b'{"client_id":"%ID%"}',
    "empty event_types": b'{"client_id":"%ID%","event_types":[]}',
    "null event_types": b'{"client_id":"%ID%","event_types":null}',
    "string event_types": b'{"client_id":"%ID%","event_types":"pdfm"}',
    "object event_types": b'{"client_id":"%ID%","event_types":{"pdfm":1}}',
    "number in event_types": b'{"client_id":"%ID%","event_types":["pdfm",7]}',
    "null in event_types": b'{"client_id":"%ID%","event_types":["pdfm",null]}',
    "list in event_types": b'{"client_id":"%ID%","event_types":[["pdfm"]]}',
    "number client_id": b'{"client_id":7,"event_types":["pdfm"]}',
    "null client_id": b'{"client_id":null,"event_types":["pdfm"]}',
    "empty client_id": b'{"client_id":"","event_types":["pdfm"]}',
    "number user_id": b'{"client_id":"%ID%","event_types":["pdfm"],"user_id":7}',
    "object user_id": b'{"client_id":"%ID%","event_types":["pdfm"],"user_id":{}}',
    "unknown types only": b'{"client_id":"%ID%","event_types":["nosuch","neither"]}',
    "not subscribed": b'{"client_id":"%ID%","event_types":["auth"]}',
    "global alone": b'{"client_id":"%ID%","event_types":["global"]}',
    "empty name": b'{"client_id":"%ID%","event_types":[""]}',
    "duplicate keys": b'{"client_id":"%ID%","event_types":["pdfm"],"event_types":["health"]}',
    "duplicate client_id": b'{"client_id":"%ID%","client_id":"%ID%","event_types":["pdfm"]}',
    "nul byte": b'{"client_id":"%ID%","event_types":["pd\x00fm"]}',
    "nul after": b'{"client_id":"%ID%","event_types":["pdfm"]}\x00',
    "escaped nul": b'{"client_id":"%ID%","event_types":["pdfm\\u0000"]}',
    "escaped nul in client_id": b'{"client_id":"%ID%\\u0000","event_types":["pdfm"]}',
    "invalid utf-8": b'{"client_id":"%ID%","event_types":["\xff\xfe"]}',
    "overlong utf-8": b'{"client_id":"%ID%","event_types":["\xc0\xae"]}',
    "lone surrogate": b'{"client_id":"%ID%","event_types":["\\ud800"]}',
    "deep": b'{"client_id":"%ID%","event_types":' + b"[" * 10000 + b"]" * 10000 + b"}",
    "deep objects": b'{"a":' * 10000 + b"1" + b"}" * 10000,
    "unfinished depth": b"[" * 60000,
    "sql in types": b'{"client_id":"%ID%","event_types":["pdfm\'; DROP TABLE client; --"]}',
    "comment": b'{"client_id":"%ID%",/* */"event_types":["pdfm"]}',
    "trailing comma": b'{"client_id":"%ID%","event_types":["pdfm",]}',
    "single quotes": b"{'client_id':'%ID%','event_types':['pdfm']}",
    "control character": b'{"client_id":"%ID%","event_types":["pdfm\n"]}',
    "byte order mark": b'\xef\xbb\xbf{"client_id":"%ID%","event_types":["pdfm"]}',
    "long number": b'{"client_id":' + b"9" * 5000 + b',"event_types":["pdfm"]}',
}


@pytest.mark.parametrize("name", list(BODIES))
def test_bad_body(connected, name):
    ws, front = connected, connected.front
    data = BODIES[name].replace(b"%ID%", ws.client_id.encode())
    check_error(front.post("unsubscribe", data, ws.who), 400)
    assert rows(front.hub, ws.client_id) == ["global", "health", "pdfm", "stats"]
    ws.nothing()


def test_each_fault_has_its_entry(connected):
    ws, front = connected, connected.front
    body = check_error(front.unsubscribe(ws.who, ws.client_id, ["nosuch", "auth", "global"]), 400, 3)
    for entry, name in zip(body["stack"], ["nosuch", "auth", "global"]):
        assert name in entry["description"]


# ---- 401, 403, 404

def test_no_credential(connected):
    ws, front = connected, connected.front
    check_error(front.unsubscribe(None, ws.client_id, ["pdfm"]), 401)
    check_error(front.post("unsubscribe", b"not json"), 401)


@pytest.mark.parametrize("headers", [{"X-Api-Key": "0123456789abcdefX"},
                                     {"Authorization": "Bearer 0123456789abcdefX"},
                                     {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="}])
def test_bad_credential(connected, headers):
    ws, front = connected, connected.front
    check_error(front.post("unsubscribe", {"client_id": ws.client_id, "event_types": ["pdfm"]}, None, headers), 401)
    assert "pdfm" in rows(front.hub, ws.client_id)


def test_both_headers(connected):
    ws, front = connected, connected.front
    token = front.hub.credential(ws.who.user, kind="token")
    stranger = front.hub.credential(kind="token")
    request = {"client_id": ws.client_id, "event_types": ["pdfm"]}
    check_error(front.post("unsubscribe", request, ws.who, stranger.headers), 401)
    assert front.post("unsubscribe", request, ws.who, token.headers).status == 200


def test_another_users_client(connected):
    ws, front = connected, connected.front
    mallory = front.hub.credential()
    check_error(front.unsubscribe(mallory, ws.client_id, ["pdfm"]), 403)
    check_error(front.unsubscribe(mallory, ws.client_id, ["pdfm"], user_id=ws.who.user), 403)
    assert "pdfm" in rows(front.hub, ws.client_id)
    ws.nothing()


def test_another_user_id(connected):
    ws, front = connected, connected.front
    check_error(front.unsubscribe(ws.who, ws.client_id, ["pdfm"], user_id="somebody"), 403)
    assert "pdfm" in rows(front.hub, ws.client_id)


def test_admin_acts_for_the_user(connected):
    ws, front = connected, connected.front
    admin = front.hub.credential(scopes="subscribe admin")
    check_error(front.unsubscribe(admin, ws.client_id, ["pdfm"], user_id="somebody else"), 403)
    response = front.unsubscribe(admin, ws.client_id, ["pdfm"], user_id=ws.who.user)
    assert response.status == 200, response
    ws.expect("system", "unsubscribed")


@pytest.mark.parametrize("client_id", [
    "00000000-0000-4000-8000-000000000000", "' OR 1=1 --", "x'; DELETE FROM subscription; --", "%",
    "../../etc/passwd", "x" * 5000, "é", "338a28f7-666e-46e1-8e7d-4feba5edc06", "{338a28f7}",
])
def test_no_such_client(connected, client_id):
    ws, front = connected, connected.front
    body = check_error(front.unsubscribe(ws.who, client_id, ["pdfm"]), 404, 1)
    assert body["stack"][0]["path"] == "client_id"
    assert rows(front.hub, ws.client_id) == ["global", "health", "pdfm", "stats"]


def test_client_that_has_gone(front):
    who = front.hub.credential()
    ws = front.subscribe(who, "pdfm")
    ws.close()
    front.hub.wait_sql(f"SELECT count(*) FROM client WHERE id = '{ws.client_id}'", 0)
    check_error(front.unsubscribe(who, ws.client_id, ["pdfm"]), 404)


# ---- 405, 413, 415

@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods(connected, method):
    ws, front = connected, connected.front
    response = front.request(method, f"{API}/unsubscribe", credential=ws.who)
    check_error(response, 405)
    assert "POST" in response.headers["allow"]


def test_head(connected):
    ws, front = connected, connected.front
    response = front.request("HEAD", f"{API}/unsubscribe", credential=ws.who)
    assert response.status == 405, response


def test_body_too_large(connected):
    ws, front = connected, connected.front
    data = json.dumps({"client_id": ws.client_id, "event_types": ["pdfm"], "pad": "x" * 65536})
    check_error(front.post("unsubscribe", data, ws.who), 413)
    assert "pdfm" in rows(front.hub, ws.client_id)


def test_body_of_the_largest_size(connected):
    ws, front = connected, connected.front
    data = json.dumps({"client_id": ws.client_id, "event_types": ["pdfm"]})
    data = data[:-1] + " " * (65536 - len(data)) + "}"
    assert len(data) == 65536
    assert front.post("unsubscribe", data, ws.who).status == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx",
                                          "multipart/form-data; boundary=x", "json"])
def test_content_type(connected, content_type):
    ws, front = connected, connected.front
    response = front.post("unsubscribe", {"client_id": ws.client_id, "event_types": ["pdfm"]}, ws.who,
                          {"Content-Type": content_type})
    check_error(response, 415)
    assert "pdfm" in rows(front.hub, ws.client_id)


def test_no_such_endpoint(front):
    check_error(front.request("GET", f"{API}/nosuch", credential=front.hub.credential()), 404)


# ---- 503

@pytest.mark.parametrize("name", ["direct", "nginx"])
def test_daemon_away(make_hub, name):
    hub = make_hub(front=name)
    who = hub.credential()
    ws = hub.front.subscribe(who, "pdfm")
    hub.wsd.kill()
    body = check_error(hub.front.unsubscribe(who, ws.client_id, ["pdfm"]), 503)
    assert any(word in body["message"] for word in ("stored", "applied", "not running", "daemon")), body


def test_daemon_that_does_not_answer(make_hub):
    """Stopped by SIGSTOP: the change is stored, the answer says so, and it is
    in force when the daemon goes on."""
    hub = make_hub(fcgi=True, confirm_timeout="300ms")
    who = hub.credential()
    ws = subscribe(hub.wsd.listen, who, "pdfm")
    hub.wsd.process.send_signal(signal.SIGSTOP)
    try:
        response = clients.fcgi_request(
            hub.fcgi_socket, "POST", API + "/unsubscribe", {"Content-Type": "application/json", **who.headers},
            json.dumps({"client_id": ws.client_id, "event_types": ["pdfm"]}))
    finally:
        hub.wsd.process.send_signal(signal.SIGCONT)
    check_error(response, 503)
    assert "pdfm" in response.json()["message"] or "stored" in response.json()["message"], response
    ws.expect("system", "unsubscribed")
    assert rows(hub, ws.client_id) == ["global"]
    ws.close()


# ---- many at once

def test_many_at_once(front):
    """One request for each of 40 connections, from 8 threads."""
    who = front.hub.credential()
    connections = [front.subscribe(who, "pdfm,health") for _ in range(40)]
    answers, lock = [], threading.Lock()

    def work(part):
        for ws in part:
            response = front.unsubscribe(who, ws.client_id, ["pdfm"])
            with lock:
                answers.append(response.status)
    threads = [threading.Thread(target=work, args=(connections[i::8],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 40
    for ws in connections:
        ws.expect("system", "unsubscribed")
        ws.close()


def test_the_same_from_many_threads(front):
    """One request wins, the others are told 400; one in-band frame is sent."""
    who = front.hub.credential()
    ws = front.subscribe(who, "pdfm")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(front.unsubscribe(who, ws.client_id, ["pdfm"]).status))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [400] * 7
    ws.expect("system", "unsubscribed")
    ws.nothing()
    ws.close()
