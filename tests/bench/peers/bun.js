// Bun's native WebSocket server: /sub subscribes, /pub publishes each message
// and answers it, so that the publisher can count.
Bun.serve({
	hostname: "127.0.0.1",
	port: Number(process.argv[2]),
	fetch(request, server) {
		const publisher = new URL(request.url).pathname === "/pub";
		if (server.upgrade(request, { data: publisher }))
			return undefined;
		return new Response("a WebSocket is needed", { status: 400 });
	},
	websocket: {
		perMessageDeflate: false,
		open(ws) {
			if (!ws.data)
				ws.subscribe("bench");
		},
		message(ws, message) {
			if (!ws.data)
				return;
			ws.publish("bench", message);
			ws.send("k");
		},
	},
});
