/* problems.h - everything that is wrong, gathered before any of it is told.
 *
 * A problem is a sentence and a hint how to mend it; a note is something
 * worth knowing that is not wrong. */

#ifndef EVH_PROBLEMS_H
#define EVH_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct problem {
	char *text, *hint; /* hint: NULL for none */
	bool note;
};

struct problems {
	struct problem *items;
	size_t count, serious; /* serious: those that are no notes */
	bool incomplete;       /* what comes after could not be looked at */
};

#define PROBLEMS_INIT         \
	{                     \
		.items = NULL \
	}

/* Out of memory, a problem still counts, without its words. */
void problems_add(struct problems *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void problems_note(struct problems *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Gives the last one a hint, in place of what it may have. */
void problems_hint(struct problems *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The first that is serious; NULL if there is none. */
const struct problem *problems_first(const struct problems *p);

/* For people: one line each, the hint indented below. */
void problems_print(const struct problems *p, FILE *to, const char *program);

void problems_free(struct problems *p);

#endif
