/* load.h - the load client: its options, and the two things that it does. */

#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "tests/bench/child.h"
#include "tests/bench/proc.h"
#include "tests/bench/swarm.h"

struct load_options {
	struct swarm_setup swarm;
	size_t conns;
	size_t slow;	       /* of them, do not read at all */
	size_t storm;	       /* of them, leave and resume; 0: no storm */
	const char *live_type; /* what the others get in the meantime */
	unsigned timeout;      /* seconds for each phase */
	unsigned settle;       /* ms of silence before measuring */
	struct procs server;
	const char *ids;      /* file to write client ids to */
	bool hold;	      /* stay until standard input ends */
	char *const *publish; /* the publisher; NULL: none */
};

struct load {
	struct load_options options;
	struct swarm swarm;
	struct child publisher;
	struct proc_memory before, after;
	uint64_t connect_us, connect_cpu_us;
	uint64_t cpu_us, own_us, wall_us; /* while events were delivered */
	uint64_t published, errors;
	bool timed_out;
};

/* Starts the publisher, with more arguments. */
void load_publish(struct load *l, const char *const *more);

/* Ends it if it still runs, and takes what it has said. */
void load_published(struct load *l);

/* Publishes and waits until every reader has all of it, or the time is over. */
void load_receive(struct load *l, const char *const *more);

/* Many leave, miss events, and come back all at once, while events go on.
 * Prints its result. */
void load_storm(struct load *l);

/* Keeps reading for so long. */
void load_pass(struct load *l, unsigned ms);

/* {"…":…} about all that happened. */
void load_print(const struct load *l);

#endif
