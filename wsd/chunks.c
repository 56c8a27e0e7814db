#include "wsd/chunks.h"

#include <stdlib.h>
#include <string.h>

/* What malloc adds to an allocation, by and large. */
#define MALLOC_BYTES 16

/* An entry counts its place in the ring, of which there are more than entries. */
static size_t
bytes_of(const struct chunk *c)
{
	size_t entries = (size_t)(c->log.next - c->log.first), places = c->log.size;

	return c->log.bytes + entries * MALLOC_BYTES + (places - entries) * sizeof(*c->log.ring);
}

static void
clear(struct chunk *c)
{
	if (c->log.ring == NULL)
		return;
	eventlog_clear(&c->log);
	free(c->lost);
	memset(c, 0, sizeof(*c));
}

struct chunk *
chunks_find(struct chunks *chunks, uint64_t seq)
{
	for (size_t i = 0; i < CHUNKS; i++) {
		struct chunk *c = &chunks->all[i];

		if (c->after <= seq && seq < c->upto)
			return c;
	}
	return NULL;
}

/* An empty one if there is one, else the one that was used longest ago. */
static struct chunk *
oldest(struct chunks *chunks)
{
	struct chunk *found = &chunks->all[0];

	for (size_t i = 1; i < CHUNKS; i++)
		if (chunks->all[i].used < found->used)
			found = &chunks->all[i];
	return found;
}

/* Of those that are there. */
static struct chunk *
oldest_full(struct chunks *chunks)
{
	struct chunk *found = NULL;

	for (size_t i = 0; i < CHUNKS; i++) {
		struct chunk *c = &chunks->all[i];

		if (c->log.ring != NULL && (found == NULL || c->used < found->used))
			found = c;
	}
	return found;
}

void
chunks_use(struct chunks *chunks, struct chunk *c, uint32_t now)
{
	c->used = ++chunks->clock;
	c->used_at = now;
}

void
chunks_add(struct chunks *chunks, const struct chunk *piece, uint32_t now)
{
	struct chunk *c = oldest(chunks), *last;

	clear(c);
	*c = *piece;
	chunks_use(chunks, c, now);
	/* not this one, however large: somebody waits for it */
	while (chunks_bytes(chunks) > CHUNKS_BYTES && (last = oldest_full(chunks)) != c)
		clear(last);
}

bool
chunks_expire(struct chunks *chunks, uint32_t now, uint32_t ticks)
{
	bool any = false, left = false;

	for (size_t i = 0; i < CHUNKS; i++) {
		struct chunk *c = &chunks->all[i];

		if (c->log.ring == NULL)
			continue;
		if (now - c->used_at > ticks) {
			clear(c);
			any = true;
		} else {
			left = true;
		}
	}
	return any && !left;
}

size_t
chunks_bytes(const struct chunks *chunks)
{
	size_t bytes = 0;

	for (size_t i = 0; i < CHUNKS; i++)
		bytes += bytes_of(&chunks->all[i]);
	return bytes;
}

void
chunks_clear(struct chunks *chunks)
{
	for (size_t i = 0; i < CHUNKS; i++)
		clear(&chunks->all[i]);
}
