/* merge.h - the pages of figures of several daemons as one.
 *
 * Prometheus wants all samples of a family in one place, and its help once.
 * Each page is cut at its "# HELP" lines; families keep the order in which
 * they are first seen.  Pure. */

#ifndef EVH_FCGI_MERGE_H
#define EVH_FCGI_MERGE_H

#include "common/buf.h"

#include <stddef.h>

struct merge_family {
	struct buf head;    /* the lines that begin with # */
	struct buf samples; /* the others */
};

struct merge {
	struct merge_family *families;
	size_t count;
	int failed; /* out of memory */
};

#define MERGE_INIT               \
	{                        \
		.families = NULL \
	}

/* Adds a page.  What does not stand below a # HELP line is left out. */
void merge_add(struct merge *m, const char *text, size_t len);

/* Writes all, and sets out->failed when memory ran out on the way. */
void merge_write(const struct merge *m, struct buf *out);

void merge_free(struct merge *m);

#endif
