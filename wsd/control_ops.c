/* What may be asked on the control socket, and the answers. */

#include "common/clock.h"
#include "wsd/control_priv.h"
#include "wsd/control_request.h"
#include "wsd/metrics.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

/* One request, who asked, and where the answer goes. */
struct request {
	struct control_conn *conn;
	struct control_reply *reply;
	struct control_request in;
	bool later; /* to be asked again when those before it are answered */
};

static void
begin(struct control_reply *r, struct json_slice rid)
{
	control_answer_begin(&r->text, true, rid);
}

static void
finish(struct control_reply *r)
{
	buf_puts(&r->text, "}");
	control_ready(r);
}

static void
fail(struct control_reply *r, struct json_slice rid, const char *what, const char *detail)
{
	control_answer_error(&r->text, rid, what, detail);
	control_ready(r);
}

static void
op_hello(struct request *q)
{
	const struct conf *conf = q->conn->control->setup.conf;

	begin(q->reply, q->in.rid);
	buf_puts(&q->reply->text,
		",\"name\":\"evhub-wsd\",\"version\":\"" PACKAGE_VERSION
		"\",\"protocol\":1,\"daemon\":");
	buf_json_string(&q->reply->text, conf->name, strlen(conf->name));
	buf_printf(&q->reply->text, ",\"database\":\"%s\"",
		evh_rc_name(store_health(q->conn->control->setup.store)));
	finish(q->reply);
}

/* Answers are begun late, so the rid waits in the text until then. */
static struct json_slice
kept_rid(struct control_reply *r, struct buf *keep)
{
	*keep = r->text;
	r->text = (struct buf)BUF_INIT;
	return (struct json_slice){ keep->len > 0 ? keep->data : NULL, keep->len };
}

void
control_try_sync(struct control_reply *r, uint64_t reached, bool all)
{
	struct buf keep;
	struct json_slice rid;

	if (reached < r->change && !all)
		return;
	rid = kept_rid(r, &keep);
	if (reached >= r->change) {
		begin(r, rid);
		buf_printf(&r->text, ",\"change\":%llu", (unsigned long long)reached);
		finish(r);
	} else {
		fail(r, rid, "change: there is none of this number yet", "");
	}
	buf_free(&keep);
}

static void
op_sync(struct request *q)
{
	struct control *ctl = q->conn->control;
	uint64_t n;
	bool all = false;

	if (!control_request_change(&q->in, &n)) {
		fail(q->reply, q->in.rid, "change: must be a whole number", "");
		return;
	}
	buf_add(&q->reply->text, q->in.rid.at != NULL ? q->in.rid.at : "", q->in.rid.len);
	q->reply->change = n == 0 ? 1 : n;
	if (n == 0) { /* every change so far */
		q->reply->change = ctl->setup.sync(ctl->setup.arg, &all);
		control_try_sync(q->reply, q->reply->change, true);
		return;
	}
	/* many ask at once, and the first has had it applied for the others */
	n = ctl->setup.in_force(ctl->setup.arg);
	if (n < q->reply->change)
		n = ctl->setup.sync(ctl->setup.arg, &all);
	control_try_sync(q->reply, n, all);
}

static void
on_published(void *arg, struct store_op *op)
{
	struct control_reply *r = arg;
	struct buf keep;
	struct json_slice rid = kept_rid(r, &keep);
	char id[EVH_ID_TEXT];

	if (r->conn != NULL && op->rc == EVH_OK) {
		r->conn->published = op->u.publish.seq;
		(void)evh_id_format(id, hub_epoch(r->conn->control->setup.hub), op->u.publish.seq, 0);
		begin(r, rid);
		buf_printf(&r->text, ",\"id\":\"%s\"%s", id,
			op->u.publish.duplicate ? ",\"duplicate\":true" : "");
		finish(r);
	} else {
		fail(r, rid, op->rc == EVH_INVALID ? "the database refuses the event" : "database: ",
			op->rc == EVH_INVALID ? "" : evh_rc_name(op->rc));
	}
	buf_free(&keep);
	store_op_free(op);
}

static char *
copy(const char *text, size_t len)
{
	char *c = malloc(len + 1);

	if (c != NULL) {
		memcpy(c, text, len);
		c[len] = '\0';
	}
	return c;
}

static void
publish_stored(struct request *q, const struct event_input *e)
{
	struct store_op *op = store_op_new(STORE_PUBLISH);
	bool complete;

	if (op == NULL) {
		fail(q->reply, q->in.rid, "out of memory", "");
		return;
	}
	op->u.publish.event_type = strdup(e->event_type);
	op->u.publish.message = copy(e->message != NULL ? e->message : "", e->message_len);
	op->u.publish.message_len = e->message_len;
	if (e->body.at != NULL)
		op->u.publish.body = copy(e->body.at, e->body.len);
	op->u.publish.body_len = e->body.len;
	if (e->client_id[0] != '\0')
		op->u.publish.client_id = strdup(e->client_id);
	if (e->user_id != NULL)
		op->u.publish.user_id = strdup(e->user_id);
	if (e->dedup_id != NULL)
		op->u.publish.dedup_id = strdup(e->dedup_id);
	complete = op->u.publish.event_type != NULL && op->u.publish.message != NULL &&
		(e->body.at == NULL || op->u.publish.body != NULL) &&
		(e->client_id[0] == '\0' || op->u.publish.client_id != NULL) &&
		(e->user_id == NULL || op->u.publish.user_id != NULL) &&
		(e->dedup_id == NULL || op->u.publish.dedup_id != NULL);
	if (!complete) {
		store_op_free(op);
		fail(q->reply, q->in.rid, "out of memory", "");
		return;
	}
	op->done = on_published;
	op->arg = q->reply;
	buf_add(&q->reply->text, q->in.rid.at != NULL ? q->in.rid.at : "", q->in.rid.len);
	store_submit(q->conn->control->setup.store, op);
}

/* An event that is not persistent goes to the live clients at once, but not
 * before what the same asker has published before it. */
static void
publish_passing(struct request *q, const struct event_input *e)
{
	const struct control_setup *setup = &q->conn->control->setup;
	char stamp[CLOCK_TEXT_BYTES], id[EVH_ID_TEXT];
	struct hub_event event = { .event_type = e->event_type,
		.timestamp = stamp,
		.message = e->message != NULL ? e->message : "",
		.message_len = e->message_len,
		.body = e->body.at,
		.body_len = e->body.len,
		.client_id = e->client_id,
		.user_id = e->user_id };
	enum evh_rc rc;
	bool all;

	if (q->conn->unready > 1) { /* itself and another */
		q->later = true;
		return;
	}
	if (q->conn->published > hub_head(setup->hub))
		(void)setup->sync(setup->arg, &all);
	clock_format(clock_now_us(), stamp);
	rc = hub_append(setup->hub, &event, id);
	if (rc != EVH_OK) {
		fail(q->reply, q->in.rid, "cannot publish: ", evh_rc_name(rc));
		return;
	}
	begin(q->reply, q->in.rid);
	buf_printf(&q->reply->text, ",\"id\":\"%s\"", id);
	finish(q->reply);
}

static void
op_publish(struct request *q)
{
	const struct control_setup *setup = &q->conn->control->setup;
	struct buf error = BUF_INIT;
	struct event_input event;
	const struct evtype *type;

	if (!control_request_event(&q->in, (size_t)setup->conf->max_event_bytes, &event, &error)) {
		fail(q->reply, q->in.rid, error.data != NULL ? error.data : "out of memory", "");
		buf_free(&error);
		return;
	}
	type = grouping_type(hub_grouping(setup->hub), event.event_type);
	if (type == NULL) {
		bool all;

		/* it may have been inserted a moment ago */
		(void)setup->sync(setup->arg, &all);
		type = grouping_type(hub_grouping(setup->hub), event.event_type);
	}
	if (type == NULL)
		fail(q->reply, q->in.rid, "event_type: no such event type: ", event.event_type);
	else if (type->persistent)
		publish_stored(q, &event);
	else
		publish_passing(q, &event);
}

static void
op_stats(struct request *q)
{
	const struct control *ctl = q->conn->control;
	struct hub *hub = ctl->setup.hub;
	const struct hub_stats *stats = hub_stats(hub);
	const struct clients *clients = hub_clients(hub);
	struct grouping *g = hub_grouping(hub);
	uint64_t subscriptions = 0, lagging = 0;
	bool all;

	for (size_t i = 0; i < clients->size; i++) {
		if (clients->slots[i] == NULL || clients->slots[i]->group == NULL)
			continue;
		subscriptions += clients->slots[i]->group->type_count;
		lagging += hub_behind(hub, clients->slots[i]) > 0;
	}
	begin(q->reply, q->in.rid);
	buf_printf(&q->reply->text,
		",\"total_clients\":%zu,\"total_subscriptions\":%llu,\"lagging_clients\":%llu,"
		"\"messages_sent\":%llu,\"bytes_sent\":%llu,\"events\":%llu,\"head\":\"%s-%llu\","
		"\"change\":%llu,\"uptime\":%lld,\"type_stats\":{",
		clients->count, (unsigned long long)subscriptions, (unsigned long long)lagging,
		(unsigned long long)stats->messages_sent, (unsigned long long)stats->bytes_sent,
		(unsigned long long)stats->events, hub_epoch(hub), (unsigned long long)hub_head(hub),
		(unsigned long long)ctl->setup.sync(ctl->setup.arg, &all),
		(long long)((clock_mono_us() - ctl->started_us) / 1000000));
	for (uint32_t t = 0, n = 0; t < g->type_count; t++) {
		uint32_t members = 0;

		for (uint32_t i = 0; i < g->types[t]->group_count; i++)
			members += g->types[t]->groups[i]->members;
		if (members == 0)
			continue;
		buf_puts(&q->reply->text, n++ > 0 ? "," : "");
		buf_json_string(&q->reply->text, g->types[t]->name, strlen(g->types[t]->name));
		buf_printf(&q->reply->text, ":%u", members);
	}
	buf_puts(&q->reply->text, "}");
	finish(q->reply);
}

static void
client_json(struct hub *hub, const struct client *c, bool brief, struct buf *out)
{
	char id[EVH_UUID_TEXT], stamp[CLOCK_TEXT_BYTES];

	evh_uuid_format(c->id, id);
	if (brief) {
		buf_printf(out, "{\"id\":\"%s\",\"queue_depth\":%llu}", id,
			(unsigned long long)hub_behind(hub, c));
		return;
	}
	clock_format(c->connected_at, stamp);
	buf_printf(out, "{\"id\":\"%s\",\"user_id\":", id);
	buf_json_string(out, c->user->user_id, strlen(c->user->user_id));
	buf_printf(out, ",\"connected_at\":\"%s\",\"queue_depth\":%llu,\"event_subscriptions\":", stamp,
		(unsigned long long)hub_behind(hub, c));
	hub_types_json(hub, c, out);
	buf_puts(out, "}");
}

struct clients_asked {
	const char *user_id; /* NULL: anybody's */
	bool lagging;	     /* only who is behind */
	bool brief;	     /* how far behind, and nothing else */
};

/* Appends those of the count clients (some NULL) that are connected and asked for. */
static void
clients_json(struct hub *hub, struct client *const *list, size_t count,
	const struct clients_asked *asked, struct buf *out)
{
	const char *separator = "";

	for (size_t i = 0; i < count; i++) {
		const struct client *c = list[i];

		if (c == NULL || c->state == CLIENT_JOINING || c->state == CLIENT_CLOSING ||
			(asked->lagging && c->state == CLIENT_LIVE))
			continue;
		buf_puts(out, separator);
		client_json(hub, c, asked->brief, out);
		separator = ",";
	}
}

static void
op_clients(struct request *q)
{
	struct hub *hub = q->conn->control->setup.hub;
	const struct clients *all = hub_clients(hub);
	struct clients_asked asked = { NULL, false, false };

	if (!control_request_flag(&q->in, "lagging", &asked.lagging)) {
		fail(q->reply, q->in.rid, "lagging: must be true or false", "");
		return;
	}
	if (!control_request_flag(&q->in, "brief", &asked.brief)) {
		fail(q->reply, q->in.rid, "brief: must be true or false", "");
		return;
	}
	if (!control_request_text(&q->in, "user_id", &asked.user_id)) {
		fail(q->reply, q->in.rid, "user_id: must be a string", "");
		return;
	}
	begin(q->reply, q->in.rid);
	buf_puts(&q->reply->text, ",\"clients\":[");
	if (asked.user_id == NULL) {
		clients_json(hub, all->slots, all->size, &asked, &q->reply->text);
	} else {
		const struct user *u = clients_user(all, asked.user_id);

		if (u != NULL)
			clients_json(hub, u->clients, u->count, &asked, &q->reply->text);
	}
	buf_puts(&q->reply->text, "]");
	finish(q->reply);
}

/* Counting the descriptors, and the memory, of more would hold up deliveries. */
#define FEW_CLIENTS 2000

static void
op_metrics(struct request *q)
{
	const struct control *ctl = q->conn->control;
	const struct control_setup *setup = &ctl->setup;
	struct store_figures store;
	struct gauges gauges;
	struct metrics_figures f = { .daemon = setup->conf->name,
		.version = PACKAGE_VERSION,
		.sqlite = sqlite3_libversion(),
		.counted = setup->metrics,
		.hub = hub_stats(setup->hub),
		.types = hub_grouping(setup->hub),
		.gauges = &gauges,
		.store = &store,
		.max_clients = (uint64_t)setup->conf->max_clients,
		.log_budget = (uint64_t)setup->conf->log_memory,
		.uptime_us = clock_mono_us() - ctl->started_us,
		.writer_wait_us = store_waiting_us(setup->store),
		.draining = *setup->draining,
		.writable = store_health(setup->store) == EVH_OK };
	struct buf text = BUF_INIT;

	store_figures(setup->store, &store);
	hub_gauges_read(setup->hub, &f.now);
	gauges_read(&gauges, setup->conf->database, f.now.clients < FEW_CLIENTS);
	metrics_write(&f, &text);
	if (text.failed) {
		fail(q->reply, q->in.rid, "out of memory", "");
		buf_free(&text);
		return;
	}
	begin(q->reply, q->in.rid);
	buf_puts(&q->reply->text, ",\"text\":");
	buf_json_string(&q->reply->text, text.data, text.len);
	buf_free(&text);
	finish(q->reply);
}

static void
op_drain(struct request *q)
{
	struct control_setup *setup = &q->conn->control->setup;

	begin(q->reply, q->in.rid);
	finish(q->reply);
	setup->drain(setup->arg);
}

static const struct {
	const char *name;
	enum control_role role; /* the least that is needed */
	void (*run)(struct request *q);
} ops[] = {
	{ "hello", CONTROL_PUBLISHER, op_hello },
	{ "sync", CONTROL_FULL, op_sync },
	{ "publish", CONTROL_PUBLISHER, op_publish },
	{ "stats", CONTROL_FULL, op_stats },
	{ "clients", CONTROL_FULL, op_clients },
	{ "metrics", CONTROL_FULL, op_metrics },
	{ "drain", CONTROL_FULL, op_drain },
};

static void
dispatch(struct request *q)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (strcmp(ops[i].name, q->in.op) != 0)
			continue;
		if (q->conn->role < ops[i].role)
			fail(q->reply, q->in.rid, "op: denied to you: ", q->in.op);
		else
			ops[i].run(q);
		return;
	}
	fail(q->reply, q->in.rid, "op: unknown: ", q->in.op);
}

bool
control_answer(struct control_conn *conn, struct control_reply *reply, const char *line, size_t len)
{
	struct request q = { .conn = conn, .reply = reply };
	struct buf error = BUF_INIT;

	if (control_request_parse(&q.in, line, len, &error))
		dispatch(&q);
	else
		fail(reply, q.in.rid, error.data != NULL ? error.data : "out of memory", "");
	buf_free(&error);
	control_request_free(&q.in);
	return !q.later;
}
