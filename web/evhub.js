/* The events of an evhub, in browsers and Node; evhub.d.ts explains all.
 *
 *   import { connect } from "/evhub/evhub.js";
 *   const hub = connect({ types: ["pdfm"], ticket: "/my/ticket" });
 *   hub.on("pdfm", (event) => console.log(event.message, event.body)); */

const CODES = {
	1006: "the connection was lost",
	1008: "ended by the server",
	1012: "the server restarts",
	1013: "the server is busy",
};

export const explain = (code, reason) => (CODES[code] ?? "closed with " + code) + (reason ? ": " + reason : "");

export function connect(options) {
	const { key, token, ticket, heartbeat = 15e3, maxDelay = 30e3 } = options;
	const Socket = options.WebSocket ?? WebSocket;
	const base = new URL((options.url ?? "/api/v1/ws") + "/", globalThis.location?.href);
	const handlers = { __proto__: null };
	let attempt, socket, timer, heard, sent, news, wake, tries = 0, queue = Promise.resolve();

	const hub = {
		types: options.types ?? [],
		lastEventId: options.lastEventId,
		on: (type, handler) => (handlers[type] ??= new Set()).add(handler),
		off: (type, handler) => handlers[type]?.delete(handler),
		subscribe: (...types) => change(types, true),
		unsubscribe: (...types) => change(types, false),
		request,
		close(why = "closed") {
			drop();
			enter("closed", why);
		},
	};

	function tell() {
		wake?.();
		news = new Promise((resolve) => (wake = resolve));
	}

	function enter(state, why) {
		hub.state = state;
		tell();
		hub.onstate?.(state, why);
	}

	const credentials = async () =>
		key ? { "X-Api-Key": key } : token && { Authorization: "Bearer " + (token.call ? await token() : token) };

	async function request(path, body) {
		const answer = await fetch(new URL(path, base), {
			method: body && "POST",
			headers: { "Content-Type": "application/json", ...(path != ticket && (await credentials())) },
			body: JSON.stringify(body),
			signal: AbortSignal.timeout(15e3),
		});
		const { status, headers, ok } = answer;
		const json = await answer.json().catch(() => ({}));
		if (ok) return json;
		const more = { status, faults: json.stack, wait: headers.get("Retry-After") ?? 0 };
		throw Object.assign(new Error(json.message ?? path + ": " + status), more);
	}

	const change = (types, add) => (queue = queue.catch(() => {}).then(() => apply(types.flat(), add)));

	async function apply(types, add) {
		const differ = (type) => hub.types.includes(type) != add;
		while (hub.state == "connecting") await news;
		types = types.filter(differ);
		if (!types.length) return;
		const mine = attempt, live = hub.state == "open";
		if (live && (key || token)) {
			const body = { client_id: hub.clientId, event_types: types };
			const answer = await request(add ? "subscriptions" : "unsubscribe", body);
			types = answer[add ? "subscribed" : "unsubscribed"];
			/* the WebSocket's own word is the fence */
			while (mine == attempt && types.some(differ)) await news;
			return mine == attempt ? answer : apply(types, add);
		}
		hub.types = add ? hub.types.concat(types) : hub.types.filter((type) => !types.includes(type));
		if (live) open(); /* without a credential: resume with other types */
		while (hub.state == "connecting") await news;
	}

	/* Where to subscribe, and headers where they can be sent. */
	async function target() {
		const query = new URLSearchParams({ event_types: hub.types });
		if (hub.lastEventId) query.set("last_event_id", hub.lastEventId);
		const headers = options.WebSocket && !ticket && (await credentials());
		if (!headers) {
			const got = await (ticket?.call ? ticket() : request(ticket ?? "ticket", {}));
			query.set("ticket", got.ticket ?? got);
		}
		return ["subscribe?" + query, headers];
	}

	async function open() {
		drop();
		const mine = (attempt = {});
		const ours = (f) => (x) => mine == attempt && f(x); /* not if stale */
		timer = setTimeout(retry, 20e3, "no answer");
		enter("connecting");
		try {
			const [path, headers] = await target();
			if (mine != attempt) return;
			socket = new Socket((base + path).replace("http", "ws"), [], { headers });
			socket.onmessage = ours(({ data }) => receive(JSON.parse(data)));
			socket.onerror = () => {};
			socket.onclose = ours(({ code, reason }) => {
				const e = new Error(explain(code, reason));
				e.status = code;
				if (hub.state == "open" || code != 1006) return failed(e);
				/* browsers do not tell why they were refused: a plain request does */
				const told = ours((x) => failed(/^not_a_web/.test(x.faults?.[0].error) ? e : x));
				request(path).catch(told);
			});
		} catch (e) {
			ours(failed)(e);
		}
	}

	function receive(frame) {
		const { id, message, body } = frame, last = hub.lastEventId;
		hub.lastEventId = id;
		heard = true;
		if (hub.state == "connecting") {
			clearTimeout(timer);
			timer = setInterval(beat, heartbeat);
			hub.clientId = body.client_id;
			hub.types = body.subscriptions;
			enter("open");
			if (last && !body.resumed) hub.onreload?.(body.reason);
		} else if (!id.includes(".")) {
			/* async: what one throws does not stop others */
			for (const name of [frame.event_type, "*"]) handlers[name]?.forEach(async (handler) => handler(frame));
		} else if (message == "pong") {
			tries = 0;
			hub.onpong?.((hub.latency = performance.now() - sent));
		} else if (body?.subscriptions) {
			hub.types = body.subscriptions;
			tell();
			hub.ontypes?.(hub.types);
		}
	}

	function beat() {
		if (!heard) return retry("the server has fallen silent");
		heard = false;
		sent = performance.now();
		socket.send('{"event_type":"health","message":"ping"}');
	}

	function failed(e) {
		if (!/^4(?!08|09|25|29)|1008/.test(e.status) || /: (no sign|credential exp|the ticket)/.test(e.message))
			return retry(e.message, e.wait);
		hub.close(e.message);
		(hub.onerror ?? console.error)(e);
	}

	function retry(why, wait = 0) {
		drop();
		timer = setTimeout(open, wait * 1e3 + Math.random() * Math.min(maxDelay, 1e3 * 2 ** tries++));
		enter("waiting", why);
	}

	function drop() {
		clearTimeout(timer);
		socket?.close();
		attempt = socket = null;
	}

	globalThis.addEventListener?.("online", () => hub.state == "waiting" && open());
	open();
	return hub;
}
