/* swarm.h - very many WebSocket clients in one thread, and what they see.
 *
 * A connection is open when the server has said so: by its first message
 * where it sends a welcome, by SUBACK where it speaks MQTT, else by the 101.
 * From then on each event is checked against the one before it. */

#ifndef BENCH_SWARM_H
#define BENCH_SWARM_H

#include "tests/bench/hist.h"
#include "tests/bench/util.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SWARM_UUID_TEXT 37
#define SWARM_ID_TEXT 48

struct swarm_setup {
	struct sockaddr_in to;
	unsigned sources;	/* addresses 127.0.0.2 and up to connect from */
	unsigned in_flight;	/* connections being made at a time */
	const char *path;	/* for those who are to get the events */
	const char *other_path; /* for the rest; NULL: there is no rest */
	unsigned every;		/* one in so many gets the events */
	const char *protocol;	/* Sec-WebSocket-Protocol, NULL: none */
	struct lines keys;	/* X-Api-Key, in turn; none if empty */
	bool welcome;		/* the server's first message opens */
	const char *topic;	/* MQTT; NULL: plain WebSocket */
};

enum conn_state { CONN_NONE, CONN_CONNECTING, CONN_SHAKING, CONN_OPENING, CONN_OPEN, CONN_OVER };

struct conn {
	int fd;
	uint8_t state; /* enum conn_state */
	bool reader;   /* is to get the events */
	uint64_t next; /* the number that the next event must have */
	uint64_t goal; /* reaching this one counts in swarm.reached; 0: none */
	uint8_t *rest; /* the beginning of a frame */
	uint32_t rest_len, rest_size;
	char client_id[SWARM_UUID_TEXT];
	char last_id[SWARM_ID_TEXT]; /* id of the welcome */
	bool resumed;
};

struct swarm {
	struct swarm_setup setup;
	struct conn *conns;
	size_t count;
	size_t open, connecting, next_to_open;
	int epoll;
	uint8_t *in;  /* what one read brought */
	size_t tail;  /* see payload_read */
	int other_fd; /* also watched; -1: none */
	void (*on_other)(void *arg);
	void *arg;

	uint64_t first_seq; /* the number of the first event */
	uint64_t deliveries, skipped, repeated, unwanted;
	uint64_t notices; /* text messages that are no event */
	uint64_t bytes;
	uint64_t failed;  /* never opened */
	uint64_t refused; /* … for they were answered with an error */
	uint64_t lost;	  /* closed by the server */
	uint64_t not_resumed;
	uint64_t reached;
	uint64_t first_sent, last_read; /* µs */
	struct hist latency;		/* µs */
};

/* count connections, none of them made yet. */
void swarm_init(struct swarm *s, const struct swarm_setup *setup, size_t count);

/* Opens those from "from" to "to" (exclusive) that are not open; false if
 * some could not be, or the time (now_us) ran out. */
bool swarm_open(struct swarm *s, size_t from, size_t to, uint64_t deadline);

/* Closes them, all at once. */
void swarm_close(struct swarm *s, size_t from, size_t to);

/* Waits at most so long for something to happen and deals with it. */
void swarm_turn(struct swarm *s, int timeout_ms);

/* Reads nothing from it any more; its window is small and soon shut. */
void swarm_stop_reading(struct swarm *s, size_t i);

/* Watches one more descriptor; -1 ends that. */
void swarm_watch(struct swarm *s, int fd, void (*on_other)(void *arg), void *arg);

/* Forgets deliveries and latencies. */
void swarm_reset(struct swarm *s);

/* How many events have come in order, or been skipped. */
static inline uint64_t
swarm_progress(const struct swarm *s)
{
	return s->deliveries - s->repeated - s->unwanted + s->skipped;
}

#endif
