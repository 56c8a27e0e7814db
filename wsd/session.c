#include "wsd/session.h"

#include "common/log.h"
#include "common/refusal.h"
#include "wsd/catalog.h"
#include "wsd/handshake.h"
#include "wsd/inbound.h"
#include "wsd/narrow.h"
#include "wsd/tickets.h"
#include "wsd/wheel.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes that wait longer than this mean that the database is held by
 * somebody: newcomers are told to come back. */
#define STORE_STUCK_US INT64_C(5000000)

/* … and than this, that what can wait does. */
#define STORE_SLOW_US INT64_C(1000000)

/* How many rows are updated in one go. */
#define DIRTY_MAX 4000

/* With more clients than this, giving memory back would hold up deliveries: 1 ms
 * here, 40 ms with 100,000, whose own memory is a hundred times as much. */
#define TRIM_CLIENTS 2000

/* What a message costs on the wire beside its text: the head of its frame, and of
 * a TLS record. */
#define FRAME_OVERHEAD 64

/* A message that came before the welcome went out. */
struct early {
	struct early *next;
	uint8_t client[EVH_UUID_BYTES];
	size_t len;
	char text[];
};

struct sessions {
	struct session_setup setup;
	struct hub *hub;
	struct clients *clients;
	struct auth *auth;
	struct guard *guard;
	struct tickets *tickets;
	struct wheel wheel;
	int64_t tick_us;
	uint32_t ping_ticks, pong_ticks, stall_ticks;
	struct client **dirty;
	uint32_t dirty_count, dirty_size;
	struct early *early;
	bool draining;
};

static uint32_t
ticks(const struct sessions *s, int64_t ms)
{
	int64_t n = (ms * 1000 + s->tick_us - 1) / s->tick_us;

	return n > INT32_MAX ? INT32_MAX : n < 1 ? 1 : (uint32_t)n;
}

enum evh_rc
sessions_new(struct sessions **out, const struct session_setup *setup, char *why)
{
	struct sessions *s = calloc(1, sizeof(*s));
	const struct conf *conf = setup->conf;
	int64_t shortest = conf->ping_interval;
	enum evh_rc rc;

	*out = NULL;
	if (s == NULL)
		return EVH_NOMEM;
	s->setup = *setup;
	s->hub = setup->hub;
	s->clients = hub_clients(setup->hub);
	if (conf->pong_timeout - conf->ping_interval < shortest)
		shortest = conf->pong_timeout - conf->ping_interval;
	if (conf->stall_timeout < shortest)
		shortest = conf->stall_timeout;
	s->tick_us = shortest * 1000 / 8;
	if (s->tick_us > 1000000)
		s->tick_us = 1000000;
	if (s->tick_us < 10000)
		s->tick_us = 10000;
	s->ping_ticks = ticks(s, conf->ping_interval);
	s->pong_ticks = ticks(s, conf->pong_timeout);
	s->stall_ticks = ticks(s, conf->stall_timeout);
	wheel_init(&s->wheel);
	rc = auth_new(&s->auth, setup->auth_db);
	if (rc == EVH_OK)
		rc = auth_share_reads(s->auth);
	if (rc == EVH_OK)
		rc = guard_new(&s->guard);
	if (rc == EVH_OK) /* not on auth_db: a ticket that another daemon has used up is to be gone */
		rc = tickets_new(&s->tickets, setup->db, s->auth, conf->database, why);
	if (rc != EVH_OK) {
		auth_free(&s->auth);
		guard_free(&s->guard);
		free(s);
		return rc;
	}
	*out = s;
	return EVH_OK;
}

void
sessions_set_verifier(struct sessions *sessions, struct verifier *verifier)
{
	auth_set_verifier(sessions->auth, verifier);
}

void
sessions_free(struct sessions **sessions)
{
	struct sessions *s = *sessions;

	if (s == NULL)
		return;
	while (s->early != NULL) {
		struct early *e = s->early;

		s->early = e->next;
		free(e);
	}
	tickets_free(&s->tickets);
	guard_free(&s->guard);
	auth_free(&s->auth);
	free(s->dirty);
	free(s);
	*sessions = NULL;
}

void
sessions_turn_ends(struct sessions *sessions)
{
	auth_refresh(sessions->auth);
}

void
sessions_forget_store(struct sessions *sessions)
{
	sessions->setup.store = NULL;
}

/* Rows that are out of date */

void
sessions_dirty(void *arg, struct client *c)
{
	struct sessions *s = arg;

	if (c->dirty_index != CLIENT_NOT_LIVE || c->state == CLIENT_JOINING ||
		c->state == CLIENT_CLOSING)
		return;
	if (s->dirty_count == s->dirty_size) {
		uint32_t size = s->dirty_size == 0 ? 64 : s->dirty_size * 2;
		struct client **list = realloc(s->dirty, size * sizeof(struct client *));

		if (list == NULL)
			return; /* the row stays old for a while */
		s->dirty = list;
		s->dirty_size = size;
	}
	c->dirty_index = s->dirty_count;
	s->dirty[s->dirty_count++] = c;
}

static void
clean(struct sessions *s, struct client *c)
{
	if (c->dirty_index == CLIENT_NOT_LIVE)
		return;
	s->dirty[c->dirty_index] = s->dirty[--s->dirty_count];
	s->dirty[c->dirty_index]->dirty_index = c->dirty_index;
	c->dirty_index = CLIENT_NOT_LIVE;
}

void
sessions_write_dirty(struct sessions *s)
{
	if (s->setup.store == NULL || store_waiting_us(s->setup.store) > STORE_SLOW_US)
		return; /* they stay dirty; nothing piles up behind a locked database */
	for (int i = 0; i < DIRTY_MAX && s->dirty_count > 0; i++) {
		struct client *c = s->dirty[s->dirty_count - 1];
		struct store_op *op = store_op_new(STORE_TOUCH);
		uint64_t behind = hub_behind(s->hub, c);

		if (op == NULL)
			return;
		clean(s, c);
		c->queue_depth = (uint32_t)(behind > INT32_MAX ? INT32_MAX : behind);
		memcpy(op->client, c->id, EVH_UUID_BYTES);
		op->u.touch.ping_at = c->ping_at;
		op->u.touch.pong_at = c->pong_at;
		op->u.touch.queue_depth = c->queue_depth;
		store_submit(s->setup.store, op);
	}
}

/* Keepalive */

static uint32_t
now_seconds(void)
{
	return (uint32_t)(clock_now_us() / 1000000);
}

static void
schedule(struct sessions *s, struct client *c)
{
	uint32_t now = s->wheel.now, ping = c->last_ping + s->ping_ticks,
		 dead = c->last_rx + s->pong_ticks;
	uint32_t due = (int32_t)(ping - dead) < 0 ? ping : dead;
	int32_t after = (int32_t)(due - now);

	if (c->expires != 0) {
		int64_t left = ((int64_t)c->expires - (int64_t)now_seconds()) * 1000000 / s->tick_us + 1;

		if (left < after)
			after = (int32_t)(left < 1 ? 1 : left);
	}
	wheel_set(&s->wheel, &c->timer, after < 1 ? 1 : (uint32_t)after);
}

static uint32_t
received_kib(void *conn)
{
	return (uint32_t)(conn_received(conn) / 1024);
}

/* True if more has come since the last ping than all messages that the client may
 * send: pings, pongs and empty fragments are no messages, but cost as much.  The
 * library answers and drops them without a word, so their bytes are counted. */
static bool
floods_bytes(struct sessions *s, struct client *c)
{
	const struct conf *conf = s->setup.conf;
	int64_t ticks = (int64_t)(s->wheel.now - c->last_ping);
	int64_t allowed = (ticks * s->tick_us / 1000000 + 1) * conf->max_messages_per_second *
		((int64_t)conf->max_message_bytes + FRAME_OVERHEAD);
	uint32_t received = received_kib(c->conn), grown = received - c->received;

	c->received = received;
	return received != 0 && (int64_t)grown * 1024 > allowed;
}

static void
keep_alive(struct sessions *s, struct client *c)
{
	uint32_t now = s->wheel.now;

	if (c->expires != 0 && c->expires <= now_seconds()) {
		hub_close(s->hub, c, CLOSE_POLICY, "credential expired");
		return;
	}
	/* a reader that takes what it is sent is alive, though it lags */
	if (c->state != CLIENT_LIVE && (int32_t)(c->last_progress - c->last_rx) > 0)
		c->last_rx = c->last_progress;
	if (now - c->last_rx >= s->pong_ticks) {
		hub_close(s->hub, c, CLOSE_POLICY, "no sign of life");
		return;
	}
	if (now - c->last_ping >= s->ping_ticks) {
		if (floods_bytes(s, c)) {
			hub_close(s->hub, c, CLOSE_POLICY, "too many bytes");
			return;
		}
		c->last_ping = now;
		c->ping_at = now_seconds();
		conn_ping(c->conn);
		sessions_dirty(s, c);
	}
	schedule(s, c);
}

int64_t
sessions_tick_us(const struct sessions *sessions)
{
	return sessions->tick_us;
}

void
sessions_tick(struct sessions *s)
{
	struct wheel_entry *e;

	wheel_tick(&s->wheel);
	while ((e = wheel_due(&s->wheel)) != NULL)
		keep_alive(s, (struct client *)(void *)((char *)e - offsetof(struct client, timer)));
	/* glibc keeps what lies between other things, 4096 events to a piece */
	if (hub_tick(s->hub, s->wheel.now, s->stall_ticks) && s->clients->count < TRIM_CLIENTS)
		(void)malloc_trim(0);
}

/* Admission */

static bool
has_room(struct sessions *s, const struct handshake *h, struct api_error *e)
{
	const struct conf *conf = s->setup.conf;
	enum evh_rc health = store_health(s->setup.store);

	if (s->draining) {
		api_error_fail(e, 503, "draining", "daemon", "the daemon is shutting down");
		return false;
	}
	if (health != EVH_OK) {
		api_error_fail(e, 503, "database_unavailable", "database",
			"the database cannot be written: %s", evh_rc_name(health));
		return false;
	}
	if (store_waiting_us(s->setup.store) > STORE_STUCK_US) {
		api_error_fail(
			e, 503, "database_busy", "database", "another program holds the database");
		return false;
	}
	if (s->clients->count >= (size_t)conf->max_clients) {
		api_error_fail(e, 503, "full", "max_clients",
			"there are %lld connections, which is the limit", (long long)conf->max_clients);
		return false;
	}
	if (conf->max_clients_per_user != 0 &&
		clients_of_user(s->clients, h->who.user_id) >= conf->max_clients_per_user) {
		api_error_fail(e, 409, "too_many_connections", "user_id",
			"the user has %lld connections, which is the limit",
			(long long)conf->max_clients_per_user);
		return false;
	}
	if (conf->max_clients_per_address != 0 && h->counted_as[0] != '\0' &&
		clients_of_address(s->clients, h->counted_as) >= conf->max_clients_per_address) {
		api_error_fail(e, 409, "too_many_connections", "remote_addr",
			"the address has %lld connections, which is the limit",
			(long long)conf->max_clients_per_address);
		return false;
	}
	return true;
}

static struct group *
enter_group(struct sessions *s, const struct event_types *types)
{
	uint32_t numbers[EVENT_TYPES_MAX], count = 0;
	struct grouping *g = hub_grouping(s->hub);

	for (size_t i = 0; i < types->count; i++) {
		const struct evtype *t = grouping_type(g, types->names[i]);

		if (t != NULL)
			numbers[count++] = t->number;
	}
	return grouping_enter(g, numbers, count);
}

static void on_joined(void *arg, struct store_op *op);

/* The operation that records the client; takes the types out of h. */
static struct store_op *
join_op(struct sessions *s, const struct client *c, struct handshake *h, const char *user_agent)
{
	struct store_op *op = store_op_new(STORE_JOIN);

	if (op == NULL)
		return NULL;
	memcpy(op->client, c->id, EVH_UUID_BYTES);
	op->done = on_joined;
	op->arg = s;
	op->u.join.user_id = strdup(h->who.user_id);
	op->u.join.username = strdup(h->who.username);
	op->u.join.remote_addr = strdup(h->remote_addr);
	op->u.join.user_agent = strndup(user_agent != NULL ? user_agent : "", 512);
	if (h->who.credential_id == 0 && h->who.event_types != NULL)
		op->u.join.allowed = strdup(h->who.event_types);
	op->u.join.credential_id = h->who.credential_id;
	op->u.join.connected_at = c->connected_at;
	op->u.join.ticket = h->ticket[0] != '\0' ? strdup(h->ticket) : NULL;
	op->u.join.types = h->types;
	h->types = (struct event_types)EVENT_TYPES_INIT;
	op->u.join.resume = h->resume && h->resume_known;
	op->u.join.resumed = h->resume && !h->resume_known ? RESUME_UNKNOWN : RESUME_NONE;
	op->u.join.resume_seq = h->resume_seq;
	if (op->u.join.user_id == NULL || op->u.join.username == NULL ||
		op->u.join.remote_addr == NULL || op->u.join.user_agent == NULL ||
		(op->u.join.ticket == NULL && h->ticket[0] != '\0') ||
		(op->u.join.allowed == NULL && h->who.credential_id == 0 &&
			h->who.event_types != NULL)) {
		store_op_free(op);
		return NULL;
	}
	return op;
}

/* When the credential ends, as a client keeps it: far times are the farthest. */
static uint32_t
expiry(const struct auth_principal *who)
{
	return who->expires_at > UINT32_MAX ? UINT32_MAX : (uint32_t)who->expires_at;
}

static struct client *
admit(struct sessions *s, struct handshake *h, const char *user_agent)
{
	struct client *c = clients_add(s->clients, h->who.user_id,
		h->counted_as[0] != '\0' && s->setup.conf->max_clients_per_address != 0 ? h->counted_as
											: NULL,
		clock_now_us());
	struct store_op *op;

	if (c == NULL)
		return NULL;
	c->state = CLIENT_JOINING;
	c->credential_id = h->who.credential_id;
	c->expires = expiry(&h->who);
	c->last_rx = c->last_ping = c->last_progress = s->wheel.now;
	c->group = enter_group(s, &h->types);
	op = c->group != NULL ? join_op(s, c, h, user_agent) : NULL;
	if (op == NULL) {
		hub_leave(s->hub, &c);
		return NULL;
	}
	store_submit(s->setup.store, op);
	return c;
}

/* Counts it too. */
static void
tell_refusal(struct sessions *s, const struct refusal *refusal, const struct api_error *e)
{
	tally_add(&s->setup.metrics->refusals, e->code, e->error != NULL ? e->error : "other");
	refusal_log(refusal, e);
}

static void
on_refused(void *arg, const char *peer, const struct api_error *e)
{
	struct refusal refusal = { .remote_addr = peer };

	tell_refusal(arg, &refusal, e);
}

static void
tell_refused_handshake(struct sessions *s, const struct http_request *r, const struct handshake *h,
	const struct api_error *e)
{
	struct refusal refusal = { h->remote_addr[0] != '\0' ? h->remote_addr : r->peer, h->who.user_id,
		r->path };

	tell_refusal(s, &refusal, e);
}

static bool
on_request(void *arg, const struct http_request *r, struct api_error *e, void **user)
{
	struct sessions *s = arg;
	struct handshake_rules rules = { s->setup.conf, s->auth, s->tickets, hub_grouping(s->hub),
		hub_epoch(s->hub), s->guard, clock_mono_us(), s->setup.look, s->setup.arg };
	struct handshake h;
	struct client *c = NULL;

	if (s->setup.store == NULL) {
		api_error_fail(e, 503, "draining", "daemon", "the daemon is shutting down");
		on_refused(s, r->peer, e);
		return false;
	}
	if (!handshake_check(&h, r, &rules, e)) {
		tell_refused_handshake(s, r, &h, e);
		return false;
	}
	if (has_room(s, &h, e)) {
		c = admit(s, &h, r->user_agent);
		if (c == NULL)
			api_error_fail(e, 503, "out_of_memory", "daemon", "out of memory");
	}
	if (c == NULL)
		tell_refused_handshake(s, r, &h, e);
	if (c == NULL && h.ticket[0] != '\0') /* it was not used */
		tickets_release(s->tickets, h.ticket);
	if (c != NULL)
		s->setup.metrics->connections++;
	handshake_free(&h);
	*user = c;
	return c != NULL;
}

static void
on_opened(void *arg, void *user, struct conn *conn)
{
	struct client *c = user;

	(void)arg;
	c->conn = conn;
	c->received = received_kib(conn);
	if (c->state == CLIENT_CLOSING)
		conn_close(conn, CLOSE_TRY_LATER, NULL);
}

/* Messages */

static bool
type_known(void *arg, const char *name)
{
	struct sessions *s = arg;

	return grouping_type(hub_grouping(s->hub), name) != NULL;
}

static void
answer(struct sessions *s, struct client *c, const char *text, size_t len)
{
	struct inbound_reply reply;
	struct message m;
	char id[EVH_UUID_TEXT];

	evh_uuid_format(c->id, id);
	inbound_answer(text, len, id, type_known, s, &reply);
	memset(&m, 0, sizeof(m));
	m.ref_id = reply.ref_id[0] != '\0' ? reply.ref_id : NULL;
	m.event_type = reply.event_type;
	m.text = reply.message;
	m.text_len = strlen(reply.message);
	m.body = reply.body.len > 0 ? reply.body.data : NULL;
	m.body_len = reply.body.len;
	hub_reply(s->hub, c, &m);
	inbound_reply_free(&reply);
}

/* True when the client has sent more than it may in this second. */
static bool
floods(struct sessions *s, struct client *c)
{
	uint32_t second = now_seconds();

	if (c->window != second) {
		c->window = second;
		c->window_count = 0;
	}
	if (c->window_count < UINT16_MAX)
		c->window_count++;
	return c->window_count > s->setup.conf->max_messages_per_second;
}

static void
keep_early(struct sessions *s, struct client *c, const char *text, size_t len)
{
	struct early *e = malloc(sizeof(*e) + len), **at = &s->early;

	if (e == NULL)
		return;
	memcpy(e->client, c->id, EVH_UUID_BYTES);
	memcpy(e->text, text, len);
	e->len = len;
	e->next = NULL;
	while (*at != NULL)
		at = &(*at)->next;
	*at = e;
	conn_listen_to(c->conn, false); /* until it is welcome */
}

static void
answer_early(struct sessions *s, struct client *c)
{
	bool any = false;

	for (struct early **at = &s->early; *at != NULL;) {
		struct early *e = *at;

		if (memcmp(e->client, c->id, EVH_UUID_BYTES) != 0) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		answer(s, c, e->text, e->len);
		free(e);
		any = true;
	}
	if (any && c->state != CLIENT_CLOSING)
		conn_listen_to(c->conn, true);
}

static void
on_message(void *arg, void *user, const char *text, size_t len)
{
	struct sessions *s = arg;
	struct client *c = user;

	s->setup.metrics->received++;
	if (floods(s, c))
		hub_close(s->hub, c, CLOSE_POLICY, "too many messages");
	else if (c->state == CLIENT_JOINING)
		keep_early(s, c, text, len);
	else
		answer(s, c, text, len);
}

static void
on_violation(void *arg, void *user, uint16_t code, const char *reason)
{
	struct sessions *s = arg;

	hub_close(s->hub, user, code, reason);
}

static void
on_alive(void *arg, void *user, bool pong)
{
	struct sessions *s = arg;
	struct client *c = user;

	c->last_rx = s->wheel.now;
	if (pong) {
		c->pong_at = now_seconds();
		sessions_dirty(s, c);
	}
}

static void
on_writable(void *arg, void *user)
{
	struct sessions *s = arg;

	hub_writable(s->hub, user);
}

/* The end */

static void
on_closed(void *arg, void *user)
{
	struct sessions *s = arg;
	struct client *c = user;
	struct store_op *op = s->setup.store != NULL ? store_op_new(STORE_LEAVE) : NULL;
	bool joining = c->state == CLIENT_JOINING;
	char id[EVH_UUID_TEXT];

	evh_uuid_format(c->id, id);
	log_debug("client_left", "client_id=%s user_id=%s", id, c->user->user_id);
	if (op != NULL) {
		memcpy(op->client, c->id, EVH_UUID_BYTES);
		store_submit(s->setup.store, op);
	} else if (s->setup.store != NULL) {
		log_error("row_left_behind", "client_id=%s reason=\"out of memory\"", id);
	}
	for (struct early **at = &s->early; *at != NULL;) {
		struct early *e = *at;

		if (memcmp(e->client, c->id, EVH_UUID_BYTES) == 0) {
			*at = e->next;
			free(e);
		} else {
			at = &e->next;
		}
	}
	clean(s, c);
	hub_leave(s->hub, &c);
	if (joining) /* the feed may have been waiting for it */
		s->setup.feed_again(s->setup.arg);
}

struct server_handlers
sessions_handlers(struct sessions *sessions)
{
	return (struct server_handlers){
		.request = on_request,
		.refused = on_refused,
		.conn = { .opened = on_opened,
			.message = on_message,
			.violation = on_violation,
			.alive = on_alive,
			.writable = on_writable,
			.closed = on_closed,
			.arg = sessions },
	};
}

/* A ticket that was good when it was shown and gone when it was to be used up. */
static void
log_withdrawn(const struct store_op *op)
{
	struct refusal refusal = { .remote_addr = op->u.join.remote_addr };
	struct api_error e = API_ERROR_INIT;

	api_error_fail(&e, 401, "invalid_ticket", "ticket", "the ticket has expired or was withdrawn");
	refusal_log(&refusal, &e);
	api_error_free(&e);
}

/* Its rows are committed: it may be told so. */
static void
on_joined(void *arg, struct store_op *op)
{
	struct sessions *s = arg;
	struct client *c = clients_find(s->clients, op->client);
	char id[EVH_UUID_TEXT];

	if (op->u.join.ticket != NULL)
		tickets_release(s->tickets, op->u.join.ticket);
	if (c != NULL && c->conn == NULL)
		c = NULL; /* its handshake failed: it is about to go */
	if (c != NULL && c->state == CLIENT_JOINING && op->rc == EVH_NOT_FOUND) {
		log_withdrawn(op);
		hub_close(s->hub, c, CLOSE_POLICY, "the ticket has expired or was withdrawn");
	} else if (c != NULL && c->state == CLIENT_JOINING && op->rc != EVH_OK) {
		log_error("client_not_recorded", "user_id=%s reason=\"%s\"", c->user->user_id,
			evh_rc_name(op->rc));
		hub_close(s->hub, c, CLOSE_TRY_LATER, "the database cannot be written");
	} else if (c != NULL && c->state == CLIENT_JOINING) {
		const char *reason = op->u.join.resumed == RESUME_EXPIRED ? "expired"
			: op->u.join.resumed == RESUME_UNKNOWN		  ? "unknown"
									  : NULL;

		/* nothing that the start position covers may come after it */
		s->setup.catch_up(s->setup.arg, op->u.join.start_seq);
		evh_uuid_format(c->id, id);
		log_debug("client_joined", "client_id=%s user_id=%s remote_addr=%s", id,
			c->user->user_id, op->u.join.remote_addr);
		schedule(s, c);
		s->setup.metrics->resumed += op->u.join.resumed == RESUME_OK;
		s->setup.metrics->resume_failed += reason != NULL;
		hub_welcome(s->hub, c, &op->u.join.types, op->u.join.start_seq,
			op->u.join.resumed == RESUME_OK, reason);
		answer_early(s, c);
	}
	store_op_free(op);
	s->setup.feed_again(s->setup.arg);
}

/* What others change */

static bool
on_subscriptions(struct sessions *s, const struct feed_change *change)
{
	uint32_t numbers[EVENT_TYPES_MAX], count = 0;
	uint8_t id[EVH_UUID_BYTES];
	struct client *c = evh_uuid_parse(change->client_id, id) ? clients_find(s->clients, id) : NULL;

	if (c == NULL)
		return true; /* another daemon's, or gone */
	if (c->state == CLIENT_JOINING)
		return false; /* its welcome comes first */
	for (uint32_t i = 0; i < change->type_count; i++) {
		const struct evtype *t = grouping_any_type(hub_grouping(s->hub), change->types[i]);

		if (t != NULL)
			numbers[count++] = t->number;
	}
	if (change->kind == FEED_SUBSCRIBE)
		(void)hub_subscribe(s->hub, c, numbers, count);
	else
		(void)hub_unsubscribe(s->hub, c, numbers, count);
	return true;
}

static bool
on_disconnect(struct sessions *s, const struct feed_change *change)
{
	uint8_t id[EVH_UUID_BYTES];
	struct client *c = evh_uuid_parse(change->client_id, id) ? clients_find(s->clients, id) : NULL;

	if (c == NULL)
		return true;
	if (c->state == CLIENT_JOINING)
		return false;
	hub_flush(s->hub);
	log_info("client_disconnected", "client_id=%s user_id=%s by=operator", change->client_id,
		c->user->user_id);
	hub_close(s->hub, c, CLOSE_POLICY, "disconnected by the operator");
	return true;
}

/* Why a client of this credential may not stay; NULL if it may. */
static const char *
objection(const struct client *c, enum evh_rc rc, const struct auth_principal *who)
{
	if (rc != EVH_OK)
		return "credential revoked or expired";
	if (strcmp(who->user_id, c->user->user_id) != 0 || (who->scopes & AUTH_SUBSCRIBE) == 0)
		return "credential changed";
	return NULL;
}

/* The client may stay: what it has is made to fit.  False if it is too early. */
static bool
fit(struct sessions *s, struct client *c, const struct auth_principal *who)
{
	if (c->expires != expiry(who)) {
		c->expires = expiry(who);
		if (c->state != CLIENT_JOINING)
			schedule(s, c);
	}
	if (!narrow_needed(s->hub, c, who->event_types))
		return true;
	if (c->state == CLIENT_JOINING)
		return false; /* its welcome comes first */
	log_info("client_narrowed", "user_id=%s by=credential", c->user->user_id);
	if (narrow_client(s->hub, s->setup.store, c, who->event_types) != EVH_OK)
		hub_close(s->hub, c, CLOSE_POLICY, "credential changed");
	return true;
}

/* False if it is to be tried again: the database could not tell, or a client
 * is still joining. */
static bool
on_credential(struct sessions *s, int64_t credential_id)
{
	struct auth_principal who;
	/* which ends the look-ups of this turn: from here on nobody comes in by
	 * what the credential was, and who came in before is closed below */
	enum evh_rc rc = auth_reload(s->auth, credential_id, &who);
	bool all = true;

	if (rc != EVH_OK && rc != EVH_DENIED)
		return false;
	hub_flush(s->hub);
	for (size_t i = 0; i < s->clients->size; i++) {
		struct client *c = s->clients->slots[i];
		const char *reason;

		if (c == NULL || c->credential_id != credential_id || c->state == CLIENT_CLOSING)
			continue;
		reason = objection(c, rc, &who);
		if (reason != NULL) {
			log_info("client_disconnected", "user_id=%s by=credential reason=\"%s\"",
				c->user->user_id, reason);
			hub_close(s->hub, c, CLOSE_POLICY, reason);
		} else if (!fit(s, c, &who)) {
			all = false;
		}
	}
	if (rc == EVH_OK)
		auth_principal_free(&who);
	return all;
}

bool
sessions_change(void *arg, const struct feed_change *change)
{
	struct sessions *s = arg;

	switch (change->kind) {
	case FEED_SUBSCRIBE:
	case FEED_UNSUBSCRIBE:
		return on_subscriptions(s, change);
	case FEED_DISCONNECT:
		return on_disconnect(s, change);
	case FEED_CREDENTIAL:
		return on_credential(s, change->credential_id);
	case FEED_EVENT_TYPE:
		hub_flush(s->hub);
		for (uint32_t i = 0; i < change->type_count; i++)
			(void)catalog_reload(s->setup.db, hub_grouping(s->hub), change->types[i]);
		return true;
	}
	return true;
}

size_t
sessions_drain(struct sessions *s, size_t count)
{
	s->draining = true;
	for (size_t i = 0; i < s->clients->size && count > 0; i++) {
		struct client *c = s->clients->slots[i];

		if (c == NULL || c->state == CLIENT_CLOSING || c->state == CLIENT_JOINING)
			continue;
		hub_close(s->hub, c, CLOSE_RESTART, "the server restarts; reconnect and resume");
		count--;
	}
	return s->clients->count;
}
