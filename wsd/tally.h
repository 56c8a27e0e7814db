/* tally.h - counts by a number and a word, such as refusals by status and
 * reason.  The kinds are few and made by the program itself; should there be
 * more than fit, the last place counts what is left.  Pure. */

#ifndef EVH_WSD_TALLY_H
#define EVH_WSD_TALLY_H

#include <stddef.h>
#include <stdint.h>

#define TALLY_MAX 48

struct tally_item {
	int code;
	const char *word; /* a constant */
	uint64_t count;
};

struct tally {
	struct tally_item items[TALLY_MAX];
	size_t used;
};

/* Counts one.  word must live as long as the tally. */
void tally_add(struct tally *t, int code, const char *word);

#endif
