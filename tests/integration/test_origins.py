"""Pages of which origins may connect: exact, aware of the scheme, and right
behind proxies that end TLS or change the Host."""

import signal

import pytest

import clients
import procs
from clients import check_error, subscribe


def allowed(address, who, origin, **headers):
    """Whether the upgrade was granted; a refusal must be for the origin."""
    try:
        subscribe(address, who, headers={"Origin": origin, **headers}).close()
        return True
    except clients.Refused as e:
        assert e.status == 403, e.status
        return False


def forwarded(**values):
    return {"X-Forwarded-" + k.capitalize(): v for k, v in values.items()}


def test_the_error(direct):
    body = check_error(direct.refusal(direct.hub.credential(), headers={"Origin": "https://evil.example"}), 403, 1)
    assert (body["stack"][0]["error"], body["stack"][0]["path"]) == ("origin_not_allowed", "origin")


@pytest.mark.parametrize("host, origin, ok", [
    ("hub.example", "https://hub.example", True), ("hub.example", "http://hub.example", True),
    ("hub.example:443", "https://hub.example", True), ("HUB.example", "https://hub.EXAMPLE:443", True),
    ("hub.example:8443", "https://hub.example:8443", True), ("hub.example:8443", "https://hub.example", False),
    ("[::1]:8090", "http://[::1]:8090", True), ("[::1]:8090", "http://[0:0::1]:8090", True),
    ("[::1]:8090", "http://[::2]:8090", False), ("hub.example", "https://hub.example.evil.example", False),
    ("hub.example", "https://evil.example/hub.example", False), ("hub.example", "https://hub.example@evil.example", False),
    ("hub.example", "null", False), ("null", "null", False), ("hub.example", "file://", False),
    ("hub.example", "https://hub.example https://evil.example", False),
])
def test_same_host(direct, host, origin, ok):
    """As a proxy that keeps the Host sends it, whether it ended TLS or not."""
    assert allowed(direct.ws_address, direct.hub.credential(), origin, Host=host) is ok


def test_what_a_trusted_proxy_says(direct):
    address, who = direct.ws_address, direct.hub.credential()
    assert not allowed(address, who, "https://hub.example", Host="127.0.0.1:8090")
    assert allowed(address, who, "https://hub.example", Host="127.0.0.1:8090", **forwarded(host="hub.example"))
    assert allowed(address, who, "https://hub.example", Host="inner", **forwarded(host="hub.example, middle"))
    assert not allowed(address, who, "https://evil.example", Host="inner", **forwarded(host="hub.example"))
    assert allowed(address, who, "https://hub.example", Host="hub.example", **forwarded(proto="https"))
    assert allowed(address, who, "https://hub.example", Host="hub.example", **forwarded(proto="http"))
    assert not allowed(address, who, "http://hub.example", Host="hub.example", **forwarded(proto="https"))


def test_what_others_say_is_not_believed(make_hub):
    hub = make_hub(trusted_proxies=["192.0.2.1"])
    address, who = hub.wsd.listen, hub.credential()
    assert not allowed(address, who, "https://hub.example", Host="127.0.0.1:8090", **forwarded(host="hub.example"))
    assert allowed(address, who, "http://hub.example", Host="hub.example", **forwarded(proto="https"))
    assert allowed(address, who, "https://hub.example", Host="hub.example", **forwarded(host="evil.example"))


def test_with_a_long_token_as_a_subprotocol(make_hub):
    """The handshake that is written anew keeps all of that."""
    hub = make_hub()
    who = hub.credential(kind="token", secret="t" * 400)
    for headers, status in ((forwarded(host="hub.example", proto="https"), 101), (forwarded(host="other.example"), 403)):
        try:
            subscribe(hub.wsd.listen, None, headers={"Origin": "https://hub.example", "Host": "inner", **headers},
                      options={"subprotocols": ["evhub.v1", "bearer." + who.secret]}).close()
            assert status == 101
        except clients.Refused as e:
            assert e.status == status


def test_through_web_servers(front):
    """The snippets in etc/ tell the Host that the page was asked from."""
    who = front.hub.credential()
    assert allowed(front.ws_address, who, f"http://{front.ws_address}")
    assert not allowed(front.ws_address, who, "https://evil.example")
    assert not allowed(front.ws_address, who, f"http://{front.ws_address}0")


def test_a_list(make_hub):
    hub = make_hub(allowed_origins=["https://app.example", "http://[::1]:3000", "tauri://localhost"])
    who = hub.credential()
    for origin, ok in (("https://app.example", True), ("https://app.example:443", True), ("https://APP.example", True),
                       ("http://app.example", False), ("https://app.example:8443", False), ("http://[0::1]:3000", True),
                       ("http://[::1]", False), ("tauri://localhost", True), ("null", False),
                       (f"http://{hub.wsd.listen}", False)):
        assert allowed(hub.wsd.listen, who, origin) is ok, origin
    subscribe(hub.wsd.listen, who).close()  # no browser
    hub.write_conf(allowed_origins=["*"])
    hub.wsd.process.popen.send_signal(signal.SIGHUP)
    procs.wait_for(lambda: " reloaded" in hub.wsd.process.text(), "not reloaded")
    for origin in ("null", "https://anything.example"):
        assert allowed(hub.wsd.listen, who, origin)


@pytest.mark.parametrize("origin, why", [
    ("app.example", "begins with a scheme"), ("https://app.example/", "not even a slash"), ("https://*.app.example", "wildcards"),
    ("null", "begins with a scheme"), ("https://u@app.example", "no user"), ("https://app.example:99999", "no port"),
    ("https://bücher.example", "xn--"), ("https://[::1", "no host"), ("", "begins with a scheme")])
def test_the_configuration_is_checked(make_hub, origin, why):
    hub = make_hub(wsd=False, allowed_origins=["https://fine.example", origin])
    result = hub.run_wsd("-t")
    assert result.returncode == 1
    assert f'allowed_origins: \\"{origin}\\"' in result.stderr or f'allowed_origins: "{origin}"' in result.stderr, result.stderr
    assert why in result.stderr, result.stderr
