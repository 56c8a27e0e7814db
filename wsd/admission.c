#include "wsd/session_priv.h"

#include "common/log.h"
#include "common/refusal.h"
#include "wsd/handshake.h"

#include <string.h>

/* Writes that wait longer than this mean that the database is held by
 * somebody: newcomers are told to come back. */
#define STORE_STUCK_US INT64_C(5000000)

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
		session_schedule(s, c);
		s->setup.metrics->resumed += op->u.join.resumed == RESUME_OK;
		s->setup.metrics->resume_failed += reason != NULL;
		hub_welcome(s->hub, c, &op->u.join.types, op->u.join.start_seq,
			op->u.join.resumed == RESUME_OK, reason);
		session_answer_early(s, c);
	}
	store_op_free(op);
	s->setup.feed_again(s->setup.arg);
}

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
	c->expires = session_expiry(&h->who);
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

void
session_on_refused(void *arg, const char *peer, const struct api_error *e)
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

bool
session_on_request(void *arg, const struct http_request *r, struct api_error *e, void **user)
{
	struct sessions *s = arg;
	struct handshake_rules rules = { s->setup.conf, s->auth, s->tickets, hub_grouping(s->hub),
		hub_epoch(s->hub), s->guard, clock_mono_us(), s->setup.look, s->setup.arg };
	struct handshake h;
	struct client *c = NULL;

	if (s->setup.store == NULL) {
		api_error_fail(e, 503, "draining", "daemon", "the daemon is shutting down");
		session_on_refused(s, r->peer, e);
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
