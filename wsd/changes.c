#include "wsd/session_priv.h"

#include "common/log.h"
#include "wsd/catalog.h"
#include "wsd/narrow.h"

#include <string.h>

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
fit(struct sessions *s, struct client *c, const struct auth_principal *who, uint64_t change_seq)
{
	if (c->expires != session_expiry(who)) {
		c->expires = session_expiry(who);
		if (c->state != CLIENT_JOINING)
			session_schedule(s, c);
	}
	if (!narrow_needed(s->hub, c, who->event_types))
		return true;
	if (c->state == CLIENT_JOINING)
		return false; /* its welcome comes first */
	log_info("client_narrowed", "user_id=%s by=credential", c->user->user_id);
	if (narrow_client(s->hub, s->setup.store, c, who->event_types, change_seq) != EVH_OK)
		hub_close(s->hub, c, CLOSE_POLICY, "credential changed");
	return true;
}

/* False if it is to be tried again: the database could not tell, or a client
 * is still joining. */
static bool
on_credential(struct sessions *s, int64_t credential_id, uint64_t change_seq)
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
		} else if (!fit(s, c, &who, change_seq)) {
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
		return on_credential(s, change->credential_id, change->seq);
	case FEED_EVENT_TYPE:
		hub_flush(s->hub);
		for (uint32_t i = 0; i < change->type_count; i++)
			(void)catalog_reload(s->setup.db, hub_grouping(s->hub), change->types[i]);
		return true;
	}
	return true;
}
