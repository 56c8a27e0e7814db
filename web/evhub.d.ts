/* What evhub.js offers.  In short:
 *
 *   const hub = connect({ types: ["pdfm"], ticket: "/my/ticket" });
 *   hub.on("pdfm", (event) => show(event.body));
 *   hub.onreload = () => location.reload();
 *
 * It reconnects by itself, after a time that grows and is never the same for
 * two clients, and resumes behind the last frame it saw: the handlers see each
 * event once and in order, however often the connection is cut.  When the
 * server no longer has what was missed, onreload is called.  It stops, and
 * calls onerror, when trying again cannot help: a wrong or revoked credential,
 * an unknown event type, the operator's disconnect. */

/** One event, as evhub sends it. */
export interface HubEvent<Body = any> {
	/** Its place in the order of all events; opaque. */
	id: string;
	event_type: string;
	/** RFC 3339, UTC. */
	timestamp: string;
	message: string;
	/** Absent when the event has none. */
	body?: Body;
	/** Only on what was addressed to this one connection. */
	client_id?: string;
}

/** The error of a refused request, or of the end of the connection. */
export interface HubError extends Error {
	/** The HTTP status (401: wrong credential, 403: not allowed, 400: an
	 *  unknown event type …), or the close code of the WebSocket (1008). */
	status?: number;
	/** The "stack" of evhub's error body: one entry for each fault. */
	faults?: { code: number; description: string; error: string; path: string }[];
}

export interface Options {
	/** Event types to begin with; "global" always comes too. */
	types?: string[];

	/** Where the API is: an http or https URL, by default "/api/v1/ws" of the
	 *  page's own server.  A program outside of a browser must say it in full.
	 *  For a page of another origin, allowed_origins of evhub.conf must name it
	 *  and the web server must send the headers of CORS. */
	url?: string;

	/* How to sign in: one of the three. */

	/** For pages whose users have no key: a URL of your own server, which is
	 *  POSTed to with the page's cookies and asks evhub for a ticket in its
	 *  turn (POST …/ticket with the server's key) and hands the answer on; or a
	 *  function that brings one.  Called anew for each connection.
	 *  The key stays on your server.  Without a key or token here, subscribe()
	 *  and unsubscribe() reconnect, and resume, with the other types. */
	ticket?: string | (() => Promise<string | { ticket: string }> | string | { ticket: string });

	/** An API key, for programs, and for pages that only you see.  With the
	 *  option WebSocket it is sent as a header, else exchanged for a ticket. */
	key?: string;

	/** The same for a token; a function may bring a fresh one each time. */
	token?: string | (() => Promise<string> | string);

	/** The id of the last frame that an earlier page or process has seen (its
	 *  hub.lastEventId): go on from there. */
	lastEventId?: string;

	/** In Node: the class of the package "ws".  It can send headers, so that a
	 *  key or token needs no ticket. */
	WebSocket?: any;

	/** Milliseconds between heartbeats, 15000 by default: a connection on which
	 *  nothing came since the last one is dead, and replaced. */
	heartbeat?: number;

	/** The longest pause between two attempts, in ms; 30000 by default. */
	maxDelay?: number;
}

export type State = "connecting" | "open" | "waiting" | "closed";

export interface Hub {
	/** "waiting" is for the next attempt; "closed" is for good. */
	readonly state: State;
	/** Names this connection to evhub; another one after each reconnect. */
	readonly clientId?: string;
	/** What is subscribed to, as the server has it; what will be, while there is
	 *  no connection. */
	readonly types: string[];
	/** The position in the stream: save it to go on after a reload of the page. */
	readonly lastEventId?: string;
	/** How long the last heartbeat took, in ms. */
	readonly latency?: number;

	/** Calls the handler with each event of the type, or of any for "*".  The
	 *  handler is kept whether or not the type is subscribed to. */
	on<Body = any>(type: string, handler: (event: HubEvent<Body>) => void): unknown;
	off(type: string, handler: (event: HubEvent) => void): unknown;

	/** Adds types to the connection.  Resolved once it is in force; rejected
	 *  with a HubError, and nothing changed, if the server refuses all of them.
	 *  If it refuses some, the answer's "stack" has an entry for each. */
	subscribe(...types: (string | string[])[]): Promise<any>;
	/** Takes types away: no event of them is delivered after it is resolved. */
	unsubscribe(...types: (string | string[])[]): Promise<any>;

	/** A request to evhub with the key or token: POST if there is a body.
	 *  request("events", { event_type: "pdfm", message: "hello" }) publishes. */
	request(path: string, body?: unknown): Promise<any>;

	/** Ends it for good. */
	close(): void;

	/* Called when, if set; set them at once after connect(). */

	/** Events were missed that the server no longer has ("expired"), or it does
	 *  not know our past ("unknown"): load afresh what they would have changed. */
	onreload?: (reason: string) => void;
	/** The state changed; why is in words, for people. */
	onstate?: (state: State, why?: string) => void;
	/** It is over: see above.  By default the error goes to the console. */
	onerror?: (error: HubError) => void;
	/** A heartbeat was answered, after so many ms. */
	onpong?: (latency: number) => void;
	/** The subscriptions were changed, by us or by the operator. */
	ontypes?: (types: string[]) => void;
}

export function connect(options: Options): Hub;

/** A WebSocket close code, and the reason that came with it, in words. */
export function explain(code: number, reason?: string): string;
