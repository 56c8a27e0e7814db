#include "wsd/headcount.h"

#include "wsd/hash.h"

#include <stdlib.h>
#include <string.h>

struct headcount {
	UT_hash_handle hh;
	size_t count;
	uint8_t key[HEADCOUNT_KEY_BYTES];
};

struct headcount *
headcount_enter(struct headcount **all, const uint8_t key[HEADCOUNT_KEY_BYTES], size_t max)
{
	struct headcount *entry = NULL;

	HASH_FIND(hh, *all, key, HEADCOUNT_KEY_BYTES, entry);
	if (entry == NULL) {
		if (max == 0)
			return NULL;
		entry = calloc(1, sizeof(*entry));
		if (entry == NULL)
			return NULL;
		memcpy(entry->key, key, HEADCOUNT_KEY_BYTES);
		HASH_ADD(hh, *all, key, HEADCOUNT_KEY_BYTES, entry);
		if (!hash_added(entry)) {
			free(entry);
			return NULL;
		}
	}
	if (entry->count >= max)
		return NULL;
	entry->count++;
	return entry;
}

void
headcount_leave(struct headcount **all, struct headcount *entry)
{
	if (entry == NULL || --entry->count > 0)
		return;
	HASH_DEL(*all, entry);
	free(entry);
}
