/* What holds in the hub at the moment of asking. */

#include "common/clock.h"
#include "wsd/hub_priv.h"

#include <string.h>

/* Where the timestamp begins in a frame: behind the frame's header, the id and
 * the event type. */
#define TIMESTAMP "\"timestamp\":\""
#define TIMESTAMP_WITHIN 256

/* When the event was created, µs; 0 if that cannot be told.  The log keeps no
 * times, but what is sent has one in it. */
static int64_t
created_at(const struct logentry *e)
{
	const char *bytes = (const char *)e->frame->bytes, *at, *end;
	size_t len = e->frame->len < TIMESTAMP_WITHIN ? e->frame->len : TIMESTAMP_WITHIN;
	char text[40];
	int64_t us;

	at = memmem(bytes, len, TIMESTAMP, sizeof(TIMESTAMP) - 1);
	if (at == NULL)
		return 0;
	at += sizeof(TIMESTAMP) - 1;
	end = memchr(at, '"', (size_t)(bytes + e->frame->len - at));
	if (end == NULL || (size_t)(end - at) >= sizeof(text))
		return 0;
	memcpy(text, at, (size_t)(end - at));
	text[end - at] = '\0';
	return clock_parse(text, &us) ? us : 0;
}

void
hub_gauges_read(const struct hub *hub, struct hub_gauges *g)
{
	const struct eventlog *log = &hub->log;

	memset(g, 0, sizeof(*g));
	g->clients = hub->clients.count;
	g->users = HASH_COUNT(hub->clients.users);
	g->lagging = hub->lag_count;
	for (uint32_t i = 0; i < hub->lag_count; i++) {
		uint64_t behind = hub_behind(hub, hub->lagging[i]);

		g->behind += behind;
		if (behind > g->most_behind)
			g->most_behind = behind;
	}
	g->log_events = log->next - log->first;
	g->log_bytes = log->bytes;
	g->history_bytes = chunks_bytes(&hub->chunks);
	if (g->log_events > 0) {
		int64_t since = created_at(eventlog_at(log, log->first));
		int64_t span = hub->ops.now_us() - since;

		g->log_span_us = since > 0 && span > 0 ? span : 0;
	}
}
