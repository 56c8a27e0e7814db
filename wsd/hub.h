/* hub.h - who gets what: clients, their subscriptions, and delivery to them.
 *
 * All live clients stand at the same position of the event log, "flushed".  A
 * flush takes what has been appended since, builds the bytes once for each
 * group of clients with equal subscriptions, and gives each socket one write.
 * A socket that takes less makes its client lag: it keeps its own position
 * and reads on from there, out of memory or, when that is gone, out of the
 * database, until it is live again.  Resuming after a reconnect is the same
 * thing with a position that the client names.
 *
 * Owned by the service loop.  No I/O and no clock of its own: it reaches the
 * sockets, the database and the clock through hub_ops. */

#ifndef EVH_WSD_HUB_H
#define EVH_WSD_HUB_H

#include "wsd/chunks.h"
#include "wsd/client.h"
#include "wsd/eventlog.h"
#include "wsd/group.h"
#include "wsd/histogram.h"
#include "wsd/tally.h"

#include <stddef.h>
#include <stdint.h>

/* RFC 6455 section 7.4.1, and the registry of close codes at IANA. */
#define CLOSE_NORMAL 1000
#define CLOSE_PROTOCOL 1002
#define CLOSE_UNSUPPORTED 1003
#define CLOSE_NOT_UTF8 1007
#define CLOSE_POLICY 1008
#define CLOSE_TOO_BIG 1009
#define CLOSE_INTERNAL 1011
#define CLOSE_RESTART 1012
#define CLOSE_TRY_LATER 1013

/* The longest reason that fits a close frame, with its NUL. */
#define CLOSE_REASON_BYTES 124

struct hub_ops {
	/* Writes what the socket takes at once: 0 to len bytes, or -1 if it is dead. */
	ptrdiff_t (*send)(void *conn, const uint8_t *bytes, size_t len);
	/* Writes all, keeping in memory what the socket does not take at once.  False
	 * when some of what was queued is still there. */
	bool (*queue)(void *conn, const uint8_t *bytes, size_t len);
	/* Calls hub_writable once when the socket takes more. */
	void (*want_writable)(void *conn);
	/* Begins to close, with this code and reason (code 0: without).  The hub
	 * is told by hub_leave when the connection is gone, later. */
	void (*close)(void *conn, uint16_t code, const char *reason);
	/* Fetches events after seq from the database; hub_history brings them. */
	void (*fetch)(void *arg, uint64_t seq);
	/* The row of the client is to be updated some time soon. */
	void (*dirty)(void *arg, struct client *client);
	/* The wall clock, microseconds. */
	int64_t (*now_us)(void);
	void *arg; /* for fetch and dirty */
};

struct hub_stats {
	uint64_t messages_sent; /* frames handed to sockets */
	uint64_t asides;	/* … that are no events */
	uint64_t bytes_sent;
	uint64_t events;	   /* entered the log */
	struct histogram delivery; /* from there to the end of the flush, µs */
	struct tally closes;	   /* by close code */
};

/* What holds at the moment of asking. */
struct hub_gauges {
	uint64_t clients, users;
	uint64_t lagging, behind, most_behind; /* clients; events, in all and at most */
	uint64_t log_events, log_bytes;
	uint64_t history_bytes; /* of pieces that were read from the database */
	int64_t log_span_us;	/* the age of the oldest event in memory; 0: none is */
};

struct hub;

/* A hub whose history begins after the event head_seq. */
enum evh_rc hub_new(struct hub **out, const struct hub_ops *ops, const char *epoch, uint64_t head_seq,
	size_t log_memory);

/* All clients must have left. */
void hub_free(struct hub **hub);

struct clients *hub_clients(struct hub *hub);
struct grouping *hub_grouping(struct hub *hub);
const struct hub_stats *hub_stats(const struct hub *hub);
void hub_gauges_read(const struct hub *hub, struct hub_gauges *g);
const char *hub_epoch(const struct hub *hub);

/* The newest event that the hub knows. */
uint64_t hub_head(const struct hub *hub);

/* How many events a client is behind: 0 for a live one. */
uint64_t hub_behind(const struct hub *hub, const struct client *client);

/* A number for the next frame that is not an event; see evh_id_format.  Starts
 * at first, which must be above those of an earlier run. */
void hub_start_numbers(struct hub *hub, uint64_t first);

/* What is to be known of an event.  target and all text are only read. */
struct hub_event {
	uint64_t seq; /* 0: not persistent, happens after the newest */
	const char *event_type;
	const char *timestamp;
	const char *message;
	size_t message_len;
	const char *body; /* NULL: none */
	size_t body_len;
	const char *client_id, *user_id; /* NULL or "": everybody */
};

/* Appends an event to the log; hub_flush sends it.  An event of an unknown
 * type is dropped (EVH_NOT_FOUND).  id (may be NULL) gets its id. */
enum evh_rc hub_append(struct hub *hub, const struct hub_event *event, char id[EVH_ID_TEXT]);

/* Sends what has been appended to all live clients. */
void hub_flush(struct hub *hub);

/* How many bytes of events wait for a flush; 0: there are none. */
size_t hub_backlog(const struct hub *hub);

/* The client's rows are committed: sends the welcome and what follows the
 * event start_seq.  types are its subscriptions in the order in which it asked
 * for them; reason is NULL or why a resume was not possible. */
void hub_welcome(struct hub *hub, struct client *client, const struct event_types *types,
	uint64_t start_seq, bool resumed, const char *reason);

/* The socket takes more. */
void hub_writable(struct hub *hub, struct client *client);

/* Subscribes or unsubscribes a live client, at most EVENT_TYPES_MAX types at once,
 * and tells it in-band, in one frame.  Types that make no difference are left out;
 * nothing is sent if none does. */
enum evh_rc hub_subscribe(struct hub *hub, struct client *client, const uint32_t *types, uint32_t count);
enum evh_rc
hub_unsubscribe(struct hub *hub, struct client *client, const uint32_t *types, uint32_t count);

/* Sends one message that is no event to one client, at its position: id,
 * timestamp and client_id are filled in here.  A client that does not read
 * and still asks is closed. */
void hub_reply(struct hub *hub, struct client *client, const struct message *message);

/* Sends nothing more and closes.  Safe to call in any state, more than once. */
void hub_close(struct hub *hub, struct client *client, uint16_t code, const char *reason);

/* The connection is gone: frees the client. */
void hub_leave(struct hub *hub, struct client **client);

/* A piece of history: rows after the event "after", complete up to and with
 * "upto".  Takes over the log.  lost (sorted by nothing, count of them): the
 * newest event of each type that was already purged. */
void hub_history(struct hub *hub, uint64_t after, uint64_t upto, struct eventlog *log,
	struct hub_lost *lost, size_t lost_count);

/* Makes an entry of a log out of an event, resolving its type.  EVH_NOT_FOUND
 * if there is no such type. */
enum evh_rc hub_entry(struct hub *hub, const struct hub_event *event, struct logentry *out);

/* Once a tick: closes clients that took nothing for stall_ticks, marks the rows
 * of those behind, and frees pieces of history that nobody reads.  True if those
 * were the last: memory may go back to the system. */
bool hub_tick(struct hub *hub, uint32_t now, uint32_t stall_ticks);

/* The names of a client's types as a JSON array. */
void hub_types_json(struct hub *hub, const struct client *client, struct buf *out);

#endif
