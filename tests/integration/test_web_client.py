"""web/evhub.js in Node, as browsers run it (tickets) and as programs do
(headers), against the real programs.  pytest -m web."""

import json
import os
import re
import signal
import subprocess

import pytest

import fronts
import procs
from clients import API
from node_client import Network, Node
from procs import WEB

pytestmark = pytest.mark.web

COUNT = """WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
    INSERT INTO event(event_type, message, body) SELECT '{event_type}', 'n', i FROM n"""


def publish(hub, first, last, event_type="pdfm"):
    hub.sql(COUNT.format(first=first, last=last, event_type=event_type))


@pytest.fixture
def node():
    n = Node()
    yield n
    n.close()


@pytest.fixture
def served(make_hub):
    """A hub behind lighttpd, and a network before it that can be cut."""
    hub = make_hub(front="lighttpd")
    network = Network(hub.front.ws_address)
    yield hub, network
    network.close()


def url(front):
    return f"http://{front.ws_address}{API}"


def types(node):
    return sorted(node.run("return hub.types"))


def restart_wsd(hub, how="stop"):
    """Ends the daemon and starts it on the same port, which the web server knows."""
    port = hub.wsd.port
    getattr(hub.wsd, how)()
    return lambda: hub.start_wsd(overrides=[f'listen={{"127.0.0.1:{port}"}}'])


# ---- the files themselves

def test_size_and_independence():
    with open(os.path.join(WEB, "evhub.js"), encoding="utf-8") as f:
        text = f.read()
    assert len(text.encode()) < 6144
    assert text.isascii()
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    assert not re.search(r"\b(import|require|eval|Function)\b", code)


def test_types(tmp_path):
    """The declarations fit how the client is used, and name what it has."""
    for name in ("evhub.js", "evhub.d.ts", "package.json"):
        os.symlink(os.path.join(WEB, name), tmp_path / name)
    (tmp_path / "use.ts").write_text("""
import { connect, explain, Hub, HubEvent, HubError } from "./evhub.js";
const hub: Hub = connect({ types: ["pdfm"], ticket: async () => ({ ticket: "x" }), maxDelay: 1000 });
hub.on("pdfm", (e: HubEvent<{ n: number }>) => e.body?.n.toFixed());
hub.onreload = (reason) => reason.length;
hub.onerror = (e: HubError) => e.faults?.[0].path.length;
hub.subscribe("a", ["b"]).then(() => hub.unsubscribe("a"));
const words: string = explain(1012, "x");
// @ts-expect-error
connect({ type: ["pdfm"] });
// @ts-expect-error
hub.on("pdfm", (e) => e.nosuch);
""")
    result = subprocess.run(["tsc", "--noEmit", "--strict", "--target", "es2022", "--lib", "es2022",
                             "--module", "es2022", "--moduleResolution", "node", "use.ts"], cwd=tmp_path, capture_output=True,
                            text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout
    with open(os.path.join(WEB, "evhub.d.ts"), encoding="utf-8") as f:
        hub_members = re.search(r"interface Hub \{(.*?)\n\}", f.read(), re.S).group(1)
    declared = set(re.findall(r"^\t(?:readonly )?(\w+)[?:(<]", hub_members, re.M))
    with open(os.path.join(WEB, "evhub.js"), encoding="utf-8") as f:
        used = set(re.findall(r"\bhub\.(\w+)", f.read())) | {"on", "off", "subscribe", "unsubscribe", "request"}
    assert declared == used


# ---- signing in

def test_ticket_for_a_key(served, node):
    """As in a browser: no headers, so the key is exchanged."""
    hub, network = served
    who = hub.credential()
    node.make(url=network.url, key=who.secret, types=["pdfm", "health"])
    node.wait_state("open")
    assert types(node) == ["global", "health", "pdfm"]
    client_id = node.run("return hub.clientId")
    assert hub.value(f"SELECT user_id FROM client WHERE id = '{client_id}'") == who.user
    node.run("""say({ first: 1 }); hub.on("pdfm", (e) => say({ first: e.body }))""")
    publish(hub, 1, 3)
    publish(hub, 4, 4, "health")
    node.wait_bodies([1, 2, 3, 4])
    assert [r["first"] for r in node.reports if "first" in r] == [1, 1, 2, 3]
    node.run("hub.close()")
    assert node.wait_state("closed")["why"] == "closed"
    hub.wait_sql("SELECT count(*) FROM client", 0)


@pytest.mark.parametrize("kind", ["key", "token"])
def test_header_by_ws(hub, node, kind):
    """A program with "ws" needs nothing but the daemon."""
    who = hub.credential(kind=kind)
    node.make(url=f"http://{hub.wsd.listen}{API}", types=["pdfm"], ws=True, **{kind: who.secret})
    node.wait_state("open")
    publish(hub, 1, 2)
    node.wait_bodies([1, 2])


def test_ticket_function_and_url(served, node):
    """A page without a key: its own server brings the ticket."""
    hub, network = served
    who = hub.credential()
    node.run(f"""
        const ticket = async () => {{
            const answer = await fetch("{network.url}/ticket", {{ method: "POST", headers: {{ "X-Api-Key": "{who.secret}" }} }});
            return await answer.json();
        }};
        make({{ url: "{network.url}", types: ["pdfm"], ticket }})""")
    node.wait_state("open")
    publish(hub, 1, 1)
    node.wait_bodies([1])
    network.cut()
    node.wait_state("waiting")
    node.wait_state("open", node.mark)
    # it can sign nothing: other types by resuming with them
    before = node.run("return hub.clientId")
    node.run("""await hub.subscribe("health")""")
    assert types(node) == ["global", "health", "pdfm"]
    assert node.run("return hub.clientId") != before
    publish(hub, 2, 2, "health")
    node.wait_bodies([1, 2])
    node.run("""await hub.unsubscribe("pdfm")""")
    assert types(node) == ["global", "health"]
    node.run("hub.close()")
    # and a URL: here one that is not evhub's, which must be sent no key
    mark = node.mark
    node.run(f"""
        globalThis.asked = [];
        const plain = fetch;
        globalThis.fetch = (address, init) => {{
            asked.push([String(address), init.method, init.headers]);
            return plain(String(address).replace("/my/ticket", "{API}/ticket"),
                {{ ...init, headers: {{ "X-Api-Key": "{who.secret}" }} }});
        }};
        make({{ url: "{network.url}", ticket: "/my/ticket", key: "not for others" }})""")
    node.wait_state("open", mark)
    address, method, headers = node.run("return asked")[0]
    assert (address, method) == (f"http://127.0.0.1:{network.port}/my/ticket", "POST")
    assert "X-Api-Key" not in headers


@pytest.mark.parametrize("ws", [True, False])
@pytest.mark.parametrize("fault", ["key", "type", "forbidden", "scope"])
def test_what_cannot_be_helped_stops_it(front_lighttpd, node, fault, ws):
    hub = front_lighttpd.hub
    who = hub.credential(event_types="pdfm" if fault == "forbidden" else None,
                         scopes="publish" if fault == "scope" else "subscribe")
    asked = {"type": ["pdfm", "nosuch"], "forbidden": ["stats"]}.get(fault, ["pdfm"])
    node.make(url=url(front_lighttpd), key="x" * 20 if fault == "key" else who.secret, types=asked, ws=ws)
    stopped = node.wait(lambda r: "stopped" in r, "the error")
    assert stopped["status"] == {"key": 401, "type": 400, "forbidden": 403, "scope": 403}[fault]
    assert stopped["faults"][0]["error"]
    if fault == "type":
        assert "nosuch" in stopped["faults"][0]["description"] and stopped["faults"][0]["path"] == "event_types"
    assert node.run("return hub.state") == "closed"
    assert not any(r.get("state") == "waiting" for r in node.reports)


@pytest.mark.parametrize("name", [n for n in fronts.NAMES if n != "direct"])
def test_through_each_server(request, node, name):
    """A session, and the reason of a refusal, which comes by a plain GET."""
    front = request.getfixturevalue("front_" + name.replace("-", "_"))
    who = front.hub.credential()
    event_type = front.hub.event_type(front.hub.unique("browser"))

    def known():
        response = front.refusal(who, f"{API}/subscribe?event_types={event_type}", upgrade=False)
        return response.json()["stack"][0]["error"] == "not_a_websocket_upgrade"
    procs.wait_for(known, "the new type is unknown")
    node.make(url=url(front), key=who.secret, types=[event_type])
    node.wait_state("open")
    publish(front.hub, 1, 3, event_type)
    node.wait_bodies([1, 2, 3])
    node.run(f"""await hub.unsubscribe("{event_type}")""")
    assert types(node) == ["global"]
    node.run("hub.close()")
    node.make(url=url(front), key=who.secret, types=["nosuch"])
    assert node.wait(lambda r: "stopped" in r, "the error")["faults"][0]["error"] == "unknown_event_type"


# ---- resuming

@pytest.mark.parametrize("how", ["stop", "kill"])
def test_daemon_restarts_in_the_middle(served, node, how):
    hub, network = served
    node.make(url=network.url, key=hub.credential().secret, types=["pdfm"], maxDelay=300)
    node.wait_state("open")
    n = 0
    for _ in range(3):
        for _ in range(4):
            publish(hub, n + 1, n + 50)
            n += 50
        start = restart_wsd(hub, how)
        publish(hub, n + 1, n + 50)
        n += 50
        start()
        for _ in range(4):
            publish(hub, n + 1, n + 50)
            n += 50
    node.wait_bodies(list(range(1, n + 1)))
    publish(hub, n + 1, n + 1)
    node.wait_bodies(list(range(1, n + 2)))
    assert not any("reload" in r or "stopped" in r for r in node.reports)
    if how == "stop":
        assert node.wait_state("waiting")["why"] == "the server restarts: the server restarts; reconnect and resume"


def test_cut_again_and_again(served, node):
    hub, network = served
    node.make(url=network.url, key=hub.credential().secret, types=["pdfm"], maxDelay=50)
    node.wait_state("open")
    for i in range(15):
        publish(hub, 40 * i + 1, 40 * i + 20)
        procs.wait_for(lambda i=i: node.bodies()[-1:] >= [40 * i + 1], "no event")
        network.cut()
        publish(hub, 40 * i + 21, 40 * i + 40)
    node.wait_bodies(list(range(1, 601)))
    assert sum(r.get("state") == "open" for r in node.reports) > 5
    assert not any("reload" in r for r in node.reports)


def test_dead_connection_is_noticed(served, node):
    """Nothing says so: only the heartbeats stay unanswered."""
    hub, network = served
    node.make(url=network.url, key=hub.credential().secret, types=["pdfm"], heartbeat=150, maxDelay=50)
    node.wait_state("open")
    node.run("hub.onpong = (ms) => say({ pong: ms })")
    pong = node.wait(lambda r: "pong" in r, "a pong")
    assert 0 < pong["pong"] < 20000
    mark = node.mark
    network.freeze()
    publish(hub, 1, 10)
    assert "silent" in node.wait_state("waiting", mark)["why"]
    network.thaw()
    node.wait_bodies(list(range(1, 11)))  # once, though the old connection had them as well


def test_what_cannot_be_resumed_is_told(served, node):
    hub, network = served
    who = hub.credential()
    node.make(url=network.url, key=who.secret, types=["pdfm"], lastEventId="deadbeef-1")
    assert node.wait(lambda r: "reload" in r, "the reason")["reload"] == "unknown"
    publish(hub, 1, 1)
    node.wait_bodies([1])
    last = node.run("return hub.lastEventId")
    node.run("hub.close()")
    publish(hub, 2, 3)
    mark = node.mark
    node.make(url=network.url, key=who.secret, types=["pdfm"], lastEventId=last)
    node.wait_state("open", mark)
    node.wait_bodies([1, 2, 3])
    node.run("hub.close()")
    publish(hub, 4, 4)
    hub.sql("DELETE FROM event")
    restart_wsd(hub)()
    mark = node.mark
    node.make(url=network.url, key=who.secret, types=["pdfm"], lastEventId=last)
    assert node.wait(lambda r: "reload" in r, "the reason", after=mark)["reload"] == "expired"


# ---- the end of a connection

def test_disconnected_by_the_operator(served, node):
    hub, network = served
    who = hub.credential()
    node.make(url=network.url, key=who.secret, types=["pdfm"], maxDelay=50)
    node.wait_state("open")
    hub.sql(f"DELETE FROM client WHERE user_id = '{who.user}'")
    stopped = node.wait(lambda r: "stopped" in r, "the error")
    assert (stopped["stopped"], stopped["status"]) == \
        ("ended by the server: disconnected by the operator", 1008)
    assert node.run("return hub.state") == "closed"


def test_revoked(served, node):
    hub, network = served
    who = hub.credential()
    node.make(url=network.url, key=who.secret, types=["pdfm"], maxDelay=50)
    node.wait_state("open")
    hub.sql(f"UPDATE credential SET revoked_at = datetime('now') WHERE user_id = '{who.user}'")
    assert node.wait(lambda r: "stopped" in r, "the error")["status"] in (401, 1008)


def test_no_sign_of_life_is_no_verdict(make_hub, node):
    """The server's 1008 for a client that slept does not end it for good."""
    hub = make_hub(ping_interval="100ms", pong_timeout="200ms")
    # a client that does not answer pings: its process stands still
    node.make(url=f"http://{hub.wsd.listen}{API}", key=hub.credential().secret, types=["pdfm"], ws=True, maxDelay=50)
    node.wait_state("open")
    mark = node.mark
    node.popen.send_signal(signal.SIGSTOP)
    hub.wait_sql("SELECT count(*) FROM client", 0)
    publish(hub, 1, 3)
    node.popen.send_signal(signal.SIGCONT)
    assert "no sign of life" in node.wait_state("waiting", mark)["why"]
    node.wait_bodies([1, 2, 3])


def test_stalled_and_resumed(make_hub, node):
    """A client that took nothing for too long is closed with 1013, and goes on
    behind the last frame that it did take."""
    hub = make_hub(stall_timeout="500ms")
    node.make(url=f"http://{hub.wsd.listen}{API}", key=hub.credential().secret, types=["pdfm"], ws=True, maxDelay=50)
    node.wait_state("open")
    node.popen.send_signal(signal.SIGSTOP)
    hub.sql(f"""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
        INSERT INTO event(event_type, message, body) SELECT 'pdfm', '{"x" * 20000}', i FROM n""")
    hub.wait_sql("SELECT count(*) FROM client", 0)
    node.popen.send_signal(signal.SIGCONT)
    node.wait_bodies(list(range(1, 1501)))
    assert not any("reload" in r or "stopped" in r for r in node.reports)
    assert sum(r.get("state") == "open" for r in node.reports) > 1


def test_waits_for_a_server_that_is_down(make_hub, node):
    hub = make_hub(front="lighttpd")
    start = restart_wsd(hub)
    node.make(url=url(hub.front), key=hub.credential().secret, types=["pdfm"], maxDelay=100)
    node.wait_state("waiting")
    node.wait_state("waiting", node.mark)
    start()
    node.wait_state("open")
    assert not any("stopped" in r for r in node.reports)


def test_pauses_grow_and_differ(node):
    """Doubling up to the most there may be, times a random number."""
    delays = node.run("""
        const delays = [], plain = setTimeout;
        const random = Math.random;
        Math.random = () => 1;
        globalThis.setTimeout = (f, ms, ...rest) => {
            if (f.name != "open") return plain(f, ms, ...rest);
            delays.push(ms);
            return plain(f, 0);
        };
        const c = connect({ url: "http://127.0.0.1:1/api/v1/ws", key: "x", WebSocket });
        c.onstate = () => delays.length >= 8 && c.state != "closed" && c.close();
        while (c.state != "closed") await new Promise((done) => plain(done, 5));
        globalThis.setTimeout = plain;
        Math.random = random;
        return delays""")
    assert delays[:8] == [1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]


def test_retry_after_is_respected(node):
    delay = node.run("""
        const plain = setTimeout, random = Math.random;
        Math.random = () => 0;
        let delay;
        globalThis.fetch = async () => new Response("{}", { status: 503, headers: { "Retry-After": "7" } });
        globalThis.setTimeout = (f, ms, ...rest) => f.name == "open" ? (delay = ms) : plain(f, ms, ...rest);
        const c = connect({ url: "http://127.0.0.1:1/api/v1/ws", key: "x" });
        while (c.state != "waiting") await new Promise((done) => plain(done, 5));
        globalThis.setTimeout = plain;
        Math.random = random;
        return delay""")
    assert delay == 7000


# ---- types at run time

def test_subscribe_and_unsubscribe(served, node):
    hub, network = served
    who = hub.credential()
    node.make(url=network.url, key=who.secret, types=["pdfm"], maxDelay=50)
    answer = node.run("""return await hub.subscribe("stats", ["health"])""")
    assert answer["subscribed"] == ["stats", "health"]
    assert types(node) == ["global", "health", "pdfm", "stats"]
    assert node.run("""return await hub.subscribe("stats")""") is None  # it is already
    publish(hub, 1, 1, "stats")
    node.wait_bodies([1])
    node.run("""await hub.unsubscribe("stats", "pdfm")""")
    assert types(node) == ["global", "health"]
    # the next connection has what this one had
    mark = node.mark
    network.cut()
    node.wait_state("open", mark)
    assert types(node) == ["global", "health"]
    publish(hub, 2, 2, "pdfm")
    publish(hub, 3, 3, "health")
    node.wait_bodies([1, 3])
    # while there is none, for the next
    start = restart_wsd(hub)
    node.wait_state("waiting", node.mark - 1)
    node.run("""await hub.subscribe("job_manager"); await hub.unsubscribe("health")""")
    start()
    node.wait(lambda r: r.get("state") == "open", "open", after=node.mark - 1)
    assert types(node) == ["global", "job_manager"]


def test_refused_changes(served, node):
    hub, network = served
    node.make(url=network.url, key=hub.credential(event_types="pdfm health").secret, types=["pdfm"])
    node.wait_state("open")
    for code, status in (('subscribe("nosuch")', 400), ('subscribe("stats")', 403), ('unsubscribe("global")', 400)):
        report = node.finish(node.begin(f"await hub.{code}"))
        assert report["status"] == status and report["faults"], report
        assert types(node) == ["global", "pdfm"]
    answer = node.run("""return await hub.subscribe("nosuch", "health")""")
    assert answer["subscribed"] == ["health"] and answer["stack"][0]["error"] == "unknown_event_type"
    assert types(node) == ["global", "health", "pdfm"]
    # and none of the refused is asked for again
    mark = node.mark
    network.cut()
    node.wait_state("open", mark)
    assert types(node) == ["global", "health", "pdfm"]


def test_nothing_after_an_unsubscribe(served, node):
    hub, network = served
    node.make(url=network.url, key=hub.credential().secret, types=["pdfm"], maxDelay=50)
    node.wait_state("open")
    insert = "INSERT INTO event(event_type, body) VALUES('pdfm', 1);" * 20
    code = """
        let late = 0, over = false;
        hub.on("pdfm", () => { if (over) late++; });
        await hub.unsubscribe("pdfm");
        over = true;
        await new Promise((done) => { hub.on("health", done); });
        return late"""
    for _ in range(5):
        node.run("""await hub.subscribe("pdfm")""")
        number = node.begin(code)
        while hub.value("SELECT count(*) FROM subscription WHERE event_type = 'pdfm'"):
            hub.sql(insert)
        hub.sql(insert)
        node.run("""await hub.subscribe("health")""")
        publish(hub, 9, 9, "health")
        assert node.finish(number)["value"] == 0
        node.run("""await hub.unsubscribe("health")""")


def test_the_operator_has_the_last_word(served, node):
    hub, network = served
    node.make(url=network.url, key=hub.credential().secret, types=["pdfm", "stats"], maxDelay=50)
    node.wait_state("open")
    client_id = node.run("return hub.clientId")
    hub.sql(f"DELETE FROM subscription WHERE client_id = '{client_id}' AND event_type = 'stats'")
    assert node.wait(lambda r: "types" in r, "the change")["types"] == ["global", "pdfm"]
    mark = node.mark
    network.cut()
    node.wait_state("open", mark)
    assert types(node) == ["global", "pdfm"]


def test_request_publishes(served, node):
    hub, network = served
    node.make(url=network.url, key=hub.credential().secret, types=["pdfm"])
    node.wait_state("open")
    answer = node.run("""return await hub.request("events", { event_type: "pdfm", message: "hi", body: [1] })""")
    assert node.wait(lambda r: "event" in r, "the event")["event"]["id"] == answer["id"]
    report = node.finish(node.begin("""await hub.request("events", { event_type: "nosuch" })"""))
    assert report["status"] == 400 and report["faults"][0]["path"] == "event_type"


# ---- what handlers may do

def test_handlers(served, node):
    hub, network = served
    node.make(url=network.url, key=hub.credential().secret, types=["pdfm"])
    node.wait_state("open")
    node.run("""
        globalThis.seen = [];
        const once = (e) => { seen.push("once"); hub.off("pdfm", once); };
        hub.on("pdfm", () => { throw new Error("mine"); });
        hub.on("pdfm", once);
        hub.on("pdfm", (e) => seen.push(e.body));""")
    publish(hub, 1, 3)
    node.wait_bodies([1, 2, 3])
    assert node.run("return seen") == ["once", 1, 2, 3]
    assert sum(r.get("uncaught") == "mine" for r in node.reports) == 3


@pytest.mark.parametrize("name", ["constructor", "tostring", "open"])
def test_names_that_mean_something_elsewhere(served, node, name):
    hub, network = served
    hub.event_type(name)
    who = hub.credential()

    def known():
        return hub.front.refusal(who, f"{API}/subscribe?event_types={name}", upgrade=False).json()["stack"][0]["error"] \
            == "not_a_websocket_upgrade"
    procs.wait_for(known, "the new type is unknown")
    node.make(url=network.url, key=who.secret, types=["pdfm", name])
    node.wait_state("open")
    publish(hub, 1, 1, name)
    publish(hub, 2, 2)
    node.wait_bodies([1, 2])


def test_a_spoofed_word_changes_nothing(served, node):
    """An event that looks like the server's own word is an event."""
    hub, network = served
    node.make(url=network.url, key=hub.credential().secret, types=["pdfm", "system"])
    node.wait_state("open")
    body = json.dumps({"event_types": ["pdfm"], "subscriptions": ["global"], "client_id": "x"})
    hub.publish("system", "unsubscribed", body)
    hub.publish("global", "pong", body)
    node.wait(lambda r: r.get("event", {}).get("message") == "pong", "the event")
    assert types(node) == ["global", "pdfm", "system"]


def test_explained(node):
    assert node.run("""return [explain(1006), explain(1012, "x"), explain(4000, "y")]""") == \
        ["the connection was lost", "the server restarts: x", "closed with 4000: y"]
