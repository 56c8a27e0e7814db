#include "wsd/identify.h"

#include "wsd/subprotocols.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a request shows; NULL for what it does not. */
struct shown {
	const char *ticket;
	char *subprotocol; /* a copy */
	const char *authorization, *api_key;
	const char *query;
};

static bool
refuse(struct api_error *e, const char *error, const char *path, const char *text)
{
	api_error_fail(e, 400, error, path, "%s", text);
	return false;
}

static bool
look_at_subprotocols(struct shown *shown, const char *list, struct api_error *e)
{
	const char *token = NULL;
	size_t len = 0, count = list != NULL ? subprotocols_token(list, &token, &len) : 0;

	if (count > 1)
		return refuse(e, "repeated_parameter", "sec-websocket-protocol",
			"there is more than one bearer token among the subprotocols");
	if (count == 0)
		return true;
	shown->subprotocol = strndup(token, len);
	if (shown->subprotocol != NULL)
		return true;
	api_error_fail(e, 503, "out_of_memory", "sec-websocket-protocol", "out of memory");
	return false;
}

static void
look_at_query(struct shown *shown, const struct http_request *r)
{
	bool twice = false;

	shown->query = http_request_arg(r, "access_token", &twice);
	if (shown->query == NULL)
		shown->query = http_request_arg(r, "authorization", &twice);
	if (shown->query != NULL && strncasecmp(shown->query, "Bearer ", 7) == 0)
		shown->query += 7;
}

static bool
look(struct shown *shown, const struct http_request *r, bool query_allowed, struct api_error *e)
{
	bool twice = false;

	shown->ticket = http_request_arg(r, "ticket", &twice);
	if (twice)
		return refuse(e, "repeated_parameter", "ticket", "ticket is there twice");
	if (!look_at_subprotocols(shown, r->protocols, e))
		return false;
	shown->authorization = r->authorization;
	shown->api_key = r->api_key;
	/* a browser adds what it knows for HTTP's own authentication to whatever
	 * a page asks for: that is for the web server in front, and none of ours */
	if ((shown->ticket != NULL || shown->subprotocol != NULL) && shown->authorization != NULL &&
		auth_bearer(shown->authorization) == NULL)
		shown->authorization = NULL;
	if (query_allowed && shown->authorization == NULL && shown->api_key == NULL)
		look_at_query(shown, r);
	return true;
}

/* Takes over second: the first to come is the one that counts. */
static bool
agree(struct handshake *h, struct auth_principal *second, const char *path, struct api_error *e)
{
	bool same = true;

	if (h->who.user_id[0] == '\0') {
		h->who = *second;
		return true;
	}
	same = strcmp(second->user_id, h->who.user_id) == 0;
	if (!same)
		api_error_fail(e, 401, "credential_mismatch", path,
			"the credentials shown belong to different users");
	auth_principal_free(second);
	return same;
}

static bool
by_ticket(struct handshake *h, const char *ticket, const struct handshake_rules *rules,
	struct api_error *e)
{
	enum evh_rc rc = tickets_claim(rules->tickets, ticket, h->ticket, &h->who);

	if (rc == EVH_OK)
		return true;
	h->ticket[0] = '\0';
	if (rc == EVH_DENIED)
		api_error_fail(e, 401, "invalid_ticket", "ticket",
			"the ticket is unknown, expired or has been used");
	else
		api_error_fail(e, 503, "database_unavailable", "database",
			"the database cannot be read: %s", evh_rc_name(rc));
	return false;
}

static bool
by_token(
	struct handshake *h, const char *token, const char *path, struct auth *auth, struct api_error *e)
{
	struct auth_principal who;

	return auth_check_token(auth, token, path, &who, e) == EVH_OK && agree(h, &who, path, e);
}

static bool
by_headers(struct handshake *h, const struct shown *shown, struct auth *auth, struct api_error *e)
{
	struct auth_principal who;

	return auth_check(auth, shown->authorization, shown->api_key, &who, e) == EVH_OK &&
		agree(h, &who, "authorization", e);
}

static bool
check(struct handshake *h, const struct shown *shown, const struct handshake_rules *rules,
	struct api_error *e)
{
	struct auth *auth = rules->auth;

	if (shown->ticket != NULL && !by_ticket(h, shown->ticket, rules, e))
		return false;
	if (shown->subprotocol != NULL &&
		!by_token(h, shown->subprotocol, "sec-websocket-protocol", auth, e))
		return false;
	if (shown->query != NULL && !by_token(h, shown->query, "query", auth, e))
		return false;
	/* nothing at all: that it is missing is told there */
	if (shown->authorization != NULL || shown->api_key != NULL || h->who.user_id[0] == '\0')
		return by_headers(h, shown, auth, e);
	return true;
}

bool
identify(struct handshake *h, const struct http_request *r, const struct handshake_rules *rules,
	struct api_error *e)
{
	struct shown shown = { .ticket = NULL };
	bool known = look(&shown, r, rules->conf->query_credentials, e) && check(h, &shown, rules, e);

	if (shown.subprotocol != NULL) {
		OPENSSL_cleanse(shown.subprotocol, strlen(shown.subprotocol));
		free(shown.subprotocol);
	}
	return known;
}
