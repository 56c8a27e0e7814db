/* load.h - the load client: its options, and the two things that it does. */

#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "tests/bench/child.h"
#include "tests/bench/proc.h"
#include "tests/bench/swarm.h"

struct load_options {
	struct swarm_setup swarm;
	size_t conns;
	size_t slow;	  /* of them, do not read at all */
	bool storm;	  /* they all leave and come back */
	bool announce;	  /* say when publishing begins */
	unsigned timeout; /* seconds for each phase */
	unsigned settle;  /* ms of silence before measuring */
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

/* Prints "ready", and may wait for a word on standard input. */
void load_ready(struct load *l, bool wait);

/* All leave, miss events, say that they are ready, and at a word come back at
 * once.  Prints its result. */
void load_storm(struct load *l);

/* Keeps reading for so long. */
void load_pass(struct load *l, unsigned ms);

/* {"…":…} about all that happened. */
void load_print(const struct load *l);

/* ,"wrong":{…}: what must not have happened. */
void load_print_wrong(const struct swarm *s, uint64_t missing);

#endif
