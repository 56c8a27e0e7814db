/* The manual pages against what they tell of: each key of the configuration
 * with its kind and default, and each statement of evhub-sql(7). */

#include "common/conf_table.h"
#include "common/db.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIENT "338a28f7-666e-46e1-8e7d-4feba5edc061"

static const char *
kind_word(enum conf_kind kind)
{
	switch (kind) {
	case CONF_STRING:
		return "text";
	case CONF_LIST:
		return "list";
	case CONF_NUMBER:
		return "number";
	case CONF_SIZE:
		return "size";
	case CONF_TIME:
		return "time";
	case CONF_BOOL:
		return "switch";
	case CONF_WORD:
		return "word";
	}
	return "?";
}

/* The text of the item that describes a key, up to the next item or list end. */
static char *
item_of(const char *page, const struct conf_option *o)
{
	struct buf head = BUF_INIT;
	const char *start, *end, *list_end;
	char *item;

	buf_printf(&head, "\n.It Ic %s No = Ar %s\n", o->key, kind_word(o->kind));
	start = strstr(page, head.data);
	if (start == NULL)
		fail_msg("evhub.conf(5) does not have%s", head.data);
	start += head.len;
	end = strstr(start, "\n.It ");
	list_end = strstr(start, "\n.El");
	if (end == NULL || (list_end != NULL && list_end < end))
		end = list_end;
	assert_non_null(end);
	item = strndup(start, (size_t)(end - start) + 1);
	assert_non_null(item);
	buf_free(&head);
	return item;
}

static void
every_key_is_told_of(void **state)
{
	struct buf page = BUF_INIT;

	(void)state;
	unit_read(&page, unit_source("man/evhub.conf.5"));
	for (const struct conf_option *o = conf_table; o->key != NULL; o++) {
		char *item = item_of(page.data, o), expected[256];

		if (o->fallback[0] != '\0')
			(void)snprintf(
				expected, sizeof(expected), "\nDefault:\n.Ql %s .\n", o->fallback);
		else
			(void)snprintf(expected, sizeof(expected), "\nDefault: empty");
		if (strstr(item, expected) == NULL)
			fail_msg("%s: no \"%s\" in %s", o->key, expected, item);
		for (int i = 0; o->words != NULL && o->words[i] != NULL; i++)
			if (strstr(item, o->words[i]) == NULL)
				fail_msg("%s: the word %s is not told of", o->key, o->words[i]);
		free(item);
	}
	buf_free(&page);
}

static void
no_other_key_is_told_of(void **state)
{
	struct buf page = BUF_INIT;
	size_t told = 0, known = 0;

	(void)state;
	unit_read(&page, unit_source("man/evhub.conf.5"));
	for (const char *p = page.data; (p = strstr(p, "\n.It Ic ")) != NULL; p++)
		told++;
	for (const struct conf_option *o = conf_table; o->key != NULL; o++)
		known++;
	assert_int_equal(told, known);
	buf_free(&page);
}

struct unit {
	const char *suffix;
	int64_t factor;
};

/* A bound as one would write it: in the largest unit that fits. */
static void
put_bound(struct buf *out, enum conf_kind kind, int64_t value)
{
	static const struct unit sizes[] = { { "G", 1 << 30 }, { "M", 1 << 20 }, { "K", 1 << 10 },
		{ "", 1 } },
				 times[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 },
					 { "s", 1000 }, { "ms", 1 } },
				 plain[] = { { "", 1 } };
	const struct unit *unit = kind == CONF_SIZE ? sizes : kind == CONF_TIME ? times : plain;

	while (value % unit->factor != 0)
		unit++;
	buf_printf(out, "%lld%s", (long long)(value / unit->factor), unit->suffix);
}

/* What a number may be stands in the text: "256 to 16M". */
static void
bounds_are_told(void **state)
{
	struct buf page = BUF_INIT;

	(void)state;
	unit_read(&page, unit_source("man/evhub.conf.5"));
	for (const struct conf_option *o = conf_table; o->key != NULL; o++) {
		struct buf text = BUF_INIT, item = BUF_INIT;
		char *lines;

		if (o->min == 0 ||
			(o->kind != CONF_NUMBER && o->kind != CONF_SIZE && o->kind != CONF_TIME))
			continue;
		put_bound(&text, o->kind, o->min);
		buf_puts(&text, " to ");
		put_bound(&text, o->kind, o->max);
		lines = item_of(page.data, o);
		buf_puts(&item, lines);
		unit_replace(&item, "\n", " ");
		if (strstr(item.data, text.data) == NULL)
			fail_msg("%s: no \"%s\" in %s", o->key, text.data, lines);
		free(lines);
		buf_free(&item);
		buf_free(&text);
	}
	buf_free(&page);
}

static const char *
new_database(const char *dir)
{
	static char path[512];
	struct db_options o = { .path = path, .mode = DB_READ_WRITE };
	char why[DB_WHY_BYTES];
	sqlite3 *db;

	(void)snprintf(path, sizeof(path), "%s/evhub.db", dir);
	(void)unlink(path);
	if (db_open(&o, &db, why) != EVH_OK)
		fail_msg("%s", why);
	assert_int_equal(db_exec(db,
				 "INSERT INTO client(id, user_id, daemon, connected_at) VALUES"
				 "('" CLIENT "', 'alice', 'wsd', '2026-01-01T00:00:00.000Z');"
				 "INSERT INTO subscription(client_id, event_type) VALUES"
				 "('" CLIENT "', 'global'), ('" CLIENT "', 'pdfm');"
				 "INSERT INTO credential(user_id, kind, hash) VALUES"
				 "('alice', 'key', printf('%064d', 1))"),
		EVH_OK);
	db_close(&db);
	return path;
}

/* As it looks on the screen. */
static void
unescape(struct buf *b)
{
	unit_replace(b, "\\(aq", "'");
	unit_replace(b, "\\e", "\\");
}

static void
run_block(const char *dir, const char *db, struct buf *block)
{
	const char *const elsewhere[] = { "/var/backups/", "/var/lib/shop/" };
	char here[512];
	struct buf out = BUF_INIT, scripts = BUF_INIT;
	int status;

	unescape(block);
	(void)snprintf(here, sizeof(here), "%s/", dir);
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		unit_replace(block, elsewhere[i], here);
	if (block->data[0] == '$') {
		buf_printf(&scripts, "%s/", unit_source("sql"));
		unit_replace(block, "/var/lib/evhub/evhub.db", db);
		unit_replace(block, "/usr/share/evhub/sql/", scripts.data);
		status = unit_run(&out, "%s", block->data + 1);
	} else {
		status = unit_sqlite(&out, db, block->data);
	}
	if (status != 0)
		fail_msg("status %d of %s: %s", status, block->data, out.data);
	buf_free(&out);
	buf_free(&scripts);
}

static void
every_recipe_works(void **state)
{
	static const char begin[] = "\n.Bd -literal -offset indent\n", end[] = "\n.Ed\n";
	struct buf page = BUF_INIT;
	int count = 0;

	unit_read(&page, unit_source("man/evhub-sql.7"));
	for (const char *p = page.data; (p = strstr(p, begin)) != NULL; count++) {
		struct buf block = BUF_INIT;
		const char *stop;

		p += sizeof(begin) - 1;
		stop = strstr(p, end);
		assert_non_null(stop);
		buf_add(&block, p, (size_t)(stop - p) + 1);
		run_block(*state, new_database(*state), &block);
		buf_free(&block);
	}
	assert_true(count >= 10);
	buf_free(&page);
}

/* The columns that the page names, in the words of the page. */
static void
every_table_and_column_is_told_of(void **state)
{
	static const char sql[] =
		"SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c "
		"WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%' "
		"AND m.name NOT IN ('change', 'meta') AND c.name NOT IN ('id', "
		"'last_used_at', 'is_alive') AND (m.name, c.name) NOT IN "
		"(VALUES ('credential', 'created_at'), ('subscription', 'created_at'))";
	struct buf page = BUF_INIT;
	sqlite3_stmt *stmt;
	sqlite3 *db;

	unit_read(&page, unit_source("man/evhub-sql.7"));
	assert_int_equal(sqlite3_open(new_database(*state), &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW)
		for (int i = 0; i < 2; i++)
			if (strstr(page.data, db_text(stmt, i)) == NULL)
				fail_msg("%s is not told of", db_text(stmt, i));
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	buf_free(&page);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, unit_dir_setup, unit_dir_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_is_told_of),
		cmocka_unit_test(no_other_key_is_told_of),
		cmocka_unit_test(bounds_are_told),
		IN_DIR(every_recipe_works),
		IN_DIR(every_table_and_column_is_told_of),
	};

	unit_need("sqlite3");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
