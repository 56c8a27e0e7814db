/* hub_priv.h - what hub.c (who) and deliver.c (what, when) share. */

#ifndef EVH_WSD_HUB_PRIV_H
#define EVH_WSD_HUB_PRIV_H

#include "wsd/hub.h"

/* About how many bytes one write carries, and how many events one slice. */
#define RUN_BYTES (60 * 1024)
#define SLICE_EVENTS 512

/* How many replies a client may wait for while it does not read. */
#define REPLIES_UNREAD 16

/* Where a frame ends in a run. */
struct cut {
	uint32_t end;
	uint64_t pos;
};

/* The bytes for one group or client, from one slice of a log. */
struct run {
	struct buf bytes;
	struct cut cuts[SLICE_EVENTS];
	uint32_t count;
};

struct hub {
	struct hub_ops ops;
	char epoch[EVH_EPOCH_TEXT];
	struct eventlog log;
	uint64_t flushed; /* position of all live clients */
	size_t unflushed; /* bytes of the log behind it */
	int64_t batch_at; /* when the first of what is not flushed came, µs; 0: unknown */
	uint64_t batch;	  /* how many events are not flushed */
	uint64_t number;  /* of the next frame that is no event */
	uint64_t stamp;	  /* of the last slice */
	struct clients clients;
	struct grouping grouping;
	struct client **lagging; /* CLIENT_LAGGING and CLIENT_WAITING */
	uint32_t lag_count, lag_size;
	struct chunks chunks;
	bool fetching;
	uint32_t fetches,
		fetch_turn; /* how many; from where in lagging the next in turn is looked for */
	uint32_t now;	    /* the last tick */
	struct run run;
	struct group **touched; /* scratch: groups that a slice concerns */
	uint32_t touched_size;
	struct client **named; /* scratch: clients that a slice addresses */
	uint32_t named_size;
	struct hub_stats stats;
};

/* Takes the client off its list of live clients, if it is on it. */
void hub_unlive(struct client *client);

/* Puts it on or off the list of those who lag. */
bool hub_lag(struct hub *hub, struct client *client, uint8_t state);
void hub_unlag(struct hub *hub, struct client *client);

/* Sends a lagging client what it lacks, as far as it can take it. */
void deliver_fill(struct hub *hub, struct client *client);

/* The sequence number of the last event before a position of the log. */
uint64_t deliver_seq_before(const struct eventlog *log, uint64_t pos);

/* Where a client stands: the last event that it has been sent. */
uint64_t deliver_client_seq(const struct hub *hub, const struct client *client);

/* Looks for the next piece of history that a waiting client needs. */
void deliver_fetch_next(struct hub *hub);

#endif
