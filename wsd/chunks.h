/* chunks.h - pieces of the past that were read from the database for a client
 * which is far behind, and are kept for others who stand in the same stretch.
 *
 * They come on top of log_memory, so they are kept no longer than somebody
 * can be reading them: a chunk that nobody used for as long as the slowest
 * reader may take to read on (stall_timeout) is freed, and when there are too
 * many, or too much is in them, the one used longest ago.
 *
 * A chunk that was found is valid until the next call that is not chunks_find,
 * chunks_use (of this one) or chunks_bytes. */

#ifndef EVH_WSD_CHUNKS_H
#define EVH_WSD_CHUNKS_H

#include "wsd/eventlog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNKS 16

/* A piece holds 1 MiB of what was published and seldom more; escaped as JSON it
 * can be six times that. */
#define CHUNKS_BYTES ((size_t)32 << 20)

/* Up to which event those of a type are gone from the database. */
struct hub_lost {
	uint32_t type;
	uint64_t seq;
};

/* All events after one up to another. */
struct chunk {
	uint64_t after, upto;
	struct eventlog log; /* without a ring: there is no chunk */
	struct hub_lost *lost;
	size_t lost_count;
	uint64_t used;	  /* for leaving out the one used longest ago */
	uint32_t used_at; /* tick */
};

struct chunks {
	struct chunk all[CHUNKS];
	uint64_t clock;
};

/* The chunk with the event that follows seq; NULL if none has it. */
struct chunk *chunks_find(struct chunks *chunks, uint64_t seq);

/* Takes over what piece points to. */
void chunks_add(struct chunks *chunks, const struct chunk *piece, uint32_t now);

void chunks_use(struct chunks *chunks, struct chunk *chunk, uint32_t now);

/* Frees what was not used for so many ticks.  True if that was the last. */
bool chunks_expire(struct chunks *chunks, uint32_t now, uint32_t ticks);

/* About how much memory they take. */
size_t chunks_bytes(const struct chunks *chunks);

void chunks_clear(struct chunks *chunks);

#endif
