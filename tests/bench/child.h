/* child.h - the publisher, a program of its own, and what it says at its end. */

#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
	pid_t pid; /* 0: none */
	int out;
	bool done;
	char text[1024];
	size_t len;
	long long published, errors;
};

/* Starts argv with more arguments behind; both end with NULL. */
void child_start(struct child *c, char *const *argv, const char *const *more);

/* Reads what it said; done once it has ended. */
void child_read(struct child *c);

/* Ends it if it runs. */
void child_end(struct child *c);

#endif
