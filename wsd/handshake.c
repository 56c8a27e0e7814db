#include "wsd/handshake.h"

#include "common/ids.h"
#include "common/origin.h"
#include "wsd/identify.h"
#include "wsd/subprotocols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define SHORT_BASE "/v1/ws"
#define ENDPOINT "/subscribe"

static bool
page_allowed(const struct http_request *r, const struct conf *conf)
{
	bool trusted = address_is_trusted(r->peer, &conf->trusted_proxies);
	struct origin_site site = { r->host, trusted ? r->forwarded_host : NULL,
		trusted ? r->forwarded_proto : NULL, r->tls };

	return r->origin == NULL || origin_allowed(r->origin, &site, &conf->allowed_origins);
}

/* The steps, each of which may refuse */

/* Where the request comes from, and whether that address tries too much. */
static bool
check_address(struct handshake *h, const struct http_request *r, const struct handshake_rules *rules,
	struct api_error *e)
{
	const struct conf *conf = rules->conf;
	struct ip_address a = { .family = AF_INET6 };

	if (!remote_addr_pick(r->peer, r->forwarded_for, &conf->trusted_proxies, h->remote_addr)) {
		api_error_fail(e, 400, "malformed_header", "x-forwarded-for",
			"X-Forwarded-For has something that is no address where that of the client stands");
		return false;
	}
	if (guard_applies(h->remote_addr, conf) && address_key(h->remote_addr, a.bytes))
		address_format(&a, h->counted_as);
	return guard_handshake(rules->guard, conf, h->remote_addr, rules->now, e) &&
		guard_may_try(rules->guard, conf, h->remote_addr, rules->now, e);
}

static bool
check_target(const struct http_request *r, const struct conf *conf, struct api_error *e)
{
	size_t base = strlen(conf->base_path);

	if (!((strncmp(r->path, conf->base_path, base) == 0 && strcmp(r->path + base, ENDPOINT) == 0) ||
		    strcmp(r->path, SHORT_BASE ENDPOINT) == 0)) {
		api_error_fail(e, 404, "not_found", "path", "this daemon serves %s" ENDPOINT " only",
			conf->base_path);
		return false;
	}
	if (strcmp(r->method, "GET") != 0) {
		api_error_fail(e, 405, "method_not_allowed", "method", "the method must be GET");
		return false;
	}
	if (r->bad != NULL) {
		api_error_fail(e, 400, "not_a_websocket_upgrade", "upgrade",
			"not a WebSocket upgrade: %s", r->bad);
		return false;
	}
	if (r->protocols != NULL && !subprotocols_have_ours(r->protocols)) {
		api_error_fail(e, 400, "unknown_subprotocol", "sec-websocket-protocol",
			"the only subprotocol is evhub.v1; it may be left out");
		return false;
	}
	return true;
}

static bool
check_scope(const struct handshake *h, const struct http_request *r, const struct conf *conf,
	struct api_error *e)
{
	if (!page_allowed(r, conf)) {
		api_error_fail(e, 403, "origin_not_allowed", "origin", "pages of %.200s may not connect",
			r->origin);
		return false;
	}
	if ((h->who.scopes & AUTH_SUBSCRIBE) == 0) {
		api_error_fail(e, 403, "missing_scope", "authorization",
			"the credential lacks the scope subscribe");
		return false;
	}
	return true;
}

static void
list_valid(const struct grouping *types, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < types->type_count && len < size - 1; i++) {
		int n;

		if (!types->types[i]->exists)
			continue;
		n = snprintf(out + len, size - len, "%s%s", len > 0 ? ", " : "", types->types[i]->name);
		len += n > 0 ? (size_t)n : 0;
	}
}

static void
unknown_type(const struct grouping *types, const char *item, size_t len, struct api_error *e)
{
	char valid[768] = "";

	if (e->count < API_ERROR_STACK_MAX) /* the others are only counted */
		list_valid(types, valid, sizeof(valid));
	api_error_set(e, 400, "unknown event type");
	api_error_push(e, 400, "unknown_event_type", "event_types",
		"\"%.*s\" is no event type; valid: %s", (int)(len > 64 ? 64 : len), item, valid);
}

/* False when there is no room for it. */
static bool
add_type(struct handshake *h, const char *name, size_t max, struct api_error *e)
{
	bool full = h->types.count >= max && !event_types_contains(&h->types, name);

	switch (full ? EVH_FULL : event_types_add(&h->types, name)) {
	case EVH_OK:
		return true;
	case EVH_NOMEM:
		api_error_fail(e, 503, "out_of_memory", "event_types", "out of memory");
		return false;
	default:
		api_error_fail(
			e, 400, "too_many_event_types", "event_types", "more than %zu event types", max);
		return false;
	}
}

/* One item of the list; false only when there is no room for more. */
static bool
take_type(struct handshake *h, const char *item, size_t len, const struct conf *conf,
	const struct grouping *types, struct api_error *e)
{
	const struct evtype *type = NULL;
	char name[EVENT_TYPE_MAX + 1];

	if (event_type_normalise(item, len, name) == EVH_OK)
		type = grouping_type(types, name);
	if (type == NULL) {
		if (conf->unknown_event_types == CONF_UNKNOWN_REJECT)
			unknown_type(types, item, len, e);
		return true;
	}
	if (!type->mandatory && !event_type_allowed(h->who.event_types, name)) {
		api_error_set(e, 403, "event type not allowed");
		api_error_push(e, 403, "event_type_not_allowed", "event_types",
			"the credential may not subscribe to \"%s\"", name);
		return true;
	}
	return add_type(h, name, (size_t)conf->max_event_types, e);
}

static bool
check_types(struct handshake *h, const struct http_request *r, const struct conf *conf,
	const struct grouping *types, struct api_error *e)
{
	size_t items = 0;

	for (size_t i = 0; i < r->arg_count; i++) {
		if (strcmp(r->args[i].name, "event_types") != 0)
			continue;
		for (const char *p = r->args[i].value; *p != '\0';) {
			size_t len = strcspn(p, ",");

			if (len > strspn(p, " \t")) {
				if (++items > 4 * EVENT_TYPES_MAX) {
					api_error_fail(e, 400, "too_many_event_types", "event_types",
						"more than %d event types", EVENT_TYPES_MAX);
					return false;
				}
				if (!take_type(h, p, len, conf, types, e))
					return false;
			}
			p += len + (p[len] == ',');
		}
	}
	if (e->code != 0)
		return false;
	for (uint32_t i = 0; i < types->type_count; i++) {
		const struct evtype *t = types->types[i];

		if (t->exists && t->mandatory && !add_type(h, t->name, EVENT_TYPES_MAX, e))
			return false;
	}
	return true;
}

static bool
check_resume(struct handshake *h, const struct http_request *r, const char *epoch, struct api_error *e)
{
	bool twice = false;
	const char *id = http_request_arg(r, "last_event_id", &twice);
	char of[EVH_EPOCH_TEXT];

	if (twice) {
		api_error_fail(
			e, 400, "repeated_parameter", "last_event_id", "last_event_id is there twice");
		return false;
	}
	if (id == NULL || id[0] == '\0')
		return true;
	if (!evh_id_parse(id, of, &h->resume_seq)) {
		api_error_fail(e, 400, "malformed_id", "last_event_id",
			"last_event_id is not the id of a message");
		return false;
	}
	h->resume = true;
	h->resume_known = strcmp(of, epoch) == 0;
	return true;
}

/* Last of all: a page is not told why its WebSocket was refused, so evhub.js
 * asks once more with a plain GET, which gets what the upgrade got. */
static bool
check_upgrade(const struct http_request *r, struct api_error *e)
{
	if (!r->upgrade)
		api_error_fail(e, 400, "not_a_websocket_upgrade", "upgrade",
			"not a WebSocket upgrade: there is no header Upgrade: websocket");
	return r->upgrade;
}

/* What is asked for, and whether the credential allows it. */
static bool
check_wish(struct handshake *h, const struct http_request *r, const struct handshake_rules *rules,
	struct api_error *e)
{
	return check_scope(h, r, rules->conf, e) && check_resume(h, r, rules->epoch, e) &&
		check_types(h, r, rules->conf, rules->types, e);
}

/* The look-up may be as old as this turn of the loop (auth_share_reads): what the
 * credential is denied, it may have been allowed since. */
static bool
look_at_rights(struct handshake *h, struct auth *auth)
{
	struct auth_principal now;

	if (h->who.credential_id == 0 || h->ticket[0] != '\0' ||
		auth_reload(auth, h->who.credential_id, &now) != EVH_OK)
		return false;
	auth_principal_free(&h->who);
	h->who = now;
	return true;
}

/* Whether what was refused may be granted by now: what is committed counts at once. */
static bool
look_again(struct handshake *h, const struct handshake_rules *rules, struct api_error *e)
{
	bool unknown = e->code == 400 && strcmp(e->error, "unknown_event_type") == 0;

	if (unknown && rules->look != NULL)
		rules->look(rules->arg);
	else if (e->code != 403 || !look_at_rights(h, rules->auth))
		return false;
	event_types_free(&h->types);
	api_error_free(e);
	return true;
}

bool
handshake_check(struct handshake *h, const struct http_request *r, const struct handshake_rules *rules,
	struct api_error *e)
{
	const struct conf *conf = rules->conf;

	memset(h, 0, sizeof(*h));
	if (check_address(h, r, rules, e) && check_target(r, conf, e) && identify(h, r, rules, e) &&
		(check_wish(h, r, rules, e) ||
			(look_again(h, rules, e) && check_wish(h, r, rules, e))) &&
		check_upgrade(r, e))
		return true;
	if (h->ticket[0] != '\0')
		tickets_release(rules->tickets, h->ticket);
	guard_refused(rules->guard, conf, h->remote_addr, rules->now, e);
	handshake_free(h);
	return false;
}

void
handshake_free(struct handshake *h)
{
	auth_principal_free(&h->who);
	event_types_free(&h->types);
}
