/* Delivery: from the log to the sockets. */

#include "wsd/hub_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* How many clients ahead a flush asks for what it will need of them. */
#define PREFETCH 4

/* How many slices one lagging client may take before others have their turn. */
#define SLICES_PER_TURN 4

uint64_t
deliver_seq_before(const struct eventlog *log, uint64_t pos)
{
	return pos > log->first ? eventlog_at(log, pos - 1)->seq : log->base_seq;
}

uint64_t
deliver_client_seq(const struct hub *hub, const struct client *c)
{
	return c->state == CLIENT_LIVE ? deliver_seq_before(&hub->log, hub->flushed) : c->seq;
}

static bool
addressed_to(const struct target *t, const struct client *c)
{
	if (t->one_client)
		return memcmp(t->client, c->id, EVH_UUID_BYTES) == 0;
	return strcmp(t->user, c->user->user_id) == 0;
}

/* The end of the slice that begins at from: bounded in bytes and events. */
static uint64_t
slice_end(const struct eventlog *log, uint64_t from, uint64_t limit)
{
	uint64_t pos = from;
	size_t bytes = 0;

	while (pos < limit && pos - from < SLICE_EVENTS) {
		bytes += eventlog_at(log, pos)->frame->len;
		if (bytes > RUN_BYTES && pos > from)
			break;
		pos++;
	}
	return pos;
}

/* Builds the bytes that members of group get from a slice; with client also
 * those that are addressed to it. */
static void
build_run(struct run *run, const struct eventlog *log, uint64_t from, uint64_t to,
	const struct group *group, const struct client *client)
{
	buf_clear(&run->bytes);
	run->count = 0;
	for (uint64_t pos = from; pos < to; pos++) {
		const struct logentry *e = eventlog_at(log, pos);

		if (!group_has(group, e->type) ||
			(e->target != NULL && (client == NULL || !addressed_to(e->target, client))))
			continue;
		buf_add(&run->bytes, e->frame->bytes, e->frame->len);
		run->cuts[run->count].end = (uint32_t)run->bytes.len;
		run->cuts[run->count++].pos = pos;
	}
}

enum sent { SENT_ALL, SENT_PART, SENT_DEAD };

/* Sends the run to one client.  SENT_PART: *pos is where the client stands
 * now, at the start of a frame: the rest of a frame that was cut is queued. */
static enum sent
send_run(struct hub *hub, struct client *c, const struct run *run, uint64_t *pos)
{
	const uint8_t *bytes = (const uint8_t *)run->bytes.data;
	ptrdiff_t n = hub->ops.send(c->conn, bytes, run->bytes.len);
	uint32_t low = 0, high = run->count;
	size_t taken, start;

	if (n < 0)
		return SENT_DEAD;
	taken = (size_t)n;
	hub->stats.bytes_sent += taken;
	if (taken == run->bytes.len) {
		hub->stats.messages_sent += run->count;
		return SENT_ALL;
	}
	while (low < high) { /* the first frame that was not sent whole */
		uint32_t mid = low + (high - low) / 2;

		if (run->cuts[mid].end > taken)
			high = mid;
		else
			low = mid + 1;
	}
	start = low > 0 ? run->cuts[low - 1].end : 0;
	if (taken > start) {
		(void)hub->ops.queue(c->conn, bytes + taken, run->cuts[low].end - taken);
		hub->stats.bytes_sent += run->cuts[low].end - taken;
		low++;
	}
	hub->stats.messages_sent += low;
	if (taken > 0) {
		c->last_progress = hub->now;
		c->unread_replies = 0; /* it reads: what was queued before has gone */
	}
	if (low > 0)
		*pos = run->cuts[low - 1].pos + 1;
	return SENT_PART;
}

static void
send_live(struct hub *hub, struct client *c, const struct run *run, uint64_t from)
{
	uint64_t pos = from;

	switch (send_run(hub, c, run, &pos)) {
	case SENT_ALL:
		return;
	case SENT_PART:
		c->last_progress = hub->now;
		hub_unlive(c);
		c->pos = pos;
		c->seq = deliver_seq_before(&hub->log, pos);
		if (hub_lag(hub, c, CLIENT_LAGGING)) {
			hub->ops.want_writable(c->conn);
			return;
		}
		break;
	case SENT_DEAD:
		break;
	}
	hub_close(hub, c, 0, NULL);
}

static bool
push_pointer(void *array, uint32_t *size, uint32_t count, void *pointer)
{
	void ***list = array;

	if (count == *size) {
		uint32_t want = *size == 0 ? 64 : *size * 2;
		void **grown = realloc(*list, want * sizeof(*grown));

		if (grown == NULL)
			return false;
		*list = grown;
		*size = want;
	}
	(*list)[count] = pointer;
	return true;
}

static void
name_client(struct hub *hub, struct client *c, uint32_t type, uint32_t *count)
{
	if (c == NULL || c->state != CLIENT_LIVE || c->stamp == hub->stamp || !group_has(c->group, type))
		return;
	if (push_pointer(&hub->named, &hub->named_size, *count, c)) {
		c->stamp = hub->stamp;
		(*count)++;
	} else {
		hub_close(hub, c, CLOSE_TRY_LATER, "out of memory");
	}
}

/* Finds the groups that have a type of this slice, and the clients that it
 * addresses by name, who get a run of their own. */
static uint32_t
survey(struct hub *hub, uint64_t from, uint64_t to, uint32_t *named)
{
	uint32_t touched = 0;

	hub->stamp++;
	*named = 0;
	for (uint64_t pos = from; pos < to; pos++) {
		const struct logentry *e = eventlog_at(&hub->log, pos);
		struct evtype *t = hub->grouping.types[e->type];

		if (e->target != NULL) {
			struct user *u;

			if (e->target->one_client) {
				name_client(hub, clients_find(&hub->clients, e->target->client), e->type,
					named);
				continue;
			}
			u = clients_user(&hub->clients, e->target->user);
			for (uint32_t i = 0; u != NULL && i < u->count; i++)
				name_client(hub, u->clients[i], e->type, named);
			continue;
		}
		if (t->stamp == hub->stamp)
			continue;
		t->stamp = hub->stamp;
		for (uint32_t i = 0; i < t->group_count; i++) {
			struct group *g = t->groups[i];

			if (g->stamp == hub->stamp || g->live_count == 0)
				continue;
			g->stamp = hub->stamp;
			if (push_pointer(&hub->touched, &hub->touched_size, touched, g))
				touched++;
			else
				for (uint32_t k = g->live_count; k-- > 0;)
					hub_close(hub, g->live[k], CLOSE_TRY_LATER, "out of memory");
		}
	}
	return touched;
}

static void
flush_group(struct hub *hub, struct group *g, uint64_t from, uint64_t to, uint32_t named)
{
	build_run(&hub->run, &hub->log, from, to, g, NULL);
	if (hub->run.bytes.failed) {
		for (uint32_t k = g->live_count; k-- > 0;)
			hub_close(hub, g->live[k], CLOSE_TRY_LATER, "out of memory");
		return;
	}
	/* backwards: a client that stops being live is replaced by the last one,
	 * which has had its turn */
	for (uint32_t k = g->live_count; k-- > 0;) {
		struct client *c = g->live[k];

		/* between two events other work has taken their place in the caches */
		if (k >= 2 * PREFETCH) {
			__builtin_prefetch(g->live[k - 2 * PREFETCH]);
			__builtin_prefetch(g->live[k - PREFETCH]->conn);
		}
		if (named == 0 || c->stamp != hub->stamp)
			send_live(hub, c, &hub->run, from);
	}
}

static void
flush_slice(struct hub *hub, uint64_t from, uint64_t to)
{
	uint32_t named, touched = survey(hub, from, to, &named);

	for (uint32_t i = 0; i < touched; i++)
		flush_group(hub, hub->touched[i], from, to, named);
	for (uint32_t i = 0; i < named; i++) {
		struct client *c = hub->named[i];

		if (c->state != CLIENT_LIVE)
			continue;
		build_run(&hub->run, &hub->log, from, to, c->group, c);
		if (hub->run.bytes.failed)
			hub_close(hub, c, CLOSE_TRY_LATER, "out of memory");
		else
			send_live(hub, c, &hub->run, from);
	}
}

void
hub_flush(struct hub *hub)
{
	while (hub->flushed < hub->log.next) {
		uint64_t from = hub->flushed, to = slice_end(&hub->log, from, hub->log.next);

		flush_slice(hub, from, to);
		hub->flushed = to;
	}
	hub->unflushed = 0;
	if (hub->batch > 0) {
		int64_t took = hub->ops.now_us() - hub->batch_at;

		histogram_observe(&hub->stats.delivery, &histogram_time, took > 0 ? (uint64_t)took : 0,
			hub->batch);
		hub->batch = 0;
	}
}

/* Reading on: those who are behind. */

/* True if an event of the client's types after seq is gone from the database. */
static bool
has_lost(const struct chunk *ch, const struct client *c)
{
	for (size_t i = 0; i < ch->lost_count; i++)
		if (ch->lost[i].seq > c->seq && group_has(c->group, ch->lost[i].type))
			return true;
	return false;
}

enum fill { FILL_MORE, FILL_CHOKED, FILL_GONE };

/* Sends one slice of log, from *pos towards limit. */
static enum fill
fill_slice(struct hub *hub, struct client *c, const struct eventlog *log, uint64_t *pos, uint64_t limit)
{
	uint64_t to = slice_end(log, *pos, limit);

	build_run(&hub->run, log, *pos, to, c->group, c);
	if (hub->run.bytes.failed) {
		hub_close(hub, c, CLOSE_TRY_LATER, "out of memory");
		return FILL_GONE;
	}
	if (hub->run.count > 0) {
		switch (send_run(hub, c, &hub->run, pos)) {
		case SENT_ALL:
			c->unread_replies = 0;
			break;
		case SENT_PART:
			return FILL_CHOKED;
		case SENT_DEAD:
			hub_close(hub, c, 0, NULL);
			return FILL_GONE;
		}
	}
	c->last_progress = hub->now;
	*pos = to;
	return FILL_MORE;
}

static enum fill
fill_from_memory(struct hub *hub, struct client *c)
{
	enum fill result = fill_slice(hub, c, &hub->log, &c->pos, hub->flushed);

	if (result != FILL_GONE)
		c->seq = deliver_seq_before(&hub->log, c->pos);
	return result;
}

/* The piece may hold events that the log has not been told of yet: those come
 * with the next flush, and only then. */
static enum fill
fill_from_chunk(struct hub *hub, struct client *c, struct chunk *ch)
{
	uint64_t upto = ch->upto < hub->log.head_seq ? ch->upto : hub->log.head_seq;
	uint64_t pos = eventlog_find(&ch->log, c->seq), limit = eventlog_find(&ch->log, upto);
	enum fill result;

	chunks_use(&hub->chunks, ch, hub->now);
	if (has_lost(ch, c)) {
		hub_close(hub, c, CLOSE_TRY_LATER, "events expired before they could be sent; reload");
		return FILL_GONE;
	}
	result = fill_slice(hub, c, &ch->log, &pos, limit);
	if (result == FILL_GONE)
		return result;
	if (pos == limit)
		c->seq = upto;
	else if (deliver_seq_before(&ch->log, pos) > c->seq)
		c->seq = deliver_seq_before(&ch->log, pos);
	return result;
}

/* Makes pos valid if what follows seq is in memory. */
static bool
in_memory(struct hub *hub, struct client *c)
{
	if (c->pos >= hub->log.first)
		return true;
	if (c->seq < hub->log.base_seq)
		return false;
	c->pos = eventlog_find(&hub->log, c->seq);
	return true;
}

static void
make_live(struct hub *hub, struct client *c)
{
	struct group *g = c->group;

	if (!push_pointer(&g->live, &g->live_size, g->live_count, c)) {
		hub_close(hub, c, CLOSE_TRY_LATER, "out of memory");
		return;
	}
	hub_unlag(hub, c);
	c->live_index = g->live_count++;
	c->state = CLIENT_LIVE;
	c->pos = 0;
}

void
deliver_fill(struct hub *hub, struct client *c)
{
	hub_flush(hub); /* so that "flushed" is the end of what memory holds */
	for (int turn = 0; turn < SLICES_PER_TURN; turn++) {
		enum fill result;

		if (in_memory(hub, c)) {
			if (c->pos == hub->flushed) {
				make_live(hub, c);
				return;
			}
			assert(c->pos < hub->flushed);
			result = fill_from_memory(hub, c);
		} else {
			struct chunk *ch = chunks_find(&hub->chunks, c->seq);

			if (ch == NULL) {
				c->state = CLIENT_WAITING;
				deliver_fetch_next(hub);
				return;
			}
			result = fill_from_chunk(hub, c, ch);
			c->pos = 0;
		}
		if (result == FILL_GONE)
			return;
		if (result == FILL_CHOKED)
			break;
	}
	c->state = CLIENT_LAGGING;
	hub->ops.want_writable(c->conn);
}

static const struct client *
furthest_behind(const struct hub *hub)
{
	const struct client *furthest = NULL;

	for (uint32_t i = 0; i < hub->lag_count; i++) {
		const struct client *c = hub->lagging[i];

		if (c->state == CLIENT_WAITING && (furthest == NULL || c->seq < furthest->seq))
			furthest = c;
	}
	return furthest;
}

static const struct client *
next_in_turn(struct hub *hub)
{
	for (uint32_t n = 0; n < hub->lag_count; n++) {
		uint32_t i = (hub->fetch_turn + n) % hub->lag_count;

		if (hub->lagging[i]->state == CLIENT_WAITING) {
			hub->fetch_turn = i + 1;
			return hub->lagging[i];
		}
	}
	return NULL;
}

/* One fetch at a time, for whoever is furthest behind: what it brings serves all
 * that stand in that stretch.  Every other one is for who is next in turn, or many
 * who come back to the past again and again would keep all others waiting. */
void
deliver_fetch_next(struct hub *hub)
{
	const struct client *c;

	if (hub->fetching)
		return;
	c = hub->fetches % 2 == 0 ? furthest_behind(hub) : next_in_turn(hub);
	if (c == NULL)
		return;
	hub->fetches++;
	hub->fetching = true;
	hub->ops.fetch(hub->ops.arg, c->seq);
}

void
hub_history(struct hub *hub, uint64_t after, uint64_t upto, struct eventlog *log, struct hub_lost *lost,
	size_t lost_count)
{
	struct chunk piece = {
		.after = after, .upto = upto, .log = *log, .lost = lost, .lost_count = lost_count
	};

	chunks_add(&hub->chunks, &piece, hub->now);
	hub->fetching = false;
	/* backwards: a client that leaves the list is replaced by the last one */
	for (uint32_t i = hub->lag_count; i-- > 0;) {
		struct client *c;

		if (i >= hub->lag_count)
			continue;
		c = hub->lagging[i];
		if (c->state == CLIENT_WAITING && chunks_find(&hub->chunks, c->seq) != NULL)
			deliver_fill(hub, c);
	}
	deliver_fetch_next(hub);
}
