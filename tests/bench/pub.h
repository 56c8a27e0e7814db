/* pub.h - the publisher: a loop that keeps a window of events unanswered, and
 * one small file for each way to publish. */

#ifndef BENCH_PUB_H
#define BENCH_PUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longer than any request for one event. */
#define PUB_REQUEST_MAX 2048

struct pub_options {
	const char *to;	  /* address, socket or file */
	const char *type; /* event type, channel or topic */
	const char *path; /* HTTP, WebSocket */
	uint64_t first, count;
	unsigned seconds; /* 0: no limit */
	unsigned rate;	  /* events/s, 0: as fast as they are taken */
	unsigned window;  /* requests not answered yet */
	unsigned batch;	  /* rows in a transaction */
};

struct pub_way {
	const char *name;
	/* Before the first event, on the connection fd; may be NULL. */
	void (*greet)(int fd, const struct pub_options *o);
	/* Writes the request that publishes this payload; returns its length. */
	size_t (*request)(char *out, const struct pub_options *o, const char *payload);
	/* Counts answers at the start of text; returns the bytes they take. */
	size_t (*answers)(const char *text, size_t len, uint64_t *good, uint64_t *bad);
	bool hangs_up; /* the server ends the connection after each answer */
};

extern const struct pub_way pub_control, pub_http, pub_pushpin, pub_ws, pub_mqtt, pub_line;

struct pub_result {
	uint64_t published, errors;
};

/* Over a connection; and into the file, in transactions. */
struct pub_result pub_stream(const struct pub_way *way, const struct pub_options *o);
struct pub_result pub_sql(const struct pub_options *o);

/* Waits until event number i of a paced run is due. */
void pub_pace(const struct pub_options *o, uint64_t start, uint64_t i);

#endif
