"""The API descriptions in doc/ against the running programs.

Each documented response, message and close code has a case here that brings
it about; clients.py hands whatever arrives to api_docs, which compares it with
its description.  A description without a case fails, and so does a case or any
other test that meets what is not described.
"""

import glob
import http.client
import json
import os
import re
import signal
import socket

import jsonschema
import pytest

import api_docs
import clients
import procs
import rawws
from clients import API, UPGRADE, Raw, Response, Ws, subscribe_path
from rawws import Peer, frame

JSON = {"Content-Type": "application/json"}
NOBODY = "00000000-0000-4000-8000-000000000000"
OPENAPI_SCHEMA = "/usr/share/openapi-specification/schemas/v3.0/schema.json"


# ---- the documents themselves

def read_json(path):
    with open(path) as f:
        return json.load(f)


def test_openapi_is_valid():
    """By the schema of the OpenAPI initiative (Debian: openapi-specification)."""
    errors = jsonschema.Draft4Validator(read_json(OPENAPI_SCHEMA)).iter_errors(api_docs.load("openapi"))
    assert [f"{list(e.absolute_path)}: {e.message}"[:300] for e in errors] == []


def test_asyncapi_is_valid():
    schema = read_json(os.path.join(os.path.dirname(__file__), "asyncapi.schema.json"))
    errors = jsonschema.Draft7Validator(schema).iter_errors(api_docs.load("asyncapi"))
    assert [f"{list(e.absolute_path)}: {e.message}"[:300] for e in errors] == []


def walk(node, path=()):
    yield path, node
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from walk(value, path + (key,))


@pytest.mark.parametrize("name", ["openapi", "asyncapi"])
def test_references(name):
    """Each leads somewhere, and no component is there for nothing."""
    doc = api_docs.load(name)
    used = set()
    for _, node in walk(doc):
        if isinstance(node, dict) and "$ref" in node:
            api_docs.resolve(doc, node)
            used.add(node["$ref"])
    made = {f"#/components/{kind}/{item}" for kind, items in doc["components"].items()
            for item in items if kind != "securitySchemes"}
    assert made - used == set()
    schemes = {scheme for _, node in walk(doc) if isinstance(node, dict)
               for entry in node.get("security", []) for scheme in entry}
    assert schemes == set(doc["components"]["securitySchemes"])


def test_operation_ids_are_unique():
    ids = [operation["operationId"] for item in api_docs.load("openapi")["paths"].values()
           for operation in item.values()]
    assert len(ids) == len(set(ids)) == len(api_docs.operations())


def test_examples():
    """The examples are as their schemas say."""
    doc, count = api_docs.load("openapi"), 0
    for path, node in walk(doc):
        if not (isinstance(node, dict) and "schema" in node):
            continue
        examples = [e["value"] for e in node.get("examples", {}).values()]
        for example in examples + ([node["example"]] if "example" in node else []):
            assert api_docs.faults("openapi", node["schema"], example) == [], path
            count += 1
    for direction in ("subscribe", "publish"):
        for message in api_docs.messages(direction).values():
            for example in message.get("examples", []):
                assert api_docs.faults("asyncapi", message["payload"], example["payload"]) == [], message["name"]
                count += 1
    assert count >= 15


def test_versions():
    with open(os.path.join(procs.SOURCE, "configure.ac")) as f:
        version = re.search(r"AC_INIT\(\[evhub\], \[([^\]]*)\]", f.read()).group(1)
    assert [api_docs.load(d)["info"]["version"] for d in ("openapi", "asyncapi")] == [version] * 2


def test_every_route_is_documented():
    with open(os.path.join(procs.SOURCE, "fcgi", "routes.c")) as f:
        routes = re.findall(r'^\t\{ "(\w+)", "(\w+)", endpoint_', f.read(), re.M)
    assert len(routes) >= 6
    documented = {(path.strip("/"), method.upper()) for path, method, _ in api_docs.operations().values()}
    assert documented == set(routes) | {("subscribe", "GET")}


def test_the_words_are_those_of_the_programs():
    source = ""
    for path in glob.glob(os.path.join(procs.SOURCE, "*", "*.c")):
        with open(path) as f:
            source += f.read()
    assert [w for w in sorted(api_docs.known_words()) if f'"{w}"' not in source and f'\\"{w}\\"' not in source] == []


# ---- every response

class Broken:
    """evhub-fcgi without a database."""

    def __init__(self, hub):
        self.hub = hub

    def __call__(self, method, endpoint, headers=JSON, body=None):
        return clients.fcgi_request(self.hub.fcgi_socket, method, f"{API}/{endpoint}", headers, body)


@pytest.fixture
def broken(make_hub):
    return Broken(make_hub(wsd=False, fcgi=True, database="/nonexistent/evhub.db"))


@pytest.fixture
def narrow(make_hub):
    """A hub that takes two connections, and one of a user."""
    return make_hub(max_clients=2, max_clients_per_user=1)


def of(hub, **credential):
    return hub.credential(**credential)


def upgraded(front):
    ws = Ws(f"ws://{front.ws_address}{subscribe_path('pdfm')}", of(front.hub).headers, subprotocols=["evhub.v1"])
    ws.recv()
    response = Response(101, {k.lower(): v for k, v in ws.ws.response_headers.items()}, b"")
    ws.close()
    api_docs.check_response("GET", API + "/subscribe", response)
    return response


def other_method(front):
    return clients.http_request(front.ws_address, "POST", API + "/subscribe", of(front.hub).headers)


def raw_request(hub, text):
    """The answer to bytes that no HTTP client sends."""
    host, port = hub.wsd.listen.rsplit(":", 1)
    with socket.create_connection((host, int(port)), procs.PATIENCE) as sock:
        sock.sendall(text.encode())
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        response = clients.Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    api_docs.check_response("GET", API + "/subscribe", response)
    return response


def too_long(front):
    return front.refusal(of(front.hub), headers={"Cookie": "c=" + "x" * 17000})


def second_of_a_user(narrow):
    who = narrow.credential()
    ws = clients.subscribe(narrow.wsd.listen, who)
    response = clients.refusal(narrow.wsd.listen, who)
    ws.close()
    return response


def third(narrow):
    open_ones = [clients.subscribe(narrow.wsd.listen, narrow.credential()) for _ in range(2)]
    response = clients.refusal(narrow.wsd.listen, narrow.credential())
    for ws in open_ones:
        ws.close()
    return response


def change(endpoint, front, who=None, types=("pdfm",), owner=None, **body):
    """The endpoint asked about a live client that has health and global."""
    owner = owner or who or of(front.hub)
    ws = front.subscribe(owner, "health")
    request = {"client_id": ws.client_id, "event_types": list(types), **body}
    response = front.post(endpoint, request, who or owner)
    ws.close()
    return response


def unconfirmed(endpoint, make_hub, types):
    hub = make_hub(fcgi=True)
    who = of(hub)
    ws = clients.subscribe(hub.wsd.listen, who, "health")
    hub.wsd.kill()
    body = json.dumps({"client_id": ws.client_id, "event_types": types})
    response = clients.fcgi_request(hub.fcgi_socket, "POST", f"{API}/{endpoint}", {**JSON, **who.headers}, body)
    assert "is stored" in response.json()["message"]
    return response


def post(endpoint, front, body, headers=JSON, **credential):
    return front.request("POST", f"{API}/{endpoint}", headers, body, of(front.hub, **credential))


def once_again(front):
    who, event = of(front.hub), {"event_type": "pdfm", "dedup_id": front.hub.unique("api")}
    assert front.post("events", event, who).status == 201
    return front.post("events", event, who)


def membership_cases(name, endpoint, good):
    return {
        (name, 200): lambda direct: change(endpoint, direct, types=[good, "global"]),
        (name, 400): lambda direct: change(endpoint, direct, types=["global"]),
        (name, 401): lambda direct: direct.post(endpoint, {}),
        (name, 403): lambda direct: change(endpoint, direct, of(direct.hub), [good], owner=of(direct.hub)),
        (name, 404): lambda direct: direct.post(endpoint, {"client_id": NOBODY, "event_types": [good]}, of(direct.hub)),
        (name, 405): lambda direct: direct.request("GET", f"{API}/{endpoint}"),
        (name, 408): lambda make_hub: unfinished(endpoint, make_hub),
        (name, 413): lambda direct: post(endpoint, direct, b" " * 70000),
        (name, 415): lambda direct: post(endpoint, direct, b"{}", {"Content-Type": "text/plain"}),
        (name, 503): lambda make_hub: unconfirmed(endpoint, make_hub, [good]),
    }


def unfinished(endpoint, make_hub):
    hub = make_hub(fcgi=True, handshake_timeout="1s")
    return clients.fcgi_request(hub.fcgi_socket, "POST", f"{API}/{endpoint}", {**of(hub).headers, **JSON}, b"{", finished=False)


def guessed(make_hub, method, endpoint):
    """An address that has sent one wrong key, which is as many as it may."""
    hub = make_hub(fcgi=True, max_auth_failures=1)
    bad = {"X-Api-Key": "0123456789abcdef", **JSON}
    if endpoint == "subscribe":
        headers = {**bad, "X-Forwarded-For": "203.0.113.5"}
        return [clients.refusal(hub.wsd.listen, headers=headers) for _ in range(2)][1]
    return [clients.fcgi_request(hub.fcgi_socket, method, f"{API}/{endpoint}", bad,
                                 params={"REMOTE_ADDR": "203.0.113.5"}) for _ in range(2)][1]


# what each is given is the fixture that its argument names
RESPONSES = {
    ("subscribe", 101): upgraded,
    ("subscribe", 400): lambda direct: direct.refusal(of(direct.hub), path=subscribe_path("nosuch,neither")),
    ("subscribe", 401): lambda direct: direct.refusal(),
    ("subscribe", 403): lambda direct: direct.refusal(of(direct.hub), headers={"Origin": "https://elsewhere.example"}),
    ("subscribe", 405): other_method,
    ("subscribe", 408): lambda direct: raw_request(direct.hub, f"GET {API}/subscribe HTTP/1.1\r\n"),
    ("subscribe", 409): second_of_a_user,
    ("subscribe", 414): lambda direct: direct.refusal(of(direct.hub), path=subscribe_path("x" * 17000)),
    ("subscribe", 431): too_long,
    ("subscribe", 503): third,
    ("subscribe", 505): lambda direct: raw_request(direct.hub, f"GET {API}/subscribe HTTP/2.0\r\n\r\n"),
    **membership_cases("unsubscribe", "unsubscribe", "health"),
    **membership_cases("addSubscriptions", "subscriptions", "pdfm"),
    ("publish", 200): once_again,
    ("publish", 201): lambda direct: post("events", direct, json.dumps([{"event_type": "pdfm", "body": None}])),
    ("publish", 400): lambda direct: post("events", direct, b'{"event_type":"nosuch"}'),
    ("publish", 401): lambda direct: direct.post("events", {"event_type": "pdfm"}),
    ("publish", 403): lambda direct: post("events", direct, b'{"event_type":"pdfm"}', event_types="health"),
    ("publish", 405): lambda direct: direct.get("events"),
    ("publish", 408): lambda make_hub: unfinished("events", make_hub),
    ("publish", 413): lambda direct: post("events", direct, b" " * 70000),
    ("publish", 415): lambda direct: post("events", direct, b"{}", {}),
    ("publish", 503): lambda broken: broken("POST", "events", JSON, b"{}"),
    ("makeTicket", 201): lambda direct: ticket_of_use(direct),
    ("makeTicket", 401): lambda direct: direct.request("POST", f"{API}/ticket"),
    ("makeTicket", 403): lambda direct: post("ticket", direct, None, scopes="publish"),
    ("makeTicket", 405): lambda direct: direct.get("ticket"),
    ("makeTicket", 503): lambda broken: broken("POST", "ticket"),
    ("listClients", 200): lambda direct: listed(direct),
    ("listClients", 401): lambda direct: direct.get("clients"),
    ("listClients", 405): lambda direct: direct.request("DELETE", f"{API}/clients"),
    ("listClients", 503): lambda broken: broken("GET", "clients"),
    ("listEventTypes", 200): lambda direct: direct.get("event_types", of(direct.hub)),
    ("listEventTypes", 401): lambda direct: direct.get("event_types"),
    ("listEventTypes", 405): lambda direct: direct.request("POST", f"{API}/event_types"),
    ("listEventTypes", 503): lambda broken: broken("GET", "event_types"),
    ("getStats", 200): lambda direct: direct.get("stats", of(direct.hub, scopes="admin")),
    ("getStats", 401): lambda direct: direct.get("stats"),
    ("getStats", 403): lambda direct: direct.get("stats", of(direct.hub)),
    ("getStats", 405): lambda direct: direct.request("POST", f"{API}/stats"),
    ("getStats", 503): lambda broken: broken("GET", "stats"),
    ("getMetrics", 200): lambda direct: direct.get("metrics", of(direct.hub, scopes="admin")),
    ("getMetrics", 401): lambda direct: direct.get("metrics"),
    ("getMetrics", 403): lambda direct: direct.get("metrics", of(direct.hub)),
    ("getMetrics", 405): lambda direct: direct.request("POST", f"{API}/metrics"),
    ("getMetrics", 503): lambda broken: broken("GET", "metrics"),
    **{(name, 429): lambda make_hub, method=method, path=path: guessed(make_hub, method.upper(), path.strip("/"))
       for name, (path, method, operation) in api_docs.operations().items() if "429" in operation["responses"]},
    ("getHealth", 200): lambda direct: direct.get("health"),
    ("getHealth", 405): lambda direct: direct.request("PUT", f"{API}/health"),
    ("getHealth", 503): lambda broken: broken("GET", "health"),
}


def ticket_of_use(front):
    response = post("ticket", front, None)
    front.subscribe(ticket=response.json()["ticket"]).close()
    return response


def listed(front):
    who = of(front.hub)
    ws = front.subscribe(who)
    response = front.get("clients", who)
    assert len(response.json()) == 1
    ws.close()
    return response


def test_every_documented_response_is_exercised():
    assert set(RESPONSES) == api_docs.documented_responses()


def with_fixture(request, case):
    """Calls the case with the fixture that its first argument names: "front"
    is the shared hub too."""
    name = case.__code__.co_varnames[0]
    return case(request.getfixturevalue({"front": "direct"}.get(name, name)))


@pytest.mark.parametrize("case", sorted(RESPONSES), ids=lambda c: f"{c[0]}-{c[1]}")
def test_response(request, case):
    response = with_fixture(request, RESPONSES[case])
    assert response.status == case[1], response


# ---- every message

def connection(front):
    return front.subscribe(of(front.hub), "health")


def told(front, statement):
    ws = connection(front)
    front.hub.sql(statement.replace("?", f"'{ws.client_id}'"))
    frame = ws.recv()
    ws.close()
    return frame


def asked(front, message):
    if isinstance(message, dict) and message["message"] != "error":
        sent = api_docs.messages("publish")
        wrong = [api_docs.faults("asyncapi", m["payload"], message) for m in sent.values()]
        assert [] in wrong, wrong
    ws = connection(front)
    frame = ws.ask(message)
    ws.close()
    return frame


def resumed_elsewhere(front):
    ws = front.subscribe(of(front.hub), "health", last_event_id="deadbeef-1")
    ws.close()
    assert ws.welcome["body"]["reason"] == "unknown"
    return ws.welcome


MESSAGES = {
    "welcome": resumed_elsewhere,
    "event": lambda direct: told(direct, """INSERT INTO event(event_type, message, body, client_id)
        VALUES('health', 'm', '[1, {}]', ?)"""),
    "pong": lambda direct: asked(direct, {"event_type": "health", "message": "ping"}),
    "clientId": lambda direct: asked(direct, {"id": "7", "event_type": "system", "message": "client-id"}),
    "error": lambda direct: asked(direct, {"event_type": "pdfm", "message": "error"}),
    "subscribed": lambda direct: told(direct, "INSERT INTO subscription(client_id, event_type) VALUES(?, 'pdfm')"),
    "unsubscribed": lambda direct: told(direct, """DELETE FROM subscription
        WHERE client_id = ? AND event_type = 'health'"""),
}


def test_every_documented_message_is_exercised():
    assert set(MESSAGES) == set(api_docs.messages("subscribe"))


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_message(request, name):
    frame = with_fixture(request, MESSAGES[name])
    api_docs.check_frame(frame)
    assert api_docs.kind_of(frame) == name, frame


# ---- every close code

def close_binary(direct):
    ws = connection(direct)
    ws.send(b"binary")
    return ws.closed()


def close_raw(direct, op, data):
    with Peer(direct.hub, of(direct.hub)) as peer:
        peer.send(frame(op, data))
        op, data = peer.rest()[-1]
        assert op == rawws.CLOSE
        return int.from_bytes(data[:2], "big"), data[2:].decode()


def close_bad_frame(direct):
    return close_raw(direct, 3, b"")


def close_bad_text(direct):
    return close_raw(direct, rawws.TEXT, b"\xff")


def close_operator(direct):
    ws = connection(direct)
    direct.hub.sql(f"DELETE FROM client WHERE id = '{ws.client_id}'")
    return ws.closed()


def close_long(direct):
    ws = connection(direct)
    ws.send("x" * 5000)
    return ws.closed()


def close_drain(make_hub):
    hub = make_hub()
    ws = clients.subscribe(hub.wsd.listen, hub.credential())
    hub.wsd.process.send_signal(signal.SIGTERM)
    code = ws.closed()
    hub.wsd.wait()
    return code


def close_expired(make_hub):
    """A reader that is so late that what it has not read is gone."""
    hub = make_hub(log_memory="64K", retain_interval="100ms")
    hub.event_type("brief", retain_count=1)
    with Raw(hub, "brief") as raw:
        hub.sql("""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
            INSERT INTO event(event_type, message) SELECT 'brief', printf('%.200000c', 'x') FROM n""")
        hub.wait_sql("SELECT count(*) FROM event", 1)
        return raw.close_frame()


CLOSES = {1002: close_bad_frame, 1003: close_binary, 1007: close_bad_text, 1008: close_operator, 1009: close_long, 1012: close_drain,
          1013: close_expired}


def test_every_documented_close_code_is_exercised():
    assert set(CLOSES) == set(api_docs.close_codes())


@pytest.mark.parametrize("code", sorted(CLOSES))
def test_close(request, code):
    seen, reason = with_fixture(request, CLOSES[code])
    assert seen == code
    api_docs.check_close(seen, reason)
