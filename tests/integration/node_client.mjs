/* Runs web/evhub.js for the tests: takes lines of JavaScript on standard input
 * and writes lines of JSON.  What each connection has to tell goes out as it
 * comes; {"done": n, "value" or "error": …} ends the n-th line.
 *
 *   node node_client.mjs PATH-OF-evhub.js
 *
 * make(options) connects and reports; hub is the newest one.  Without another
 * WebSocket in the options it is as in a browser: no headers, tickets. */

import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const ws = createRequire(import.meta.url)("/usr/share/nodejs/ws");
const { connect, explain } = await import(pathToFileURL(process.argv[2]));
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");

/* As browsers have it: address and protocols, nothing more. */
class BrowserSocket {
	constructor(url) {
		return new ws.WebSocket(url);
	}
}
globalThis.WebSocket = BrowserSocket;

let hub;

function make(options) {
	hub = connect(options);
	hub.on("*", (event) => say({ event }));
	hub.onstate = (state, why) => say({ state, why });
	hub.onreload = (reason) => say({ reload: reason });
	hub.onerror = (e) => say({ stopped: e.message, status: e.status, faults: e.faults });
	hub.ontypes = (types) => say({ types });
	return hub;
}

const scope = { make, connect, explain, say, WebSocket: ws.WebSocket };
const AsyncFunction = (async () => {}).constructor;
process.on("uncaughtException", (e) => say({ uncaught: e.message }));

let n = 0;
for await (const line of createInterface({ input: process.stdin })) {
	const done = ++n;
	const run = async () => new AsyncFunction("hub", ...Object.keys(scope), JSON.parse(line))(hub, ...Object.values(scope));
	run().then(
		(value) => say({ done, value }),
		(e) => say({ done, error: e.message, status: e.status, faults: e.faults }),
	);
}
process.exit(0);
