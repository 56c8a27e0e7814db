/* Bodies of requests to evhub-fcgi, through the whole service and a real
 * database.  The first line is an endpoint and a letter for who asks (a: all
 * scopes, s: may subscribe, l: to a few types, p: may publish, n: nobody); the
 * rest is the body. */

#include "common/db.h"
#include "common/json.h"
#include "fcgi/context.h"
#include "fcgi/service.h"
#include "fcgi/writer.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENT "338a28f7-666e-46e1-8e7d-4feba5edc061"

static struct conf conf;
static struct context ctx;
static struct writer writer;

static void
exec(sqlite3 *db, const char *sql)
{
	if (db_exec(db, sql) != EVH_OK)
		(void)fprintf(stderr, "%s: %s\n", sqlite3_errmsg(db), sql);
	FUZZ_CHECK(sqlite3_errcode(db) == SQLITE_OK);
}

static void
add_credential(
	sqlite3 *db, const char *user, const char *secret, const char *scopes, const char *patterns)
{
	char hash[AUTH_HASH_TEXT], *sql;

	FUZZ_CHECK(auth_hash(secret, hash) == EVH_OK);
	sql = sqlite3_mprintf(
		"INSERT INTO credential(user_id, kind, hash, scopes, event_types) VALUES (%Q, 'key', %Q, %Q, %Q)",
		user, hash, scopes, patterns);
	exec(db, sql);
	sqlite3_free(sql);
}

/* The rows of daemon and client are those of a daemon that is gone, so what
 * waits for its word is told at once that there is none. */
static void
fill(const char *path)
{
	const struct db_options options = { .path = path, .mode = DB_READ_WRITE, .triggers = false };
	char why[DB_WHY_BYTES];
	sqlite3 *db;

	FUZZ_CHECK(db_open(&options, &db, why) == EVH_OK);
	add_credential(db, "alice", "0123456789abcdef-a", "subscribe publish admin", NULL);
	add_credential(db, "alice", "0123456789abcdef-s", "subscribe", NULL);
	add_credential(db, "bob", "0123456789abcdef-l", "subscribe publish", "stats s.*");
	add_credential(db, "carol", "0123456789abcdef-p", "publish", NULL);
	exec(db,
		"INSERT INTO event_type(name, persistent) VALUES ('s.passing', 0), ('s.kept', 1);"
		"INSERT INTO daemon VALUES ('wsd', 1, '/nonexistent/wsd.sock', '2026-11-23', '2026-11-23', 0, 0);"
		"INSERT INTO client(id, user_id, daemon, connected_at)"
		" VALUES ('" CLIENT "', 'alice', 'wsd', '2026-11-23T20:42:11.123456Z');"
		"INSERT INTO subscription(client_id, event_type) VALUES ('" CLIENT "', 'global'),"
		" ('" CLIENT "', 'pdfm'), ('" CLIENT "', 'stats')");
	db_close(&db);
}

static void
set_up(void)
{
	struct api_error e = API_ERROR_INIT;
	char override[320], why[CONF_WHY_BYTES];

	FUZZ_CHECK(conf_init(&conf) == EVH_OK);
	(void)snprintf(override, sizeof(override), "database=%s/evhub.db", fuzz_directory());
	FUZZ_CHECK(conf_override(&conf, override, why) == EVH_OK);
	fill(conf.database);
	log_setup("fuzz", LOG_LEVEL_ERROR, false, LOG_TARGET_STDERR);
	writer_init(&writer, &conf);
	context_init(&ctx, &conf, &writer);
	FUZZ_CHECK(context_open(&ctx, &e));
	FUZZ_CHECK(context_open(&writer.ctx, &e));
	exec(ctx.db, "PRAGMA synchronous = OFF");
	exec(writer.ctx.db, "PRAGMA synchronous = OFF");
}

static size_t
read_body(void *arg, char *out, size_t len)
{
	struct fuzz_input *in = arg;
	size_t n = len < in->left ? len : in->left;

	memcpy(out, in->at, n);
	in->at += n;
	in->left -= n;
	return n;
}

/* The statuses of the contract, and the one form of a fault. */
static void
check_response(const struct response *r)
{
	static const int statuses[] = { 200, 201, 400, 401, 403, 404, 405, 413, 415, 503 };
	bool known = false;

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		known = known || r->status == statuses[i];
	FUZZ_CHECK(known);
	fuzz_check_json(r->body.data, r->body.len);
	if (r->status >= 400) {
		struct json_slice text = { r->body.data, r->body.len };

		FUZZ_CHECK(
			json_member(text, "code").at != NULL && json_member(text, "message").at != NULL);
		FUZZ_CHECK(json_member(text, "stack").at != NULL);
	}
	FUZZ_CHECK(sqlite3_get_autocommit(ctx.db) != 0 && sqlite3_get_autocommit(writer.ctx.db) != 0);
}

static int
changes(void)
{
	return sqlite3_total_changes(ctx.db) + sqlite3_total_changes(writer.ctx.db);
}

/* As it was before. */
static void
restore(int changes_before)
{
	if (changes() == changes_before)
		return;
	exec(ctx.db,
		"DELETE FROM event; DELETE FROM change; DELETE FROM ticket;"
		"DELETE FROM subscription WHERE event_type <> 'global';"
		"INSERT INTO subscription(client_id, event_type) VALUES"
		" ('" CLIENT "', 'pdfm'), ('" CLIENT "', 'stats')");
}

static void
ask(const char *endpoint, char who, struct fuzz_input *body)
{
	char uri[96], key[64];
	bool get = strcmp(endpoint, "clients") == 0 || strcmp(endpoint, "stats") == 0 ||
		strcmp(endpoint, "health") == 0;
	char *env[] = { uri, key,
		(char *)(uintptr_t)(get ? "REQUEST_METHOD=GET" : "REQUEST_METHOD=POST"),
		(char *)(uintptr_t) "CONTENT_TYPE=application/json", NULL };
	struct response response = RESPONSE_INIT;
	struct request request;
	int before = changes();
	size_t size = body->left;

	(void)snprintf(uri, sizeof(uri), "REQUEST_URI=/api/v1/ws/%.40s", endpoint);
	(void)snprintf(key, sizeof(key), "HTTP_X_API_KEY=0123456789abcdef-%c", who);
	request_init(&request, env, (struct request_input){ .read = read_body, .arg = body });
	service_handle(&ctx, &request, &response);
	check_response(&response);
	if (strchr("aslp", who) == NULL && strncmp(endpoint, "health", 6) != 0)
		FUZZ_CHECK(response.status == 401 || response.status == 404 || response.status == 405);
	if (response.status == 201)
		FUZZ_CHECK(
			strncmp(endpoint, "ticket", 6) == 0 || (size > 0 && strchr("alp", who) != NULL));
	request_free(&request);
	response_free(&response);
	restore(before);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size }, body;
	char *line = fuzz_line(&in), *space;
	size_t len;
	char *text;

	if (line == NULL)
		return 0;
	if (ctx.db == NULL)
		set_up();
	text = fuzz_rest(&in, &len);
	body = (struct fuzz_input){ text, len };
	space = strchr(line, ' ');
	if (space != NULL)
		*space++ = '\0';
	ask(line, space != NULL && *space != '\0' ? *space : 'n', &body);
	free(text);
	free(line);
	return 0;
}
