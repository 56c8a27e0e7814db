#include "common/limiter.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Places that one address may have. */
#define WAYS 8

struct entry {
	uint8_t key[LIMITER_KEY_BYTES];
	int64_t free_at; /* when nothing is used any more; past: the place is free */
};

struct limiter {
	uint64_t seed;
	size_t sets; /* a power of two */
	struct entry entries[];
};

enum evh_rc
limiter_new(struct limiter **out, size_t slots, uint64_t seed)
{
	size_t sets = 1;
	struct limiter *l;

	while (sets * WAYS < slots)
		sets *= 2;
	l = calloc(1, sizeof(*l) + sets * WAYS * sizeof(struct entry));
	*out = l;
	if (l == NULL)
		return EVH_NOMEM;
	l->seed = seed;
	l->sets = sets;
	return EVH_OK;
}

void
limiter_free(struct limiter **limiter)
{
	free(*limiter);
	*limiter = NULL;
}

/* The finaliser of MurmurHash3, which spreads every bit. */
static uint64_t
mix(uint64_t h)
{
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

static size_t
first_place(const struct limiter *l, const uint8_t key[LIMITER_KEY_BYTES])
{
	uint64_t a, b;

	memcpy(&a, key, 8);
	memcpy(&b, key + 8, 8);
	return (size_t)mix(mix(a ^ l->seed) ^ b) % l->sets * WAYS;
}

static const struct entry *
find(const struct limiter *l, const uint8_t key[LIMITER_KEY_BYTES])
{
	const struct entry *e = &l->entries[first_place(l, key)];

	for (int i = 0; i < WAYS; i++)
		if (memcmp(e[i].key, key, LIMITER_KEY_BYTES) == 0)
			return &e[i];
	return NULL;
}

/* The place of an address that is not in the table. */
static struct entry *
make_room(struct limiter *l, const uint8_t key[LIMITER_KEY_BYTES])
{
	struct entry *e = &l->entries[first_place(l, key)], *oldest = e;

	for (int i = 1; i < WAYS; i++)
		if (e[i].free_at < oldest->free_at)
			oldest = &e[i];
	memcpy(oldest->key, key, LIMITER_KEY_BYTES);
	oldest->free_at = 0;
	return oldest;
}

int64_t
limiter_wait(const struct limiter *l, const uint8_t key[LIMITER_KEY_BYTES], struct limiter_rate rate,
	int64_t now)
{
	const struct entry *e = find(l, key);
	int64_t step = rate.period / rate.count, wait;

	if (e == NULL)
		return 0;
	if (e->free_at > now + rate.period + step)
		return step; /* the clock was set back, or the rate has changed */
	wait = e->free_at - now - (rate.period - step);
	return wait > 0 ? wait : 0;
}

void
limiter_count(
	struct limiter *l, const uint8_t key[LIMITER_KEY_BYTES], struct limiter_rate rate, int64_t now)
{
	struct entry *e = (struct entry *)(uintptr_t)find(l, key);
	int64_t step = rate.period / rate.count;

	if (e == NULL)
		e = make_room(l, key);
	if (e->free_at < now)
		e->free_at = now;
	e->free_at += step;
	if (e->free_at > now + rate.period)
		e->free_at = now + rate.period;
}
