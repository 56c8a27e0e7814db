#include "wsd/eventlog.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RING_MIN 64

struct target *
target_client(const uint8_t id[EVH_UUID_BYTES])
{
	struct target *t = calloc(1, sizeof(*t) + 1);

	if (t != NULL) {
		t->one_client = true;
		memcpy(t->client, id, EVH_UUID_BYTES);
	}
	return t;
}

struct target *
target_user(const char *user_id)
{
	size_t len = strlen(user_id) + 1;
	struct target *t = calloc(1, sizeof(*t) + len);

	if (t != NULL)
		memcpy(t->user, user_id, len);
	return t;
}

enum evh_rc
eventlog_init(struct eventlog *log, uint64_t base_seq, size_t budget)
{
	memset(log, 0, sizeof(*log));
	log->ring = calloc(RING_MIN, sizeof(*log->ring));
	if (log->ring == NULL)
		return EVH_NOMEM;
	log->size = RING_MIN;
	log->first = log->next = 1; /* 0 is before every log */
	log->base_seq = log->head_seq = base_seq;
	log->budget = budget;
	return EVH_OK;
}

static struct logentry *
slot(const struct eventlog *log, uint64_t pos)
{
	return &log->ring[pos & (log->size - 1)];
}

size_t
eventlog_entry_bytes(const struct logentry *e)
{
	size_t bytes = sizeof(*e) + sizeof(*e->frame) + e->frame->len;

	if (e->target != NULL)
		bytes += sizeof(*e->target) + strlen(e->target->user) + 1;
	return bytes;
}

static void
drop_oldest(struct eventlog *log)
{
	struct logentry *e = slot(log, log->first);

	log->bytes -= eventlog_entry_bytes(e);
	log->base_seq = e->seq;
	free(e->frame);
	free(e->target);
	memset(e, 0, sizeof(*e));
	log->first++;
}

void
eventlog_clear(struct eventlog *log)
{
	while (log->ring != NULL && log->first < log->next)
		drop_oldest(log);
	free(log->ring);
	log->ring = NULL;
	log->size = 0;
}

static enum evh_rc
grow(struct eventlog *log)
{
	size_t size = log->size * 2;
	struct logentry *ring = calloc(size, sizeof(*ring));

	if (ring == NULL)
		return EVH_NOMEM;
	for (uint64_t pos = log->first; pos < log->next; pos++)
		ring[pos & (size - 1)] = *slot(log, pos);
	free(log->ring);
	log->ring = ring;
	log->size = size;
	return EVH_OK;
}

enum evh_rc
eventlog_append(struct eventlog *log, const struct logentry *entry)
{
	assert(entry->seq >= log->head_seq);
	assert(!entry->persistent || entry->seq > log->head_seq);
	if (log->next - log->first == log->size && grow(log) != EVH_OK)
		return EVH_NOMEM;
	*slot(log, log->next++) = *entry;
	log->head_seq = entry->seq;
	log->bytes += eventlog_entry_bytes(entry);
	while (log->budget != 0 && log->bytes > log->budget && log->next - log->first > 1)
		drop_oldest(log);
	return EVH_OK;
}

const struct logentry *
eventlog_at(const struct eventlog *log, uint64_t pos)
{
	assert(pos >= log->first && pos < log->next);
	return slot(log, pos);
}

uint64_t
eventlog_find(const struct eventlog *log, uint64_t seq)
{
	uint64_t low = log->first, high = log->next;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (slot(log, mid)->seq > seq)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}
