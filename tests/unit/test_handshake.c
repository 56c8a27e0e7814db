/* What a handshake is judged by, when that changes meanwhile. */

#include "common/db.h"
#include "tests/unit/unit.h"
#include "wsd/catalog.h"
#include "wsd/handshake.h"

#include <string.h>

#define KEY "0123456789abcdef"

/* A daemon's view of a database, and an operator's hand on it. */
struct place {
	sqlite3 *db, *operator_db;
	struct handshake_rules rules;
	struct conf conf;
	struct grouping types;
	char epoch[EVH_EPOCH_TEXT];
};

static void
set_up(struct place *p, const char *dir)
{
	struct db_options o = {
		.path = unit_path(dir, "evhub.db"), .mode = DB_READ_WRITE, .triggers = true
	};
	char why[CONF_WHY_BYTES], hash[AUTH_HASH_TEXT], *sql;

	memset(p, 0, sizeof(*p));
	assert_int_equal(db_open(&o, &p->operator_db, why), EVH_OK);
	assert_int_equal(auth_hash(KEY, hash), EVH_OK);
	sql = sqlite3_mprintf("INSERT INTO credential(user_id, kind, hash, scopes, event_types)"
			      " VALUES ('alice', 'key', %Q, 'publish', 'stats')",
		hash);
	assert_int_equal(db_exec(p->operator_db, sql), EVH_OK);
	sqlite3_free(sql);
	o.mode = DB_READ_ONLY;
	assert_int_equal(db_open(&o, &p->db, why), EVH_OK);
	assert_int_equal(conf_init(&p->conf), EVH_OK);
	assert_int_equal(db_epoch(p->db, p->epoch), EVH_OK);
	assert_int_equal(catalog_load(p->operator_db, &p->types), EVH_OK);
	p->rules.conf = &p->conf;
	p->rules.types = &p->types;
	p->rules.epoch = p->epoch;
	assert_int_equal(auth_new(&p->rules.auth, p->db), EVH_OK);
	assert_int_equal(auth_share_reads(p->rules.auth), EVH_OK);
	assert_int_equal(
		tickets_new(&p->rules.tickets, p->operator_db, p->rules.auth, o.path, why), EVH_OK);
	assert_int_equal(guard_new(&p->rules.guard), EVH_OK);
}

static void
tear_down(struct place *p)
{
	guard_free(&p->rules.guard);
	tickets_free(&p->rules.tickets);
	auth_free(&p->rules.auth);
	grouping_free(&p->types);
	conf_free(&p->conf);
	db_close(&p->db);
	db_close(&p->operator_db);
}

/* The status that a request for this type gets; 101 when it is granted. */
static int
ask(struct place *p, const char *type)
{
	const struct http_request r = { .method = "GET",
		.path = "/api/v1/ws/subscribe",
		.upgrade = true,
		.peer = "127.0.0.1",
		.api_key = KEY,
		.args = { { "event_types", type } },
		.arg_count = 1 };
	struct api_error e = API_ERROR_INIT;
	struct handshake h;
	int code = 101;

	if (handshake_check(&h, &r, &p->rules, &e)) {
		assert_true(event_types_contains(&h.types, type));
		handshake_free(&h);
	} else {
		code = e.code;
	}
	api_error_free(&e);
	return code;
}

/* In the middle of a turn, after somebody's credential was looked up. */
static void
change(struct place *p, const char *what)
{
	struct auth_principal who;
	struct api_error e = API_ERROR_INIT;
	char sql[128];

	auth_refresh(p->rules.auth);
	assert_int_equal(auth_check(p->rules.auth, NULL, KEY, &who, &e), EVH_OK);
	auth_principal_free(&who);
	assert_int_equal(sqlite3_get_autocommit(p->db), 0);
	(void)sqlite3_snprintf(sizeof(sql), sql, "UPDATE credential SET %s", what);
	assert_int_equal(db_exec(p->operator_db, sql), EVH_OK);
}

static void
what_was_allowed_meanwhile_is_granted(void **state)
{
	struct place p;

	set_up(&p, *state);
	assert_int_equal(ask(&p, "stats"), 403);
	change(&p, "scopes = 'subscribe'");
	assert_int_equal(ask(&p, "stats"), 101);
	assert_int_equal(ask(&p, "pdfm"), 403);
	change(&p, "event_types = 'pdfm stats'");
	assert_int_equal(ask(&p, "pdfm"), 101);
	change(&p, "event_types = 'stats', revoked_at = datetime('now')");
	assert_int_equal(ask(&p, "health"), 403);
	assert_int_equal(ask(&p, "stats"), 401);
	tear_down(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_was_allowed_meanwhile_is_granted, unit_dir_setup, unit_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
