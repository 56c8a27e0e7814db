// Node and the package "ws": the broadcast of its own documentation, and an
// answer to each message of a publisher, so that it can count.
"use strict";
const { WebSocketServer } = require(process.argv[3] + "/node_modules/ws");

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), perMessageDeflate: false });
const subscribers = new Set();

server.on("connection", (ws, request) => {
	if (request.url === "/pub") {
		ws.on("message", (data) => {
			for (const client of subscribers)
				client.send(data, { binary: false });
			ws.send("k");
		});
		return;
	}
	subscribers.add(ws);
	ws.on("close", () => subscribers.delete(ws));
});
