/* Who: clients, their subscriptions, and what is said to one of them. */

#include "wsd/hub.h"

#include "common/clock.h"
#include "wsd/hub_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum evh_rc
hub_new(struct hub **out, const struct hub_ops *ops, const char *epoch, uint64_t head_seq,
	size_t log_memory)
{
	struct hub *hub = calloc(1, sizeof(*hub));

	*out = NULL;
	if (hub == NULL || eventlog_init(&hub->log, head_seq, log_memory) != EVH_OK) {
		free(hub);
		return EVH_NOMEM;
	}
	hub->ops = *ops;
	(void)snprintf(hub->epoch, sizeof(hub->epoch), "%s", epoch);
	hub->flushed = hub->log.next;
	hub->number = 1;
	*out = hub;
	return EVH_OK;
}

void
hub_free(struct hub **hub)
{
	struct hub *h = *hub;

	if (h == NULL)
		return;
	chunks_clear(&h->chunks);
	clients_free(&h->clients);
	grouping_free(&h->grouping);
	eventlog_clear(&h->log);
	buf_free(&h->run.bytes);
	free(h->lagging);
	free(h->touched);
	free(h->named);
	free(h);
	*hub = NULL;
}

struct clients *
hub_clients(struct hub *hub)
{
	return &hub->clients;
}

struct grouping *
hub_grouping(struct hub *hub)
{
	return &hub->grouping;
}

const struct hub_stats *
hub_stats(const struct hub *hub)
{
	return &hub->stats;
}

const char *
hub_epoch(const struct hub *hub)
{
	return hub->epoch;
}

uint64_t
hub_head(const struct hub *hub)
{
	return hub->log.head_seq;
}

void
hub_start_numbers(struct hub *hub, uint64_t first)
{
	hub->number = first;
}

size_t
hub_backlog(const struct hub *hub)
{
	return hub->unflushed;
}

uint64_t
hub_behind(const struct hub *hub, const struct client *c)
{
	if (c->state != CLIENT_LAGGING && c->state != CLIENT_WAITING)
		return 0;
	if (c->pos >= hub->log.first)
		return hub->log.next - c->pos;
	return hub->log.head_seq - c->seq;
}

/* Lists of clients */

void
hub_unlive(struct client *c)
{
	struct group *g = c->group;

	if (c->live_index == CLIENT_NOT_LIVE)
		return;
	g->live[c->live_index] = g->live[--g->live_count];
	g->live[c->live_index]->live_index = c->live_index;
	c->live_index = CLIENT_NOT_LIVE;
}

bool
hub_lag(struct hub *hub, struct client *c, uint8_t state)
{
	if (c->lag_index == CLIENT_NOT_LIVE) {
		if (hub->lag_count == hub->lag_size) {
			uint32_t size = hub->lag_size == 0 ? 64 : hub->lag_size * 2;
			struct client **list = realloc(hub->lagging, size * sizeof(struct client *));

			if (list == NULL)
				return false;
			hub->lagging = list;
			hub->lag_size = size;
		}
		c->lag_index = hub->lag_count;
		hub->lagging[hub->lag_count++] = c;
		c->unread_replies = 0;
	}
	c->state = state;
	return true;
}

void
hub_unlag(struct hub *hub, struct client *c)
{
	if (c->lag_index == CLIENT_NOT_LIVE)
		return;
	hub->lagging[c->lag_index] = hub->lagging[--hub->lag_count];
	hub->lagging[c->lag_index]->lag_index = c->lag_index;
	c->lag_index = CLIENT_NOT_LIVE;
	if (c->queue_depth != 0 && c->state != CLIENT_CLOSING)
		hub->ops.dirty(hub->ops.arg, c);
}

/* Events */

enum evh_rc
hub_entry(struct hub *hub, const struct hub_event *event, struct logentry *out)
{
	struct evtype *type = grouping_any_type(&hub->grouping, event->event_type);
	const char *client_id =
		event->client_id != NULL && event->client_id[0] != '\0' ? event->client_id : NULL;
	const char *user_id =
		event->user_id != NULL && event->user_id[0] != '\0' ? event->user_id : NULL;
	char id[EVH_ID_TEXT];
	struct message m = {
		.id = id,
		.event_type = event->event_type,
		.timestamp = event->timestamp,
		.text = event->message,
		.text_len = event->message_len,
		.body = event->body,
		.body_len = event->body_len,
		.client_id = client_id,
	};
	uint8_t uuid[EVH_UUID_BYTES];

	if (type == NULL)
		return EVH_NOT_FOUND;
	if (client_id != NULL && !evh_uuid_parse(client_id, uuid))
		return EVH_INVALID;
	memset(out, 0, sizeof(*out));
	out->persistent = event->seq != 0;
	out->seq = out->persistent ? event->seq : hub->log.head_seq;
	out->type = type->number;
	(void)evh_id_format(id, hub->epoch, out->seq, out->persistent ? 0 : hub->number++);
	if (client_id != NULL || user_id != NULL) {
		out->target = client_id != NULL ? target_client(uuid) : target_user(user_id);
		if (out->target == NULL)
			return EVH_NOMEM;
	}
	out->frame = frame_new(&m);
	if (out->frame == NULL) {
		free(out->target);
		return EVH_NOMEM;
	}
	return EVH_OK;
}

enum evh_rc
hub_append(struct hub *hub, const struct hub_event *event, char id[EVH_ID_TEXT])
{
	uint64_t number = event->seq == 0 ? hub->number : 0;
	struct logentry entry;
	enum evh_rc rc = hub_entry(hub, event, &entry);

	if (rc != EVH_OK)
		return rc;
	if (id != NULL)
		(void)evh_id_format(id, hub->epoch, entry.seq, number);
	/* what has not been flushed yet must not be dropped to make room */
	if (hub->unflushed + eventlog_entry_bytes(&entry) > hub->log.budget / 2)
		hub_flush(hub);
	rc = eventlog_append(&hub->log, &entry);
	if (rc != EVH_OK) {
		free(entry.frame);
		free(entry.target);
		return rc;
	}
	hub->unflushed += eventlog_entry_bytes(&entry);
	hub->stats.events++;
	hub->grouping.types[entry.type]->events++;
	if (hub->batch++ == 0)
		hub->batch_at = hub->ops.now_us();
	return EVH_OK;
}

/* One client */

/* Sends a frame that is no event, at the client's position.  A client_id of ""
 * is filled in. */
static bool
send_aside(struct hub *hub, struct client *c, const struct message *message)
{
	struct message m = *message;
	struct buf frame = BUF_INIT;
	char id[EVH_ID_TEXT], stamp[CLOCK_TEXT_BYTES], client_id[EVH_UUID_TEXT];
	bool taken = true;

	(void)evh_id_format(id, hub->epoch, deliver_client_seq(hub, c), hub->number++);
	clock_format(hub->ops.now_us(), stamp);
	m.id = id;
	m.timestamp = stamp;
	if (m.client_id != NULL) {
		evh_uuid_format(c->id, client_id);
		m.client_id = client_id;
	}
	frame_append(&frame, &m);
	if (frame.failed) {
		hub_close(hub, c, CLOSE_TRY_LATER, "out of memory");
	} else {
		taken = hub->ops.queue(c->conn, (const uint8_t *)frame.data, frame.len);
		hub->stats.messages_sent++;
		hub->stats.asides++;
		hub->stats.bytes_sent += frame.len;
	}
	buf_free(&frame);
	return taken;
}

static bool
is_open(const struct client *c)
{
	return c->state == CLIENT_LIVE || c->state == CLIENT_LAGGING || c->state == CLIENT_WAITING;
}

void
hub_reply(struct hub *hub, struct client *c, const struct message *message)
{
	struct message m = *message;
	char made_up[EVH_ID_TEXT];

	hub_flush(hub);
	if (!is_open(c))
		return;
	if (c->unread_replies >= REPLIES_UNREAD) {
		hub_close(hub, c, CLOSE_POLICY, "asks but does not read");
		return;
	}
	if (m.ref_id == NULL) { /* the id that we give to the request */
		(void)evh_id_format(made_up, hub->epoch, deliver_client_seq(hub, c), hub->number++);
		m.ref_id = made_up;
	}
	m.client_id = ""; /* to be filled in */
	if (send_aside(hub, c, &m) && c->state == CLIENT_LIVE)
		c->unread_replies = 0;
	else
		c->unread_replies++;
}

void
hub_types_json(struct hub *hub, const struct client *c, struct buf *out)
{
	uint32_t *types = calloc(c->group->type_count + 1, sizeof(*types));

	if (types == NULL) {
		out->failed = true;
		return;
	}
	group_types(c->group, types);
	buf_add(out, "[", 1);
	for (uint32_t i = 0; i < c->group->type_count; i++) {
		const char *name = hub->grouping.types[types[i]]->name;

		if (i > 0)
			buf_add(out, ",", 1);
		buf_json_string(out, name, strlen(name));
	}
	buf_add(out, "]", 1);
	free(types);
}

static void
names_json(const struct event_types *types, struct buf *out)
{
	buf_add(out, "[", 1);
	for (size_t i = 0; i < types->count; i++) {
		if (i > 0)
			buf_add(out, ",", 1);
		buf_json_string(out, types->names[i], strlen(types->names[i]));
	}
	buf_add(out, "]", 1);
}

void
hub_welcome(struct hub *hub, struct client *c, const struct event_types *types, uint64_t start_seq,
	bool resumed, const char *reason)
{
	static const char text[] = "WebSocket connection established subscribed to global by default";
	struct buf body = BUF_INIT;
	char client_id[EVH_UUID_TEXT];
	struct message m = { .event_type = "global", .text = text, .text_len = sizeof(text) - 1 };

	if (c->state != CLIENT_JOINING)
		return;
	hub_flush(hub);
	c->seq = start_seq;
	c->pos = 0;
	c->last_progress = hub->now;
	if (!hub_lag(hub, c, CLIENT_LAGGING)) {
		hub_close(hub, c, CLOSE_TRY_LATER, "out of memory");
		return;
	}
	evh_uuid_format(c->id, client_id);
	buf_printf(&body, "{\"client_id\":\"%s\",\"subscriptions\":", client_id);
	names_json(types, &body);
	buf_printf(&body, ",\"resumed\":%s", resumed ? "true" : "false");
	if (reason != NULL)
		buf_printf(&body, ",\"reason\":\"%s\"", reason);
	buf_puts(&body, "}");
	m.body = body.data;
	m.body_len = body.len;
	if (body.failed)
		hub_close(hub, c, CLOSE_TRY_LATER, "out of memory");
	else
		(void)send_aside(hub, c, &m);
	buf_free(&body);
	if (is_open(c))
		deliver_fill(hub, c);
}

void
hub_writable(struct hub *hub, struct client *c)
{
	if (c->state == CLIENT_LAGGING)
		deliver_fill(hub, c);
}

/* Moves the client to another group, keeping what it is. */
static void
move(struct hub *hub, struct client *c, struct group *to)
{
	struct group *from = c->group;
	bool live = c->state == CLIENT_LIVE;

	hub_unlive(c);
	c->group = to;
	grouping_leave(&hub->grouping, from);
	if (!live)
		return;
	/* its place among the live ones is found as for one that caught up */
	c->pos = hub->flushed;
	c->seq = deliver_seq_before(&hub->log, hub->flushed);
	if (hub_lag(hub, c, CLIENT_LAGGING))
		deliver_fill(hub, c);
	else
		hub_close(hub, c, CLOSE_TRY_LATER, "out of memory");
}

static void
tell_subscriptions(
	struct hub *hub, struct client *c, const char *text, const uint32_t *changed, uint32_t count)
{
	struct buf body = BUF_INIT;
	struct message m = {
		.event_type = "system", .text = text, .text_len = strlen(text), .client_id = ""
	};

	buf_puts(&body, "{\"event_types\":[");
	for (uint32_t i = 0; i < count; i++) {
		const char *name = hub->grouping.types[changed[i]]->name;

		buf_puts(&body, i > 0 ? "," : "");
		buf_json_string(&body, name, strlen(name));
	}
	buf_puts(&body, "],\"subscriptions\":");
	hub_types_json(hub, c, &body);
	buf_puts(&body, "}");
	m.body = body.data;
	m.body_len = body.len;
	if (body.failed)
		hub_close(hub, c, CLOSE_TRY_LATER, "out of memory");
	else
		(void)send_aside(hub, c, &m);
	buf_free(&body);
}

static enum evh_rc
change_subscriptions(
	struct hub *hub, struct client *c, const uint32_t *types, uint32_t count, bool present)
{
	uint32_t changed[EVENT_TYPES_MAX], changed_count;
	struct group *to;

	assert(count <= EVENT_TYPES_MAX);
	if (!is_open(c))
		return EVH_NOT_FOUND;
	hub_flush(hub); /* what came before the change is sent by the old rules */
	if (!is_open(c))
		return EVH_OK;
	to = grouping_with(&hub->grouping, c->group, types, count, present, changed, &changed_count);
	if (to == NULL) {
		hub_close(hub, c, CLOSE_TRY_LATER, "out of memory");
		return EVH_NOMEM;
	}
	if (changed_count == 0) {
		grouping_leave(&hub->grouping, to);
		return EVH_OK;
	}
	move(hub, c, to);
	if (is_open(c))
		tell_subscriptions(
			hub, c, present ? "subscribed" : "unsubscribed", changed, changed_count);
	return EVH_OK;
}

enum evh_rc
hub_subscribe(struct hub *hub, struct client *client, const uint32_t *types, uint32_t count)
{
	return change_subscriptions(hub, client, types, count, true);
}

enum evh_rc
hub_unsubscribe(struct hub *hub, struct client *client, const uint32_t *types, uint32_t count)
{
	return change_subscriptions(hub, client, types, count, false);
}

void
hub_close(struct hub *hub, struct client *c, uint16_t code, const char *reason)
{
	if (c->state == CLIENT_CLOSING)
		return;
	c->state = CLIENT_CLOSING;
	hub_unlive(c);
	hub_unlag(hub, c);
	wheel_remove(&c->timer);
	tally_add(&hub->stats.closes, code, "");
	if (c->conn != NULL) /* else it is not open yet, and closed when it is */
		hub->ops.close(c->conn, code, reason);
}

void
hub_leave(struct hub *hub, struct client **client)
{
	struct client *c = *client;

	c->state = CLIENT_CLOSING;
	hub_unlive(c);
	hub_unlag(hub, c);
	if (c->group != NULL)
		grouping_leave(&hub->grouping, c->group);
	c->group = NULL;
	clients_remove(&hub->clients, client);
}

bool
hub_tick(struct hub *hub, uint32_t now, uint32_t stall_ticks)
{
	bool emptied = chunks_expire(&hub->chunks, now, stall_ticks);

	hub->now = now;
	for (uint32_t i = hub->lag_count; i-- > 0;) {
		struct client *c = hub->lagging[i];
		uint64_t behind = hub_behind(hub, c);
		char reason[CLOSE_REASON_BYTES], id[EVH_ID_TEXT];

		if (c->state == CLIENT_LAGGING && now - c->last_progress > stall_ticks) {
			(void)evh_id_format(id, hub->epoch, c->seq, 0);
			(void)snprintf(reason, sizeof(reason), "reads too slowly; resume from %s", id);
			hub_close(hub, c, CLOSE_TRY_LATER, reason);
		} else if ((uint32_t)(behind > INT32_MAX ? INT32_MAX : behind) != c->queue_depth) {
			hub->ops.dirty(hub->ops.arg, c);
		}
	}
	return emptied;
}
