/* console.js - the live console: signing in, the connection, and what is around
 * the list of events.
 *
 * The key is kept in sessionStorage, which belongs to this tab and ends with it:
 * a reload must not sign out, and no other page or later visitor may find it.
 * Never in localStorage, a cookie or the address.  What reaches the WebSocket is
 * a ticket that works once; see evhub.js. */

import { connect } from "./evhub.js";
import { Chart } from "./chart.js";
import { Feed } from "./feed.js";
import { Clients, Publisher } from "./views.js";

const byId = (id) => document.getElementById(id);
const API = new URL(document.querySelector('meta[name="evhub-api"]').content, location.href).href;

const chart = new Chart(byId("chart"));
const feed = new Feed((type) => chart.colour(type), showCounts);

let hub = null, key = "", clients, publisher, rows = new Map(), lost = 0, gap = false, timers = [];

/* What this tab remembers. */
const remember = (name, value) =>
	value === undefined ? sessionStorage.removeItem("evhub." + name) : sessionStorage.setItem("evhub." + name, JSON.stringify(value));
const remembered = (name) => JSON.parse(sessionStorage.getItem("evhub." + name));

/* ---- saying what is going on */

function status(state, text) {
	byId("status").dataset.state = state;
	byId("status-text").textContent = text;
	byId("status").title = text;
}

function problem(text, action, act) {
	const p = byId("problem");
	p.hidden = !text;
	p.textContent = text ?? "";
	if (!action) return;
	const button = document.createElement("button");
	button.type = "button";
	button.textContent = action;
	button.addEventListener("click", () => {
		problem();
		act?.();
	});
	p.append(button);
}

const words = (e) => e.faults?.map((fault) => fault.description).join("; ") || e.message;
const sentence = (text) => text[0].toUpperCase() + text.slice(1).replace(/\.?$/, ".");
const failed = (e) => problem(sentence(words(e)), "Dismiss");

function showCounts(shown, kept) {
	byId("shown").textContent = kept ? `${shown.toLocaleString()} shown of ${kept.toLocaleString()} kept` : "";
	const filtering = byId("filter").value.trim() && kept;
	byId("empty").hidden = shown > 0;
	byId("empty-title").firstElementChild.textContent = filtering ? "Nothing matches the filter" : "Listening";
	byId("empty-text").textContent = filtering
		? "Events go on being received; take words away to see more."
		: "What is published to the types on the left appears here at once. Try it:";
	byId("empty-code").hidden = filtering;
}

/* ---- event types */

function showTypes(types) {
	const list = byId("types");
	for (const { name, description, mandatory } of types) {
		if (rows.has(name)) continue;
		const li = byId("type-row").content.firstElementChild.cloneNode(true), button = li.querySelector("button");
		li.querySelector(".name").textContent = name;
		li.querySelector(".swatch").dataset.color = chart.colour(name);
		li.querySelector(".what").textContent = description;
		li.querySelector(".what").title = description;
		button.disabled = mandatory;
		if (mandatory) button.title = "Every client gets this one";
		button.addEventListener("click", () => change([name], button.getAttribute("aria-checked") != "true"));
		rows.set(name, { button, mandatory, rate: li.querySelector(".rate") });
		list.append(li);
	}
	publisher.offer(types);
	showSwitches();
}

function showSwitches() {
	for (const [name, { button }] of rows) button.setAttribute("aria-checked", hub.types.includes(name));
}

async function change(types, add) {
	for (const type of types) rows.get(type).button.setAttribute("aria-busy", "true");
	try {
		await (add ? hub.subscribe(types) : hub.unsubscribe(types));
	} catch (e) {
		failed(e);
	}
	for (const type of types) rows.get(type)?.button.removeAttribute("aria-busy");
	if (hub) changed();
}

function changed() {
	showSwitches();
	remember("types", hub.types);
}

/* Types that somebody has added since. */
const refreshTypes = () => hub.request("event_types").then(showTypes);

/* ---- the connection */

function opened() {
	status("open", "Live");
	problem();
	const seconds = ((Date.now() - lost) / 1000).toFixed(1);
	/* a moment later, for onreload may follow */
	if (lost) queueMicrotask(() => gap || feed.note(`Connected again after ${seconds} s. Nothing was lost: what came meanwhile is above.`, "good"));
	lost = 0;
	gap = false;
	changed();
	clients.count().catch(failed);
}

function onstate(state, why) {
	if (state == "open") opened();
	if (state == "connecting") status(state, lost ? "Reconnecting…" : "Connecting…");
	if (state == "waiting") {
		if (!lost) {
			lost = Date.now();
			feed.note("Disconnected: " + why, "warn");
		}
		status(state, "Reconnecting: " + why);
		byId("latency").textContent = "";
	}
}

function onreload(reason) {
	gap = true;
	const why = reason == "expired" ? "some of it has expired" : "the hub does not know where we were";
	feed.note(`There is a gap here: ${why}. What other systems show may be out of date.`, "bad");
}

function onerror(e) {
	if (e.status == 401) return signOut("This key is no longer accepted: " + words(e));
	status("failed", "Disconnected");
	feed.note("Disconnected: " + words(e), "bad");
	problem(sentence(words(e)), "Connect again", () => begin(hub.types));
}

function begin(types) {
	const last = hub?.lastEventId ?? remembered("last");
	hub?.close();
	lost = 0;
	hub = connect({ url: API, key, types, lastEventId: last ?? undefined });
	Object.assign(hub, { onstate, onreload, onerror, ontypes: changed });
	hub.onpong = (ms) => (byId("latency").textContent = ms < 10 ? ms.toFixed(1) + " ms" : Math.round(ms) + " ms");
	hub.on("*", (event) => {
		chart.add(event.event_type);
		feed.add(event);
	});
	clients = new Clients(hub, failed);
	publisher = new Publisher(hub);
	status("connecting", "Connecting…");
}

function everySecond() {
	chart.tick();
	byId("rate").textContent = chart.rate().toLocaleString();
	for (const [name, { rate }] of rows) {
		const n = chart.rate(name);
		rate.textContent = n ? n.toLocaleString() + "/s" : "";
	}
	if (hub.lastEventId) remember("last", hub.lastEventId);
}

function poll() {
	if (document.hidden || hub.state != "open") return;
	if (!byId("clients-view").hidden) clients.refresh().catch(failed);
}

/* ---- signing in and out */

/* The key's types, or an error in words that help. */
async function ask(secret) {
	const answer = await fetch(API + "/event_types", { headers: { "X-Api-Key": secret } }).catch(() => {
		throw new Error("The web server does not answer.");
	});
	const body = await answer.json().catch(() => ({}));
	if (answer.ok) return body;
	if (answer.status == 401) throw new Error("This key is not accepted. It may be mistyped, revoked or expired.");
	if (answer.status == 404) throw new Error(`There is no evhub at ${new URL(API).pathname}: see base_path in evhub.conf.`);
	throw new Error(body.message ? `The hub is not ready: ${body.message}` : `The web server answered ${answer.status}.`);
}

async function signIn(secret) {
	const types = await ask(secret);
	key = secret;
	remember("key", key);
	byId("sign-in").hidden = true;
	byId("app").hidden = byId("sign-out").hidden = false;
	byId("key").value = "";
	rows = new Map();
	byId("types").replaceChildren();
	begin(remembered("types") ?? types.map((type) => type.name));
	showTypes(types);
	feed.filter("");
	chart.draw();
	timers = [setInterval(everySecond, 1000), setInterval(poll, 2000), setInterval(() => refreshTypes().catch(() => {}), 30000)];
}

function signOut(why) {
	timers.forEach(clearInterval);
	hub?.close();
	hub = null;
	key = "";
	for (const name of ["key", "types", "last"]) remember(name);
	feed.clear();
	chart.clear();
	problem();
	byId("client-count").textContent = byId("latency").textContent = "";
	byId("sign-in").hidden = false;
	byId("app").hidden = byId("sign-out").hidden = true;
	status("closed", "Signed out");
	refuse(why);
}

function refuse(why) {
	byId("sign-in-error").hidden = !why;
	byId("sign-in-error").textContent = why ?? "";
	byId("key").setAttribute("aria-invalid", Boolean(why));
	byId("key").focus();
}

byId("sign-in-form").addEventListener("submit", async (e) => {
	e.preventDefault();
	const button = byId("sign-in-button");
	button.disabled = true;
	button.textContent = "Signing in…";
	byId("sign-in-error").hidden = true;
	try {
		await signIn(byId("key").value.trim());
	} catch (e) {
		refuse(e.message);
	}
	button.disabled = false;
	button.textContent = "Sign in";
});

byId("show-key").addEventListener("click", (e) => {
	const shown = byId("key").type == "text";
	byId("key").type = shown ? "password" : "text";
	e.target.textContent = shown ? "Show" : "Hide";
	e.target.setAttribute("aria-pressed", !shown);
});

byId("sign-out").addEventListener("click", () => signOut());

/* ---- the tools above the list */

function pause(yes) {
	byId("pause").setAttribute("aria-pressed", yes);
	byId("pause").textContent = yes ? "Resume" : "Pause";
	feed.pause(yes);
}

byId("pause").addEventListener("click", () => pause(byId("pause").getAttribute("aria-pressed") != "true"));
byId("held").addEventListener("click", () => pause(false));
byId("filter").addEventListener("input", (e) => feed.filter(e.target.value));
byId("clear").addEventListener("click", () => feed.clear());
byId("all-types").addEventListener("click", () => change([...rows.keys()], true));
byId("no-types").addEventListener("click", () => change([...rows].filter(([, row]) => !row.mandatory).map(([name]) => name), false));
byId("publish-form").addEventListener("input", () => publisher.showSql());
byId("publish-form").addEventListener("submit", (e) => {
	e.preventDefault();
	publisher.submit();
});

addEventListener("keydown", (e) => {
	if (e.ctrlKey || e.metaKey || e.altKey || !hub || e.target.matches("input, textarea, select")) return;
	if (e.key == "/") byId("filter").focus();
	else if (e.key == "p") pause(byId("pause").getAttribute("aria-pressed") != "true");
	else return;
	e.preventDefault();
});

/* ---- tabs: one is in the order of Tab, the arrows move between them */

const tabs = [...document.querySelectorAll('[role="tab"]')];

function choose(tab) {
	for (const other of tabs) {
		const chosen = other == tab;
		other.setAttribute("aria-selected", chosen);
		other.tabIndex = chosen ? 0 : -1;
		byId(other.getAttribute("aria-controls")).hidden = !chosen;
	}
	chart.draw();
	if (hub) poll();
}

for (const [i, tab] of tabs.entries()) {
	tab.addEventListener("click", () => choose(tab));
	tab.addEventListener("keydown", (e) => {
		const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
		if (!step) return;
		const next = tabs[(i + step + tabs.length) % tabs.length];
		choose(next);
		next.focus();
	});
}

/* ---- light and dark */

const THEMES = ["auto", "light", "dark"];

function theme(name) {
	if (name == "auto") delete document.documentElement.dataset.theme;
	else document.documentElement.dataset.theme = name;
	byId("theme-name").textContent = name;
	localStorage.setItem("evhub.theme", name);
	chart.draw();
}

byId("theme").addEventListener("click", () => theme(THEMES[(THEMES.indexOf(byId("theme-name").textContent) + 1) % THEMES.length]));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.draw());
theme(THEMES.includes(localStorage.getItem("evhub.theme")) ? localStorage.getItem("evhub.theme") : "auto");

/* ---- a tab that was signed in before it was loaded anew */

/* A page that is put aside, to be shown again perhaps, holds no connection. */
addEventListener("pagehide", () => {
	if (hub?.lastEventId) remember("last", hub.lastEventId);
	hub?.close();
});
addEventListener("pageshow", (e) => e.persisted && hub && begin(hub.types));
if (remembered("key")) signIn(remembered("key")).catch((e) => refuse(e.message));
else byId("key").focus();
