"""JWTs as bearer tokens, made by a library that is not ours (python3-jwt), and
the known attacks on those who verify them."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import signal
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import clients
import procs
from clients import API, check_error, subscribe
from hub import Credential

SECRET = secrets.token_urlsafe(64)
ISSUER, AUDIENCE = "https://id.example", "evhub"


class Keys:
    """One of each kind; making RSA keys takes a while."""

    def __init__(self):
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.other_rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = {"ES256": ec.generate_private_key(ec.SECP256R1()), "ES384": ec.generate_private_key(ec.SECP384R1()),
                   "ES512": ec.generate_private_key(ec.SECP521R1())}
        self.ed = ed25519.Ed25519PrivateKey.generate()


@pytest.fixture(scope="session")
def keys():
    return Keys()


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def private_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def write_key(hub, content, mode=0o640, name="jwt.key"):
    path = os.path.join(hub.directory, name)
    with open(path, "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, mode)
    procs.give(path)
    return path


def conf_section(path, algorithm, **more):
    values = {"algorithm": algorithm, "key_file": path, "issuer": ISSUER, "audience": AUDIENCE, "leeway": "0", **more}
    return "jwt {\n" + "".join(f'\t{k} = "{v}"\n' for k, v in values.items()) + "}\n"


def make(make_hub, key, algorithm, **more):
    """A hub with this key, behind evhub-fcgi."""
    hub = make_hub(wsd=False)
    path = write_key(hub, key)
    with open(hub.conf_path, "a") as f:
        f.write(conf_section(path, algorithm, **more))
    hub.key_path = path
    hub.start_wsd()
    hub.start_fcgi()
    return hub


def claims(user="alice", **more):
    now = int(time.time())
    c = {"iss": ISSUER, "aud": AUDIENCE, "sub": user, "iat": now, "nbf": now, "exp": now + 600,
         "scope": "subscribe publish"}
    c.update(more)
    return {k: v for k, v in c.items() if v is not None}


def sign(key=SECRET, algorithm="HS256", headers=None, **more):
    return jwt.encode(claims(**more), key, algorithm, headers=headers)


def b64(data):
    if not isinstance(data, bytes):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign_raw(header, payload, secret=SECRET):
    """A token by HMAC-SHA256 whose parts may be anything."""
    text = (header if isinstance(header, str) else b64(header)) + "." + (payload if isinstance(payload, str) else b64(payload))
    return text + "." + b64(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())


def bearer(token):
    return {"Authorization": "Bearer " + token}


def fcgi(hub, method, endpoint, token, body=None):
    headers = dict(bearer(token), **({"Content-Type": "application/json"} if body is not None else {}))
    return clients.fcgi_request(hub.fcgi_socket, method, f"{API}/{endpoint}", headers,
                                None if body is None else json.dumps(body))


def refused(hub, token, error, path=None):
    """Both programs refuse it with the same word."""
    for response in (clients.refusal(hub.wsd.listen, headers=bearer(token)), fcgi(hub, "GET", "clients", token)):
        entry = check_error(response, 401, 1)["stack"][0]
        assert entry["error"] == error, entry
        assert path is None or entry["path"] == path, entry
        assert token not in str(response) or len(token) < 16


@pytest.fixture(scope="module")
def hs():
    """A hub with HS256, shared."""
    from conftest import HubMaker
    maker = HubMaker()
    try:
        hub = make(maker, SECRET, "HS256")
        yield hub
    except BaseException:
        for h in maker.hubs:
            h.abandon()
        raise
    hub.stop()


# ---- what works

ALGORITHMS = ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithm(make_hub, keys, algorithm):
    private = SECRET if algorithm[:2] == "HS" else keys.rsa if algorithm[:2] == "RS" else keys.ec[algorithm]
    hub = make(make_hub, SECRET + "\n" if algorithm[:2] == "HS" else public_pem(private), algorithm)
    token = sign(private, algorithm)
    ws = subscribe(hub.wsd.listen, None, "pdfm", headers=bearer(token))
    assert hub.sql("SELECT user_id, credential_id FROM client") == [{"user_id": "alice", "credential_id": None}]
    response = fcgi(hub, "GET", "clients", token)
    assert response.status == 200 and [c["id"] for c in response.json()] == [ws.client_id]
    ws.close()
    # signed by somebody else
    others = {"HS": secrets.token_urlsafe(64), "RS": keys.other_rsa}
    other = others.get(algorithm[:2]) or ec.generate_private_key(private.curve)
    refused(hub, sign(other, algorithm), "invalid_signature")
    # signed in another way, each of them with a key that is known to be good for it
    for wrong in ALGORITHMS:
        if wrong != algorithm:
            key = SECRET if wrong[:2] == "HS" else keys.rsa if wrong[:2] == "RS" else keys.ec[wrong]
            refused(hub, sign(key, wrong), "wrong_algorithm")


def test_every_endpoint(hs):
    hub = hs
    token = sign(user="erin", scope="subscribe publish admin", name="Erin E.")
    ws = subscribe(hub.wsd.listen, None, "pdfm", headers=bearer(token))
    assert hub.sql(f"SELECT user_id, username FROM client WHERE id = '{ws.client_id}'") == [
        {"user_id": "erin", "username": "Erin E."}]
    body = {"client_id": ws.client_id, "event_types": ["stats"]}
    assert fcgi(hub, "POST", "subscriptions", token, body).status == 200
    ws.expect("system", "subscribed")
    assert fcgi(hub, "POST", "events", token, {"event_type": "stats", "message": "hi", "user_id": "erin"}).status == 201
    ws.expect("stats", "hi")
    assert fcgi(hub, "POST", "unsubscribe", token, body).status == 200
    ws.expect("system", "unsubscribed")
    assert fcgi(hub, "GET", "stats", token).status == 200
    assert len(fcgi(hub, "GET", "clients", token).json()) >= 1
    ticket = fcgi(hub, "POST", "ticket", token).json()["ticket"]
    other = subscribe(hub.wsd.listen, None, ticket=ticket)
    assert hub.value(f"SELECT user_id FROM client WHERE id = '{other.client_id}'") == "erin"
    # an operator ends them all
    hub.sql("DELETE FROM client WHERE user_id = 'erin'")
    assert ws.closed()[0] == other.closed()[0] == 1008


def test_keys_and_opaque_tokens_go_on(hs):
    for kind in ("key", "token"):
        who = hs.credential(kind=kind)
        subscribe(hs.wsd.listen, who).close()
    # an opaque token with a dot or three is no JWT
    for dots in (1, 3):
        who = hs.credential(kind="token", secret=".".join(secrets.token_hex(8) for _ in range(dots + 1)))
        subscribe(hs.wsd.listen, who).close()


def test_without_the_section_it_is_an_opaque_token(direct):
    body = check_error(direct.refusal(headers=bearer(sign())), 401, 1)
    assert body["stack"][0]["error"] == "invalid_credential"


def test_other_ways_to_show_it(make_hub):
    hub = make(make_hub, SECRET, "HS256", audience="")
    token = sign(aud=None, padding="x" * 2000)
    assert len(token) > 2500
    ws = subscribe(hub.wsd.listen, None, options={"subprotocols": ["evhub.v1", "bearer." + token]})
    assert ws.ws.subprotocol == "evhub.v1"
    ws.close()
    check_error(clients.refusal(hub.wsd.listen, path=f"{API}/subscribe?access_token={token}"), 401)
    key = hub.credential(user="alice")
    subscribe(hub.wsd.listen, key, headers=bearer(token)).close()
    body = check_error(clients.refusal(hub.wsd.listen, hub.credential(), headers=bearer(token)), 401, 1)
    assert body["stack"][0]["error"] == "credential_mismatch"
    assert token not in hub.wsd.process.text() and token not in hub.fcgi.text()
    with open(hub.database + "-wal", "rb") as f:
        assert token.encode() not in f.read()


@pytest.mark.parametrize("name", ["lighttpd", "apache", "apache-cgi", "nginx"])
def test_through_web_servers(make_hub, name):
    import fronts
    hub = make_hub(wsd=False)
    path = write_key(hub, SECRET)
    with open(hub.conf_path, "a") as f:
        f.write(conf_section(path, "HS256"))
    hub.start_wsd()
    front = fronts.start(name, hub)
    token = sign(padding="x" * 3000)
    ws = front.subscribe(None, "pdfm", headers=bearer(token))
    response = front.get("clients", headers=bearer(token))
    assert response.status == 200 and [c["id"] for c in response.json()] == [ws.client_id], response
    ws.close()
    check_error(front.get("clients", headers=bearer(token[:-4] + "AAAA")), 401)


# ---- scopes and event types

@pytest.mark.parametrize("scope, may", [
    ("subscribe", (101, 403, 403)), ("publish", (403, 201, 403)), ("admin", (403, 403, 200)),
    ("openid profile subscribe email", (101, 403, 403)), (["subscribe", "publish"], (101, 201, 403)),
    ("", (403, 403, 403)), ([], (403, 403, 403)), (None, (403, 403, 403)), ("Subscribe", (403, 403, 403)),
    ("subscribe,publish", (403, 403, 403)),
])
def test_scopes(hs, scope, may):
    token = sign(scope=scope)
    try:
        subscribe(hs.wsd.listen, None, headers=bearer(token)).close()
        seen = [101]
    except clients.Refused as e:
        seen = [e.status]
    seen.append(fcgi(hs, "POST", "events", token, {"event_type": "pdfm", "message": "x", "user_id": "nobody"}).status)
    seen.append(fcgi(hs, "GET", "stats", token).status)
    assert tuple(seen) == may


def test_scopes_that_are_not_asked_for(make_hub):
    hub = make(make_hub, SECRET, "HS256", scopes_claim="", event_types_claim="", user_claim="email")
    token = sign(scope="admin publish", event_types="none.*", email="alice@example")
    ws = subscribe(hub.wsd.listen, None, "pdfm", headers=bearer(token))
    assert hub.value("SELECT user_id FROM client") == "alice@example"
    ws.close()
    check_error(fcgi(hub, "POST", "events", token, {"event_type": "pdfm"}), 403)


@pytest.mark.parametrize("patterns", ["pdfm vm.*", ["pdfm", "vm.*"]])
def test_event_types(hs, patterns):
    hub = hs
    hub.sql("INSERT INTO event_type(name) VALUES('vm.started') ON CONFLICT DO NOTHING")
    token = sign(user="fay", event_types=patterns)
    response = clients.refusal(hub.wsd.listen, None, f"{API}/subscribe?event_types=pdfm,stats,auth", bearer(token))
    check_error(response, 403, 2)
    ws = subscribe(hub.wsd.listen, None, "pdfm", headers=bearer(token))
    body = {"client_id": ws.client_id, "event_types": ["stats"]}
    check_error(fcgi(hub, "POST", "subscriptions", token, body), 403, 1)
    # nor by a broader credential of the same user, nor by an operator
    check_error(clients.fcgi_request(hub.fcgi_socket, "POST", f"{API}/subscriptions",
                                     {**hub.credential(user="fay").headers, "Content-Type": "application/json"},
                                     json.dumps(body)), 403, 1)
    with pytest.raises(Exception, match="does not allow it"):
        hub.sql(f"INSERT INTO subscription(client_id, event_type) VALUES('{ws.client_id}', 'stats')")
    hub.sql(f"INSERT INTO subscription(client_id, event_type) VALUES('{ws.client_id}', 'vm.started')")
    ws.expect("system", "subscribed")
    check_error(fcgi(hub, "POST", "events", token, {"event_type": "stats"}), 403)
    # a ticket is no way around it
    ticket = fcgi(hub, "POST", "ticket", token).json()["ticket"]
    check_error(clients.refusal(hub.wsd.listen, None, f"{API}/subscribe?event_types=stats&ticket={ticket}"), 403, 1)
    ws.close()


def test_no_event_types_at_all(hs):
    for nothing in ("", []):
        token = sign(event_types=nothing)
        check_error(clients.refusal(hs.wsd.listen, None, f"{API}/subscribe?event_types=pdfm", bearer(token)), 403, 1)
        subscribe(hs.wsd.listen, None, headers=bearer(token)).close()


# ---- time

def test_expiry_closes_the_connection(hs):
    end = time.time() + 2
    token = sign(user="gus", exp=int(end) + 1)
    ws = subscribe(hs.wsd.listen, None, headers=bearer(token))
    ticket = fcgi(hs, "POST", "ticket", token).json()["ticket"]
    other = subscribe(hs.wsd.listen, None, ticket=ticket)
    late = fcgi(hs, "POST", "ticket", token).json()["ticket"]
    assert ws.closed() == (1008, "credential expired")
    assert other.closed() == (1008, "credential expired")
    assert int(end) + 1 <= time.time() < int(end) + 4
    refused(hs, token, "token_expired", "exp")
    check_error(clients.refusal(hs.wsd.listen, None, f"{API}/subscribe?ticket={late}"), 401)


def test_leeway(make_hub):
    hub = make(make_hub, SECRET, "HS256", leeway="60s")
    now = int(time.time())
    subscribe(hub.wsd.listen, None, headers=bearer(sign(exp=now - 30))).close()
    subscribe(hub.wsd.listen, None, headers=bearer(sign(nbf=now + 30))).close()
    refused(hub, sign(exp=now - 61), "token_expired", "exp")
    refused(hub, sign(nbf=now + 90), "token_not_yet_valid", "nbf")


# ---- claims

def numbers():
    now = time.time()
    return [
        ({"exp": None}, "missing_claim", "exp"), ({"exp": int(now) - 1}, "token_expired", "exp"),
        ({"exp": 0}, "token_expired", "exp"), ({"exp": now - 0.5}, "token_expired", "exp"),
        ({"exp": str(int(now) + 600)}, "invalid_claim", "exp"), ({"exp": True}, "invalid_claim", "exp"),
        ({"exp": [int(now) + 600]}, "invalid_claim", "exp"), ({"exp": {}}, "invalid_claim", "exp"),
        ({"exp": -1}, "invalid_claim", "exp"), ({"nbf": int(now) + 600}, "token_not_yet_valid", "nbf"),
        ({"nbf": "now"}, "invalid_claim", "nbf"), ({"iat": "now"}, "invalid_claim", "iat"),
        ({"nbf": False}, "invalid_claim", "nbf"),
        ({"iss": None}, "invalid_issuer", "iss"), ({"iss": "https://evil.example"}, "invalid_issuer", "iss"),
        ({"iss": ISSUER + "/"}, "invalid_issuer", "iss"),
        ({"iss": ISSUER + "\0"}, "invalid_signature", None),  # libjwt's JSON has no U+0000, and gives up there
        ({"iss": [ISSUER]}, "invalid_issuer", "iss"), ({"iss": ISSUER.upper()}, "invalid_issuer", "iss"),
        ({"aud": None}, "invalid_audience", "aud"), ({"aud": "another"}, "invalid_audience", "aud"),
        ({"aud": []}, "invalid_audience", "aud"), ({"aud": ["a", "b"]}, "invalid_audience", "aud"),
        ({"aud": [AUDIENCE, 1]}, "invalid_claim", "aud"), ({"aud": {"evhub": 1}}, "invalid_audience", "aud"),
        ({"aud": 1}, "invalid_audience", "aud"),
        ({"user": None}, "missing_claim", "sub"), ({"user": ""}, "invalid_claim", "sub"),
        ({"user": 7}, "invalid_claim", "sub"), ({"user": ["alice"]}, "invalid_claim", "sub"),
        ({"user": "a" * 256}, "invalid_claim", "sub"), ({"user": "al\0ice"}, "invalid_signature", None),
        ({"user": "al\nice"}, "invalid_claim", "sub"),
        ({"scope": 7}, "invalid_claim", "scope"), ({"scope": {"subscribe": True}}, "invalid_claim", "scope"),
        ({"scope": ["subscribe", 1]}, "invalid_claim", "scope"), ({"scope": ["subscribe admin"]}, "invalid_claim", "scope"),
        ({"event_types": 7}, "invalid_claim", "event_types"), ({"event_types": "vm*"}, "invalid_claim", "event_types"),
        ({"event_types": ["pdfm", "A"]}, "invalid_claim", "event_types"),
        ({"event_types": ["a b"]}, "invalid_claim", "event_types"),
        ({"event_types": " ".join(f"t{i}" for i in range(257))}, "invalid_claim", "event_types"),
        ({"event_types": {"pdfm": 1}}, "invalid_claim", "event_types"),
    ]


@pytest.mark.parametrize("index", range(len(numbers())))
def test_claims_that_are_refused(hs, index):
    change, error, path = numbers()[index]
    if "user" in change:
        change = {"sub": change["user"]}
    payload = claims()
    payload.update(change)
    payload = {k: v for k, v in payload.items() if v is not None or k not in change}
    refused(hs, sign_raw({"alg": "HS256", "typ": "JWT"}, payload), error, path)


@pytest.mark.parametrize("change", [
    {"aud": ["other", AUDIENCE]}, {"exp": time.time() + 3000.25}, {"exp": 1e300}, {"exp": 2 ** 62}, {"nbf": 0.5},
    {"sub": "ü" * 255}, {"sub": "a" * 255}, {"name": 7}, {"name": "x" * 300}, {"extra": {"deep": [1, {"x": None}]}},
    {"event_types": " ".join(f"t{i}" for i in range(256))}, {"nbf": None}, {"iat": None}])
def test_claims_that_are_fine(hs, change):
    payload = {k: v for k, v in {**claims(), **change}.items() if v is not None}
    token = sign_raw({"alg": "HS256"}, payload)
    subscribe(hs.wsd.listen, None, headers=bearer(token)).close()
    assert fcgi(hs, "GET", "clients", token).status == 200


def test_null_is_no_value(hs):
    for name in ("exp", "nbf", "sub", "scope", "event_types"):
        refused(hs, sign_raw({"alg": "HS256"}, {**claims(), name: None}),
                "missing_claim" if name == "sub" else "invalid_claim", name)


def test_an_audience_when_none_is_configured(make_hub):
    """RFC 7519 section 4.1.3: it is meant for somebody, and that is not known to be us."""
    hub = make(make_hub, SECRET, "HS256", audience="", issuer="")
    subscribe(hub.wsd.listen, None, headers=bearer(sign(aud=None, iss="anybody"))).close()
    for aud in ("x", "", ["x"], []):
        refused(hub, sign(aud=aud), "invalid_audience", "aud")


# ---- attacks

def unsigned(header, payload, signature=""):
    return b64(header) + "." + b64(payload) + "." + signature


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", "null", None, 0, True, [], ["HS256"], {"a": 1},
                                 "HS256 ", "hs256", "HS256\0", "HS384", "RS256", "ES256", "EdDSA", "A128KW"])
def test_alg(hs, alg):
    header = {"alg": alg, "typ": "JWT"}
    for token in (unsigned(header, claims(), "AA"), sign_raw(header, claims())):
        refused(hs, token, "wrong_algorithm")
    # without a signature at all it is not even a token of three parts
    refused(hs, unsigned(header, claims()), "malformed_token")
    refused(hs, unsigned(header, claims()) + ".", "invalid_credential" if len(unsigned(header, claims())) < 512 else "malformed_credential")


def test_no_alg(hs):
    refused(hs, sign_raw({"typ": "JWT"}, claims()), "wrong_algorithm")


def test_alg_twice(hs):
    for header in ('{"alg":"none","alg":"HS256"}', '{"alg":"HS256","alg":"none"}'):
        refused(hs, sign_raw(b64(header.encode()), claims()), "malformed_token")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_public_key_as_a_secret(make_hub, keys, algorithm):
    """The key confusion: who has the public key signs with it by HMAC."""
    private = keys.rsa if algorithm == "RS256" else keys.ec["ES256"]
    pem = public_pem(private)
    hub = make(make_hub, pem, algorithm)
    for secret in (pem, pem.strip(), pem + b"\n"):
        for alg in ("HS256", algorithm):
            head = b64({"alg": alg, "typ": "JWT"}) + "." + b64(claims())
            token = head + "." + b64(hmac.new(secret, head.encode(), hashlib.sha256).digest())
            refused(hub, token, "wrong_algorithm" if alg == "HS256" else "invalid_signature")


def test_own_key_in_the_header(make_hub, keys):
    hub = make(make_hub, public_pem(keys.rsa), "RS256")
    numbers = keys.other_rsa.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": b64(numbers.n.to_bytes(256, "big")), "e": "AQAB"}
    for headers in ({"jwk": jwk}, {"jku": "https://evil.example/keys"}, {"kid": "../../../../dev/null"}, {"x5u": "file:///etc/passwd"}):
        refused(hub, sign(keys.other_rsa, "RS256", headers), "invalid_signature")
        subscribe(hub.wsd.listen, None, headers=bearer(sign(keys.rsa, "RS256", headers))).close()


@pytest.mark.parametrize("signature", [b"\0" * 64, b"\0" * 63, b"\0", b"\xff" * 64, b"\0" * 32 + b"\1" * 32])
def test_empty_ecdsa_signature(make_hub, keys, signature):
    """Psychic signatures: r and s of 0."""
    hub = make(make_hub, public_pem(keys.ec["ES256"]), "ES256")
    refused(hub, b64({"alg": "ES256"}) + "." + b64(claims()) + "." + b64(signature), "invalid_signature")


def test_every_byte_counts(hs):
    token = sign()
    head, body, signature = token.split(".")
    refused(hs, head + "." + b64(claims(sub="mallory")) + "." + signature, "invalid_signature")
    refused(hs, b64({"alg": "HS256", "x": 1}) + "." + body + "." + signature, "invalid_signature")
    for i in (0, 10, len(signature) - 2):
        changed = signature[:i] + ("A" if signature[i] != "A" else "B") + signature[i + 1:]
        refused(hs, f"{head}.{body}.{changed}", "invalid_signature")
    for short in (signature[4:], b64(base64.urlsafe_b64decode(signature + "=")[:31]), b64(b"\0" * 33)):
        refused(hs, f"{head}.{body}.{short}", "invalid_signature")
    # the same bytes, written in another way
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(signature[-1])
    twin = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last ^ 1]
    refused(hs, f"{head}.{body}.{signature[:-1]}{twin}", "malformed_token")
    refused(hs, token + "=", "malformed_token")
    assert fcgi(hs, "GET", "clients", token).status == 200


@pytest.mark.parametrize("token", [
    "a.b.c", "..", ".x.", "x..", "..x", "eyJ.eyJ.eyJ", "A.A.A", "AA.AA.AA", "e30.e30.AA", "W10.e30.AA", "bnVsbA.e30.AA",
    "e30.e30.A+/A", "e30.e30.AA=", "e%0130.e30.AA", "....", "ey J.e30.AA"])
def test_malformed(hs, token):
    response = clients.refusal(hs.wsd.listen, headers=bearer(token))
    body = check_error(response, 401, 1)
    assert body["stack"][0]["error"] in ("malformed_token", "wrong_algorithm", "malformed_credential"), body
    check_error(fcgi(hs, "GET", "clients", token), 401, 1)


@pytest.mark.parametrize("payload", [
    b"[]", b"null", b"7", b'"x"', b"", b"{", b"{}{}", b"{'a':1}", b'{"exp":1,}', b'\xef\xbb\xbf{}', b'{"a":"\xff"}', b'{"a":NaN}',
    b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", b'{"exp":9999999999,"exp":1}', b'{"sub":"a","sub":"b"}', b'{"sub\\u0000":1}'],
    ids=lambda p: p[:12].decode("latin-1"))
def test_payload_that_is_no_object(hs, payload):
    refused(hs, sign_raw({"alg": "HS256"}, b64(payload)), "malformed_token")


def test_duplicate_claims(hs):
    text = json.dumps(claims())[:-1]
    for again in ('"sub":"root"', '"scope":"admin"', '"exp":99999999999', '"\\u0073ub":"root"'):
        refused(hs, sign_raw({"alg": "HS256"}, b64((text + "," + again + "}").encode())), "malformed_token")


def test_header_fields(hs):
    refused(hs, sign(headers={"crit": ["b64"], "b64": False}), "malformed_token")
    refused(hs, sign(headers={"crit": []}), "malformed_token")
    for typ in ("JWE", "dpop+jwt", 7, ["JWT"]):
        refused(hs, sign_raw({"alg": "HS256", "typ": typ}, claims()), "malformed_token")
    subscribe(hs.wsd.listen, None, headers=bearer(sign_raw({"alg": "HS256", "typ": "jwt"}, claims()))).close()


def test_size(hs):
    def of_length(n):
        for pad in range(n * 3 // 4 - 700, n):
            token = sign(padding="x" * pad)
            if len(token) >= n:
                return token
        raise AssertionError
    fits = of_length(8100)
    assert 8100 <= len(fits) <= 8192
    subscribe(hs.wsd.listen, None, headers=bearer(fits)).close()
    assert fcgi(hs, "GET", "clients", fits).status == 200
    refused(hs, of_length(8193), "token_too_large")
    check_error(fcgi(hs, "GET", "clients", "a." * 2 + "A" * 100000), 401, 1)


def test_five_parts(hs):
    """An encrypted token (JWE) is not one of ours."""
    check_error(clients.refusal(hs.wsd.listen, headers=bearer("eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA")), 401, 1)


# ---- the key

@pytest.mark.parametrize("mode, ok", [(0o600, True), (0o640, True), (0o660, True), (0o644, False), (0o604, False),
                                      (0o642, False), (0o641, False)])
@pytest.mark.parametrize("kind", ["secret", "public"])
def test_mode_of_the_key_file(make_hub, keys, kind, mode, ok):
    hub = make_hub(wsd=False)
    path = write_key(hub, SECRET if kind == "secret" else public_pem(keys.rsa), mode)
    with open(hub.conf_path, "a") as f:
        f.write(conf_section(path, "HS256" if kind == "secret" else "RS256"))
    ok = ok or (kind == "public" and mode in (0o644, 0o604, 0o641))  # a public key is not to be written by everybody
    for result in (hub.run_wsd("-t"), procs_fcgi_test(hub)):
        assert (result.returncode == 0) is ok, result.stderr
        if not ok:
            assert "jwt.key_file: " + path in result.stderr and "everybody" in result.stderr
    if not ok:
        assert hub.run_wsd().returncode == 1
        assert not os.path.exists(hub.database)


def procs_fcgi_test(hub):
    import subprocess
    return subprocess.run(procs.drop_prefix() + [procs.program("evhub-fcgi"), "-c", hub.conf_path, "-t"], capture_output=True,
                          text=True, timeout=procs.PATIENCE * 2, env=procs.environment(), stdin=subprocess.DEVNULL, cwd="/",
                          check=False)


def bad_keys(keys):
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    traditional = keys.rsa.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                         serialization.NoEncryption())
    return [
        ("HS256", "x" * 31, "31 bytes"), ("HS256", "x" * 31 + "\r\n", "31 bytes"), ("HS384", "x" * 47, "47 bytes"),
        ("HS512", "x" * 63, "63 bytes"), ("HS256", "", "0 bytes"), ("HS256", public_pem(keys.rsa), "no secret"),
        ("HS256", private_pem(keys.rsa), "no secret"), ("RS256", public_pem(small), "1024 bits"),
        ("RS256", private_pem(keys.rsa), "private key"), ("RS256", traditional, "private key"),
        ("RS256", "x" * 100, "no public key"), ("RS256", "", "no public key"),
        ("RS256", public_pem(keys.ec["ES256"]), "not one for RS256"), ("ES256", public_pem(keys.rsa), "not one for ES256"),
        ("ES256", public_pem(keys.ec["ES384"]), "prime256v1"), ("ES384", public_pem(keys.ec["ES256"]), "secp384r1"),
        ("ES512", public_pem(keys.ec["ES256"]), "secp521r1"), ("ES256", public_pem(keys.ed), "not one for ES256"),
        ("HS256", "x" * 70000, "longer than any key"), ("EdDSA", public_pem(keys.ed), "libjwt does not know EdDSA"),
    ]


def test_keys_that_are_refused(make_hub, keys):
    hub = make_hub(wsd=False)
    with open(hub.conf_path) as f:
        plain = f.read()
    for algorithm, content, why in bad_keys(keys):
        path = write_key(hub, content)
        with open(hub.conf_path, "w") as f:
            f.write(plain + conf_section(path, algorithm))
        result = hub.run_wsd("-t")
        assert result.returncode == 1 and why in result.stderr and "jwt." in result.stderr, (algorithm, why, result.stderr)
    for path, why in ((hub.directory, "not a file"), (hub.directory + "/nothing", "No such file"), ("relative", "absolute path"),
                      ("", "absolute path")):
        with open(hub.conf_path, "w") as f:
            f.write(plain + conf_section(path, "HS256"))
        result = hub.run_wsd("-t")
        assert result.returncode == 1 and why in result.stderr, (path, result.stderr)
    with open(hub.conf_path, "w") as f:
        f.write(plain + f'jwt {{ key_file = "{path}x" }}\n')
    assert "jwt.algorithm" in hub.run_wsd("-t").stderr


def test_overrides(make_hub):
    hub = make_hub(wsd=False)
    path = write_key(hub, SECRET)
    hub.start_wsd(overrides=["jwt.algorithm=HS256", f"jwt.key_file={path}", f"jwt.audience={AUDIENCE}"])
    subscribe(hub.wsd.listen, None, headers=bearer(sign())).close()


def test_key_rotation(make_hub):
    hub = make(make_hub, SECRET, "HS256")
    old, new_secret = sign(), secrets.token_urlsafe(64)
    new = sign(new_secret)
    ws = subscribe(hub.wsd.listen, None, headers=bearer(old))
    refused(hub, new, "invalid_signature")
    processes = (hub.wsd.process, hub.fcgi)

    def reload(content, word, mode=0o640):
        write_key(hub, content, mode)
        for process in processes:
            seen = process.text().count(word)
            process.popen.send_signal(signal.SIGHUP)
            procs.wait_for(lambda process=process, seen=seen: process.text().count(word) > seen, f"no {word} in the log")
    reload(new_secret, " reloaded")
    refused(hub, old, "invalid_signature")
    subscribe(hub.wsd.listen, None, headers=bearer(new)).close()
    assert fcgi(hub, "GET", "clients", new).status == 200
    ws.nothing()  # who is in stays in
    # a key that cannot be used leaves the one in force
    for content, mode in (("short", 0o640), (SECRET, 0o644)):
        reload(content, "reload_refused", mode)
        assert fcgi(hub, "GET", "clients", new).status == 200
        refused(hub, old, "invalid_signature")
    ws.close()


def test_cgi_with_a_bad_key(make_hub):
    import fronts
    hub = make_hub()
    path = write_key(hub, "short")
    front = fronts.start("apache-cgi", hub)
    with open(hub.conf_path, "a") as f:
        f.write(conf_section(path, "HS256"))
    response = front.get("clients", headers=bearer(sign()))
    body = check_error(response, 503, 1)
    assert body["stack"][0]["error"] == "misconfigured" and path not in str(body)
