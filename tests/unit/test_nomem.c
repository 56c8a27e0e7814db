/* Out of memory at every place: a scenario is run again and again, and each
 * time one more allocation succeeds before one fails, until none does.  It
 * must not crash, must not leak, must say what it is, and must leave things so
 * that the same works afterwards.
 *
 * This program's own malloc takes the place of the C library's, so that those
 * of the libraries fail as well.  Sanitizers bring theirs: with them the
 * scenarios are run without a failure. */

#include "common/conf.h"
#include "common/db.h"
#include "common/problems.h"
#include "fcgi/service.h"
#include "fcgi/writer.h"
#include "tests/unit/unit.h"
#include "wsd/feed.h"
#include "wsd/hub.h"
#include "wsd/inbound.h"
#include "wsd/store_sql.h"

#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool armed, failed;
static long left; /* allocations that still succeed */
static long live; /* blocks that are not freed */

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define MAY_FAIL 1

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *block);

/* json-c 0.16 does not look at what it is given, and crashes by itself. */
static uintptr_t spared_from, spared_to;

static int
find_spared(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	if (strstr(info->dlpi_name, "libjson-c") == NULL)
		return 0;
	spared_from = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD)
			spared_to = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr +
				info->dlpi_phdr[i].p_memsz;
	return 1;
}

static bool
fails(const void *caller)
{
	if (!armed || ((uintptr_t)caller >= spared_from && (uintptr_t)caller < spared_to) || left-- > 0)
		return false;
	failed = true;
	left = 0; /* this one alone: what comes next may tell of it */
	armed = false;
	errno = ENOMEM;
	return true;
}

static void *
counted(void *block)
{
	live += block != NULL;
	return block;
}

void *
malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(size));
}

void *
calloc(size_t count, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : counted(__libc_calloc(count, size));
}

void *
realloc(void *old, size_t size)
{
	if (old == NULL)
		return fails(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(size));
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}

/* Ours, so that the caller is known. */
char *
strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = fails(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(size));

	return copy != NULL ? memcpy(copy, text, size) : NULL;
}

void
free(void *block)
{
	live -= block != NULL;
	__libc_free(block);
}
#endif

/* The first so many fail one after the other; of those behind them, which are
 * SQLite's in its parser mostly, one in so many. */
#define EVERY 200
#define STRIDE 97

struct scenario {
	const char *name;
	/* True if it did all that it should.  Anything else that it must hold
	 * to is asserted inside. */
	bool (*run)(const char *dir);
};

/* Runs it with a failure at the n-th allocation; false when there is none. */
static bool
run_failing(const struct scenario *s, const char *dir, long n)
{
	long before;
	bool done;

	before = live;
	left = n;
	failed = false;
#ifdef MAY_FAIL
	armed = true;
#endif
	done = s->run(dir);
	armed = false;
	if (!done && !failed)
		fail_msg("%s: refused without a failure", s->name);
	if (live > before)
		fail_msg("%s: %ld blocks leaked when allocation %ld failed", s->name, live - before, n);
	return failed;
}

static void
run_all(const struct scenario *s, const char *dir)
{
	long n = 0, runs = 0;

	assert_true(s->run(dir)); /* what is made once and kept by a library */
	assert_true(s->run(dir));
	for (; run_failing(s, dir, n); runs++)
		n += n < EVERY ? 1 : STRIDE;
	assert_true(s->run(dir));
	print_message("%s: %ld of %ld allocations failed, one at a time\n", s->name, runs, n);
}

/* The configuration; not its file: the scanner of libconfuse ends the program
 * when there is no memory. */

static bool
read_conf(const char *dir)
{
	struct problems problems = PROBLEMS_INIT;
	struct conf conf;
	enum evh_rc rc = conf_init(&conf);

	(void)dir;
	if (rc == EVH_OK)
		rc = conf_check(&conf, &problems);
	problems_free(&problems);
	conf_free(&conf);
	return rc == EVH_OK;
}

/* The database */

static enum evh_rc
open_database(const char *dir, sqlite3 **db, bool triggers)
{
	struct db_options o = { .path = unit_path(dir, "evhub.db"),
		.mode = DB_READ_WRITE,
		.triggers = triggers,
		.busy_ms = 1 };
	char why[DB_WHY_BYTES] = "";
	enum evh_rc rc = db_open(&o, db, why);

	if (rc != EVH_OK)
		assert_true(why[0] != '\0');
	return rc;
}

static bool
create_database(const char *dir)
{
	static const char *const ends[] = { "evhub.db", "evhub.db-wal", "evhub.db-shm" };
	sqlite3 *db = NULL;
	enum evh_rc rc;

	for (size_t i = 0; i < 3; i++)
		(void)unlink(unit_path(dir, ends[i]));
	rc = open_database(dir, &db, true);
	db_close(&db);
	return rc == EVH_OK;
}

static int64_t
number(const char *dir, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;
	bool was = armed;
	int64_t value = -1;

	armed = false;
	assert_int_equal(open_database(dir, &db, true), EVH_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	db_close(&db);
	armed = was;
	return value;
}

static void
execute(const char *dir, const char *sql)
{
	sqlite3 *db = NULL;
	bool was = armed;

	armed = false;
	assert_int_equal(open_database(dir, &db, true), EVH_OK);
	if (db_exec(db, sql) != EVH_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	db_close(&db);
	armed = was;
}

/* The writer: a client comes, an event, retention, the client goes. */

static bool
settled(struct store_op *op, bool *whole)
{
	bool ok = op != NULL && op->rc == EVH_OK;

	*whole = *whole && ok;
	return ok;
}

static void
fill_join(struct store_op *op, const uint8_t *id)
{
	memcpy(op->client, id, EVH_UUID_BYTES);
	op->u.join.user_id = strdup("alice");
	op->u.join.username = strdup("Alice");
	op->u.join.remote_addr = strdup("127.0.0.1");
	op->u.join.user_agent = strdup("test");
	(void)event_types_add(&op->u.join.types, "global");
	(void)event_types_add(&op->u.join.types, "pdfm");
}

static enum evh_rc
run_one(struct store_sql *sql, struct store_op *op)
{
	enum evh_rc rc = store_sql_begin(sql);

	if (rc == EVH_OK)
		rc = store_sql_run(sql, op);
	if (rc == EVH_OK)
		rc = store_sql_commit(sql);
	if (rc != EVH_OK) {
		op->rc = rc;
		store_sql_rollback(sql);
	}
	return rc;
}

static bool
write_all(const char *dir)
{
	static const enum store_kind kinds[] = { STORE_JOIN, STORE_PUBLISH, STORE_TOUCH, STORE_STATUS,
		STORE_PURGE, STORE_LEAVE };
	int64_t head = number(dir, "SELECT seq FROM v_event_head");
	char name[] = "wsd", control_socket[] = "/s";
	const struct conf conf = { .name = name, .control_socket = control_socket };
	struct store_sql *sql = NULL;
	sqlite3 *db = NULL;
	uint8_t id[EVH_UUID_BYTES] = { 1 };
	bool whole = true, published = false;

	if (open_database(dir, &db, false) != EVH_OK)
		return false;
	if (store_sql_new(&sql, db, &conf) != EVH_OK) {
		db_close(&db);
		return false;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct store_op *op = store_op_new(kinds[i]);

		if (op != NULL) {
			memcpy(op->client, id, sizeof(id));
			if (kinds[i] == STORE_JOIN)
				fill_join(op, id);
			if (kinds[i] == STORE_PUBLISH) {
				op->u.publish.event_type = strdup("pdfm");
				op->u.publish.message = strdup("m");
				op->u.publish.message_len = op->u.publish.message != NULL;
			}
			if (kinds[i] != STORE_PUBLISH ||
				(op->u.publish.event_type != NULL && op->u.publish.message != NULL))
				(void)run_one(sql, op);
			else
				op->rc = EVH_NOMEM;
		}
		if (settled(op, &whole) && kinds[i] == STORE_PUBLISH)
			published = true;
		store_op_free(op);
	}
	store_sql_free(&sql);
	db_close(&db);
	/* what was acknowledged is there, and nothing else */
	assert_int_equal(number(dir, "SELECT seq FROM v_event_head"), head + published);
	execute(dir, "DELETE FROM client; DELETE FROM subscription");
	return whole;
}

/* The feed: one writer's changes and events */

struct heard {
	unsigned events, unsubscribed;
};

static enum evh_rc
hear_event(void *arg, const struct hub_event *event)
{
	(void)event;
	((struct heard *)arg)->events++;
	return EVH_OK;
}

static bool
hear_change(void *arg, const struct feed_change *change)
{
	if (change->kind == FEED_UNSUBSCRIBE)
		((struct heard *)arg)->unsubscribed += change->type_count;
	return true;
}

static bool
follow(const char *dir)
{
	struct heard heard = { 0 };
	struct feed_sink sink = { hear_event, hear_change, &heard };
	struct feed *feed = NULL;
	sqlite3 *db = NULL;
	uint64_t head;
	bool more = false, was = armed, ok;

	if (open_database(dir, &db, true) != EVH_OK)
		return false;
	ok = feed_new(&feed, db, &sink, &head) == EVH_OK;
	was = armed;
	armed = false;
	execute(dir,
		"INSERT INTO change(kind, client_id, event_type, after_event) VALUES"
		"('unsubscribe', 'c', 'a', 0), ('unsubscribe', 'c', 'b', 0), ('unsubscribe', 'c', 'd', 0);"
		"INSERT INTO event(event_type, message) VALUES('pdfm', 'after')");
	armed = was;
	if (ok && feed_poll(feed, 100, &more) != EVH_OK) {
		ok = false;
		armed = false;
		assert_int_equal(feed_poll(feed, 100, &more), EVH_OK);
	}
	if (feed != NULL) { /* late, but whole and once */
		assert_int_equal(heard.unsubscribed, 3);
		assert_int_equal(heard.events, 1);
	}
	feed_free(&feed);
	db_close(&db);
	return ok;
}

/* What a client says */

static bool
is_known(void *arg, const char *name)
{
	(void)arg;
	return strcmp(name, "pdfm") == 0;
}

static bool
answer(const char *dir)
{
	static const char *const said[] = {
		"{\"event_type\":\"health\",\"message\":\"ping\",\"id\":\"7\"}",
		"{\"event_type\":\"system\",\"message\":\"client-id\"}", "{\"event_type\":\"pdfm\"}",
		"no JSON"
	};
	bool whole = true;

	(void)dir;
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		struct inbound_reply reply;

		inbound_answer(said[i], strlen(said[i]), "c", is_known, NULL, &reply);
		assert_non_null(reply.event_type);
		assert_non_null(reply.message);
		whole = whole && !failed;
		inbound_reply_free(&reply);
	}
	return whole;
}

/* The hub: clients, events, a change of subscriptions, one that cannot take
 * what it is sent. */

static ptrdiff_t
take(void *conn, const uint8_t *bytes, size_t len)
{
	(void)bytes;
	return *(const bool *)conn ? (ptrdiff_t)len : 0;
}

static bool
queue(void *conn, const uint8_t *bytes, size_t len)
{
	(void)conn;
	(void)bytes;
	(void)len;
	return true;
}

static void
want_writable(void *conn)
{
	(void)conn;
}

static void
close_conn(void *conn, uint16_t code, const char *reason)
{
	(void)conn;
	(void)code;
	(void)reason;
}

static void
fetch(void *arg, uint64_t seq)
{
	(void)arg;
	(void)seq;
}

static void
mark_dirty(void *arg, struct client *c)
{
	(void)arg;
	(void)c;
}

static int64_t
now_us(void)
{
	return INT64_C(1700000000000000);
}

static struct client *
come(struct hub *hub, bool *reads, uint64_t head)
{
	struct event_types types = EVENT_TYPES_INIT;
	struct client *c = clients_add(hub_clients(hub), "alice", NULL, now_us());
	uint32_t number = 0;

	if (c == NULL)
		return NULL;
	c->state = CLIENT_JOINING;
	c->conn = reads;
	c->group = grouping_enter(hub_grouping(hub), &number, 1);
	if (c->group == NULL)
		hub_leave(hub, &c);
	else
		hub_welcome(hub, c, &types, head, false, NULL);
	return c;
}

static bool
deliver(const char *dir)
{
	struct hub_ops ops = { take, queue, want_writable, close_conn, fetch, mark_dirty, now_us, NULL };
	struct client *c[2] = { NULL, NULL };
	bool reads[2] = { true, false };
	struct hub *hub = NULL;
	uint32_t one = 1;
	bool whole = hub_new(&hub, &ops, "e", 0, 1 << 20) == EVH_OK;

	(void)dir;
	if (!whole)
		return false;
	whole = grouping_set_type(hub_grouping(hub), "global", true, true) == EVH_OK &&
		grouping_set_type(hub_grouping(hub), "a", true, false) == EVH_OK;
	for (int i = 0; whole && i < 2; i++) {
		c[i] = come(hub, &reads[i], 0);
		whole = c[i] != NULL;
	}
	for (uint64_t seq = 1; whole && seq <= 3; seq++) {
		struct hub_event e = { .seq = seq,
			.event_type = seq == 2 ? "a" : "global",
			.timestamp = "2026-01-01T00:00:00.000000Z",
			.message = "m",
			.message_len = 1,
			.user_id = seq == 3 ? "alice" : NULL };

		whole = hub_append(hub, &e, NULL) == EVH_OK;
		if (whole && seq == 1)
			whole = hub_subscribe(hub, c[0], &one, 1) == EVH_OK;
		hub_flush(hub);
	}
	if (whole) {
		struct message m = { .event_type = "health", .text = "pong", .text_len = 4 };

		hub_reply(hub, c[0], &m);
		hub_reply(hub, c[1], &m);
		(void)hub_unsubscribe(hub, c[0], &one, 1);
		reads[1] = true;
		hub_writable(hub, c[1]);
		hub_tick(hub, 1000, 10);
	}
	/* a client that could not be served was closed, not left with a gap */
	if (whole && failed)
		whole = false;
	for (int i = 0; i < 2; i++)
		if (c[i] != NULL)
			hub_leave(hub, &c[i]);
	hub_free(&hub);
	return whole;
}

/* A request, from its variables to the answer's bytes */

struct source {
	const char *text;
	size_t left;
};

static size_t
read_source(void *arg, char *out, size_t len)
{
	struct source *s = arg;

	if (len > s->left)
		len = s->left;
	memcpy(out, s->text, len);
	s->text += len;
	s->left -= len;
	return len;
}

static int
ask(struct context *ctx, const char *method, const char *endpoint, const char *body)
{
	char line[3][128];
	char *env[] = { line[0], line[1], line[2], (char *)(uintptr_t) "CONTENT_TYPE=application/json",
		(char *)(uintptr_t) "HTTP_X_API_KEY=the-secret-of-alice", NULL };
	struct source source = { body, strlen(body) };
	struct response response = RESPONSE_INIT;
	struct request request;
	struct buf out = BUF_INIT;
	int status;

	(void)snprintf(line[0], sizeof(line[0]), "REQUEST_METHOD=%s", method);
	(void)snprintf(line[1], sizeof(line[1]), "REQUEST_URI=/api/v1/ws/%s", endpoint);
	(void)snprintf(line[2], sizeof(line[2]), "CONTENT_LENGTH=%zu", strlen(body));
	request_init(&request, env, (struct request_input){ .read = read_source, .arg = &source });
	service_handle(ctx, &request, &response);
	status = response.status;
	response_write(&response, &out);
	if (out.failed || (failed && out.len == 0))
		status = 503; /* the web server gets nothing, and says so */
	request_free(&request);
	response_free(&response);
	buf_free(&out);
	return status;
}

/* What a thread of evhub-fcgi has when a request comes. */
static void
open_context(struct context *ctx, struct writer *writer, struct conf *conf, const char *dir)
{
	bool was = armed;

	armed = false;
	assert_int_equal(conf_init(conf), EVH_OK);
	free(conf->database);
	conf->database = strdup(unit_path(dir, "evhub.db"));
	assert_non_null(conf->database);
	writer_init(writer, conf);
	context_init(ctx, conf, writer);
	armed = was;
}

static bool
request_one(const char *dir, const char *method, const char *endpoint, const char *body, int good)
{
	struct writer writer;
	struct context ctx;
	struct conf conf;
	int status;

	open_context(&ctx, &writer, &conf, dir);
	status = ask(&ctx, method, endpoint, body);
	if (status != good && status != 503)
		fail_msg("%s %s: %d", method, endpoint, status);
	armed = false; /* the same thread serves the next as if nothing had been */
	assert_int_equal(ask(&ctx, method, endpoint, body), good == 201 ? 200 : good);
	context_free(&ctx);
	writer_free(&writer);
	conf_free(&conf);
	return status == good;
}

static bool
request_publish(const char *dir)
{
	static unsigned runs;
	int64_t before = number(dir, "SELECT count(*) FROM event");
	struct writer writer;
	struct context ctx;
	struct conf conf;
	char body[256];
	int status, again;

	(void)snprintf(body, sizeof(body),
		"{\"event_type\":\"pdfm\",\"message\":\"m\",\"body\":{\"n\":[1,2]},\"dedup_id\":\"d%u\"}",
		runs++);
	open_context(&ctx, &writer, &conf, dir);
	status = ask(&ctx, "POST", "events", body);
	armed = false;
	assert_true(status == 201 || status == 503);
	/* whoever was not told asks again, and it is there once */
	again = ask(&ctx, "POST", "events", body);
	assert_true(again == 200 || (again == 201 && status == 503));
	assert_int_equal(number(dir, "SELECT count(*) FROM event"), before + 1);
	context_free(&ctx);
	writer_free(&writer);
	conf_free(&conf);
	return status == 201;
}

static bool
request_clients(const char *dir)
{
	return request_one(dir, "GET", "clients", "", 200);
}

static bool
request_unsubscribe(const char *dir)
{
	return request_one(dir, "POST", "unsubscribe",
		"{\"client_id\":\"338a28f7-666e-46e1-8e7d-4feba5edc061\",\"event_types\":[\"pdfm\",\"x!\"]}",
		404);
}

static void
nomem(const char *dir, const char *name, bool (*run)(const char *dir))
{
	struct scenario s = { name, run };

	run_all(&s, dir);
}

static void
test_conf(void **state)
{
	nomem(*state, "configuration", read_conf);
}

static void
test_create(void **state)
{
	nomem(*state, "create the database", create_database);
}

static void
test_writer(void **state)
{
	assert_true(create_database(*state));
	execute(*state, "UPDATE event_type SET retain_count = 5");
	nomem(*state, "writer", write_all);
}

static void
test_feed(void **state)
{
	assert_true(create_database(*state));
	nomem(*state, "feed", follow);
}

static void
test_inbound(void **state)
{
	nomem(*state, "messages of clients", answer);
}

static void
test_hub(void **state)
{
	nomem(*state, "hub", deliver);
}

static void
test_requests(void **state)
{
	char hash[AUTH_HASH_TEXT], sql[512];

	assert_true(create_database(*state));
	assert_int_equal(auth_hash("the-secret-of-alice", hash), EVH_OK);
	(void)snprintf(sql, sizeof(sql),
		"INSERT INTO credential(user_id, kind, hash, scopes) VALUES('alice', 'key', '%s',"
		" 'subscribe publish admin')",
		hash);
	execute(*state, sql);
	nomem(*state, "POST events", request_publish);
	nomem(*state, "GET clients", request_clients);
	nomem(*state, "POST unsubscribe", request_unsubscribe);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, unit_dir_setup, unit_dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(test_conf),
		IN_DIR(test_create),
		IN_DIR(test_writer),
		IN_DIR(test_feed),
		IN_DIR(test_inbound),
		IN_DIR(test_hub),
		IN_DIR(test_requests),
	};

#ifdef MAY_FAIL
	(void)dl_iterate_phdr(find_spared, NULL);
#endif
	log_setup("test_nomem", LOG_LEVEL_ERROR, false, LOG_TARGET_STDERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
