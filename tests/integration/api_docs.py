"""doc/openapi.yaml and doc/asyncapi.yaml as judges of what the programs say.

clients.py shows every response and every frame that any test is given to
check_response() and check_frame(): one that is not documented, or is not as
documented, is an AssertionError that says what to mend.
"""

import functools
import json
import os
import re

import jsonschema
import yaml

import procs

API = "/api/v1/ws"
BASES = (API, "/v1/ws")
FRAME_MEMBERS = ["id", "ref_id", "event_type", "timestamp", "message", "body", "client_id"]


@functools.lru_cache(None)
def load(name):
    with open(os.path.join(procs.SOURCE, "doc", name + ".yaml")) as f:
        return yaml.load(f, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def resolve(doc, node):
    """The node, or what its $ref points to."""
    while isinstance(node, dict) and "$ref" in node:
        head, *steps = node["$ref"].split("/")
        assert head == "#", f"{node['$ref']} points outside of the document"
        node = doc
        for step in steps:
            assert step in node, f"a $ref points nowhere: no {step} in {'/'.join(steps)}"
            node = node[step]
    return node


def plain(doc, node):
    """The schema for a JSON Schema validator, and strict: references are
    replaced, OpenAPI's nullable is spelt out, and an object has no other
    properties than those that are documented."""
    node = resolve(doc, node)
    if isinstance(node, list):
        return [plain(doc, item) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("properties"), dict):
        node = {"additionalProperties": False, **node}
        node["properties"] = {name: plain(doc, schema) for name, schema in node["properties"].items()}
    out = {key: value if key in ("example", "enum", "const", "properties") else plain(doc, value)
           for key, value in node.items()}
    if out.pop("nullable", False):
        out["type"] = [out["type"], "null"]
    return out


_validators = {}


def faults(doc_name, schema, value):
    """What is wrong with the value, one line each."""
    key = (doc_name, id(schema))  # the documents are cached, so ids stay
    if key not in _validators:
        _validators[key] = jsonschema.Draft7Validator(plain(load(doc_name), schema))
    return [f"{'.'.join(map(str, e.absolute_path)) or 'all of it'}: {e.message}"[:500]
            for e in _validators[key].iter_errors(value)]


# ---- HTTP

def operations():
    """operationId -> (path, method, operation)"""
    found = {}
    for path, item in load("openapi")["paths"].items():
        for method, operation in item.items():
            if method in ("get", "put", "post", "delete", "options", "head", "patch", "trace"):
                found[operation["operationId"]] = (path, method, operation)
    return found


def documented_responses():
    return {(name, int(status)) for name, (_, _, operation) in operations().items()
            for status in operation["responses"]}


def _operation(method, target):
    """The operation that answers, None if no path is documented; a method that
    is not is the 405 of another one."""
    path = target.partition("?")[0]
    path = next((path[len(base):] for base in BASES if path.startswith(base + "/")), None)
    item = load("openapi")["paths"].get(path)
    if item is None:
        return None
    return item.get(method.lower()) or next(iter(item.values()))


def _is_ours(response):
    """False for the pages that a web server makes itself."""
    kind = response.headers.get("content-type", "").split(";")[0]
    return response.status == 101 or kind not in ("", "text/html")


def check_response(method, target, response, sent=None):
    """Judges a Response; sent is the body of the request."""
    operation = _operation(method, target)
    if operation is None or not _is_ours(response):
        return
    where = f"{method} {target}: {response.status}"
    documented = operation["responses"].get(str(response.status))
    assert documented, f"doc/openapi.yaml does not document {where} {response.body[:300]!r}"
    documented = resolve(load("openapi"), documented)
    for name, header in documented.get("headers", {}).items():
        _check_header(where, name, resolve(load("openapi"), header), response.headers)
    if method != "HEAD":
        _check_body(where, documented.get("content", {}), response)
    if sent and response.status < 300:
        schema = resolve(load("openapi"), operation["requestBody"])["content"]["application/json"]["schema"]
        wrong = faults("openapi", schema, json.loads(sent))
        assert not wrong, f"{where} accepted what doc/openapi.yaml does not allow: {wrong}"


def _check_header(where, name, documented, headers):
    value = headers.get(name.lower())
    if value is None:
        assert not documented.get("required"), f"{where}: no header {name}, which doc/openapi.yaml requires"
        return
    if resolve(load("openapi"), documented["schema"]).get("type") == "integer":
        value = int(value)
    wrong = faults("openapi", documented["schema"], value)
    assert not wrong, f"{where}: the header {name} is not as in doc/openapi.yaml: {wrong}"


def _check_body(where, content, response):
    if not content:
        assert not response.body, f"{where}: a body, and doc/openapi.yaml has none"
        return
    kind = response.headers.get("content-type", "").split(";")[0]
    assert kind in content, f"{where}: doc/openapi.yaml does not have the content type {kind}"
    if kind != "application/json":
        return
    value = json.loads(response.body)
    wrong = faults("openapi", content[kind]["schema"], value)
    assert not wrong, f"{where}: not as in doc/openapi.yaml: {wrong} in {response.body[:500]!r}"
    words = {entry["error"] for entry in value.get("stack", [])} if isinstance(value, dict) else set()
    assert words <= known_words(), f"{where}: doc/openapi.yaml does not list {words - known_words()} (x-words)"


@functools.lru_cache(None)
def known_words():
    return set(load("openapi")["components"]["schemas"]["Fault"]["properties"]["error"]["x-words"])


# ---- frames

def channel():
    return load("asyncapi")["channels"]["/subscribe"]


def messages(direction):
    """name -> message; direction: "subscribe" (received) or "publish" (sent)"""
    return {m["name"]: m for m in
            (resolve(load("asyncapi"), ref) for ref in channel()[direction]["message"]["oneOf"])}


def kind_of(frame):
    """The name of the message that a frame must be."""
    event_type, message = frame.get("event_type"), frame.get("message")
    if "ref_id" in frame:
        return {"pong": "pong", "client-id": "clientId"}.get(message, "error")
    if event_type == "global" and str(message).startswith("WebSocket connection established"):
        return "welcome"
    if event_type == "system" and message in ("subscribed", "unsubscribed") and "." in str(frame.get("id")):
        return message
    return "event"


def check_frame(frame):
    """Judges a frame that a client received."""
    kind = kind_of(frame)
    wrong = faults("asyncapi", messages("subscribe")[kind]["payload"], frame)
    assert not wrong, f"not the message {kind} of doc/asyncapi.yaml: {wrong} in {str(frame)[:500]}"
    members = list(frame)
    assert members == [m for m in FRAME_MEMBERS if m in frame], f"the members are not in order: {members}"


def close_codes():
    """code -> reasons"""
    return {entry["code"]: entry["reasons"] for entry in channel()["x-close-codes"]}


def check_close(code, reason):
    """Judges how the server closed a connection."""
    if code in (1000, 1001, 1005, 1006):
        return  # by the client's wish, or no close at all
    assert code in close_codes(), f"doc/asyncapi.yaml does not document the close code {code} ({reason})"
    assert any(re.fullmatch(pattern, reason) for pattern in close_codes()[code]), \
        f"doc/asyncapi.yaml does not document the reason \"{reason}\" of {code}"
