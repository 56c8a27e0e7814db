"""Limits: what one address may try, and what one client may ask for."""

import concurrent.futures
import os
import select
import signal
import socket
import time

import pytest

import clients
import procs
from clients import API, Refused, check_error, fcgi_request, refusal, subscribe


def from_address(address, **headers):
    return {"X-Forwarded-For": address, **headers}


BAD = {"X-Api-Key": "0123456789abcdef"}


# ---- failed authentications

def test_too_many_wrong_credentials(make_hub):
    hub = make_hub(max_auth_failures=3, auth_failure_period="1h")
    good = hub.credential()
    for _ in range(3):
        check_error(refusal(hub.wsd.listen, headers=from_address("203.0.113.5", **BAD)), 401)
    answer = refusal(hub.wsd.listen, headers=from_address("203.0.113.5", **BAD))
    body = check_error(answer, 429, 1)
    assert body["stack"][0]["error"] == "too_many_auth_failures"
    assert body["stack"][0]["path"] == "remote_addr"
    assert 1100 < int(answer.headers["retry-after"]) <= 1200  # a third of the hour
    # a good credential is not looked at either: no guess can be told from a miss
    check_error(refusal(hub.wsd.listen, good, headers=from_address("203.0.113.5")), 429)
    check_error(refusal(hub.wsd.listen, good, headers=from_address("::ffff:203.0.113.5")), 429)
    # others are not concerned
    subscribe(hub.wsd.listen, good, headers=from_address("203.0.113.6")).close()
    subscribe(hub.wsd.listen, good).close()


def test_they_are_forgotten(make_hub):
    hub = make_hub(max_auth_failures=2, auth_failure_period="2s")
    good = hub.credential()
    for _ in range(2):
        check_error(refusal(hub.wsd.listen, headers=from_address("203.0.113.5", **BAD)), 401)
    check_error(refusal(hub.wsd.listen, headers=from_address("203.0.113.5", **BAD)), 429)

    def allowed():
        try:
            subscribe(hub.wsd.listen, good, headers=from_address("203.0.113.5")).close()
            return True
        except Refused as e:
            assert e.status == 429
            return False
    procs.wait_for(allowed, "the address stays shut out")


def test_no_credential_is_no_attempt(make_hub):
    hub = make_hub(max_auth_failures=2)
    for _ in range(5):
        check_error(refusal(hub.wsd.listen, headers=from_address("203.0.113.5")), 401)
        check_error(refusal(hub.wsd.listen, headers=from_address("203.0.113.5", Authorization="Basic eA==")), 401)


def test_ipv6_counts_by_its_64(make_hub):
    hub = make_hub(max_auth_failures=2)
    check_error(refusal(hub.wsd.listen, headers=from_address("2001:db8:1:2::1", **BAD)), 401)
    check_error(refusal(hub.wsd.listen, headers=from_address("[2001:db8:1:2:ffff:ffff:ffff:ffff]:9", **BAD)), 401)
    check_error(refusal(hub.wsd.listen, headers=from_address("2001:db8:1:2:3::", **BAD)), 429)
    check_error(refusal(hub.wsd.listen, headers=from_address("2001:db8:1:3::1", **BAD)), 401)


def test_a_proxy_that_tells_nothing_is_not_shut_out(make_hub):
    """Who stands behind it is not known: what one does is not held against all."""
    hub = make_hub(fcgi=True, max_auth_failures=2, max_handshakes_per_second=2, max_clients_per_address=1)
    for _ in range(10):
        check_error(refusal(hub.wsd.listen, headers=BAD), 401)
        check_error(fcgi_request(hub.fcgi_socket, "GET", API + "/clients", BAD), 401)
    held = [subscribe(hub.wsd.listen, hub.credential()) for _ in range(5)]
    for ws in held:
        ws.close()


def test_the_header_of_others_is_not_believed(make_hub):
    """A client that is no proxy cannot shut out an address, nor hide behind many."""
    hub = make_hub(trusted_proxies=["192.0.2.1"], max_auth_failures=3)
    for i in range(3):
        check_error(refusal(hub.wsd.listen, headers=from_address(f"203.0.113.{i}", **BAD)), 401)
    check_error(refusal(hub.wsd.listen, headers=from_address("203.0.113.77", **BAD)), 429)


def test_wrong_credentials_at_fcgi(make_hub):
    hub = make_hub(fcgi=True, max_auth_failures=3, auth_failure_period="1h", fcgi_threads=4)
    good = hub.credential()

    def ask(address, headers):
        return fcgi_request(hub.fcgi_socket, "GET", API + "/clients", headers, params={"REMOTE_ADDR": address})
    # whichever threads they come to
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask("203.0.113.5", BAD), range(12)))
    assert sorted({a.status for a in answers}) == [401, 429]
    assert [a.status for a in answers].count(401) <= 3 + 3  # those on their way when the third failed
    answer = ask("203.0.113.5", good.headers)
    check_error(answer, 429)
    assert int(answer.headers["retry-after"]) > 1000
    assert ask("203.0.113.6", good.headers).status == 200
    assert ask("127.0.0.1", good.headers).status == 200
    assert fcgi_request(hub.fcgi_socket, "GET", API + "/health", params={"REMOTE_ADDR": "203.0.113.5"}).status == 200


def test_a_flood_of_addresses_costs_no_memory(make_hub):
    hub = make_hub(fcgi=True, max_auth_failures=1, auth_failure_period="1d", fcgi_threads=1)

    def flood(count, first):
        for i in range(first, first + count):
            headers = {"X-Api-Key": f"0123456789abcdef{i}"}
            fcgi_request(hub.fcgi_socket, "GET", API + "/clients", headers,
                         params={"REMOTE_ADDR": f"2001:db8:{i:x}::1"})
        with open(f"/proc/{hub.fcgi.pid}/statm") as f:
            return int(f.read().split()[1]) * 4
    before = flood(100, 0)  # with all that it needs once
    grown = flood(400, 100) - before
    assert grown < 2048 or procs.is_sanitized(), f"{grown} KiB more"


# ---- handshakes

def test_handshakes_per_second(make_hub):
    hub = make_hub(max_handshakes_per_second=3)
    who = hub.credential()
    statuses, retry = [], []
    began = time.monotonic()
    for _ in range(12):
        try:
            subscribe(hub.wsd.listen, who, headers=from_address("203.0.113.5")).close()
            statuses.append(101)
        except Refused as e:
            statuses.append(e.status)
            retry.append(int(e.headers["Retry-After"]))
    took = time.monotonic() - began
    assert set(statuses) == {101, 429} and statuses[:3] == [101] * 3
    assert statuses.count(101) <= 4 + 3 * took
    assert set(retry) == {1}
    subscribe(hub.wsd.listen, who, headers=from_address("203.0.113.6")).close()


def test_limits_are_taken_by_a_reload(make_hub):
    hub = make_hub()
    who = hub.credential()
    hub.write_conf(max_auth_failures=1, max_handshakes_per_second=1000000, auth_failure_period="1h")
    hub.wsd.process.send_signal(signal.SIGHUP)
    procs.wait_for(lambda: "reloaded" in hub.wsd.process.text(), "not reloaded")
    check_error(refusal(hub.wsd.listen, headers=from_address("203.0.113.5", **BAD)), 401)
    check_error(refusal(hub.wsd.listen, who, headers=from_address("203.0.113.5")), 429)


# ---- connections of one address

def test_connections_of_a_64(make_hub):
    hub = make_hub(max_clients_per_address=2)
    held = [subscribe(hub.wsd.listen, hub.credential(), headers=from_address(f"2001:db8::{i}")) for i in range(2)]
    check_error(refusal(hub.wsd.listen, hub.credential(), headers=from_address("2001:db8::ffff")), 409)
    subscribe(hub.wsd.listen, hub.credential(), headers=from_address("2001:db8:0:1::1")).close()
    rows = {r["remote_addr"] for r in hub.sql("SELECT remote_addr FROM client")}
    assert {"2001:db8::", "2001:db8::1"} <= rows  # the whole address is what is told
    for ws in held:
        ws.close()


def idle(hub, count):
    """Connections that have begun a request.  (Without a byte the kernel keeps them for itself.)"""
    host, port = hub.wsd.listen.rsplit(":", 1)
    held = []
    for _ in range(count):
        held.append(socket.create_connection((host, int(port)), procs.PATIENCE))
        held[-1].sendall(b"GET ")
    return held


def test_connections_that_ask_for_nothing(make_hub):
    """They count too, before anybody knows who they are; who asks at once gets in."""
    hub = make_hub(max_clients_per_address=3, trusted_proxies="203.0.113.1", handshake_timeout="5m")
    who = hub.credential()
    held = idle(hub, 8)
    answered, _, _ = select.select(held, [], [], procs.PATIENCE)
    while len(answered) < 5:
        answered, _, _ = select.select(held, [], [], procs.PATIENCE)
    for sock in answered:
        data = b""
        while more := sock.recv(4096):
            data += more
        assert data.startswith(b"HTTP/1.1 409 ") and b"too_many_connections" in data
    assert len(answered) == 5
    subscribe(hub.wsd.listen, who).close()
    fds = f"/proc/{hub.wsd.process.pid}/fd"
    before = len(os.listdir(fds))
    for sock in held:
        sock.close()
    procs.wait_for(lambda: len(os.listdir(fds)) <= before - 3, "they are still there")
    [sock] = idle(hub, 1)
    with sock:
        sock.sendall(b"/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 404"


# ---- the form of a request

@pytest.mark.parametrize("size,status", [(900, 101), (1600, 431), (40000, 431)])
def test_header_size(make_hub, size, status):
    hub = make_hub(max_header_bytes="1K")
    who = hub.credential()
    headers = {"User-Agent": "x" * (size - 300)}
    if status == 101:
        subscribe(hub.wsd.listen, who, headers=headers).close()
    else:
        check_error(refusal(hub.wsd.listen, who, headers=headers), 431)


def trickle(sock, data, step):
    """Sends byte after byte, as slowly as that, until it is closed; how long it took."""
    began = time.monotonic()
    sock.settimeout(step)
    for byte in data:
        try:
            sock.sendall(bytes([byte]))
            if sock.recv(1) == b"":
                break
        except socket.timeout:
            continue
        except (ConnectionResetError, BrokenPipeError):
            break
    else:
        raise AssertionError("it was not closed")
    return time.monotonic() - began


@pytest.mark.parametrize("first", [b"", b"GET ", f"GET {API}/subscribe HTTP/1.1\r\nHost: localhost\r\n".encode()])
def test_slow_handshake(make_hub, first):
    """Byte after byte, or nothing at all: closed in time, others are served."""
    hub = make_hub(handshake_timeout="1s")
    with socket.create_connection(hub.wsd.listen.rsplit(":", 1)) as s:
        s.sendall(first)
        took = trickle(s, b"x" * 400, 0.05)
        assert took < procs.PATIENCE / 2
    subscribe(hub.wsd.listen, hub.credential()).close()


def test_many_event_types(make_hub):
    hub = make_hub(fcgi=True, max_event_types=3)
    who = hub.credential()
    body = check_error(refusal(hub.wsd.listen, who, API + "/subscribe?event_types=pdfm,stats,health,auth"), 400, 1)
    assert body["stack"][0]["error"] == "too_many_event_types"
    ws = subscribe(hub.wsd.listen, who, "pdfm,stats,pdfm,PDFM")  # global is a third, and mandatory
    assert set(ws.subscriptions) == {"pdfm", "stats", "global"}
    answer = fcgi_request(hub.fcgi_socket, "POST", API + "/subscriptions",
                          {"Content-Type": "application/json", **who.headers},
                          '{"client_id": "%s", "event_types": ["auth"]}' % ws.client_id)
    check_error(answer, 400)
    ws.nothing()
    ws.close()


# ---- X-Forwarded-For

def recorded(hub, *lines):
    """The address that is recorded for a request with these header lines, or
    the status of its refusal."""
    who = hub.credential()
    with socket.create_connection(hub.wsd.listen.rsplit(":", 1), timeout=procs.PATIENCE) as s:
        head = [f"GET {API}/subscribe HTTP/1.1", "Host: localhost"]
        head += [f"{k}: {v}" for k, v in {**clients.UPGRADE, **who.headers}.items()]
        s.sendall("\r\n".join(head + list(lines) + ["", ""]).encode())
        data = b""
        while b"\r\n\r\n" not in data:
            more = s.recv(4096)
            if not more:
                return "closed"
            data += more
        status = int(data.split()[1])
        if status != 101:
            return status
        while b"client_id" not in data:
            data += s.recv(4096)
        return hub.value(f"SELECT remote_addr FROM client WHERE user_id = '{who.user}'")


def test_forwarded_headers_as_proxies_write_them(direct):
    hub = direct.hub
    name = "X-Forwarded-For: "
    assert recorded(hub, name + "203.0.113.5:4711") == "203.0.113.5"
    assert recorded(hub, name + "[2001:DB8::1]:4711") == "2001:db8::1"
    assert recorded(hub, name + "::ffff:203.0.113.5") == "203.0.113.5"
    assert recorded(hub, name + "6.6.6.6, 203.0.113.5") == "203.0.113.5"
    assert recorded(hub, name + "6.6.6.6, unknown") == "127.0.0.1"
    # two headers are one list, in their order (RFC 9110 section 5.3)
    assert recorded(hub, name + "6.6.6.6", name + "203.0.113.5") == "203.0.113.5"
    assert recorded(hub, name + "203.0.113.5", name + "127.0.0.1") == "203.0.113.5"
    assert recorded(hub, name + "garbage", name + "203.0.113.5") == "203.0.113.5"
    assert recorded(hub, name + "203.0.113.5", name + "garbage") == 400
    # a folded line (RFC 9112 section 5.2) must not smuggle one in
    assert recorded(hub, name + "203.0.113.5,", " 6.6.6.6") in (400, "closed")


def test_bad_trusted_proxies(make_hub):
    hub = make_hub(wsd=False)
    result = hub.run_wsd("-t", "-o", "trusted_proxies=10.0.0.1,proxy.example.org")
    assert result.returncode == 1 and 'trusted_proxies: "proxy.example.org" is no address' in result.stderr, result


def test_who_is_refused_and_stays_is_counted(make_hub):
    """They would take all descriptors until the time for a handshake is over."""
    hub = make_hub(max_clients_per_address=3, trusted_proxies="203.0.113.1", handshake_timeout="60s")
    fds = f"/proc/{hub.wsd.process.pid}/fd"
    before = len(os.listdir(fds))
    address = hub.wsd.listen.rsplit(":", 1)
    crowd = []
    for _ in range(40):
        s = socket.create_connection(address, procs.PATIENCE)
        s.sendall(b"x y z\r\n\r\n")
        assert s.recv(16).startswith(b"HTTP/1.1 400 ")
        crowd.append(s)
    procs.wait_for(lambda: len(os.listdir(fds)) <= before + 3, "all of them may stay")
    for s in crowd:
        s.close()
