#include "common/auth.h"
#include "common/db.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN "token-of-alice-000001"
#define KEY "key-of-alice-0000000001"
#define BOB_KEY "key-of-bob-000000000001"

struct fixture {
	void *dir;
	sqlite3 *db;
	struct auth *auth;
};

static void
add(struct fixture *f, const char *user, const char *kind, const char *secret, const char *columns,
	const char *values)
{
	char hash[65], sql[2048];

	assert_int_equal(auth_hash(secret, hash), EVH_OK);
	(void)snprintf(sql, sizeof(sql),
		"INSERT INTO credential(user_id, kind, hash%s) VALUES('%s', '%s', '%s'%s)", columns,
		user, kind, hash, values);
	if (db_exec(f->db, sql) != EVH_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(f->db));
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct db_options o = { .mode = DB_READ_WRITE, .triggers = true };
	char why[DB_WHY_BYTES];

	if (f == NULL || unit_dir_setup(&f->dir) != 0)
		return -1;
	o.path = unit_path(f->dir, "evhub.db");
	if (db_open(&o, &f->db, why) != EVH_OK || auth_new(&f->auth, f->db) != EVH_OK)
		return -1;
	add(f, "alice", "token", TOKEN, ", username", ", 'Alice A.'");
	add(f, "alice", "key", KEY, ", scopes, event_types", ", 'subscribe publish', 'pdfm vm.*'");
	add(f, "bob", "key", BOB_KEY, ", scopes", ", 'admin'");
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	int rc;

	auth_free(&f->auth);
	auth_free(&f->auth);
	db_close(&f->db);
	rc = unit_dir_teardown(&f->dir);
	free(f);
	return rc;
}

static void
accepted(struct fixture *f, const char *authorization, const char *api_key, struct auth_principal *who)
{
	struct api_error e = API_ERROR_INIT;

	if (auth_check(f->auth, authorization, api_key, who, &e) != EVH_OK)
		fail_msg("%s", e.stack.data);
	assert_int_equal(e.code, 0);
	assert_int_equal(e.count, 0);
	api_error_free(&e);
}

static void
refused(struct fixture *f, const char *authorization, const char *api_key, const char *error,
	const char *path)
{
	struct api_error e = API_ERROR_INIT;
	struct auth_principal who;
	char expected[128];

	if (auth_check(f->auth, authorization, api_key, &who, &e) != EVH_DENIED)
		fail_msg("accepted: %s and %s", authorization != NULL ? authorization : "nothing",
			api_key != NULL ? api_key : "nothing");
	assert_int_equal(e.code, 401);
	assert_int_equal(e.count, 1);
	assert_null(who.event_types);
	(void)snprintf(expected, sizeof(expected), "\"error\":\"%s\",\"path\":\"%s\"", error, path);
	assert_non_null(strstr(e.stack.data, expected));
	api_error_free(&e);
}

static void
token(void **state)
{
	static const char *const headers[] = { "Bearer " TOKEN, "bearer " TOKEN, "BEARER   " TOKEN,
		" Bearer " TOKEN };
	struct auth_principal who;

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		accepted(*state, headers[i], i % 2 == 0 ? NULL : "", &who);
		assert_string_equal(who.user_id, "alice");
		assert_string_equal(who.username, "Alice A.");
		assert_int_equal(who.scopes, AUTH_SUBSCRIBE);
		assert_int_equal(who.expires_at, 0);
		assert_int_equal(who.credential_id, 1);
		assert_null(who.event_types);
		auth_principal_free(&who);
	}
}

static void
key(void **state)
{
	struct auth_principal who;

	accepted(*state, NULL, KEY, &who);
	assert_string_equal(who.user_id, "alice");
	assert_int_equal(who.scopes, AUTH_SUBSCRIBE | AUTH_PUBLISH);
	assert_string_equal(who.event_types, "pdfm vm.*");
	auth_principal_free(&who);
	assert_null(who.event_types);
	accepted(*state, "", BOB_KEY, &who);
	assert_int_equal(who.scopes, AUTH_ADMIN);
	auth_principal_free(&who);
}

static void
no_credential(void **state)
{
	refused(*state, NULL, NULL, "missing_credential", "authorization");
	refused(*state, "", "", "missing_credential", "authorization");
}

static void
the_wrong_kind(void **state)
{
	refused(*state, "Bearer " KEY, NULL, "invalid_credential", "authorization");
	refused(*state, NULL, TOKEN, "invalid_credential", "x-api-key");
	refused(*state, "Basic dXNlcjpwYXNzd29yZA==", NULL, "unsupported_scheme", "authorization");
	refused(*state, TOKEN, NULL, "unsupported_scheme", "authorization");
	refused(*state, "Bearer", NULL, "unsupported_scheme", "authorization");
	refused(*state, "Basic dXNlcjpwYXNzd29yZA==", KEY, "unsupported_scheme", "authorization");
}

static void
unknown_and_malformed(void **state)
{
	char secret[AUTH_SECRET_MAX + 2];

	refused(*state, NULL, "nobody-has-this-key-0", "invalid_credential", "x-api-key");
	refused(*state, NULL, "short", "malformed_credential", "x-api-key");
	refused(*state, "Bearer ", NULL, "malformed_credential", "authorization");
	refused(*state, "Bearer " TOKEN " ", NULL, "malformed_credential", "authorization");
	refused(*state, NULL, "sixteen or more but blank", "malformed_credential", "x-api-key");
	refused(*state, NULL, "tab\tinside-the-key-000", "malformed_credential", "x-api-key");
	refused(*state, NULL, "del\x7finside-the-key-000", "malformed_credential", "x-api-key");
	refused(*state, NULL, "gr\xc3\xbcn-inside-the-key-00", "malformed_credential", "x-api-key");
	refused(*state, NULL, "' OR 1=1; --", "malformed_credential", "x-api-key");
	refused(*state, NULL, "'/**/OR/**/1=1;--", "invalid_credential", "x-api-key");
	memset(secret, 'x', sizeof(secret));
	secret[AUTH_SECRET_MAX + 1] = '\0';
	refused(*state, NULL, secret, "malformed_credential", "x-api-key");
	secret[AUTH_SECRET_MAX] = '\0';
	refused(*state, NULL, secret, "invalid_credential", "x-api-key");
}

static void
bounds_of_length(void **state)
{
	struct auth_principal who;
	char secret[AUTH_SECRET_MAX + 1];

	memset(secret, '~', AUTH_SECRET_MAX);
	secret[AUTH_SECRET_MAX] = '\0';
	add(*state, "long", "key", secret, "", "");
	accepted(*state, NULL, secret, &who);
	auth_principal_free(&who);
	add(*state, "short", "key", "!234567890123456", "", "");
	accepted(*state, NULL, "!234567890123456", &who);
	auth_principal_free(&who);
	refused(*state, NULL, "!23456789012345", "malformed_credential", "x-api-key");
}

static void
both_headers(void **state)
{
	struct auth_principal who;

	accepted(*state, "Bearer " TOKEN, KEY, &who);
	assert_string_equal(who.user_id, "alice");
	assert_int_equal(who.credential_id, 1); /* the token speaks */
	auth_principal_free(&who);
	refused(*state, "Bearer " TOKEN, BOB_KEY, "credential_mismatch", "x-api-key");
	refused(*state, "Bearer " TOKEN, "nobody-has-this-key-0", "invalid_credential", "x-api-key");
	refused(*state, "Bearer " TOKEN, "short", "malformed_credential", "x-api-key");
	refused(*state, "Bearer nobody-has-this-token", KEY, "invalid_credential", "authorization");
}

/* With a second principal that owns memory, for the leak checker. */
static void
both_headers_of_restricted_users(void **state)
{
	struct auth_principal who;

	add(*state, "alice", "token", "token-of-alice-000002", ", event_types", ", 'stats'");
	add(*state, "carol", "key", "key-of-carol-00000001", ", event_types", ", 'stats'");
	accepted(*state, "Bearer token-of-alice-000002", KEY, &who);
	assert_string_equal(who.event_types, "stats");
	auth_principal_free(&who);
	refused(*state, "Bearer token-of-alice-000002", "key-of-carol-00000001", "credential_mismatch",
		"x-api-key");
}

static void
revoked_and_deleted(void **state)
{
	struct fixture *f = *state;
	struct auth_principal who;

	assert_int_equal(auth_reload(f->auth, 1, &who), EVH_OK);
	assert_string_equal(who.user_id, "alice");
	auth_principal_free(&who);
	assert_int_equal(
		db_exec(f->db, "UPDATE credential SET revoked_at = datetime('now') WHERE id = 1"),
		EVH_OK);
	refused(f, "Bearer " TOKEN, NULL, "invalid_credential", "authorization");
	assert_int_equal(auth_reload(f->auth, 1, &who), EVH_DENIED);
	refused(f, "Bearer " TOKEN, KEY, "invalid_credential", "authorization");
	assert_int_equal(db_exec(f->db, "UPDATE credential SET revoked_at = NULL WHERE id = 1"), EVH_OK);
	accepted(f, "Bearer " TOKEN, NULL, &who);
	auth_principal_free(&who);
	assert_int_equal(db_exec(f->db, "DELETE FROM credential WHERE id = 1"), EVH_OK);
	refused(f, "Bearer " TOKEN, NULL, "invalid_credential", "authorization");
	assert_int_equal(auth_reload(f->auth, 1, &who), EVH_DENIED);
	assert_int_equal(auth_reload(f->auth, 99, &who), EVH_DENIED);
}

static void
expired(void **state)
{
	static const struct {
		const char *when;
		bool in_force;
	} cases[] = {
		{ "datetime('now', '+1 hour')", true },
		{ "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 minute')", true },
		{ "'2999-12-31'", true },
		{ "'2999-12-31T23:59:59+02:00'", true },
		{ "datetime('now', '-1 second')", false },
		{ "'2001-01-01'", false },
		{ "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 minute')", false },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct auth_principal who;
		char sql[256];

		(void)snprintf(sql, sizeof(sql), "UPDATE credential SET expires_at = %s WHERE id = 1",
			cases[i].when);
		assert_int_equal(db_exec(f->db, sql), EVH_OK);
		if (!cases[i].in_force) {
			refused(f, "Bearer " TOKEN, NULL, "invalid_credential", "authorization");
			assert_int_equal(auth_reload(f->auth, 1, &who), EVH_DENIED);
			continue;
		}
		accepted(f, "Bearer " TOKEN, NULL, &who);
		assert_true(who.expires_at > 1700000000);
		auth_principal_free(&who);
		assert_int_equal(auth_reload(f->auth, 1, &who), EVH_OK);
		assert_true(who.expires_at > 1700000000);
		auth_principal_free(&who);
	}
}

static void
scopes(void **state)
{
	static const struct {
		const char *text;
		unsigned scopes;
	} cases[] = {
		{ "", 0 },
		{ "subscribe", AUTH_SUBSCRIBE },
		{ "publish", AUTH_PUBLISH },
		{ "admin subscribe publish", AUTH_ADMIN | AUTH_SUBSCRIBE | AUTH_PUBLISH },
		{ " publish ", AUTH_PUBLISH },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct auth_principal who;
		char sql[128];

		(void)snprintf(sql, sizeof(sql), "UPDATE credential SET scopes = '%s' WHERE id = 1",
			cases[i].text);
		assert_int_equal(db_exec(f->db, sql), EVH_OK);
		assert_int_equal(auth_reload(f->auth, 1, &who), EVH_OK);
		assert_int_equal(who.scopes, cases[i].scopes);
		auth_principal_free(&who);
	}
}

static void
longest_names(void **state)
{
	struct buf name = BUF_INIT;
	struct auth_principal who;

	for (int i = 0; i < 255; i++)
		buf_puts(&name, "\xf0\x9f\x98\x80");
	assert_int_equal(name.len, AUTH_NAME_MAX - 1);
	add(*state, name.data, "key", "key-of-a-long-name-1", "", "");
	accepted(*state, NULL, "key-of-a-long-name-1", &who);
	assert_string_equal(who.user_id, name.data);
	auth_principal_free(&who);
	buf_free(&name);
}

static void
unusable_database(void **state)
{
	struct fixture *f = *state;
	struct api_error e = API_ERROR_INIT;
	struct auth_principal who;
	sqlite3 *empty;
	struct auth *auth = NULL;

	assert_int_equal(db_exec(f->db, "DROP TABLE credential"), EVH_OK);
	assert_int_equal(auth_check(f->auth, NULL, KEY, &who, &e), EVH_IO);
	assert_int_equal(e.code, 503);
	assert_non_null(
		strstr(e.stack.data, "\"error\":\"database_unavailable\",\"path\":\"database\""));
	api_error_free(&e);
	assert_int_equal(sqlite3_open(":memory:", &empty), SQLITE_OK);
	assert_int_equal(auth_new(&auth, empty), EVH_IO);
	assert_null(auth);
	assert_int_equal(sqlite3_close(empty), SQLITE_OK);
}

/* Look-ups that share a read transaction, on a connection of their own; others
 * write on the one of the fixture. */

struct sharing {
	sqlite3 *db;
	struct auth *auth;
};

static void
share(struct fixture *f, struct sharing *s)
{
	struct db_options o = { .path = unit_path(f->dir, "evhub.db"), .mode = DB_READ_ONLY };
	char why[DB_WHY_BYTES];

	assert_int_equal(db_open(&o, &s->db, why), EVH_OK);
	assert_int_equal(auth_new(&s->auth, s->db), EVH_OK);
	assert_int_equal(auth_share_reads(s->auth), EVH_OK);
}

static void
share_no_more(struct sharing *s)
{
	auth_free(&s->auth); /* in the middle of it, too */
	assert_int_not_equal(sqlite3_get_autocommit(s->db), 0);
	db_close(&s->db);
}

static bool
is_reading(const struct sharing *s)
{
	return sqlite3_get_autocommit(s->db) == 0;
}

static enum evh_rc
look(struct sharing *s, const char *key, struct api_error *e)
{
	struct auth_principal who;
	enum evh_rc rc;

	api_error_free(e);
	*e = (struct api_error)API_ERROR_INIT;
	rc = auth_check(s->auth, NULL, key, &who, e);
	assert_int_equal(rc == EVH_OK, e->code == 0);
	if (rc == EVH_OK)
		auth_principal_free(&who);
	return rc;
}

static void
execute(struct fixture *f, const char *sql)
{
	if (db_exec(f->db, sql) != EVH_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(f->db));
}

#define REVOKE(user) \
	"UPDATE credential SET revoked_at = datetime('now') WHERE kind = 'key' AND user_id = '" user "'"
#define RESTORE(user) "UPDATE credential SET revoked_at = NULL WHERE user_id = '" user "'"

static void
shared_reads_end_with_refresh(void **state)
{
	struct fixture *f = *state;
	struct api_error e = API_ERROR_INIT;
	struct sharing s;

	share(f, &s);
	assert_false(is_reading(&s));
	auth_refresh(s.auth); /* of nothing */
	assert_int_equal(look(&s, KEY, &e), EVH_OK);
	assert_true(is_reading(&s));
	execute(f, REVOKE("alice"));
	assert_int_equal(look(&s, KEY, &e), EVH_OK); /* of the same turn */
	assert_int_equal(look(&s, BOB_KEY, &e), EVH_OK);
	/* nothing that was committed since can be copied over what is read */
	assert_int_equal(
		sqlite3_wal_checkpoint_v2(f->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL),
		SQLITE_BUSY);
	auth_refresh(s.auth);
	assert_false(is_reading(&s));
	assert_int_equal(
		sqlite3_wal_checkpoint_v2(f->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(look(&s, KEY, &e), EVH_DENIED);
	assert_int_equal(e.code, 401);
	assert_int_equal(look(&s, BOB_KEY, &e), EVH_OK);
	api_error_free(&e);
	share_no_more(&s);
}

/* As it is when the feed meets the change while the turn goes on: whoever comes
 * after that is not let in, though others came in by the old row just now. */
static void
reload_sees_what_shared_reads_do_not(void **state)
{
	struct fixture *f = *state;
	struct api_error e = API_ERROR_INIT;
	struct auth_principal who;
	struct sharing s;

	share(f, &s);
	assert_int_equal(look(&s, KEY, &e), EVH_OK);
	execute(f, REVOKE("alice"));
	assert_int_equal(look(&s, KEY, &e), EVH_OK);
	assert_int_equal(auth_reload(s.auth, 2, &who), EVH_DENIED);
	assert_false(is_reading(&s));
	assert_int_equal(look(&s, KEY, &e), EVH_DENIED);
	assert_int_equal(look(&s, BOB_KEY, &e), EVH_OK);
	assert_true(is_reading(&s));
	execute(f, "UPDATE credential SET scopes = 'publish' WHERE user_id = 'bob'");
	assert_int_equal(auth_reload(s.auth, 3, &who), EVH_OK);
	assert_int_equal(who.scopes, AUTH_PUBLISH);
	auth_principal_free(&who);
	assert_int_equal(auth_check(s.auth, NULL, BOB_KEY, &who, &e), EVH_OK);
	assert_int_equal(who.scopes, AUTH_PUBLISH);
	auth_principal_free(&who);
	api_error_free(&e);
	share_no_more(&s);
}

/* What was committed before it was shown is found, however old the reading is. */
static void
shared_reads_miss_no_credential(void **state)
{
	struct fixture *f = *state;
	struct api_error e = API_ERROR_INIT;
	struct sharing s;

	share(f, &s);
	execute(f, REVOKE("bob"));
	assert_int_equal(look(&s, KEY, &e), EVH_OK);
	assert_int_equal(look(&s, "a-new-key-of-carol-01", &e), EVH_DENIED);
	add(f, "carol", "key", "a-new-key-of-carol-01", "", "");
	assert_int_equal(look(&s, "a-new-key-of-carol-01", &e), EVH_OK);
	assert_int_equal(look(&s, BOB_KEY, &e), EVH_DENIED);
	execute(f, RESTORE("bob"));
	assert_int_equal(look(&s, BOB_KEY, &e), EVH_OK);
	assert_true(is_reading(&s));
	execute(f, REVOKE("alice")); /* and a miss refreshes for those that follow */
	assert_int_equal(look(&s, "nobody-has-this-key-0", &e), EVH_DENIED);
	assert_true(is_reading(&s));
	assert_int_equal(look(&s, KEY, &e), EVH_DENIED);
	api_error_free(&e);
	share_no_more(&s);
}

static int
interrupt(void *left)
{
	int *n = left;

	return *n > 0 && (*n)-- > 0;
}

/* Whatever fails is told as ever, and leaves no transaction behind. */
static void
shared_reads_that_fail(void **state)
{
	struct fixture *f = *state;
	struct api_error e = API_ERROR_INIT;
	struct sharing s;
	int left = 0;

	share(f, &s);
	sqlite3_progress_handler(s.db, 1, interrupt, &left);
	for (int held = 0; held < 2; held++) {
		auth_refresh(s.auth);
		if (held == 1)
			assert_int_equal(look(&s, KEY, &e), EVH_OK);
		left = 1;
		assert_int_equal(look(&s, KEY, &e), EVH_IO);
		assert_int_equal(left, 0);
		assert_int_equal(e.code, 503);
		assert_non_null(strstr(e.stack.data, "\"error\":\"database_unavailable\""));
		assert_false(is_reading(&s));
		assert_int_equal(look(&s, KEY, &e), EVH_OK);
		assert_true(is_reading(&s));
	}
	sqlite3_progress_handler(s.db, 0, NULL, NULL);
	execute(f, "DROP TABLE credential");
	assert_int_equal(look(&s, KEY, &e), EVH_OK); /* it was there when the reading began */
	auth_refresh(s.auth);
	assert_int_equal(look(&s, KEY, &e), EVH_IO);
	assert_int_equal(e.code, 503);
	assert_false(is_reading(&s));
	api_error_free(&e);
	share_no_more(&s);
}

/* Without it every look-up sees what is there, and none stays in the way. */
static void
reads_are_not_shared_unless_asked(void **state)
{
	struct fixture *f = *state;
	struct auth_principal who;

	accepted(f, NULL, KEY, &who);
	auth_principal_free(&who);
	assert_int_not_equal(sqlite3_get_autocommit(f->db), 0);
	execute(f, "BEGIN");
	auth_refresh(f->auth); /* of somebody else's transaction: left alone */
	assert_int_equal(sqlite3_get_autocommit(f->db), 0);
	execute(f, "COMMIT");
}

/* The sqlite3 shell and OpenSSL must agree, or no key made by hand would work. */
static void
hash_is_that_of_the_shell(void **state)
{
	struct fixture *f = *state;
	struct buf out = BUF_INIT;
	char hash[65];

	assert_int_equal(auth_hash("the secret", hash), EVH_OK);
	assert_int_equal(unit_sqlite(&out, unit_path(f->dir, "evhub.db"),
				 "SELECT lower(hex(sha3('the secret', 256)));"),
		0);
	assert_int_equal(out.len, 65);
	assert_memory_equal(out.data, hash, 64);
	buf_free(&out);
	assert_int_equal(auth_hash("", hash), EVH_OK); /* FIPS 202 */
	assert_string_equal(hash, "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a");
}

#define WITH_DB(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_DB(token),
		WITH_DB(key),
		WITH_DB(no_credential),
		WITH_DB(the_wrong_kind),
		WITH_DB(unknown_and_malformed),
		WITH_DB(bounds_of_length),
		WITH_DB(both_headers),
		WITH_DB(both_headers_of_restricted_users),
		WITH_DB(revoked_and_deleted),
		WITH_DB(expired),
		WITH_DB(scopes),
		WITH_DB(longest_names),
		WITH_DB(unusable_database),
		WITH_DB(shared_reads_end_with_refresh),
		WITH_DB(reload_sees_what_shared_reads_do_not),
		WITH_DB(shared_reads_miss_no_credential),
		WITH_DB(shared_reads_that_fail),
		WITH_DB(reads_are_not_shared_unless_asked),
		WITH_DB(hash_is_that_of_the_shell),
	};

	unit_need("sqlite3");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
