/* views.js - who is connected, and publishing: the two tabs beside the events. */

const ROWS = 500;

const byId = (id) => document.getElementById(id);

function element(name, text, className) {
	const e = document.createElement(name);
	if (text !== undefined) e.textContent = text;
	if (className) e.className = className;
	return e;
}

/* The end of an id: the beginning tells when, and is the same for many. */
const short = (id) => id.slice(-12);

/* How long ago, in the largest unit that fits. */
function ago(timestamp) {
	if (!timestamp) return "–";
	const s = Math.max(0, Math.round((Date.now() - Date.parse(timestamp)) / 1000));
	if (s < 60) return s + " s ago";
	if (s < 3600) return Math.floor(s / 60) + " min ago";
	return s < 86400 ? Math.floor(s / 3600) + " h ago" : Math.floor(s / 86400) + " d ago";
}

/* The list of clients.  An administrator sees all and the figures of the hub,
 * others their own connections.  fail(error): tells the user. */
export class Clients {
	#hub;
	#fail;
	#admin = true; /* until a 403 */
	#busy = false;

	constructor(hub, fail) {
		this.#hub = hub;
		this.#fail = fail;
	}

	/* The figures alone, where there may be a hundred thousand clients. */
	async count() {
		if (this.#admin)
			try {
				return this.#figures(await this.#hub.request("stats"));
			} catch (e) {
				if (e.status != 403) throw e;
				this.#admin = false;
				byId("stats").hidden = true;
			}
		byId("client-count").textContent = (await this.#hub.request("clients")).length;
	}

	/* Those who lag come first, and of very many only some are shown. */
	async refresh() {
		if (this.#busy) return;
		this.#busy = true;
		try {
			await this.count();
			const list = await this.#hub.request("clients");
			list.sort((a, b) => b.queue_depth - a.queue_depth);
			byId("clients").replaceChildren(...list.slice(0, ROWS).map((client) => this.#row(client)));
			const some = list.length > ROWS ? `${ROWS} of ${list.length.toLocaleString()} are shown. ` : "";
			byId("clients-note").textContent = some + (this.#admin
				? "All connections of the hub, as they are now. Queue: events that wait because the client does not read; those come first."
				: "Your own connections. A key with the scope admin shows everybody's, and the figures of the hub.");
		} finally {
			this.#busy = false;
		}
	}

	#figures(stats) {
		const figures = {
			Clients: stats.total_clients.toLocaleString(),
			Subscriptions: stats.total_subscriptions.toLocaleString(),
			"Messages sent": stats.messages_sent.toLocaleString(),
			Uptime: stats.uptime,
		};
		byId("client-count").textContent = figures.Clients;
		byId("stats").hidden = false;
		byId("stats").replaceChildren(
			...Object.entries(figures).map(([name, value]) => {
				const div = element("div");
				div.append(element("dt", name), element("dd", value));
				return div;
			}),
		);
	}

	#row(client) {
		const row = element("tr"), id = element("td"), types = element("td");
		id.append(element("code", short(client.id)));
		id.title = client.id;
		if (client.id == this.#hub.clientId) id.append(element("span", "this page", "self"));
		for (const type of client.event_subscriptions) types.append(this.#chip(client, type));
		const connected = element("td", ago(client.connected_at));
		connected.title = client.connected_at;
		row.append(
			id,
			element("td", client.username || client.user_id),
			connected,
			element("td", ago(client.last_pong_at)),
			element("td", client.queue_depth.toLocaleString(), client.queue_depth ? "number lagging" : "number"),
			types,
		);
		return row;
	}

	#chip(client, type) {
		const chip = element("span", type, "chip");
		if (type == "global") return chip;
		const button = element("button", "×");
		button.type = "button";
		button.setAttribute("aria-label", `Unsubscribe client ${short(client.id)} from ${type}`);
		button.addEventListener("click", async () => {
			button.disabled = true;
			try {
				await this.#hub.request("unsubscribe", { client_id: client.id, event_types: [type] });
				await this.refresh();
			} catch (e) {
				this.#fail(e);
			}
		});
		chip.append(button);
		return chip;
	}
}

/* The form that publishes. */
export class Publisher {
	#hub;
	#result = byId("publish-result");

	constructor(hub) {
		this.#hub = hub;
	}

	offer(types) {
		const select = byId("publish-type"), chosen = select.value;
		const names = types.map((type) => type.name);
		if (names.join() == [...select.options].map((option) => option.value).join()) return;
		select.replaceChildren(...names.map((name) => new Option(name, name)));
		select.value = names.includes(chosen) ? chosen : (names.find((name) => name == "pdfm") ?? names[0]);
		this.showSql();
	}

	/* What the form says, as the statement that an application would run. */
	showSql() {
		const columns = ["event_type", "message"], values = [byId("publish-type").value, byId("publish-message").value];
		for (const [column, id] of [["body", "body"], ["client_id", "client"], ["user_id", "user"]]) {
			const text = byId("publish-" + id).value.trim();
			if (!text) continue;
			columns.push(column);
			values.push(text);
		}
		const quoted = values.map((text) => "'" + text.replaceAll("'", "''") + "'");
		byId("publish-sql").textContent = `INSERT INTO event(${columns.join(", ")})\nVALUES(${quoted.join(", ")});`;
	}

	#tell(text, kind) {
		this.#result.textContent = text;
		this.#result.className = "result " + kind;
	}

	async submit() {
		const event = { event_type: byId("publish-type").value, message: byId("publish-message").value };
		const text = byId("publish-body").value.trim();
		byId("publish-body").removeAttribute("aria-invalid");
		if (text)
			try {
				event.body = JSON.parse(text);
			} catch (e) {
				byId("publish-body").setAttribute("aria-invalid", "true");
				byId("publish-body").focus();
				return this.#tell("The body is not JSON: " + e.message, "bad");
			}
		for (const name of ["client", "user"]) if (byId("publish-" + name).value) event[name + "_id"] = byId("publish-" + name).value.trim();
		try {
			const { id } = await this.#hub.request("events", event);
			this.#tell("Published and committed as " + id, "good");
		} catch (e) {
			const faults = e.faults?.map((fault) => `${fault.path}: ${fault.description}`);
			this.#tell("Not published. " + (faults?.join("\n") || e.message), "bad");
		}
	}
}
