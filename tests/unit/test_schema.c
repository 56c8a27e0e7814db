/* The rules of the schema, as the sqlite3 shell with its default settings meets them. */

#include "common/db.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#define CLIENT "338a28f7-666e-46e1-8e7d-4feba5edc061"
#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SPAN255                                                       \
	"(SELECT group_concat('x', '') FROM (WITH RECURSIVE n(i) AS " \
	"(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 255) SELECT i FROM n))"

static const char *
new_database(const char *dir)
{
	struct db_options o = { .path = unit_path(dir, "evhub.db"), .mode = DB_READ_WRITE };
	char why[DB_WHY_BYTES];
	sqlite3 *db;

	if (db_open(&o, &db, why) != EVH_OK)
		fail_msg("%s", why);
	/* what evhub-wsd writes: its triggers are off */
	assert_int_equal(db_exec(db,
				 "INSERT INTO daemon VALUES('wsd', 1, '/s', '2026-01-01T00:00:00.000Z', "
				 "'2026-01-01T00:00:00.000Z', 7, 0);"
				 "INSERT INTO client(id, user_id, daemon, connected_at) VALUES('" CLIENT
				 "', 'alice', 'wsd', '2026-01-01T00:00:00.000Z');"
				 "INSERT INTO subscription(client_id, event_type) VALUES('" CLIENT
				 "', 'global'), ('" CLIENT "', 'pdfm');"
				 "INSERT INTO event_type(name, persistent) VALUES('fleeting', 0);"
				 "INSERT INTO event(event_type) VALUES('stats')"),
		EVH_OK);
	db_close(&db);
	return o.path;
}

/* sql fails in the shell with a message that holds words. */
static void
refused(const char *db, const char *sql, const char *words)
{
	struct buf out = BUF_INIT;
	int status = unit_sqlite(&out, db, sql);

	if (status != 1 || strstr(out.data, words) == NULL)
		fail_msg("%s: status %d, %s", sql, status, out.data);
	buf_free(&out);
}

/* sql prints exactly this. */
static void
prints(const char *db, const char *sql, const char *expected)
{
	struct buf out = BUF_INIT;
	int status = unit_sqlite(&out, db, sql);

	if (status != 0 || strcmp(out.data, expected) != 0)
		fail_msg("%s: status %d, %s", sql, status, out.data);
	buf_free(&out);
}

struct rule {
	const char *sql, *words;
};

static void
all_refused(const char *db, const struct rule *rules, size_t count)
{
	for (size_t i = 0; i < count; i++)
		refused(db, rules[i].sql, rules[i].words);
}

#define ALL_REFUSED(db, rules) all_refused(db, rules, sizeof(rules) / sizeof((rules)[0]))

static void
event_type_rules(void **state)
{
	static const struct rule rules[] = {
		{ "INSERT INTO event_type(name) VALUES('')", "event_type.name: 1 to 64" },
		{ "INSERT INTO event_type(name) VALUES('Billing')", "event_type.name: 1 to 64" },
		{ "INSERT INTO event_type(name) VALUES('a b')", "event_type.name: 1 to 64" },
		{ "INSERT INTO event_type(name) VALUES('_a')", "event_type.name: 1 to 64" },
		{ "INSERT INTO event_type(name) VALUES('-a')", "event_type.name: 1 to 64" },
		{ "INSERT INTO event_type(name) VALUES('a*')", "event_type.name: 1 to 64" },
		{ "INSERT INTO event_type(name) VALUES('gr\xc3\xbcn')", "event_type.name: 1 to 64" },
		{ "INSERT INTO event_type(name) VALUES(substr(" SPAN255 ", 1, 65))",
			"event_type.name: 1 to 64" },
		{ "INSERT INTO event_type(name) VALUES(NULL)", "event_type.name" },
		{ "INSERT INTO event_type(name) VALUES('pdfm')", "event_type.name" },
		{ "INSERT INTO event_type(name, description) VALUES('a', NULL)",
			"event_type.description" },
		{ "INSERT INTO event_type(name, mandatory) VALUES('a', 2)",
			"event_type.mandatory: 0 or 1" },
		{ "INSERT INTO event_type(name, persistent) VALUES('a', -1)",
			"event_type.persistent: 0 or 1" },
		{ "INSERT INTO event_type(name, persistent) VALUES('a', 'yes')",
			"event_type.persistent" },
		{ "INSERT INTO event_type(name, retain_seconds) VALUES('a', -1)",
			"event_type.retain_seconds: 0" },
		{ "INSERT INTO event_type(name, retain_count) VALUES('a', -1)",
			"event_type.retain_count: 0" },
		{ "UPDATE event_type SET retain_count = -1", "event_type.retain_count: 0" },
		{ "UPDATE event_type SET name = 'b' WHERE name = 'stats'",
			"event_type.name: cannot be changed" },
		{ "UPDATE OR REPLACE event_type SET rowid = 1 WHERE name = 'stats'",
			"event_type.name: cannot be changed" },
		{ "INSERT OR REPLACE INTO event_type(rowid, name) VALUES(1, 'new')",
			"event_type.rowid: another type has it" },
		{ "DELETE FROM event_type WHERE name = 'global'",
			"event_type.mandatory: a mandatory type" },
		{ "DELETE FROM event_type WHERE name = 'pdfm'",
			"event_type.name: clients are subscribed" },
		{ "DELETE FROM event_type WHERE name = 'stats'",
			"event_type.name: events of it are kept" },
	};
	const char *db = new_database(*state);

	ALL_REFUSED(db, rules);
	prints(db,
		"INSERT INTO event_type(name, description) VALUES('billing', 'x'), ('0._-', '');"
		"INSERT INTO event_type(name) VALUES(substr(" SPAN255 ", 1, 64));"
		"UPDATE event_type SET description = 'y' WHERE name = 'billing';"
		"UPDATE event_type SET retain_seconds = 0, retain_count = 0 WHERE name = 'billing';"
		"DELETE FROM event_type WHERE name = 'billing';"
		"SELECT kind, event_type, after_event FROM change WHERE length(event_type) < 20 ORDER BY seq;",
		"event_type|billing|1\nevent_type|0._-|1\nevent_type|billing|1\nevent_type|billing|1\n");
}

#define CREDENTIAL(columns, values)                                                  \
	"INSERT INTO credential(user_id, kind, hash" columns ") VALUES('u', 'key', " \
	"'" HASH "'" values ")"

static void
credential_rules(void **state)
{
	static const struct rule rules[] = {
		{ "INSERT INTO credential(user_id, kind, hash) VALUES('', 'key', '" HASH "')",
			"credential.user_id: 1 to 255" },
		{ "INSERT INTO credential(user_id, kind, hash) VALUES(NULL, 'key', '" HASH "')",
			"credential.user_id" },
		{ "INSERT INTO credential(user_id, kind, hash) VALUES(" SPAN255 " || 'x', 'key', '" HASH
		  "')",
			"credential.user_id: 1 to 255" },
		{ "INSERT INTO credential(user_id, kind, hash) VALUES('a' || char(0), 'key', '" HASH
		  "')",
			"credential.user_id: 1 to 255" },
		{ "INSERT INTO credential(user_id, kind, hash) VALUES('u', 'password', '" HASH "')",
			"credential.kind: key or token" },
		{ "INSERT INTO credential(user_id, kind, hash) VALUES('u', 'key', 'secret')",
			"credential.hash: lower-case hex SHA3-256" },
		{ "INSERT INTO credential(user_id, kind, hash) VALUES('u', 'key', upper('" HASH "'))",
			"credential.hash: lower-case hex SHA3-256" },
		{ "INSERT INTO credential(user_id, kind, hash) VALUES('u', 'key', sha3('x', 256))",
			"credential.hash" },
		{ CREDENTIAL("", "") ";" CREDENTIAL("", ""), "credential.hash" },
		{ CREDENTIAL("",
			  "") "; INSERT OR REPLACE INTO credential(user_id, kind, hash) VALUES('thief', 'key', '" HASH
			      "')",
			"credential.hash: a credential of another user" },
		{ CREDENTIAL(", revoked_at", ", 'yes'"), "credential.revoked_at: a time" },
		{ CREDENTIAL(", username", ", " SPAN255 " || 'x'"), "credential.username: at most 255" },
		{ CREDENTIAL(", scopes", ", 'root'"), "credential.scopes: some of" },
		{ CREDENTIAL(", scopes", ", 'subscribe,publish'"), "credential.scopes: some of" },
		{ CREDENTIAL(", scopes", ", 'subscribepublish'"), "credential.scopes: some of" },
		{ CREDENTIAL(", scopes", ", 'Admin'"), "credential.scopes: some of" },
		{ CREDENTIAL(", scopes", ", NULL"), "credential.scopes" },
		{ CREDENTIAL(", event_types", ", 'a,b'"), "credential.event_types: NULL" },
		{ CREDENTIAL(", event_types", ", 'PDFM'"), "credential.event_types: NULL" },
		{ CREDENTIAL(", expires_at", ", 'tomorrow'"), "credential.expires_at: a time" },
		{ CREDENTIAL(", expires_at", ", '2026-13-01'"), "credential.expires_at: a time" },
		{ CREDENTIAL(", expires_at", ", 'now'"), "julianday() in a CHECK" },
	};
	const char *db = new_database(*state);

	/* each in a database of its own rows: undo the first half of a script */
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		refused(db, rules[i].sql, rules[i].words);
		prints(db, "DELETE FROM credential; DELETE FROM change;", "");
	}
	prints(db,
		CREDENTIAL(", scopes, event_types, expires_at",
			", 'subscribe publish admin', 'pdfm vm.* *', datetime('now', '+1 day')") ";"
												 "UPDATE credential SET label = 'x', last_used_at = 'y', username = 'z';"
												 "SELECT count(*) FROM change;"
												 "UPDATE credential SET revoked_at = datetime('now') WHERE user_id = 'u';"
												 "UPDATE credential SET scopes = '';"
												 "DELETE FROM credential;"
												 "SELECT kind, credential_id = (SELECT max(seq) FROM sqlite_sequence WHERE name = 'credential'),"
												 " after_event FROM change;",
		"0\ncredential|1|1\ncredential|1|1\ncredential|1|1\n");
}

/* Who came in by a credential must be found again by its id. */
static void
credentials_that_are_replaced(void **state)
{
	static const struct rule rules[] = {
		{ "UPDATE credential SET id = 9 WHERE id = 1", "credential.id: cannot be changed" },
		{ "UPDATE credential SET rowid = 9 WHERE id = 1", "credential.id: cannot be changed" },
		{ "UPDATE OR REPLACE credential SET id = 2 WHERE id = 1",
			"credential.id: cannot be changed" },
		{ "UPDATE OR REPLACE credential SET hash = '" HASH "' WHERE id = 2",
			"credential.hash: another credential has it" },
		{ "INSERT INTO credential(id, user_id, kind, hash) VALUES(0, 'w', 'key', printf('%064d', 8))",
			"credential.id: 1 or more" },
		{ "INSERT INTO credential(id, user_id, kind, hash) VALUES(-1, 'w', 'key', printf('%064d', 8))",
			"credential.id: 1 or more" },
		{ "INSERT OR REPLACE INTO credential(id, user_id, kind, hash) VALUES(1, 'u', 'key', '" HASH
		  "')",
			"credential.hash: a credential of another user with this hash, or one with this id" },
	};
	const char *db = new_database(*state);

	prints(db,
		CREDENTIAL("", "") "; INSERT INTO credential(user_id, kind, hash) VALUES('v', 'key', "
				   "printf('%064d', 7)); SELECT id, user_id FROM credential",
		"1|u\n2|v\n");
	ALL_REFUSED(db, rules);
	prints(db, "SELECT id, user_id FROM credential; SELECT count(*) FROM change", "1|u\n2|v\n0\n");
	prints(db,
		"INSERT OR REPLACE INTO credential(user_id, kind, hash) VALUES('u', 'token', '" HASH
		"');"
		"SELECT id, kind FROM credential WHERE user_id = 'u';"
		"SELECT kind, credential_id FROM change",
		"3|token\ncredential|1\n");
	prints(db,
		CREDENTIAL("", "") " ON CONFLICT DO NOTHING; UPDATE credential SET hash = '" HASH
				   "' WHERE id = 3;"
				   "SELECT id, kind FROM credential WHERE user_id = 'u'",
		"3|token\n");
}

/* A client whose credential has gone is not one without patterns. */
static void
without_its_credential(void **state)
{
	const char *db = new_database(*state);

	prints(db, "SELECT event_types IS NULL FROM v_client_allowed", "1\n");
	refused(db,
		".dbconfig enable_trigger off\nUPDATE client SET credential_id = 9;\n"
		".dbconfig enable_trigger on\n"
		"INSERT INTO subscription(client_id, event_type) VALUES('" CLIENT "', 'stats')",
		"subscription.event_type: the credential of this client does not allow it");
	prints(db, "SELECT event_types = '' FROM v_client_allowed", "1\n");
}

static void
daemon_rules(void **state)
{
	static const struct rule rules[] = {
		{ "INSERT INTO daemon VALUES('x', 1, '/s', '', '', 0, 0)",
			"daemon: rows are written by evhub-wsd alone" },
		{ "INSERT OR REPLACE INTO daemon VALUES('wsd', 1, '/s', '', '', 0, 0)",
			"daemon: rows are written by evhub-wsd alone" },
		{ "UPDATE daemon SET name = 'x'", "daemon: rows are written by evhub-wsd alone" },
		{ "DELETE FROM daemon", "daemon.name: its clients are there; delete them first" },
	};
	const char *db = new_database(*state);

	ALL_REFUSED(db, rules);
	prints(db, "DELETE FROM client; DELETE FROM daemon; SELECT count(*) FROM daemon", "0\n");
}

static void
client_rules(void **state)
{
	static const struct rule rules[] = {
		{ "INSERT INTO client(id, user_id, daemon, connected_at) VALUES('" CLIENT
		  "', 'u', 'wsd', '')",
			"client: rows are written by evhub-wsd alone" },
		{ "INSERT OR REPLACE INTO client(id, user_id, daemon, connected_at) VALUES('" CLIENT
		  "', 'u', 'w', '')",
			"client: rows are written by evhub-wsd alone" },
		{ "UPDATE client SET user_id = 'mallory'",
			"client: rows are written by evhub-wsd alone" },
		{ ".dbconfig enable_trigger off\n"
		  "INSERT INTO client(id, user_id, daemon, connected_at) VALUES(upper('" CLIENT
		  "'), 'u', 'wsd', '')",
			"client.id: a lower-case UUID" },
		{ ".dbconfig enable_trigger off\n"
		  "INSERT INTO client(id, user_id, daemon, connected_at) VALUES('1', 'u', 'wsd', '')",
			"client.id: a lower-case UUID" },
	};
	const char *db = new_database(*state);

	ALL_REFUSED(db, rules);
	prints(db,
		"DELETE FROM client WHERE user_id = 'alice'; SELECT count(*) FROM subscription;"
		"SELECT kind, client_id, after_event FROM change",
		"0\ndisconnect|" CLIENT "|1\n");
}

static void
subscription_rules(void **state)
{
	static const struct rule rules[] = {
		{ "INSERT INTO subscription(client_id, event_type) VALUES('x', 'pdfm')",
			"subscription.client_id: no live client has this id" },
		{ "INSERT INTO subscription(client_id, event_type) VALUES(NULL, 'pdfm')",
			"subscription.client_id" },
		{ "INSERT INTO subscription(client_id, event_type) VALUES('" CLIENT "', 'none')",
			"subscription.event_type: no such event type" },
		{ "INSERT INTO subscription(client_id, event_type) VALUES('" CLIENT "', 'PDFM')",
			"subscription.event_type: no such event type" },
		{ "INSERT INTO subscription(client_id, event_type) VALUES('" CLIENT "', 'pdfm')",
			"subscription.client_id, subscription.event_type" },
		{ "INSERT OR IGNORE INTO subscription(client_id, event_type) VALUES('" CLIENT
		  "', 'none')",
			"subscription.event_type: no such event type" },
		{ "UPDATE subscription SET event_type = 'stats'",
			"subscription: delete the row and insert another" },
		{ "DELETE FROM subscription WHERE event_type = 'global'",
			"subscription.event_type: a mandatory type cannot be unsubscribed" },
		{ "DELETE FROM subscription",
			"subscription.event_type: a mandatory type cannot be unsubscribed" },
	};
	const char *db = new_database(*state);

	ALL_REFUSED(db, rules);
	prints(db,
		"INSERT INTO subscription(client_id, event_type) VALUES('" CLIENT "', 'stats');"
		"DELETE FROM subscription WHERE client_id = '" CLIENT "' AND event_type = 'pdfm';"
		"BEGIN; DELETE FROM subscription WHERE event_type = 'stats'; ROLLBACK;"
		"SELECT kind, client_id, event_type, after_event FROM change ORDER BY seq;",
		"subscribe|" CLIENT "|stats|1\nunsubscribe|" CLIENT "|pdfm|1\n");
}

static void
event_rules(void **state)
{
	static const struct rule rules[] = {
		{ "INSERT INTO event(seq, event_type) VALUES(9007199254740000, 'pdfm')", "event.seq" },
		{ "INSERT INTO event(event_type, message) VALUES('pdfm', 'a' || char(0))",
			"event.message: no NUL" },
		{ "INSERT INTO event(event_type, created_at) VALUES('pdfm', '2026-02-31T00:00:00.1Z')",
			"event.created_at" },
		{ "UPDATE event_type SET mandatory = 0 WHERE name = 'global'",
			"event_type.mandatory: global" },
		{ "INSERT OR REPLACE INTO event_type(name) VALUES('global')",
			"event_type.mandatory: global" },
		{ "INSERT OR REPLACE INTO event_type(name, mandatory, persistent) VALUES('global', 1, 0)",
			"event_type.mandatory: global" },
		{ "DELETE FROM meta", "meta: rows cannot be deleted" },
		{ "UPDATE meta SET key = 'x' WHERE key = 'epoch'", "meta.key: cannot be changed" },
		{ "INSERT INTO event(event_type) VALUES('none')",
			"event.event_type: no such event type" },
		{ "INSERT INTO event(event_type) VALUES(NULL)", "event.event_type: no such event type" },
		{ "INSERT INTO event(event_type) VALUES('PDFM')",
			"event.event_type: no such event type" },
		{ "INSERT OR IGNORE INTO event(event_type) VALUES('none')",
			"event.event_type: no such event type" },
		{ "INSERT INTO event(event_type) VALUES('fleeting')",
			"event.event_type: not persistent" },
		{ "INSERT INTO event(event_type, message) VALUES('pdfm', NULL)", "event.message" },
		{ "INSERT INTO event(event_type, body) VALUES('pdfm', '{')", "event.body: JSON" },
		{ "INSERT INTO event(event_type, body) VALUES('pdfm', '')", "event.body: JSON" },
		{ "INSERT INTO event(event_type, body) VALUES('pdfm', '1' || char(0))",
			"event.body: JSON" },
		{ "INSERT INTO event(event_type, body) VALUES('pdfm', x'7b7d')", "event.body" },
		{ "INSERT INTO event(event_type, message) VALUES('pdfm', hex(zeroblob(131073)))",
			"event.body: message and body are longer than max_event_bytes" },
		{ "INSERT INTO event(event_type, message, body) VALUES('pdfm', 'x', json_quote(hex(zeroblob(131071))))",
			"event.body: message and body are longer than max_event_bytes" },
		{ "INSERT INTO event(event_type, client_id) VALUES('pdfm', '1')",
			"event.client_id: a lower-case UUID" },
		{ "INSERT INTO event(event_type, client_id) VALUES('pdfm', upper('" CLIENT "'))",
			"event.client_id: a lower-case UUID" },
		{ "INSERT INTO event(event_type, user_id) VALUES('pdfm', '')",
			"event.user_id: 1 to 255" },
		{ "INSERT INTO event(event_type, user_id) VALUES('pdfm', " SPAN255 " || 'x')",
			"event.user_id: 1 to 255" },
		{ "INSERT INTO event(event_type, dedup_id) VALUES('pdfm', '')",
			"event.dedup_id: 1 to 255" },
		{ "INSERT INTO event(event_type, dedup_id) VALUES('pdfm', 'd'), ('pdfm', 'd')",
			"event.dedup_id" },
		{ "INSERT INTO event(event_type, client_id) VALUES('pdfm', replace('" CLIENT
		  "', '-', '0'))",
			"event.client_id: a lower-case UUID" },
		{ "INSERT INTO event(event_type, client_id) VALUES('pdfm', '-' || substr('" CLIENT
		  "', 2))",
			"event.client_id: a lower-case UUID" },
		{ "INSERT INTO event(event_type, client_id, user_id) VALUES('pdfm', '" CLIENT
		  "', 'alice')",
			"event: client_id or user_id, not both" },
		{ "INSERT INTO event(event_type, created_at) VALUES('pdfm', datetime('now'))",
			"event.created_at: RFC 3339" },
		{ "INSERT INTO event(event_type, created_at) VALUES('pdfm', '2026-01-01T00:00:00Z')",
			"event.created_at: RFC 3339" },
		{ "INSERT INTO event(event_type, created_at) VALUES('pdfm', '2026-01-01T00:00:00.Z')",
			"event.created_at: RFC 3339" },
		{ "INSERT INTO event(event_type, created_at) VALUES('pdfm', '2026-01-01T00:00:00.1+01:00')",
			"event.created_at: RFC 3339" },
		{ "INSERT INTO event(event_type, created_at) VALUES('pdfm', '2026-13-01T00:00:00.1Z')",
			"event.created_at: RFC 3339" },
		{ "INSERT INTO event(event_type, created_at) VALUES('pdfm', '2026-01-01T00:00:00.1x1Z')",
			"event.created_at: RFC 3339" },
		{ "INSERT INTO event(seq, event_type) VALUES(1, 'pdfm')", "event.seq" },
		{ "INSERT INTO event(seq, event_type) VALUES(0, 'pdfm')",
			"event.seq: given by the database" },
		{ "INSERT INTO event(seq, event_type) VALUES(-5, 'pdfm')",
			"event.seq: given by the database" },
		{ "INSERT INTO event(event_type) VALUES('pdfm'); DELETE FROM event WHERE seq = 2;"
		  "INSERT INTO event(seq, event_type) VALUES(2, 'pdfm')",
			"event.seq: given by the database" },
		{ "INSERT INTO event(seq, event_type) VALUES(9007199254740992, 'pdfm')", "event.seq" },
		{ "UPDATE event SET message = 'other'", "event: what was published cannot be changed" },
		{ "UPDATE event SET seq = seq + 1", "event: what was published cannot be changed" },
		{ "INSERT INTO event(seq, event_type) VALUES(1, 'pdfm') ON CONFLICT DO UPDATE SET message = 'x'",
			"event: what was published cannot be changed" },
	};
	const char *db = new_database(*state);

	ALL_REFUSED(db, rules);
	prints(db, "SELECT count(*), max(seq) FROM event WHERE event_type = 'pdfm'", "0|\n");
}

static void
events_that_are_taken(void **state)
{
	const char *db = new_database(*state);

	prints(db,
		"INSERT INTO event(event_type, message, body) VALUES('pdfm', 'm', '{\"vm_id\":\"\\u0000\"}');"
		"INSERT INTO event(event_type, body, client_id) VALUES('pdfm', ' [1, 2] ', '" CLIENT
		"');"
		"INSERT INTO event(event_type, body, user_id, dedup_id) VALUES('pdfm', 'null', " SPAN255
		", 'd');"
		"INSERT INTO event(event_type, created_at) VALUES('pdfm', '2026-11-23T20:42:11.123456Z');"
		"INSERT INTO event(event_type, message) VALUES('pdfm', hex(zeroblob(131072)));"
		"BEGIN; INSERT INTO event(event_type) VALUES('pdfm'); ROLLBACK;"
		"INSERT INTO event(event_type) VALUES('pdfm'), ('stats'), ('pdfm');"
		"SELECT group_concat(seq) FROM (SELECT seq FROM event ORDER BY seq);"
		"SELECT count(*) FROM change;"
		"SELECT created_at GLOB '20*-*-*T*:*:*.*Z' AND length(created_at) = 24 FROM event WHERE seq = 9;",
		"1,2,3,4,5,6,7,8,9\n0\n1\n");
}

static void
purging_is_remembered(void **state)
{
	const char *db = new_database(*state);

	prints(db,
		"INSERT INTO event(event_type) VALUES('pdfm'), ('stats'), ('pdfm'), ('stats');"
		"DELETE FROM event WHERE event_type = 'pdfm';"
		"SELECT * FROM event_purged;"
		"DELETE FROM event;"
		"SELECT * FROM event_purged;"
		"INSERT INTO event(event_type) VALUES('pdfm'); SELECT seq FROM event; SELECT seq FROM v_event_head",
		"pdfm|4\npdfm|4\nstats|5\n6\n6\n");
	/* though the type is deleted, or replaced */
	prints(db,
		"DELETE FROM event_type WHERE name = 'stats'; INSERT INTO event_type(name) VALUES('stats');"
		"DELETE FROM event; INSERT OR REPLACE INTO event_type(name) VALUES('pdfm'), ('auth');"
		"INSERT INTO event(event_type) VALUES('auth'); INSERT OR REPLACE INTO event_type(name) VALUES('auth');"
		"SELECT * FROM event_purged;",
		"pdfm|6\nstats|5\n");
	refused(db, "DELETE FROM event_purged", "event_purged: what is gone stays gone");
	refused(db, "UPDATE event_purged SET seq = 1", "event_purged: what is gone stays gone");
	refused(db, "UPDATE event_purged SET event_type = 'x'", "event_purged: what is gone stays gone");
}

/* What was published stays, whoever else comes with its dedup_id. */
static void
events_are_not_replaced(void **state)
{
#define ONCE "INTO event(event_type, message, dedup_id) VALUES('pdfm', "
	static const struct rule rules[] = {
		{ "INSERT OR REPLACE " ONCE "'b', 'd')", "event.dedup_id: an event has it" },
		{ "REPLACE " ONCE "'b', 'e'), ('pdfm', 'b', 'd')", "event.dedup_id: an event has it" },
		{ "REPLACE " ONCE "'b', 'e'), ('pdfm', 'c', 'e')", "event.dedup_id: an event has it" },
		{ "INSERT " ONCE "'b', 'd')", "UNIQUE constraint failed: event.dedup_id" },
		{ "DELETE FROM event_in_the_way", "event_in_the_way: it has one row" },
		{ "INSERT INTO event_in_the_way VALUES(1)", "event_in_the_way: it has one row" },
	};
	const char *db = new_database(*state);

	prints(db, "INSERT " ONCE "'a', 'd')", "");
	ALL_REFUSED(db, rules);
	prints(db,
		"INSERT OR IGNORE " ONCE "'b', 'd'); INSERT " ONCE "'b', 'd') ON CONFLICT DO NOTHING;",
		"");
	/* the id may be used again when the event is gone, and nothing else is in the way */
	prints(db,
		"SELECT message, dedup_id FROM event WHERE event_type = 'pdfm';"
		"DELETE FROM event WHERE dedup_id = 'd'; INSERT " ONCE "'c', 'd'), ('pdfm', 'c', 'f');"
		"REPLACE " ONCE
		"'c', 'g'); SELECT message, dedup_id FROM event WHERE event_type = 'pdfm'",
		"a|d\nc|d\nc|f\nc|g\n");
#undef ONCE
}

static void
max_event_bytes_is_read_from_meta(void **state)
{
	const char *db = new_database(*state);

	prints(db,
		"UPDATE meta SET value = '10' WHERE key = 'max_event_bytes';"
		"INSERT INTO event(event_type, message, body) VALUES('pdfm', '\xc3\xa9"
		"345678', '90');",
		"");
	refused(db,
		"INSERT INTO event(event_type, message, body) VALUES('pdfm', '\xc3\xa9"
		"3456789', '90');",
		"event.body: message and body are longer than max_event_bytes");
}

static void
views(void **state)
{
	const char *db = new_database(*state);

	prints(db,
		"SELECT id, user_id, event_subscriptions, is_alive, queue_depth FROM v_clients;"
		"SELECT total_clients, total_subscriptions, type_stats, messages_sent, start_time, uptime > 0 FROM v_stats;"
		"DELETE FROM client; DELETE FROM daemon; SELECT * FROM v_stats;",
		CLIENT
		"|alice|global,pdfm|1|0\n1|2|{\"global\":1,\"pdfm\":1}|7|2026-01-01T00:00:00.000Z|1\n"
		"0|0|{}|0||\n");
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, unit_dir_setup, unit_dir_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		IN_DIR(event_type_rules),
		IN_DIR(credential_rules),
		IN_DIR(credentials_that_are_replaced),
		IN_DIR(without_its_credential),
		IN_DIR(daemon_rules),
		IN_DIR(client_rules),
		IN_DIR(subscription_rules),
		IN_DIR(event_rules),
		IN_DIR(events_that_are_taken),
		IN_DIR(purging_is_remembered),
		IN_DIR(events_are_not_replaced),
		IN_DIR(max_event_bytes_is_read_from_meta),
		IN_DIR(views),
	};

	unit_need("sqlite3");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
