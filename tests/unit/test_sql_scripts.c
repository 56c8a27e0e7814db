/* The operator scripts in sql/, run as their first lines say. */

#include "common/auth.h"
#include "common/db.h"
#include "tests/unit/unit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIENT "338a28f7-666e-46e1-8e7d-4feba5edc061"
#define OTHER "f0000000-0000-4000-8000-000000000001"

static const char *
new_database(const char *dir)
{
	static char path[512]; /* outlives the calls of unit_path */
	struct db_options o = { .path = path, .mode = DB_READ_WRITE };
	char why[DB_WHY_BYTES];
	sqlite3 *db;

	(void)snprintf(path, sizeof(path), "%s/evhub.db", dir);
	(void)unlink(path);
	if (db_open(&o, &db, why) != EVH_OK)
		fail_msg("%s", why);
	assert_int_equal(
		db_exec(db,
			"INSERT INTO client(id, user_id, daemon, connected_at) VALUES"
			"('" CLIENT "', 'alice', 'wsd', '2026-01-01T00:00:00.000Z'),"
			"('" OTHER "', 'alice', 'wsd', '2026-01-02T00:00:00.000Z');"
			"INSERT INTO subscription(client_id, event_type) VALUES"
			"('" CLIENT "', 'global'), ('" CLIENT "', 'pdfm'), ('" OTHER "', 'global');"
			"INSERT INTO credential(user_id, kind, hash) VALUES"
			"('alice', 'key', printf('%064d', 1)), ('alice', 'token', printf('%064d', 2));"
			"INSERT INTO event(event_type, created_at) VALUES"
			"('pdfm', '2020-01-01T00:00:00.000Z'), ('stats', '2020-01-01T00:00:00.000Z'),"
			"('stats', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"),
		EVH_OK);
	db_close(&db);
	return path;
}

/* Runs a script after the given dot commands: shell words. */
static int
run(struct buf *out, const char *db, const char *parameters, const char *script)
{
	struct buf name = BUF_INIT;
	int status;

	buf_printf(&name, "sql/%s.sql", script);
	buf_clear(out);
	status = unit_run(
		out, "sqlite3 -batch '%s' %s '.read %s'", db, parameters, unit_source(name.data));
	buf_free(&name);
	return status;
}

static void
prints(const char *db, const char *parameters, const char *script, const char *expected)
{
	struct buf out = BUF_INIT;
	int status = run(&out, db, parameters, script);

	if (status != 0 || strcmp(out.data, expected) != 0)
		fail_msg("%s %s: status %d, %s", script, parameters, status, out.data);
	buf_free(&out);
}

static void
refused(const char *db, const char *parameters, const char *script, const char *words)
{
	struct buf out = BUF_INIT;
	int status = run(&out, db, parameters, script);

	if (status != 1 || strstr(out.data, words) == NULL)
		fail_msg("%s %s: status %d, %s", script, parameters, status, out.data);
	buf_free(&out);
}

static void
query(const char *db, const char *sql, const char *expected)
{
	struct buf out = BUF_INIT;

	assert_int_equal(unit_sqlite(&out, db, sql), 0);
	assert_string_equal(out.data, expected);
	buf_free(&out);
}

/* Whom a secret of this kind speaks for. */
static void
expect_user(const char *db, const char *authorization, const char *api_key, const char *user,
	unsigned scopes)
{
	struct db_options o = { .path = db, .mode = DB_READ_ONLY };
	struct api_error e = API_ERROR_INIT;
	struct auth_principal who;
	char why[DB_WHY_BYTES];
	struct auth *auth;
	sqlite3 *handle;

	assert_int_equal(db_open(&o, &handle, why), EVH_OK);
	assert_int_equal(auth_new(&auth, handle), EVH_OK);
	assert_int_equal(auth_check(auth, authorization, api_key, &who, &e), EVH_OK);
	assert_string_equal(who.user_id, user);
	assert_int_equal(who.scopes, scopes);
	auth_principal_free(&who);
	auth_free(&auth);
	db_close(&handle);
}

static void
add_key(void **state)
{
	const char *db = new_database(*state);
	struct buf out = BUF_INIT, file = BUF_INIT;

	assert_int_equal(run(&out, db, "'.parameter set :user alice'", "add-key"), 0);
	assert_int_equal(out.len, 65); /* 32 bytes in hex, and nothing else */
	out.data[64] = '\0';
	assert_int_equal(strspn(out.data, "0123456789abcdef"), 64);
	expect_user(db, NULL, out.data, "alice", AUTH_SUBSCRIBE);
	unit_read(&file, db);
	assert_null(memmem(file.data, file.len, out.data, 64)); /* it is stored nowhere */
	assert_int_equal(
		run(&out, db,
			"\".parameter set :user \\\"'007'\\\"\" \".parameter set :scopes 'publish admin'\" "
			"\".parameter set :username 'J B'\" \".parameter set :event_types 'pdfm vm.*'\" "
			"\".parameter set :expires \\\"'2999-12-31'\\\"\" '.parameter set :label x'",
			"add-key"),
		0);
	out.data[64] = '\0';
	expect_user(db, NULL, out.data, "007", AUTH_PUBLISH | AUTH_ADMIN);
	query(db,
		"SELECT user_id, username, kind, scopes, event_types, expires_at, label FROM credential WHERE id = 4",
		"007|J B|key|publish admin|pdfm vm.*|2999-12-31|x\n");
	buf_free(&out);
	buf_free(&file);
}

static void
add_token(void **state)
{
	const char *db = new_database(*state);
	struct buf first = BUF_INIT, second = BUF_INIT, header = BUF_INIT;

	assert_int_equal(run(&first, db, "\".parameter set :user O'Brien\"", "add-token"), 0);
	assert_int_equal(run(&second, db, "\".parameter set :user O'Brien\"", "add-token"), 0);
	assert_string_not_equal(first.data, second.data);
	buf_printf(&header, "Bearer %.64s", first.data);
	expect_user(db, header.data, NULL, "O'Brien", AUTH_SUBSCRIBE);
	buf_free(&first);
	buf_free(&second);
	buf_free(&header);
}

static void
wrong_parameters_of_add(void **state)
{
	static const char *const scripts[] = { "add-key", "add-token" };
	const char *db = new_database(*state);

	for (size_t i = 0; i < 2; i++) {
		refused(db, "", scripts[i], ":user is missing or no text");
		refused(db, "'.parameter set :usr alice'", scripts[i], ":user is missing or no text");
		refused(db, "'.parameter set :user 7'", scripts[i], ":user is missing or no text");
		refused(db, "'.parameter set :user a' '.parameter set :scopes root'", scripts[i],
			"credential.scopes: some of subscribe publish admin");
		refused(db, "'.parameter set :user a' '.parameter set :expires 2099-01-31'", scripts[i],
			":expires is no text");
		refused(db, "'.parameter set :user a' '.parameter set :expires soon'", scripts[i],
			":expires is not a time to come");
		refused(db, "'.parameter set :user a' \".parameter set :expires \\\"'2001-01-31'\\\"\"",
			scripts[i], ":expires is not a time to come");
		refused(db, "'.parameter set :user a' '.parameter set :event_types PDFM'", scripts[i],
			"credential.event_types");
	}
	query(db, "SELECT count(*) FROM credential", "2\n");
}

static void
subscriptions(void **state)
{
	const char *db = new_database(*state);

	prints(db, "'.parameter set :client " CLIENT "' '.parameter set :type stats'", "subscribe",
		"subscribed to stats\n");
	prints(db, "'.parameter set :client " CLIENT "' '.parameter set :type PDFM'", "unsubscribe",
		"unsubscribed from pdfm\n");
	query(db, "SELECT kind, event_type FROM change", "subscribe|stats\nunsubscribe|pdfm\n");
	refused(db, "'.parameter set :client " CLIENT "' '.parameter set :type pdfm'", "unsubscribe",
		":type: the client is not subscribed to it");
	refused(db, "'.parameter set :client " CLIENT "' '.parameter set :type global'", "unsubscribe",
		"a mandatory type cannot be unsubscribed");
	refused(db, "'.parameter set :client " CLIENT "' '.parameter set :type stats'", "subscribe",
		":type: the client is subscribed to it already");
	refused(db, "'.parameter set :client " CLIENT "' '.parameter set :type none'", "subscribe",
		"subscription.event_type: no such event type");
	for (int i = 0; i < 2; i++) {
		const char *script = i == 0 ? "subscribe" : "unsubscribe";

		refused(db, "", script, ":client is missing");
		refused(db, "'.parameter set :client " CLIENT "'", script, ":type is missing");
		refused(db, "'.parameter set :client x' '.parameter set :type pdfm'", script,
			":client: no live client has this id");
	}
}

static void
disconnect(void **state)
{
	const char *db = new_database(*state);

	refused(db, "", "disconnect", ":user or :client is missing");
	refused(db, "'.parameter set :user alice' '.parameter set :client " CLIENT "'", "disconnect",
		":user or :client is missing, or both");
	refused(db, "'.parameter set :user bob'", "disconnect",
		"no live client is of this :user or :client");
	refused(db, "'.parameter set :user 5'", "disconnect", ":user is no text");
	refused(db, "'.parameter set :client 00000000-0000-4000-8000-000000000001'", "disconnect",
		":client is no text");
	prints(db, "'.parameter set :client " OTHER "'", "disconnect", "connections closed: 1\n");
	query(db, "SELECT id FROM client", CLIENT "\n");
	db = new_database(*state);
	prints(db, "'.parameter set :user alice'", "disconnect", "connections closed: 2\n");
	query(db,
		"SELECT count(*) FROM client; SELECT count(*) FROM subscription; SELECT kind FROM change",
		"0\n0\ndisconnect\ndisconnect\n");
}

static void
publishing(void **state)
{
	const char *db = new_database(*state);
	struct buf out = BUF_INIT;

	assert_int_equal(
		run(&out, db,
			"'.parameter set :type PDFM' \".parameter set :message 'VM STATE'\" "
			"\".parameter set :body '{\\\"vm_id\\\":\\\"4 2\\\"}'\" '.parameter set :user alice' "
			"'.parameter set :dedup d1'",
			"publish"),
		0);
	assert_int_equal(strspn(out.data, "0123456789abcdef"), 8);
	assert_string_equal(out.data + 8, "-4\n");
	query(db,
		"SELECT event_type, message, body, user_id, client_id, dedup_id FROM event WHERE seq = 4",
		"pdfm|VM STATE|{\"vm_id\":\"4 2\"}|alice||d1\n");
	assert_int_equal(
		run(&out, db, "'.parameter set :type stats' '.parameter set :client " CLIENT "'",
			"publish"),
		0);
	query(db, "SELECT event_type, message, body, user_id, client_id FROM event WHERE seq = 5",
		"stats||||" CLIENT "\n");
	refused(db, "", "publish", ":type is missing");
	refused(db, "'.parameter set :type none'", "publish", "event.event_type: no such event type");
	refused(db, "'.parameter set :type pdfm' '.parameter set :message 5'", "publish",
		":message is no text");
	refused(db, "'.parameter set :type pdfm' '.parameter set :body 5'", "publish",
		":body is no text");
	refused(db, "'.parameter set :type pdfm' '.parameter set :body {'", "publish",
		"event.body: JSON");
	refused(db, "'.parameter set :type pdfm' '.parameter set :dedup d1'", "publish",
		"event.dedup_id");
	refused(db, "'.parameter set :type pdfm' '.parameter set :client x'", "publish",
		"event.client_id");
	buf_free(&out);
}

static void
revoking(void **state)
{
	const char *db = new_database(*state);

	refused(db, "", "revoke", ":user or :id is missing");
	refused(db, "'.parameter set :user alice' '.parameter set :id 1'", "revoke",
		"or both are given");
	refused(db, "'.parameter set :user bob'", "revoke", "no credential in force");
	refused(db, "'.parameter set :id x'", "revoke", ":id is no number");
	prints(db, "'.parameter set :id 2'", "revoke", "credentials revoked: 1\n");
	refused(db, "'.parameter set :id 2'", "revoke", "no credential in force");
	prints(db, "'.parameter set :user alice'", "revoke", "credentials revoked: 1\n");
	query(db,
		"SELECT kind, credential_id FROM change; SELECT count(*) FROM credential WHERE revoked_at IS NULL",
		"credential|2\ncredential|1\n0\n");
}

static void
purge(void **state)
{
	const char *db = new_database(*state);

	refused(db, "", "purge", ":days or :type is missing");
	refused(db, "'.parameter set :days -1'", "purge", ":days is no number of 0 or more");
	refused(db, "'.parameter set :days seven'", "purge", ":days is no number of 0 or more");
	refused(db, "'.parameter set :type none'", "purge", ":type: no such event type");
	prints(db, "'.parameter set :days 0.5' '.parameter set :type stats'", "purge",
		"events deleted: 1\n");
	query(db, "SELECT seq FROM event", "1\n3\n");
	prints(db, "'.parameter set :days 7'", "purge", "events deleted: 1\n");
	prints(db, "'.parameter set :type stats'", "purge", "events deleted: 1\n");
	query(db, "SELECT event_type, seq FROM event_purged", "pdfm|1\nstats|3\n");
}

static void
add_type(void **state)
{
	const char *db = new_database(*state);

	prints(db, "'.parameter set :type Billing'", "add-type", "added billing\n");
	prints(db,
		"'.parameter set :type fast' \".parameter set :description 'no disk'\" '.parameter set :persistent 0' "
		"'.parameter set :retain_seconds 5' '.parameter set :retain_count 0'",
		"add-type", "added fast\n");
	query(db,
		"SELECT name, description, mandatory, persistent, retain_seconds, retain_count FROM event_type "
		"WHERE name IN ('billing', 'fast')",
		"billing||0|1|86400|100000\nfast|no disk|0|0|5|0\n");
	refused(db, "", "add-type", ":type is missing");
	refused(db, "'.parameter set :type billing'", "add-type", "event_type.name");
	refused(db, "\".parameter set :type 'a b'\"", "add-type", "event_type.name: 1 to 64");
	refused(db, "'.parameter set :type a' '.parameter set :persistent 2'", "add-type",
		":persistent is neither 0 nor 1");
	refused(db, "'.parameter set :type a' '.parameter set :retain_count 1.5'", "add-type",
		":retain_count is no whole number");
}

static void
shows(const char *db, const char *script, const char *const *words)
{
	struct buf out = BUF_INIT;

	assert_int_equal(run(&out, db, "", script), 0);
	for (; *words != NULL; words++)
		if (strstr(out.data, *words) == NULL)
			fail_msg("%s: no %s in %s", script, *words, out.data);
	assert_null(strstr(out.data, "rror"));
	buf_free(&out);
}

static void
show(void **state)
{
	static const char *const clients[] = { CLIENT, OTHER, "alice", "2026-01-01T00:00:00",
		"global,pdfm", NULL };
	static const char *const credentials[] = { "alice", "token", "in force", "revoked", "expired",
		"never", NULL };
	static const char *const stats[] = { "total_clients = 2", "events_kept = 3", "newest_event = 3",
		"job_manager", "2020-01-01T00:00:00", NULL };
	const char *db = new_database(*state);

	query(db,
		"UPDATE credential SET revoked_at = '2026-01-01' WHERE id = 1;"
		"INSERT INTO credential(user_id, kind, hash, expires_at) VALUES('bob', 'key', printf('%064d', 3), "
		"'2001-01-01'), ('carol', 'key', printf('%064d', 4), NULL);",
		"");
	shows(db, "show-clients", clients);
	shows(db, "show-credentials", credentials);
	shows(db, "show-stats", stats);
}

/* In one session, the parameters of one script do not leak into the next, and
 * a refusal does not stand in the way of a second try. */
static void
one_session(void **state)
{
	const char *db = new_database(*state);
	struct buf script = BUF_INIT, out = BUF_INIT;
	const char *path = unit_path(*state, "session");

	buf_printf(&script,
		".parameter set :type fast\n.read %s\n.parameter list\n"
		".parameter set :client " CLIENT "\n.parameter set :type pdfm\n.read %s\n",
		unit_source("sql/add-type.sql"), unit_source("sql/unsubscribe.sql"));
	unit_write(path, script.data, script.len);
	assert_int_equal(unit_run(&out, "sqlite3 '%s' < '%s'", db, path), 0);
	assert_string_equal(out.data, "added fast\nunsubscribed from pdfm\n");
	buf_clear(&script);
	buf_clear(&out);
	buf_printf(&script, ".read %s\n.bail off\n.parameter set :user alice\n.read %s\n",
		unit_source("sql/disconnect.sql"), unit_source("sql/disconnect.sql"));
	unit_write(path, script.data, script.len);
	(void)unit_run(&out, "sqlite3 -interactive '%s' < '%s'", db, path);
	assert_non_null(strstr(out.data, ":user or :client is missing"));
	assert_non_null(strstr(out.data, "connections closed: 2"));
	buf_free(&script);
	buf_free(&out);
}

/* A write of the daemon in progress is waited for, not complained of. */
static void
waits_for_another_writer(void **state)
{
	const char *db = new_database(*state);
	struct db_options o = { .path = db, .mode = DB_READ_WRITE, .busy_ms = 1000 };
	char command[1024], line[128], why[DB_WHY_BYTES];
	struct pollfd readable = { .events = POLLIN };
	sqlite3 *writer;
	FILE *shell;

	assert_int_equal(db_open(&o, &writer, why), EVH_OK);
	assert_int_equal(db_exec(writer, "BEGIN IMMEDIATE"), EVH_OK);
	(void)snprintf(command, sizeof(command),
		"sqlite3 '%s' '.parameter set :type late' '.shell echo begun' '.read %s' 2>&1", db,
		unit_source("sql/add-type.sql"));
	shell = popen(command, "r");
	assert_non_null(shell);
	(void)setvbuf(shell, NULL, _IONBF, 0);
	assert_non_null(fgets(line, sizeof(line), shell));
	assert_string_equal(line, "begun\n");
	/* whoever does not wait would say so now */
	readable.fd = fileno(shell);
	assert_int_equal(poll(&readable, 1, 300), 0);
	assert_int_equal(db_exec(writer, "COMMIT"), EVH_OK);
	assert_non_null(fgets(line, sizeof(line), shell));
	assert_string_equal(line, "added late\n");
	assert_int_equal(pclose(shell), 0);
	db_close(&writer);
}

/* The example in the comment of a script. */
static void
example_of(const char *text, struct buf *command)
{
	const char *p = strstr(text, "\n-- sqlite3 ");

	assert_non_null(p);
	for (p++; strncmp(p, "-- ", 3) == 0; p += strcspn(p, "\n") + 1) {
		size_t len = strcspn(p, "\n");

		buf_add(command, p + 3, len - 2);
		if (p[len - 1] != '\\')
			break;
	}
}

static void
the_documented_examples(void **state)
{
	static const char *const scripts[] = { "add-key", "add-token", "add-type", "disconnect",
		"publish", "purge", "revoke", "show-clients", "show-credentials", "show-stats",
		"subscribe", "unsubscribe" };
	struct buf dir = BUF_INIT;

	buf_printf(&dir, "%s/", unit_source("sql"));
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		const char *db = new_database(*state);
		struct buf name = BUF_INIT, text = BUF_INIT, command = BUF_INIT, out = BUF_INIT;

		buf_printf(&name, "sql/%s.sql", scripts[i]);
		unit_read(&text, unit_source(name.data));
		assert_non_null(strstr(text.data, "\n.bail on\n.timeout 5000\n"));
		if (strncmp(scripts[i], "show-", 5) != 0) /* nothing is left for the next script */
			assert_string_equal(text.data + text.len - strlen("\n.parameter clear\n"),
				"\n.parameter clear\n");
		example_of(text.data, &command);
		unit_replace(&command, "/var/lib/evhub/evhub.db", db);
		unit_replace(&command, "/usr/share/evhub/sql/", dir.data);
		if (unit_run(&out, "%s", command.data) != 0 || out.len == 0)
			fail_msg("%s: %s", command.data, out.data);
		buf_free(&name);
		buf_free(&text);
		buf_free(&command);
		buf_free(&out);
	}
	buf_free(&dir);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, unit_dir_setup, unit_dir_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		IN_DIR(add_key),
		IN_DIR(add_token),
		IN_DIR(wrong_parameters_of_add),
		IN_DIR(subscriptions),
		IN_DIR(disconnect),
		IN_DIR(publishing),
		IN_DIR(revoking),
		IN_DIR(purge),
		IN_DIR(add_type),
		IN_DIR(show),
		IN_DIR(one_session),
		IN_DIR(waits_for_another_writer),
		IN_DIR(the_documented_examples),
	};

	unit_need("sqlite3");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
