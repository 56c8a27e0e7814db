/* feed.js - the list of events, newest first.
 *
 * However fast they come, the page stays usable: events are kept in an array of
 * bounded length and put into the document a few times a second, and never more
 * than SHOWN of them.  While somebody reads (scrolled down, opened an event, or
 * pressed Pause) nothing moves; a button tells how many wait.
 *
 * What an event contains reaches the document as text and in no other way. */

const KEPT = 2000;
const KEPT_CHARACTERS = 16e6;
const SHOWN = 250;
const PREVIEW = 240;
const PAUSE = 80; /* ms between two changes of the list: nobody reads faster */

const byId = (id) => document.getElementById(id);
const two = (n, digits = 2) => String(n).padStart(digits, "0");

function clock(timestamp) {
	const t = new Date(timestamp);
	if (isNaN(t)) return String(timestamp);
	return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}.${two(t.getMilliseconds(), 3)}`;
}

/* Fills an element with JSON, its parts in spans to be coloured. */
function showJson(element, value) {
	const text = JSON.stringify(value, null, 2);
	if (text.length > 50000) {
		element.textContent = text;
		return;
	}
	const parts = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/g;
	let end = 0;
	for (const m of text.matchAll(parts)) {
		const span = document.createElement("span");
		span.className = m[2] ? "k" : m[1] ? "s" : "n";
		span.textContent = m[1] ?? m[0];
		element.append(text.slice(end, m.index), span, m[2] ?? "");
		end = m.index + m[0].length;
	}
	element.append(text.slice(end));
}

export class Feed {
	#items = []; /* { event, preview, size } or { note, kind, size }, oldest first */
	#size = 0;
	#pending = []; /* of these, what has not been looked at */
	#list = byId("events");
	#scroller = byId("feed");
	#held = byId("held");
	#words = [];
	#paused = false;
	#open = null; /* the row that is open */
	#scheduled = false;
	#flushed = 0;
	#colour;
	#onchange;

	/* colour(type): the number of its colour; onchange(shown, kept): after each
	 * time the list has changed. */
	constructor(colour, onchange) {
		this.#colour = colour;
		this.#onchange = onchange;
		this.#list.addEventListener("click", (e) => this.#click(e));
		this.#scroller.addEventListener("scroll", () => this.#schedule(), { passive: true });
		this.#held.addEventListener("click", () => this.release());
	}

	add(event) {
		const json = event.body === undefined ? "" : JSON.stringify(event.body);
		this.#push({ event, preview: json.slice(0, PREVIEW), size: json.length + event.message.length });
	}

	/* A line about the connection, among the events where it belongs. */
	note(text, kind = "") {
		this.#push({ note: text, kind, size: text.length });
	}

	filter(text) {
		this.#words = text.toLowerCase().split(/\s+/).filter(Boolean);
		this.#rebuild();
	}

	pause(yes) {
		this.#paused = yes;
		if (!yes) this.release();
	}

	clear() {
		this.#items = [];
		this.#size = 0;
		this.#rebuild();
	}

	/* Back to the newest, whatever held the list. */
	release() {
		this.#close();
		this.#scroller.scrollTop = 0;
		if (!this.#paused) this.#rebuild();
	}

	#push(item) {
		this.#items.push(item);
		this.#pending.push(item);
		this.#size += item.size;
		if (this.#items.length > KEPT * 1.5 || this.#size > KEPT_CHARACTERS) this.#forget();
		this.#schedule();
	}

	/* The oldest go, more than one at a time, for that costs less. */
	#forget() {
		let n = Math.max(0, this.#items.length - KEPT), size = this.#size;
		for (let i = 0; i < n; i++) size -= this.#items[i].size;
		while (size > KEPT_CHARACTERS * 0.75 && n < this.#items.length - 1) size -= this.#items[n++].size;
		this.#items.splice(0, n);
		this.#size = size;
		this.#pending.splice(0, this.#pending.length - this.#items.length);
	}

	#schedule() {
		if (this.#scheduled) return;
		this.#scheduled = true;
		const wait = this.#flushed + PAUSE - performance.now();
		setTimeout(() => requestAnimationFrame(() => {
			this.#scheduled = false;
			this.#flushed = performance.now();
			this.#flush();
		}), Math.max(0, wait));
	}

	get #reading() {
		return this.#paused || this.#open !== null || this.#scroller.scrollTop > 8;
	}

	#matches(item) {
		if (!this.#words.length || item.note !== undefined) return true;
		const { event } = item;
		item.text ??= `${event.event_type} ${event.message} ${JSON.stringify(event.body) ?? ""} ${event.id}`.toLowerCase();
		return this.#words.every((word) =>
			word.startsWith("type:") ? event.event_type.includes(word.slice(5)) : item.text.includes(word));
	}

	#flush() {
		if (this.#reading) {
			const n = this.#pending.filter((item) => this.#matches(item)).length;
			this.#held.hidden = n == 0;
			if (n) this.#held.textContent = `${this.#paused ? "Paused: " : ""}${n.toLocaleString()} new`;
			return;
		}
		const fresh = this.#pending.filter((item) => this.#matches(item)).slice(-SHOWN);
		this.#pending = [];
		this.#held.hidden = true;
		if (fresh.length) {
			const rows = document.createDocumentFragment();
			for (const item of fresh.reverse()) rows.append(this.#row(item));
			this.#list.prepend(rows);
			while (this.#list.childElementCount > SHOWN) this.#list.lastElementChild.remove();
		}
		this.#onchange(this.#list.childElementCount, this.#items.length);
	}

	#rebuild() {
		this.#close();
		this.#pending = [];
		this.#held.hidden = true;
		const rows = [];
		for (let i = this.#items.length; i-- > 0 && rows.length < SHOWN; )
			if (this.#matches(this.#items[i])) rows.push(this.#row(this.#items[i]));
		this.#list.replaceChildren(...rows);
		this.#onchange(rows.length, this.#items.length);
	}

	#row(item) {
		if (item.note !== undefined) {
			const li = document.createElement("li");
			li.className = "note " + item.kind;
			li.textContent = item.note;
			return li;
		}
		const { event } = item, row = byId("event-row").content.firstElementChild.cloneNode(true);
		const part = (name) => row.querySelector(name);
		row.event = event;
		part("time").textContent = clock(event.timestamp);
		part("time").dateTime = event.timestamp;
		part(".badge").dataset.color = this.#colour(event.event_type);
		part(".name").textContent = event.event_type;
		part(".message").textContent = event.message;
		part(".body").textContent = item.preview;
		return row;
	}

	#click(e) {
		const row = e.target.closest(".event");
		if (e.target.closest(".copy")) {
			const done = (text) => (e.target.textContent = text);
			/* browsers have a clipboard for https and localhost only */
			if (!navigator.clipboard) return done("Needs https");
			navigator.clipboard.writeText(JSON.stringify(row.event, null, 2)).then(() => done("Copied"), () => done("Not allowed"));
		} else if (e.target.closest(".head")) {
			const again = row == this.#open;
			this.#close();
			if (!again) this.#expand(row);
			this.#schedule();
		}
	}

	#expand(row) {
		const { event } = row, detail = byId("event-detail").content.firstElementChild.cloneNode(true);
		const facts = { id: event.id, timestamp: event.timestamp, type: event.event_type, message: event.message };
		if (event.client_id) facts["addressed to"] = "this connection";
		for (const [name, value] of Object.entries(facts)) {
			const dt = document.createElement("dt"), dd = document.createElement("dd");
			dt.textContent = name;
			dd.textContent = value;
			detail.querySelector("dl").append(dt, dd);
		}
		if (event.body === undefined) detail.querySelector("pre").remove();
		else showJson(detail.querySelector("pre"), event.body);
		row.append(detail);
		row.querySelector(".head").setAttribute("aria-expanded", "true");
		this.#open = row;
	}

	#close() {
		if (!this.#open) return;
		this.#open.querySelector(".detail")?.remove();
		this.#open.querySelector(".head").setAttribute("aria-expanded", "false");
		this.#open = null;
	}
}
