/* Upgrade requests, as the library hands them over, against a real database
 * with a few credentials and tickets.  Each line is a letter and a value:
 *
 *   m method   p path   a Authorization   k X-Api-Key   o Origin   h Host
 *   x X-Forwarded-For   s Sec-WebSocket-Protocol   q name=value of the query
 *   c options: i (unknown types are ignored), q (credentials in the query)
 */

#include "common/db.h"
#include "common/guard.h"
#include "tests/fuzz/fuzz.h"
#include "wsd/catalog.h"
#include "wsd/handshake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 64
#define AN_HOUR_US ((int64_t)3600 * 1000000)
#define ALICES_TICKET "ticket-of-alice-0000000000000000000000000-a"
#define BOBS_TICKET "ticket-of-bob-00000000000000000000000000000"

static sqlite3 *db;
static struct auth *auth;
static struct tickets *tickets;
static struct guard *guard;
static struct grouping types;
static char epoch[EVH_EPOCH_TEXT];
static struct conf conf;

static void
add_credential(
	const char *user, const char *kind, const char *secret, const char *scopes, const char *patterns)
{
	char hash[AUTH_HASH_TEXT], *sql;

	FUZZ_CHECK(auth_hash(secret, hash) == EVH_OK);
	sql = sqlite3_mprintf(
		"INSERT INTO credential(user_id, kind, hash, scopes, event_types) VALUES (%Q, %Q, %Q, %Q, %Q)",
		user, kind, hash, scopes, patterns);
	FUZZ_CHECK(db_exec(db, sql) == EVH_OK);
	sqlite3_free(sql);
}

static void
add_ticket(const char *user, const char *ticket, const char *scopes, const char *patterns)
{
	char hash[AUTH_HASH_TEXT], *sql;

	FUZZ_CHECK(auth_hash(ticket, hash) == EVH_OK);
	sql = sqlite3_mprintf("INSERT INTO ticket(user_id, hash, scopes, event_types, expires_at)"
			      " VALUES (%Q, %Q, %Q, %Q, '2999-01-01')",
		user, hash, scopes, patterns);
	FUZZ_CHECK(db_exec(db, sql) == EVH_OK);
	sqlite3_free(sql);
}

static void
set_up(void)
{
	char path[300], why[CONF_WHY_BYTES];
	const struct db_options options = { .path = path, .mode = DB_READ_WRITE, .triggers = true };

	(void)snprintf(path, sizeof(path), "%s/handshake.db", fuzz_directory());
	FUZZ_CHECK(db_open(&options, &db, why) == EVH_OK);
	add_credential("alice", "token", "token-of-alice-0", "subscribe", NULL);
	add_credential("alice", "key", "key-of-alice-000", "subscribe publish", NULL);
	add_credential("bob", "key", "key-of-bob-00000", "subscribe", "pdfm s.* stats");
	add_credential("carol", "key", "key-of-carol-000", "publish", NULL);
	add_ticket("alice", ALICES_TICKET, "subscribe publish", NULL);
	add_ticket("bob", BOBS_TICKET, "subscribe", "stats");
	FUZZ_CHECK(db_epoch(db, epoch) == EVH_OK);
	FUZZ_CHECK(auth_new(&auth, db) == EVH_OK);
	FUZZ_CHECK(tickets_new(&tickets, db, auth, path, why) == EVH_OK);
	FUZZ_CHECK(catalog_load(db, &types) == EVH_OK);
	FUZZ_CHECK(guard_new(&guard) == EVH_OK);
	FUZZ_CHECK(conf_init(&conf) == EVH_OK);
}

/* name=value, taken apart in place. */
static struct http_arg
arg(char *text)
{
	char *equals = strchr(text, '=');

	if (equals == NULL)
		return (struct http_arg){ text, "" };
	*equals = '\0';
	return (struct http_arg){ text, equals + 1 };
}

static void
take(struct http_request *r, char *line)
{
	char *value = line + 1;

	switch (line[0]) {
	case 'm':
		r->method = value;
		break;
	case 'p':
		r->path = value;
		break;
	case 'a':
		r->authorization = value;
		break;
	case 'k':
		r->api_key = value;
		break;
	case 'o':
		r->origin = value;
		break;
	case 'h':
		r->host = value;
		break;
	case 'x':
		r->forwarded_for = value;
		break;
	case 's':
		r->protocols = value;
		break;
	case 'q':
		if (r->arg_count < HTTP_HEAD_ARGS_MAX)
			r->args[r->arg_count++] = arg(value);
		break;
	case 'c':
		conf.unknown_event_types =
			strchr(value, 'i') != NULL ? CONF_UNKNOWN_IGNORE : CONF_UNKNOWN_REJECT;
		conf.query_credentials = strchr(value, 'q') != NULL;
		break;
	default:
		break;
	}
}

/* A claim ends with the request that made it, or is the accepted client's. */
static void
check_unclaimed(const char *ticket)
{
	struct auth_principal who;
	char hash[AUTH_HASH_TEXT];

	FUZZ_CHECK(tickets_claim(tickets, ticket, hash, &who) == EVH_OK);
	tickets_release(tickets, hash);
	auth_principal_free(&who);
}

static bool
asked_for(const struct http_request *r)
{
	return strcmp(r->method, "GET") == 0 && strstr(r->path, "/subscribe") != NULL;
}

/* Nobody is let in without one of the four secrets, nor to what it forbids. */
static void
check_accepted(const struct handshake *h, const struct http_request *r)
{
	bool global = false;

	FUZZ_CHECK(asked_for(r));
	FUZZ_CHECK(strcmp(h->who.user_id, "alice") == 0 || strcmp(h->who.user_id, "bob") == 0);
	FUZZ_CHECK((h->who.scopes & AUTH_SUBSCRIBE) != 0);
	FUZZ_CHECK(r->authorization != NULL || r->api_key != NULL || conf.query_credentials ||
		h->ticket[0] != '\0');
	FUZZ_CHECK(h->types.count >= 1 && h->types.count <= EVENT_TYPES_MAX);
	for (size_t i = 0; i < h->types.count; i++) {
		const struct evtype *t = grouping_type(&types, h->types.names[i]);

		FUZZ_CHECK(t != NULL);
		FUZZ_CHECK(t->mandatory || event_type_allowed(h->who.event_types, t->name));
		global = global || strcmp(t->name, "global") == 0;
	}
	FUZZ_CHECK(global);
	FUZZ_CHECK(h->resume_seq <= INT64_MAX);
	if (r->origin != NULL)
		FUZZ_CHECK(r->host != NULL);
}

static void
check_refused(const struct api_error *e)
{
	struct buf body = BUF_INIT;

	FUZZ_CHECK(
		e->code == 400 || e->code == 401 || e->code == 403 || e->code == 404 || e->code == 405);
	FUZZ_CHECK(e->message[0] != '\0' && e->count > 0);
	api_error_json(e, &body);
	fuzz_check_json(body.data, body.len);
	buf_free(&body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };
	struct http_request r = {
		.method = "GET", .path = "/api/v1/ws/subscribe", .upgrade = true, .peer = "127.0.0.1"
	};
	struct handshake_rules rules = { .conf = &conf, .types = &types, .epoch = epoch };
	static int64_t now;
	struct api_error e = API_ERROR_INIT;
	char *lines[LINES_MAX];
	struct handshake h;
	size_t count = 0;

	if (db == NULL)
		set_up();
	now += AN_HOUR_US; /* the guard remembers nothing of the inputs before */
	rules.now = now;
	rules.guard = guard;
	rules.auth = auth;
	rules.tickets = tickets;
	conf.unknown_event_types = CONF_UNKNOWN_REJECT;
	conf.query_credentials = false;
	while (count < LINES_MAX && (lines[count] = fuzz_line(&in)) != NULL)
		if (lines[count][0] != '\0')
			take(&r, lines[count++]);
		else
			free(lines[count]);
	if (handshake_check(&h, &r, &rules, &e)) {
		check_accepted(&h, &r);
		if (h.ticket[0] != '\0')
			tickets_release(tickets, h.ticket);
		handshake_free(&h);
	} else {
		check_refused(&e);
	}
	check_unclaimed(ALICES_TICKET);
	check_unclaimed(BOBS_TICKET);
	api_error_free(&e);
	for (size_t i = 0; i < count; i++)
		free(lines[i]);
	return 0;
}
