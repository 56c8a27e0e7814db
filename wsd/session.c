#include "wsd/session_priv.h"

#include "common/guard.h"
#include "common/log.h"
#include "wsd/inbound.h"

#include <stdlib.h>
#include <string.h>

/* While writes wait longer than this for the database, what can wait does. */
#define STORE_SLOW_US INT64_C(1000000)

/* How many rows are updated in one go. */
#define DIRTY_MAX 4000

/* A message that came before the welcome went out. */
struct early {
	struct early *next;
	uint8_t client[EVH_UUID_BYTES];
	size_t len;
	char text[];
};

enum evh_rc
sessions_new(struct sessions **out, const struct session_setup *setup, char *why)
{
	struct sessions *s = calloc(1, sizeof(*s));
	enum evh_rc rc;

	*out = NULL;
	if (s == NULL)
		return EVH_NOMEM;
	s->setup = *setup;
	s->hub = setup->hub;
	s->clients = hub_clients(setup->hub);
	session_keepalive_init(s);
	rc = auth_new(&s->auth, setup->auth_db);
	if (rc == EVH_OK)
		rc = auth_share_reads(s->auth);
	if (rc == EVH_OK)
		rc = guard_new(&s->guard);
	if (rc == EVH_OK) /* not on auth_db: a ticket that another daemon has used up is to be gone */
		rc = tickets_new(&s->tickets, setup->db, s->auth, setup->conf->database, why);
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

static void
on_opened(void *arg, void *user, struct conn *conn)
{
	struct client *c = user;

	(void)arg;
	c->conn = conn;
	c->received = session_received(conn);
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
	uint32_t second = session_seconds();

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

void
session_answer_early(struct sessions *s, struct client *c)
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
		c->pong_at = session_seconds();
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
		.request = session_on_request,
		.refused = session_on_refused,
		.conn = { .opened = on_opened,
			.message = on_message,
			.violation = on_violation,
			.alive = on_alive,
			.writable = on_writable,
			.closed = on_closed,
			.arg = sessions },
	};
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
