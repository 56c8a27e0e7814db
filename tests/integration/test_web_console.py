"""The live console in Chromium, behind lighttpd.  pytest -m web."""

import json
import os
import subprocess

import pytest

import clients
from browser import Browser
from fronts import NAMES

pytestmark = pytest.mark.web

FILES = {"": "text/html", "console.css": "text/css", "console.js": "text/javascript", "evhub.js": "text/javascript",
         "feed.js": "text/javascript", "chart.js": "text/javascript", "views.js": "text/javascript",
         "icon.svg": "image/svg+xml", "evhub.d.ts": "text/plain"}


@pytest.fixture
def hub(make_hub):
    return make_hub(front="lighttpd")


@pytest.fixture(scope="module")
def browser():
    b = Browser()
    yield b
    b.close()


@pytest.fixture
def console(hub, browser):
    c = browser.fresh_tab().visit(hub)
    c.size(1280, 800)
    yield c
    # what a page may never do, whatever the test was about
    bad = [line for line in c.log() if "Content Security Policy" in line or "Uncaught" in line]
    assert not bad


def admin(hub):
    return hub.credential("operator", scopes="subscribe publish admin")


# ---- how it is served

@pytest.mark.parametrize("name", [n for n in NAMES if n != "direct"])
def test_served(request, name):
    front = request.getfixturevalue("front_" + name.replace("-", "_"))
    for path, kind in FILES.items():
        response = front.request("GET", "/evhub/" + path)
        assert response.status == 200, (path, response)
        assert response.headers["content-type"].lower() in (kind, kind + "; charset=utf-8", kind + ";charset=utf-8")
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert response.headers["x-content-type-options"] == "nosniff"
    assert front.request("GET", "/evhub").status in (301, 302, 308)
    for path in ("/evhub/../evhub.db", "/evhub/%2e%2e/evhub.db", "/evhub../evhub.db", "/evhub/local.mk", "/evhubx"):
        assert front.request("GET", path).status in (400, 403, 404), path


# ---- a session

def test_a_session(hub, console):
    c = console
    c.enter(admin(hub))
    assert c.shown("#empty") and c.subscribed("pdfm")
    hub.publish("pdfm", "VM_STATE_CHANGED", '{"vm_id": "4711", "tags": [1, true, null]}')
    hub.publish("stats", "HOST_STATS")
    c.wait_messages(["HOST_STATS", "VM_STATE_CHANGED"])
    assert not c.shown("#empty")
    assert c.texts(".event .body") == ["", '{"vm_id":"4711","tags":[1,true,null]}']

    # one event, opened: nothing moves while it is read
    c.click(".event:nth-child(2) .head")
    assert c.find(".event:nth-child(2) .head").get_attribute("aria-expanded") == "true"
    assert json.loads(c.text(".detail pre")) == {"vm_id": "4711", "tags": [1, True, None]}
    assert c.texts(".detail .k") == ['"vm_id"', '"tags"']
    hub.publish("health", "meanwhile")
    c.wait_text("#held", "1 new")
    assert c.messages() == ["HOST_STATS", "VM_STATE_CHANGED"]
    c.click("#held")
    c.wait_messages(["meanwhile", "HOST_STATS", "VM_STATE_CHANGED"])
    assert not c.shown(".detail")

    # a filter, and the words of an empty list
    c.type("#filter", "type:pdfm 4711")
    c.wait_messages(["VM_STATE_CHANGED"])
    c.type("#filter", "nosuch")
    c.wait_text("#empty-title", "Nothing matches the filter")
    c.find("#filter").send_keys(*["\b"] * 6)
    c.wait(lambda: len(c.messages()) == 3, "the filter is not taken away")

    # pause
    c.click("#pause")
    for i in range(3):
        hub.publish("pdfm", f"paused {i}")
    c.wait_text("#held", "Paused: 3 new")
    assert len(c.messages()) == 3
    c.click("#pause")
    c.wait(lambda: c.messages()[:3] == ["paused 2", "paused 1", "paused 0"], "they do not come")

    # types, with a click
    client_id = hub.value("SELECT id FROM client")
    has_pdfm = f"SELECT count(*) FROM subscription WHERE client_id = '{client_id}' AND event_type = 'pdfm'"
    c.switch("pdfm").click()
    c.wait(lambda: not c.subscribed("pdfm"), "still on")
    assert hub.value(has_pdfm) == 0
    hub.publish("pdfm", "not for us")
    hub.publish("health", "for us")
    c.wait(lambda: c.messages()[0] == "for us", "does not come")
    assert "not for us" not in c.messages()
    c.switch("pdfm").click()
    c.wait(lambda: c.subscribed("pdfm"), "still off")
    assert hub.value(has_pdfm) == 1 and hub.value("SELECT count(*) FROM client") == 1
    # by somebody else: the switch follows
    hub.sql(f"DELETE FROM subscription WHERE client_id = '{client_id}' AND event_type = 'stats'")
    c.wait(lambda: not c.subscribed("stats"), "still on")
    assert not c.switch("global").is_enabled()

    # nothing came from elsewhere, and nothing that is secret is in an address
    urls = c.js("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert urls and all(url.startswith(f"http://{hub.front.ws_address}/") for url in urls)
    c.click("#clear")
    assert c.messages() == [] and c.shown("#empty")


def test_publish(hub, console):
    c = console
    c.enter(hub.credential())
    c.tab("publish")
    c.type("#publish-message", "by hand")
    c.type("#publish-body", '{"it\'s": 1}')
    sql = c.text("#publish-sql")
    c.click("#publish-form .primary")
    c.wait_text("#publish-result", "Published and committed as")
    c.tab("events")
    c.wait_messages(["by hand"])
    hub.sql(sql)  # what it says does the same
    c.wait_messages(["by hand", "by hand"])
    assert hub.sql("SELECT DISTINCT event_type, message, body FROM event") == \
        [{"event_type": "pdfm", "message": "by hand", "body": '{"it\'s": 1}'}] or \
        hub.value("SELECT count(*) FROM event WHERE json(body) = json('{\"it''s\":1}')") == 2
    c.tab("publish")
    c.type("#publish-body", "{")
    c.click("#publish-form .primary")
    c.wait_text("#publish-result", "The body is not JSON")
    assert c.find("#publish-body").get_attribute("aria-invalid") == "true"
    c.type("#publish-body", "1")
    c.click("summary")
    c.type("#publish-client", "nonsense")
    c.click("#publish-form .primary")
    c.wait_text("#publish-result", "client_id:")


def test_publish_without_the_scope(hub, console):
    console.enter(hub.credential(scopes="subscribe"))
    console.tab("publish")
    console.click("#publish-form .primary")
    console.wait_text("#publish-result", "scope publish")


def test_clients(hub, console):
    c = console
    other = hub.credential("bob")
    ws = hub.front.subscribe(other, "pdfm,stats")
    c.enter(admin(hub))
    c.tab("clients")
    c.wait(lambda: len(c.all("#clients tr")) == 2, "not both")
    assert c.text("#client-count") == "2"
    rows = {text.split()[0]: text for text in c.texts("#clients td:nth-child(2)")}
    assert set(rows) == {"bob", "operator"}
    assert c.texts("#clients .number") == ["0", "0"]
    assert c.texts("#stats dt") == ["Clients", "Subscriptions", "Messages sent", "Uptime"]
    assert c.text("#stats dd") == "2"
    # one that does not read: what waits for it shows
    slow = hub.front.subscribe(other, "job_manager", options={"max_queue": 4, "read_limit": 1024})
    hub.sql(f"""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
        INSERT INTO event(event_type, message) SELECT 'job_manager', '{"x" * 4000}' FROM n""")
    c.wait(lambda: c.texts("#clients .lagging"), "the queue does not show")
    slow.cut()
    # taking a type from another client
    c.find(f"button[aria-label='Unsubscribe client {ws.client_id[-12:]} from stats']").click()
    assert ws.expect("system", "unsubscribed")["body"]["event_types"] == ["stats"]
    ws.cut()


def test_clients_of_ones_own(hub, console):
    ws = hub.front.subscribe(hub.credential("bob"))
    console.enter(hub.credential("alice"))
    console.tab("clients")
    console.wait_text("#clients-note", "Your own connections")
    assert console.texts("#clients td:nth-child(2)") == ["alice"] and not console.shown("#stats")
    ws.close()


# ---- signing in

def test_wrong_key(hub, console):
    c = console
    c.sign_in("this key is not one")
    c.wait_text("#sign-in-error", "This key is not accepted")
    assert c.shown("#sign-in-error") and c.find("#key").get_attribute("aria-invalid") == "true"
    assert not c.shown("#app")
    assert c.js("return document.activeElement.id") == "key"
    assert c.js("return sessionStorage.length") == 0
    who = hub.credential()
    c.type("#key", who.secret)
    c.click("#sign-in-button")
    c.wait_status("Live")


def test_key_is_shown_on_request_only(hub, console):
    console.open(console.url)
    console.type("#key", "a secret of sixteen")
    assert console.find("#key").get_attribute("type") == "password"
    console.click("#show-key")
    assert console.find("#key").get_attribute("type") == "text"
    console.click("#show-key")
    assert console.find("#key").get_attribute("type") == "password"


def test_daemon_down_at_sign_in(hub, console):
    who = hub.credential()
    port = hub.wsd.port
    hub.wsd.kill()
    console.sign_in(who.secret)
    console.wait_status("Reconnecting")
    hub.start_wsd(overrides=[f'listen={{"127.0.0.1:{port}"}}'])
    console.wait_status("Live")


def test_reload_and_sign_out(hub, console):
    """A reload goes on where the page was; signing out leaves nothing."""
    c = console
    who = hub.credential()
    c.enter(who)
    hub.publish("pdfm", "before")
    c.wait_messages(["before"])
    c.switch("stats").click()
    c.wait(lambda: not c.subscribed("stats"), "still on")
    c.open("about:blank")
    hub.wait_sql("SELECT count(*) FROM client", 0)
    hub.publish("pdfm", "while away")
    hub.publish("stats", "not chosen")
    c.open(c.url)
    c.wait_status("Live")
    c.wait_messages(["while away"])
    assert not c.subscribed("stats")
    assert who.secret not in c.js("return JSON.stringify(localStorage) + document.cookie + location.href")
    c.click("#sign-out")
    assert c.shown("#sign-in") and not c.shown("#app")
    assert c.js("return sessionStorage.length") == 0
    hub.wait_sql("SELECT count(*) FROM client", 0)
    c.open(c.url)
    assert c.shown("#sign-in")


# ---- cuts

@pytest.mark.parametrize("how", ["stop", "kill"])
def test_cut_and_resumed(hub, console, how):
    c = console
    c.enter(hub.credential())
    hub.publish("pdfm", "before")
    c.wait_messages(["before"])
    port = hub.wsd.port
    getattr(hub.wsd, how)()
    c.wait_status("Reconnecting")
    for i in range(5):
        hub.publish("pdfm", f"missed {i}")
    hub.start_wsd(overrides=[f'listen={{"127.0.0.1:{port}"}}'])
    c.wait_status("Live")
    hub.publish("pdfm", "after")
    c.wait_messages(["after", *(f"missed {i}" for i in (4, 3, 2, 1, 0)), "before"])
    notes = c.texts(".note")
    assert len(notes) == 2 and "Connected again" in notes[0] and "Disconnected" in notes[1]


def test_a_gap_is_told(hub, console):
    c = console
    c.enter(hub.credential())
    hub.publish("pdfm", "before")
    c.wait_messages(["before"])
    port = hub.wsd.port
    hub.wsd.kill()
    hub.publish("pdfm", "lost")
    hub.sql("DELETE FROM event")
    hub.start_wsd(overrides=[f'listen={{"127.0.0.1:{port}"}}'])
    c.wait(lambda: c.texts(".note.bad"), "no word of the gap")
    assert "There is a gap here: some of it has expired" in c.texts(".note.bad")[0]
    assert not any("Nothing was lost" in note for note in c.texts(".note"))


def test_thrown_out(hub, console):
    c = console
    who = hub.credential()
    c.enter(who)
    hub.sql("DELETE FROM client")
    c.wait_text("#problem", "disconnected by the operator")
    c.wait_status("Disconnected")
    hub.publish("pdfm", "while out")
    c.click("#problem button")
    c.wait_status("Live")
    c.wait_messages(["while out"])
    hub.sql(f"UPDATE credential SET revoked_at = datetime('now') WHERE user_id = '{who.user}'")
    c.wait(lambda: c.shown("#sign-in") or c.shown("#problem"), "no word")


# ---- what events may contain

def test_content_is_text(hub, console):
    c = console
    c.enter(hub.credential())
    evil = ['<img src=x onerror="window.hacked=1">', "<script>window.hacked=1</script>", "</pre><svg onload=window.hacked=1>",
            "javascript:window.hacked=1", "{{constructor.constructor('window.hacked=1')()}}", "‮ \U0001f4a5 \t\n"]
    for text in evil:
        hub.publish("pdfm", text, json.dumps({text: [text]}))
    hub.sql("""INSERT INTO event_type(name, description) VALUES('evil', '<b onclick="window.hacked=1">x</b>')""")
    c.wait_messages(evil[::-1])
    for i in range(len(evil)):
        c.click(f".event:nth-child({i + 1}) .head")
        assert json.loads(c.text(".detail pre")) == {evil[-1 - i]: [evil[-1 - i]]}
        c.click(f".event:nth-child({i + 1}) .head")
    c.tab("publish")
    c.type("#publish-message", evil[0])
    c.open(c.url)
    c.wait_status("Live")
    c.wait(lambda: "evil" in c.texts(".type .name"), "no new type")
    assert c.js("return document.querySelectorAll('.events img, .events script, .events svg, .types b').length") == 0
    assert c.js("return window.hacked") is None


def test_the_policy_is_in_force(hub, console):
    """Were there a hole, nothing inline and nothing from elsewhere would run."""
    c = console
    c.open(c.url)
    c.js("""const s = document.createElement("script"); s.textContent = "window.hacked = 1"; document.body.append(s);
        const i = document.createElement("img"); i.src = "http://127.0.0.2:1/x.png"; document.body.append(i);""")
    assert c.js("return window.hacked") is None
    c.wait(lambda: sum("Content Security Policy" in line for line in c.log()) >= 2, "no violation was reported")
    c.lines = [line for line in c.lines if "Content Security Policy" not in line]
    assert c.js("return document.querySelectorAll('[style], [onclick], style, script:not([src])').length") == 1  # ours


# ---- many events

def test_a_flood_does_not_freeze_it(hub, console, figure):
    c = console
    c.enter(hub.credential())
    c.js("""window.longest = 0; let last = performance.now();
        const look = (now) => { window.longest = Math.max(window.longest, now - last); last = now; requestAnimationFrame(look); };
        requestAnimationFrame(look);""")
    script = os.path.join(os.path.dirname(__file__), "publisher.py")
    publisher = subprocess.run(["/usr/bin/python3", script, hub.database, "1000", "4", "1", "pdfm", "stats", "health"],
                                     capture_output=True, text=True, timeout=60, check=True)
    count = int(publisher.stdout)
    c.wait(lambda: c.texts(".event .body")[:1] == [str(count)], "the last one does not come")
    bodies = [int(text) for text in c.texts(".event .body")]
    assert bodies == list(range(count, count - len(bodies), -1)) and len(bodies) == 250
    longest = c.js("return window.longest")
    figure(f"console: {count} events at 1000/s, longest time between two frames {longest:.0f} ms")
    assert longest < 3000  # a bound for a machine that has other work as well
    assert c.js("return document.querySelectorAll('*').length") < 4000
    c.wait(lambda: int(c.text("#rate").replace(",", "")) >= 0, "no rate")
    # and it can still be worked with
    c.type("#filter", "type:stats")
    c.wait(lambda: set(c.texts(".event .name")) == {"stats"}, "the filter does nothing")


# ---- for everybody

NAMES_OF_CONTROLS = """
    const shown = (e) => e.checkVisibility() && !e.closest("[hidden]");
    const name = (e) => e.getAttribute("aria-label") || (e.labels && [...e.labels].map((l) => l.textContent).join(" ")) || e.textContent;
    return [...document.querySelectorAll("button, input, select, textarea, a[href], [tabindex='0']")]
        .filter((e) => shown(e) && !name(e).trim()).map((e) => e.outerHTML.slice(0, 120));"""

CONTRAST = """
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (css) => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = css; canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
    const ground = (e) => {
        if (!e) return [255, 255, 255, 1];
        const c = rgba(getComputedStyle(e).backgroundColor);
        return c[3] == 1 ? c : over(c, ground(e.parentElement));
    };
    const light = (c) => {
        const [r, g, b] = c.slice(0, 3).map((x) => { x /= 255; return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const bad = [];
    for (const e of document.querySelectorAll("body *")) {
        const own = [...e.childNodes].some((n) => n.nodeType == 3 && n.textContent.trim()) || e.matches("input, select, textarea");
        if (!own || !e.checkVisibility() || e.closest("[hidden], template, noscript, .visually-hidden, .skip, :disabled")) continue;
        const back = ground(e), front = over(rgba(getComputedStyle(e).color), back);
        const [a, b] = [light(back), light(front)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) bad.push([ratio.toFixed(2), e.tagName, e.className, e.textContent.slice(0, 40)]);
    }
    return bad;"""

STRUCTURE = """
    const bad = [], ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
    if (!document.documentElement.lang) bad.push("no lang");
    if (!document.title) bad.push("no title");
    if (document.querySelectorAll("h1").length != 1) bad.push("not one h1");
    if ([...document.querySelectorAll("main")].filter((e) => e.checkVisibility()).length != 1) bad.push("not one main");
    for (const id of ids.filter((id, i) => ids.indexOf(id) != i)) bad.push("twice: " + id);
    for (const attribute of ["aria-controls", "aria-labelledby", "aria-describedby", "for"])
        for (const e of document.querySelectorAll(`[${attribute}]`))
            for (const id of e.getAttribute(attribute).split(" ")) if (!document.getElementById(id)) bad.push(attribute + ": " + id);
    for (const e of document.querySelectorAll("img:not([alt]), th:not([scope])")) bad.push(e.outerHTML);
    if (/user-scalable|maximum-scale/.test(document.querySelector("meta[name=viewport]").content)) bad.push("cannot be zoomed");
    return bad;"""


def check_page(c):
    assert c.js(NAMES_OF_CONTROLS) == []
    assert c.js(STRUCTURE) == []
    for scheme in ("light", "dark"):
        c.prefers(color_scheme=scheme, reduced_motion="reduce")
        assert c.js(CONTRAST) == [], scheme


def test_accessible(hub, console):
    c = console
    c.open(c.url)
    check_page(c)
    c.sign_in("this key is not one")
    c.wait_text("#sign-in-error", "not accepted")
    check_page(c)
    c.type("#key", admin(hub).secret)
    c.click("#sign-in-button")
    c.wait_status("Live")
    check_page(c)
    for name in ("pdfm", "stats", "health"):
        hub.publish(name, "text", '{"a": [1, "two", null]}')
    c.wait(lambda: len(c.messages()) == 3, "no events")
    c.click(".event .head")
    check_page(c)
    c.click(".event .head")
    c.click("#pause")
    hub.publish("pdfm", "held")
    c.wait_text("#held", "1 new")
    check_page(c)
    c.click("#pause")
    for name in ("clients", "publish"):
        c.tab(name)
        if name == "clients":
            c.wait(lambda: c.all("#clients tr"), "no clients")
        check_page(c)
    c.tab("events")
    port = hub.wsd.port
    hub.wsd.kill()
    c.wait_status("Reconnecting")
    check_page(c)
    hub.start_wsd(overrides=[f'listen={{"127.0.0.1:{port}"}}'])
    c.wait_status("Live")
    hub.sql("DELETE FROM client")
    c.wait_text("#problem", "operator")
    check_page(c)
    # only what is short and matters is read out by itself
    assert c.js("""return [...document.querySelectorAll("[role=status], [role=alert], [aria-live]")].map((e) => e.id).sort()""") == \
        ["problem", "publish-result", "sign-in-error", "status"]


def test_by_keyboard(hub, console):
    c = console
    key, active = "return document.activeElement", "return document.activeElement.id"
    c.open(c.url)
    c.js(key).send_keys(hub.credential().secret, "\n")
    c.wait_status("Live")
    hub.publish("pdfm", "one")
    c.wait_messages(["one"])
    c.find("body").send_keys("/")
    assert c.js(active) == "filter"
    c.js(key).send_keys("p")  # typed, not obeyed
    assert c.find("#pause").get_attribute("aria-pressed") == "false"
    c.js(key).send_keys("\b", "\t", " ")
    assert c.find("#pause").get_attribute("aria-pressed") == "true"
    assert c.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    c.js(key).send_keys("p")
    assert c.find("#pause").get_attribute("aria-pressed") == "false"
    c.find("#tab-events").send_keys("\ue014")  # right
    assert c.js(active) == "tab-clients" and c.shown("#clients-view") and not c.shown("#events-view")
    c.js(key).send_keys("\ue012")  # left
    c.find(".event .head").send_keys("\n")
    assert c.shown(".detail")
    c.switch("pdfm").send_keys(" ")
    c.wait(lambda: not c.subscribed("pdfm"), "still on")


def test_on_a_phone(hub, console):
    c = console
    c.size(360, 740, 2, True)
    c.open(c.url)
    overflow = "return document.documentElement.scrollWidth - innerWidth"
    assert c.js(overflow) <= 0
    c.enter(admin(hub))
    hub.publish("pdfm", "M" * 200, json.dumps({"long": "x" * 2000}))
    c.wait(lambda: len(c.messages()) == 1, "no event")
    c.click(".event .head")
    for name in ("events", "clients", "publish"):
        c.tab(name)
        assert c.js(overflow) <= 0, name
        low = c.js("""return [...document.querySelectorAll("button, input, select")].filter((e) => e.checkVisibility()
            && !e.closest(".chip, .side-head") && e.getBoundingClientRect().height < 28).map((e) => e.outerHTML.slice(0, 90))""")
        assert low == [], name
    c.tab("events")
    assert c.js("return document.getElementById('feed').getBoundingClientRect().bottom <= innerHeight")
    check_page(c)


def test_themes(hub, console):
    c = console
    c.open(c.url)
    ground = "return getComputedStyle(document.body).backgroundColor"
    c.prefers(color_scheme="light")
    light = c.js(ground)
    c.prefers(color_scheme="dark")
    dark = c.js(ground)
    assert light != dark
    for expected in (light, dark, dark):  # light, dark, and what the system prefers
        c.click("#theme")
        assert c.js(ground) == expected
    c.prefers(color_scheme="light")
    assert c.js(ground) == light


def test_another_base_path(make_hub):
    """The one line of the page that an operator may have to change."""
    hub = make_hub(front="lighttpd")
    page = hub.front.request("GET", "/evhub/").body.decode()
    assert f'<meta name="evhub-api" content="{clients.API}">' in page
