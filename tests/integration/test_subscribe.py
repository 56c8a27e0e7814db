"""GET …/subscribe: who gets in, with which types, and what the others are told."""

import json
import re
import socket
import sqlite3

import pytest

import clients
import procs
import rawws
from clients import API, Refused, Ws, check_error, subscribe
from hub import DEFAULT_TYPES

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
REPLY_ID = re.compile(r"[0-9a-f]{1,16}-\d+\.\d+")
WELCOME = "WebSocket connection established subscribed to global by default"


# ---- the welcome, through every front end

@pytest.mark.parametrize("kind", ["key", "token"])
def test_both_kinds_of_credential(front, kind):
    who = front.hub.credential(kind=kind)
    ws = front.subscribe(who, "pdfm")
    assert sorted(ws.subscriptions) == ["global", "pdfm"]
    assert front.hub.value(f"SELECT user_id FROM client WHERE id = '{ws.client_id}'") == who.user
    ws.close()


def test_welcome_frame(front):
    ws = Ws(f"ws://{front.ws_address}{API}/subscribe?event_types=pdfm,health", front.hub.credential().headers)
    text = ws.recv_text()
    frame = json.loads(text)
    assert list(frame)[:5] == ["id", "event_type", "timestamp", "message", "body"], text
    assert REPLY_ID.fullmatch(frame["id"]) or re.fullmatch(r"[0-9a-f]{1,16}-\d+", frame["id"])
    assert frame["event_type"] == "global"
    assert RFC3339.fullmatch(frame["timestamp"])
    assert frame["message"] == WELCOME
    body = frame["body"]
    assert list(body)[:3] == ["client_id", "subscriptions", "resumed"]
    assert UUID7.fullmatch(body["client_id"])
    assert body["subscriptions"] == ["pdfm", "health", "global"]
    assert body["resumed"] is False
    assert text.count("\n") == 0
    # its rows were committed before it was sent
    rows = front.hub.sql(f"SELECT event_type FROM subscription WHERE client_id = '{body['client_id']}'")
    assert sorted(r["event_type"] for r in rows) == ["global", "health", "pdfm"]
    ws.close()


def test_rows_are_gone_after_a_close(front):
    ws = front.subscribe(front.hub.credential())
    ws.close()
    front.hub.wait_sql(f"SELECT count(*) FROM client WHERE id = '{ws.client_id}'", 0)
    front.hub.wait_sql(f"SELECT count(*) FROM subscription WHERE client_id = '{ws.client_id}'", 0)


def test_short_base_path(front):
    ws = front.subscribe(front.hub.credential(), base="/v1/ws")
    assert ws.subscriptions == ["global"]
    ws.close()


def test_refusals_through_the_front(front):
    check_error(front.refusal(), 401)
    body = check_error(front.refusal(front.hub.credential(), API + "/subscribe?event_types=nosuch"), 400, 1)
    assert body["stack"][0]["path"] == "event_types"
    check_error(front.refusal(front.hub.credential(), upgrade=False), 400)


def test_forwarded_address(front):
    """Loopback is a trusted proxy by default."""
    ws = front.subscribe(front.hub.credential(), headers={"X-Forwarded-For": "203.0.113.9"})
    address = front.hub.value(f"SELECT remote_addr FROM client WHERE id = '{ws.client_id}'")
    assert address == "203.0.113.9"
    ws.close()


def test_user_agent_is_recorded(direct):
    ws = direct.subscribe(direct.hub.credential(), headers={"User-Agent": "probe/1.0 '\"; --"})
    rows = direct.hub.sql(f"SELECT user_agent FROM client WHERE id = '{ws.client_id}'")
    assert "probe/1.0 '\"; --" in rows[0]["user_agent"]
    ws.close()


def test_address_without_proxy(direct):
    ws = direct.subscribe(direct.hub.credential())
    assert direct.hub.value(f"SELECT remote_addr FROM client WHERE id = '{ws.client_id}'") == "127.0.0.1"
    ws.close()


def test_untrusted_proxy_is_not_believed(make_hub):
    hub = make_hub(trusted_proxies=["192.0.2.1"])
    ws = subscribe(hub.wsd.listen, hub.credential(), headers={"X-Forwarded-For": "203.0.113.9"})
    assert hub.value("SELECT remote_addr FROM client") == "127.0.0.1"
    ws.close()


@pytest.mark.parametrize("value", ["not an address", "' OR 1=1 --", "1.2.3.4, x", "x" * 3000])
def test_malformed_forwarded_address(direct, value):
    body = check_error(direct.refusal(direct.hub.credential(), headers={"X-Forwarded-For": value}), 400, 1)
    assert body["stack"][0]["path"] == "x-forwarded-for"


@pytest.mark.parametrize("value", ["", " , ", "1.2.3.4, ,,"])
def test_empty_forwarded_address(direct, value):
    ws = direct.subscribe(direct.hub.credential(), headers={"X-Forwarded-For": value})
    assert len(direct.hub.value(f"SELECT remote_addr FROM client WHERE id = '{ws.client_id}'")) < 256
    ws.close()


# ---- credentials

def test_no_credential(direct):
    body = check_error(direct.refusal(), 401, 1)
    assert body["stack"][0]["path"].lower() in ("authorization", "x-api-key")


@pytest.mark.parametrize("headers", [
    {"X-Api-Key": "0123456789abcdefX"},
    {"Authorization": "Bearer 0123456789abcdefX"},
    {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer "},
    {"X-Api-Key": "short"},
    {"X-Api-Key": "x" * 513},
    {"X-Api-Key": "' OR '1'='1' --  "},
    {"Authorization": "0123456789abcdefX"},
])
def test_bad_credential(direct, headers):
    check_error(direct.refusal(headers=headers), 401)


def test_key_is_no_token_and_token_is_no_key(direct):
    key, token = direct.hub.credential(kind="key"), direct.hub.credential(kind="token")
    check_error(direct.refusal(headers={"Authorization": "Bearer " + key.secret}), 401)
    check_error(direct.refusal(headers={"X-Api-Key": token.secret}), 401)


def test_secret_of_16_and_of_512_characters(direct):
    for n in (16, 512):
        who = direct.hub.credential(secret=(direct.hub.unique("secret") + "~!@#$%" * 100)[:n])
        direct.subscribe(who).close()


def test_bearer_is_matched_without_case(direct):
    who = direct.hub.credential(kind="token")
    direct.subscribe(headers={"Authorization": "bearer " + who.secret}).close()


def test_both_headers_of_one_user(direct):
    user = direct.hub.unique("both")
    key, token = (direct.hub.credential(user, kind=kind) for kind in ("key", "token"))
    direct.subscribe(key, headers=token.headers).close()


def test_both_headers_of_two_users(direct):
    key, token = direct.hub.credential(kind="key"), direct.hub.credential(kind="token")
    check_error(direct.refusal(key, headers=token.headers), 401)


@pytest.mark.parametrize("valid", ["key", "token"])
def test_both_headers_one_invalid(direct, valid):
    who = direct.hub.credential(kind=valid)
    other = {"X-Api-Key": "0123456789abcdefX"} if valid == "token" \
        else {"Authorization": "Bearer 0123456789abcdefX"}
    check_error(direct.refusal(who, headers=other), 401)


@pytest.mark.parametrize("column, value", [
    ("revoked_at", "datetime('now')"),
    ("expires_at", "datetime('now', '-1 second')"),
])
def test_revoked_and_expired(direct, column, value):
    who = direct.hub.credential()
    direct.subscribe(who).close()
    direct.hub.sql(f"UPDATE credential SET {column} = {value} WHERE user_id = '{who.user}'")
    check_error(direct.refusal(who), 401)


def test_not_yet_expired(direct):
    who = direct.hub.credential()
    direct.hub.sql(f"UPDATE credential SET expires_at = datetime('now', '+1 hour') WHERE user_id = '{who.user}'")
    direct.subscribe(who).close()


def test_scope_subscribe_is_needed(direct):
    check_error(direct.refusal(direct.hub.credential(scopes="publish")), 403)


@pytest.mark.parametrize("name", ["access_token", "authorization"])
def test_query_credential_is_off_by_default(direct, name):
    who = direct.hub.credential(kind="token")
    check_error(direct.refusal(path=f"{API}/subscribe?{name}={who.secret}"), 401)


@pytest.mark.parametrize("name", ["access_token", "authorization"])
def test_query_credential(make_hub, name):
    hub = make_hub(query_credentials=True)
    who = hub.credential(kind="token")
    ws = subscribe(hub.wsd.listen, event_types="pdfm", **{name: who.secret})
    assert sorted(ws.subscriptions) == ["global", "pdfm"]
    ws.close()
    check_error(clients.refusal(hub.wsd.listen, path=f"{API}/subscribe?{name}=0123456789abcdefX"), 401)
    assert who.secret not in hub.wsd.process.text()


# ---- event types

@pytest.mark.parametrize("text, expected", [
    (None, ["global"]),
    ("", ["global"]),
    (",", ["global"]),
    ("global", ["global"]),
    ("pdfm", ["pdfm", "global"]),
    ("PDFM,Health", ["pdfm", "health", "global"]),
    (" pdfm , health ", ["pdfm", "health", "global"]),
    ("\tpdfm\t", ["pdfm", "global"]),
    ("pdfm,pdfm,PDFM, pdfm", ["pdfm", "global"]),
    ("pdfm,,health,", ["pdfm", "health", "global"]),
    ("global,pdfm", ["global", "pdfm"]),
    ("pdfm,health,orchestrator,stats,system_logs,reverse_proxy,job_manager,auth",
     ["pdfm", "health", "orchestrator", "stats", "system_logs", "reverse_proxy", "job_manager", "auth", "global"]),
])
def test_event_types(direct, text, expected):
    ws = direct.subscribe(direct.hub.credential(), text)
    assert sorted(ws.subscriptions) == sorted(expected)
    ws.close()


@pytest.mark.parametrize("separator", ["+", "%20", "%2C"])
def test_event_types_are_decoded(direct, separator):
    query = "pdfm" + separator.replace("%2C", "") + "%2C" + separator.replace("%2C", "") + "health"
    ws = Ws(f"ws://{direct.ws_address}{API}/subscribe?event_types={query}", direct.hub.credential().headers)
    assert sorted(ws.recv()["body"]["subscriptions"]) == ["global", "health", "pdfm"]
    ws.close()


def test_each_unknown_type_is_named(direct):
    path = API + "/subscribe?event_types=pdfm,nosuch,health,neither,nope.nope"
    body = check_error(direct.refusal(direct.hub.credential(), path), 400, 3)
    for entry, name in zip(body["stack"], ["nosuch", "neither", "nope.nope"]):
        assert entry["code"] == 400
        assert entry["path"] == "event_types"
        assert name in entry["description"]
        for valid in DEFAULT_TYPES:
            assert valid in entry["description"], entry


def test_malformed_type_is_refused(direct):
    for name in ("%2e%2e", "a%20b", "%27;DROP", "x" * 65, "%ff", "_a", "a%22b"):
        response = direct.refusal(direct.hub.credential(), f"{API}/subscribe?event_types=pdfm,{name}")
        check_error(response, 400)


def test_ignore_unknown_types(make_hub):
    hub = make_hub(unknown_event_types="ignore")
    ws = subscribe(hub.wsd.listen, hub.credential(), "nosuch,pdfm,neither")
    assert sorted(ws.subscriptions) == ["global", "pdfm"]
    ws.close()
    ws = subscribe(hub.wsd.listen, hub.credential(), "nosuch")
    assert ws.subscriptions == ["global"]
    ws.close()


def test_ten_thousand_types(direct):
    """Whichever limit says no, the answer is a refusal and the daemon lives."""
    names = ",".join(f"type{i:05}" for i in range(10000))
    who = direct.hub.credential()
    response = direct.refusal(who, f"{API}/subscribe?event_types={names}")
    assert response.status in (400, 413, 414, 431), response
    direct.subscribe(who).close()


def test_as_many_types_as_fit(direct):
    """Far more types than one client may list, in a request of usual size."""
    names = ",".join(f"t{i}" for i in range(400))
    check_error(direct.refusal(direct.hub.credential(), f"{API}/subscribe?event_types={names}"), 400)


# ---- permissions

@pytest.mark.parametrize("patterns, asked, refused", [
    ("pdfm", "pdfm", []),
    ("pdfm", "health", ["health"]),
    ("pdfm", "pdfm,health,stats", ["health", "stats"]),
    ("team.*", "team.a,team.b.c", []),
    ("team.*", "team.a,teams", ["teams"]),
    ("team.* pdfm", "pdfm,team.a", []),
    ("*", "pdfm,health", []),
])
def test_patterns_of_the_credential(direct, patterns, asked, refused):
    for name in ("team.a", "team.b.c", "teams"):
        direct.hub.sql(f"INSERT INTO event_type(name) VALUES('{name}') ON CONFLICT DO NOTHING")
    who = direct.hub.credential(event_types=patterns)

    def known():
        response = direct.refusal(direct.hub.credential(), f"{API}/subscribe?event_types=team.a,zz")
        return "teams" in response.json()["stack"][0]["description"]
    procs.wait_for(known, "the new types are not known")
    if refused:
        body = check_error(direct.refusal(who, f"{API}/subscribe?event_types={asked}"), 403, len(refused))
        for entry, name in zip(body["stack"], refused):
            assert entry["code"] == 403 and name in entry["description"]
    else:
        ws = direct.subscribe(who, asked)
        assert sorted(ws.subscriptions) == sorted(asked.split(",") + ["global"])
        ws.close()


# ---- origins

def test_no_origin_and_same_origin(direct):
    who = direct.hub.credential()
    direct.subscribe(who).close()
    direct.subscribe(who, options={"origin": f"http://{direct.ws_address}"}).close()


def test_same_origin_through_the_front(front):
    front.subscribe(front.hub.credential(), options={"origin": f"http://{front.ws_address}"}).close()


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://"])
def test_foreign_origin(direct, origin):
    check_error(direct.refusal(direct.hub.credential(), headers={"Origin": origin}), 403)


def test_allowed_origins(make_hub):
    hub = make_hub(allowed_origins=["https://app.example.org"])
    who = hub.credential()
    subscribe(hub.wsd.listen, who, options={"origin": "https://app.example.org"}).close()
    subscribe(hub.wsd.listen, who).close()
    for origin in ("https://app.example.org.evil.example", "http://app.example.org", "https://example.org",
                   "https://app.example.org:8443"):
        check_error(clients.refusal(hub.wsd.listen, who, headers={"Origin": origin}), 403)


# ---- limits

def test_limit_per_user(make_hub):
    hub = make_hub(max_clients_per_user=2)
    alice, bob = hub.credential(), hub.credential()
    held = [subscribe(hub.wsd.listen, alice) for _ in range(2)]
    check_error(clients.refusal(hub.wsd.listen, alice), 409)
    subscribe(hub.wsd.listen, bob).close()
    held.pop().close()
    procs.wait_for(lambda: hub.value(f"SELECT count(*) FROM client WHERE user_id = '{alice.user}'") == 1,
                   "the row of the closed connection stays")
    subscribe(hub.wsd.listen, alice).close()
    held.pop().close()


def test_limit_per_address(make_hub):
    hub = make_hub(max_clients_per_address=2)
    held = [subscribe(hub.wsd.listen, hub.credential(), headers={"X-Forwarded-For": "203.0.113.1"})
            for _ in range(2)]
    check_error(clients.refusal(hub.wsd.listen, hub.credential(), headers={"X-Forwarded-For": "203.0.113.1"}), 409)
    subscribe(hub.wsd.listen, hub.credential(), headers={"X-Forwarded-For": "203.0.113.2"}).close()
    for ws in held:
        ws.close()


def test_full(make_hub):
    hub = make_hub(max_clients=3)
    held = [subscribe(hub.wsd.listen, hub.credential()) for _ in range(3)]
    check_error(clients.refusal(hub.wsd.listen, hub.credential()), 503)
    held.pop().close()
    hub.wait_sql("SELECT count(*) FROM client", 2)
    subscribe(hub.wsd.listen, hub.credential()).close()
    for ws in held:
        ws.close()


# ---- requests that are none

def test_no_upgrade(direct):
    check_error(direct.refusal(direct.hub.credential(), upgrade=False), 400)


def test_plain_get_tells_why(direct):
    """A page is not told why its WebSocket was refused: it asks again without
    an upgrade, and what is wrong with the rest is told first."""
    who = direct.hub.credential(event_types="pdfm")

    def told(credential, path):
        body = check_error(direct.refusal(credential, API + path, upgrade=False), status)
        return body["stack"][0]["error"]
    status = 401
    assert told(None, "/subscribe") == "missing_credential"
    status = 403
    assert told(who, "/subscribe?event_types=stats") == "event_type_not_allowed"
    status = 400
    assert told(who, "/subscribe?event_types=nosuch") == "unknown_event_type"
    assert told(who, "/subscribe?last_event_id=x") == "malformed_id"
    assert told(who, "/subscribe?event_types=pdfm") == "not_a_websocket_upgrade"


def test_mandatory_types_may_be_asked_for(direct):
    """Whatever else the credential allows: they come anyway."""
    who = direct.hub.credential(event_types="pdfm")
    ws = direct.subscribe(who, "global,pdfm")
    assert sorted(ws.subscriptions) == ["global", "pdfm"]
    ws.close()


@pytest.mark.parametrize("headers", [
    {"Upgrade": "h2c"},
    {"Sec-WebSocket-Version": "8"},
])
def test_another_upgrade(direct, headers):
    response = direct.refusal(direct.hub.credential(), headers=headers)
    assert response.status in (400, 426), response


@pytest.mark.parametrize("last_event_id", ["x", "1", "-1", "abc-", "-", "abc-1.2.3", "abc-1.", "abc-x",
                                           "ABC-1", "abc-99999999999999999999", "abc-1%20",
                                           "abc--1", "x" * 200])
def test_malformed_last_event_id(direct, last_event_id):
    path = f"{API}/subscribe?last_event_id={last_event_id}"
    body = check_error(direct.refusal(direct.hub.credential(), path), 400)
    assert body["stack"][0]["path"] == "last_event_id"


@pytest.mark.parametrize("query", ["event_types=pdfm%00", "last_event_id=%00", "%00", "event_types=%00"])
def test_nul_in_the_address(direct, query):
    """libwebsockets refuses it before evhub sees it: a 4xx, or just closed."""
    with socket.create_connection(direct.ws_address.rsplit(":", 1), procs.PATIENCE) as s:
        lines = [f"GET {API}/subscribe?{query} HTTP/1.1", "Host: a"]
        lines += [f"{k}: {v}" for k, v in {**clients.UPGRADE, **direct.hub.credential().headers}.items()]
        s.sendall("\r\n".join(lines + ["", ""]).encode())
        try:
            answer = s.recv(4096)
        except ConnectionError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer
    direct.subscribe(direct.hub.credential()).close()


@pytest.mark.parametrize("size", [5000, 65536])
@pytest.mark.parametrize("name", ["X-Api-Key", "Authorization", "Origin"])
def test_header_of_64_kib(direct, name, size):
    """In a header that decides who comes in: refused, not overlooked."""
    who = direct.hub.credential(kind="token" if name == "X-Api-Key" else "key")
    response = direct.refusal(who, headers={name: "x" * size})
    assert 400 <= response.status < 500, response
    direct.subscribe(who).close()


@pytest.mark.parametrize("name", ["X-Filler", "User-Agent", "X-Forwarded-For"])
def test_harmless_header_of_64_kib(direct, name):
    """It is refused or overlooked; the daemon lives."""
    who = direct.hub.credential()
    try:
        direct.subscribe(who, headers={name: "x" * 65536}).close()
    except (clients.Refused, OSError, clients.websockets.exceptions.InvalidMessage):
        pass
    direct.subscribe(who).close()


def test_a_thousand_headers(direct):
    who = direct.hub.credential()
    with socket.create_connection(direct.ws_address.rsplit(":", 1), procs.PATIENCE) as s:
        try:
            s.sendall(b"GET /api/v1/ws/subscribe HTTP/1.1\r\nHost: a\r\n" +
                      b"".join(b"X-H%d: y\r\n" % i for i in range(1000)) + b"\r\n")
            answer = s.recv(4096)
        except ConnectionError:
            answer = b""
    assert not answer.startswith(b"HTTP/1.1 101"), answer
    direct.subscribe(who).close()


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00" * 100,
                                     b"GET\r\n\r\n", b"\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                     b"GET " + b"/" * 70000 + b" HTTP/1.1\r\n\r\n"])
def test_garbage_instead_of_http(direct, garbage):
    with socket.create_connection(direct.ws_address.rsplit(":", 1), procs.PATIENCE) as s:
        try:
            s.sendall(garbage)
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass
        except ConnectionError:
            pass
    direct.subscribe(direct.hub.credential()).close()


def test_another_path(direct):
    response = direct.refusal(direct.hub.credential(), "/nowhere")
    assert response.status == 404, response


def test_another_base_path(make_hub):
    hub = make_hub(base_path="/push")
    subscribe(hub.wsd.listen, hub.credential(), base="/push").close()


def test_no_extension_is_negotiated(direct):
    """The library offers permessage-deflate; frames are shared, so no."""
    ws = direct.subscribe(direct.hub.credential(), options={"compression": "deflate"})
    assert not ws.ws.extensions
    ws.close()


def test_secrets_do_not_reach_the_log(make_hub):
    hub = make_hub(log_level="debug")
    who = hub.credential()
    subscribe(hub.wsd.listen, who).close()
    clients.refusal(hub.wsd.listen, headers={"X-Api-Key": "very-secret-wrong-key"})
    text = hub.wsd.process.text()
    assert "client_joined" in text or who.user in text
    assert who.secret not in text
    assert "very-secret-wrong-key" not in text


def test_draining_refuses(make_hub):
    hub = make_hub(drain_timeout="20s")
    who = hub.credential()
    with clients.Control(hub.control) as control:
        # a peer that does not answer the close keeps the daemon draining
        s = socket.create_connection(hub.wsd.listen.rsplit(":", 1), procs.PATIENCE)
        lines = [f"GET {API}/subscribe HTTP/1.1", f"Host: {hub.wsd.listen}"]
        lines += [f"{k}: {v}" for k, v in {**clients.UPGRADE, **who.headers}.items()]
        s.sendall("\r\n".join(lines + ["", ""]).encode())
        assert s.recv(4096).startswith(b"HTTP/1.1 101")
        hub.wait_sql("SELECT count(*) FROM client", 1)
        assert control.ask({"op": "drain"})["ok"] is True
        try:
            response = clients.refusal(hub.wsd.listen, who)
            check_error(response, 503)
        except AssertionError as e:
            assert "curl:" in str(e), e  # it no longer listens: refused as well
        s.close()
    assert hub.wsd.wait() == 0


def test_a_new_type_at_once(hub):
    """What is committed can be subscribed to, and what was not there is still unknown."""
    who = hub.credential()
    db = sqlite3.connect(hub.database, isolation_level=None)  # faster than the shell, which gives the daemon time
    for i in range(100):
        head = rawws.handshake(hub, who, f"{API}/subscribe?event_types=new{i}")
        db.execute(f"INSERT INTO event_type(name) VALUES ('new{i}')")
        rawws.Peer(hub, who, head=head).close()
    db.close()
    with pytest.raises(Refused) as refused:
        subscribe(hub.wsd.listen, who, "new100")
    assert refused.value.status == 400
