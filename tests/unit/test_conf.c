#include "common/conf.h"
#include "common/conf_table.h"
#include "tests/unit/unit.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Keeps the first complaint. */
static void
first(struct problems *problems, char why[CONF_WHY_BYTES])
{
	const struct problem *p = problems_first(problems);

	if (p != NULL)
		(void)snprintf(why, CONF_WHY_BYTES, "%s", p->text);
	problems_free(problems);
}

static enum evh_rc
read_file(struct conf *conf, const char *path, char why[CONF_WHY_BYTES])
{
	struct problems problems = PROBLEMS_INIT;
	enum evh_rc rc = conf_read(conf, path, &problems);

	first(&problems, why);
	return rc;
}

static enum evh_rc
check(const struct conf *conf, char why[CONF_WHY_BYTES])
{
	struct problems problems = PROBLEMS_INIT;
	enum evh_rc rc = conf_check(conf, &problems);

	first(&problems, why);
	return rc;
}

/* Reads text as a configuration file. */
static enum evh_rc
read_text(const char *dir, struct conf *conf, const char *text, char why[CONF_WHY_BYTES])
{
	const char *path = unit_path(dir, "evhub.conf");

	unit_write(path, text, strlen(text));
	assert_int_equal(conf_init(conf), EVH_OK);
	return read_file(conf, path, why);
}

/* The file is refused for a reason that begins after "<dir>/evhub.conf". */
static void
refused(const char *dir, const char *text, const char *reason)
{
	struct conf conf;
	char why[CONF_WHY_BYTES] = "";
	const char *path = unit_path(dir, "evhub.conf");

	if (read_text(dir, &conf, text, why) != EVH_INVALID)
		fail_msg("accepted: %s", text);
	if (strncmp(why, path, strlen(path)) != 0 || strcmp(why + strlen(path), reason) != 0)
		fail_msg("%s: %s", text, why);
	conf_free(&conf);
}

static void
expect_list(const struct conf_list *list, const char *joined)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < list->count; i++)
		buf_printf(&b, "%s%s", i > 0 ? "|" : "", list->items[i]);
	buf_puts(&b, "");
	assert_string_equal(b.data, joined);
	buf_free(&b);
}

/* The table of contract section 5. */
static void
defaults(void **state)
{
	struct conf c;
	char why[CONF_WHY_BYTES];

	(void)state;
	assert_int_equal(conf_init(&c), EVH_OK);
	assert_string_equal(c.database, "/var/lib/evhub/evhub.db");
	assert_int_equal(c.synchronous, CONF_SYNC_NORMAL);
	assert_string_equal(c.control_socket, "/run/evhub/wsd.sock");
	assert_string_equal(c.name, "wsd");
	expect_list(&c.listen, "127.0.0.1:8090");
	assert_string_equal(c.fcgi_listen, "/run/evhub/fcgi.sock");
	assert_int_equal(c.fcgi_threads, 16);
	assert_string_equal(c.base_path, "/api/v1/ws");
	assert_int_equal(c.event_loop, CONF_LOOP_AUTO);
	assert_int_equal(c.max_clients, 100000);
	assert_int_equal(c.max_clients_per_user, 1000);
	assert_int_equal(c.max_clients_per_address, 0);
	assert_int_equal(c.max_message_bytes, 4096);
	assert_int_equal(c.max_body_bytes, 65536);
	assert_int_equal(c.max_event_bytes, 262144);
	assert_int_equal(c.ping_interval, 30000);
	assert_int_equal(c.pong_timeout, 45000);
	assert_int_equal(c.stall_timeout, 30000);
	assert_int_equal(c.drain_timeout, 10000);
	assert_int_equal(c.log_memory, 64 << 20);
	assert_int_equal(c.unknown_event_types, CONF_UNKNOWN_REJECT);
	assert_false(c.query_credentials);
	assert_int_equal(c.allowed_origins.count, 0);
	assert_int_equal(c.trusted_proxies.count, 0);
	assert_int_equal(c.control_users.count, 0);
	assert_int_equal(c.publish_users.count, 0);
	assert_string_equal(c.tls_certificate, "");
	assert_string_equal(c.tls_key, "");
	assert_int_equal(c.log_level, LOG_LEVEL_INFO);
	assert_int_equal(c.log_format, CONF_LOG_TEXT);
	assert_int_equal(check(&c, why), EVH_OK);
	conf_free(&c);
	assert_null(c.database);
	conf_free(&c);
}

static void
every_kind_in_a_file(void **state)
{
	static const char text[] = "# a comment\n"
				   "database = \"/tmp/x.db\" // another\n"
				   "/* and\n one more */ synchronous = full\n"
				   "listen = {\"127.0.0.1:1\", \"[::1]:2\",\n\t\"unix:/run/x\"}\n"
				   "max_clients = 7\nmax_message_bytes = 8K\nmax_body_bytes = \"1M\"\n"
				   "log_memory = 1G\nping_interval = 250ms\npong_timeout = 2m\n"
				   "stall_timeout = 1h\ndrain_timeout = \"1d\"\nretain_interval = 9s\n"
				   "query_credentials = yes\nevent_loop = 'poll'\nlog_level = debug\n"
				   "allowed_origins = \"https://a.example\"\npublish_users = {}\n";
	struct conf c;
	char why[CONF_WHY_BYTES] = "";

	if (read_text(*state, &c, text, why) != EVH_OK)
		fail_msg("%s", why);
	assert_string_equal(c.database, "/tmp/x.db");
	assert_int_equal(c.synchronous, CONF_SYNC_FULL);
	expect_list(&c.listen, "127.0.0.1:1|[::1]:2|unix:/run/x");
	assert_int_equal(c.max_clients, 7);
	assert_int_equal(c.max_message_bytes, 8192);
	assert_int_equal(c.max_body_bytes, 1 << 20);
	assert_int_equal(c.log_memory, 1 << 30);
	assert_int_equal(c.ping_interval, 250);
	assert_int_equal(c.pong_timeout, 120000);
	assert_int_equal(c.stall_timeout, 3600000);
	assert_int_equal(c.drain_timeout, 86400000);
	assert_int_equal(c.retain_interval, 9000);
	assert_true(c.query_credentials);
	assert_int_equal(c.event_loop, CONF_LOOP_POLL);
	assert_int_equal(c.log_level, LOG_LEVEL_DEBUG);
	expect_list(&c.allowed_origins, "https://a.example");
	assert_int_equal(c.publish_users.count, 0);
	assert_string_equal(c.name, "wsd"); /* what is not named keeps its value */
	conf_free(&c);
}

static void
lists_grow(void **state)
{
	struct conf c;
	char why[CONF_WHY_BYTES] = "";

	assert_int_equal(read_text(*state, &c, "name = b\nlisten = {y}\nlisten += {z}\n", why), EVH_OK);
	assert_string_equal(c.name, "b");
	expect_list(&c.listen, "y|z");
	conf_free(&c);
	assert_int_equal(read_text(*state, &c, "listen = {}\n", why), EVH_OK);
	assert_int_equal(check(&c, why), EVH_INVALID);
	assert_string_equal(why, "listen: must have at least one address");
	conf_free(&c);
}

static void
wrong_files(void **state)
{
	refused(*state, "name = a\n\nbogus = 1\n", ":3: there is no key \"bogus\"");
	refused(*state, "jtw { issuer = \"x\" }\n", ":1: there is no key \"jtw\"");
	refused(*state, "jwt {\nissuer = x\n\nisuer = y\n}\n", ":4: there is no key \"jwt.isuer\"");
	refused(*state, "jwt.issuer = x\n", ":1: there is no key \"jwt.issuer\"");
	refused(*state, "issuer = x\n", ":1: there is no key \"issuer\"");
	refused(*state, "jwt {\nname = x }\n", ":2: there is no key \"jwt.name\"");
	refused(*state, "jwt { algorithm = none }\n",
		":1: jwt.algorithm: \"none\" is not one of off, HS256, HS384, HS512, RS256, RS384,"
		" RS512, ES256, ES384, ES512, EdDSA");
	refused(*state, "\njwt {\nleeway = 6m\n}", ":3: jwt.leeway: 6m is out of bounds (0 to 300)");
	refused(*state, "\njwt {\nleeway = 5\n", ":4: premature end of file");
	refused(*state, "\nping_interval = 3x\n",
		":2: ping_interval: \"3x\" is not a whole number of seconds, or with ms, s, m, h or d");
	refused(*state, "max_body_bytes = 3k\n",
		":1: max_body_bytes: \"3k\" is not a whole number of bytes, with K, M or G if you like");
	refused(*state, "max_clients = 1K\n", ":1: max_clients: \"1K\" is not a whole number");
	refused(*state, "max_clients = -1\n", ":1: max_clients: \"-1\" is not a whole number");
	refused(*state, "max_clients = \"\"\n", ":1: max_clients: \"\" is not a whole number");
	refused(*state, "max_clients = 99999999999999999999\n",
		":1: max_clients: \"99999999999999999999\" is not a whole number");
	refused(*state, "max_clients = 0\n", ":1: max_clients: 0 is out of bounds (1 to 10000000)");
	refused(*state, "max_clients = 10000001\n",
		":1: max_clients: 10000001 is out of bounds (1 to 10000000)");
	refused(*state, "log_memory = 9223372036854775807G\n",
		":1: log_memory: 9223372036854775807G is out of bounds (65536 to 1099511627776)");
	refused(*state, "ping_interval = 99ms\n",
		":1: ping_interval: 99ms is out of bounds (100ms to 86400s)");
	refused(*state, "ping_interval = 2d\n",
		":1: ping_interval: 2d is out of bounds (100ms to 86400s)");
	refused(*state, "query_credentials = perhaps\n",
		":1: query_credentials: \"perhaps\" is neither yes nor no");
	refused(*state, "event_loop = epoll\n",
		":1: event_loop: \"epoll\" is not one of auto, uv, ev, poll");
	refused(*state, "log_level = INFO\n",
		":1: log_level: \"INFO\" is not one of error, warn, info, debug");
	refused(*state, "max_clients = 5\n\nmax_clients = 6\n", ":3: max_clients is set twice");
	refused(*state, "listen = {a}\nlisten = {b}\n", ":2: listen is set twice");
	refused(*state, "name = {\"a\", \"b\"}\n", ":1: unexpected token '{'");
	refused(*state, "listen = {\"a\" \"b\"}\n", ":1: unexpected token 'b'");
	refused(*state, "name = \"abc\n", ":2: premature end of file");
	refused(*state, "name\n", ":2: premature end of file");
	refused(*state, "name \"x\"\n", ":1: missing equal sign after option 'name'");
	refused(*state, "}\n", ":1: unexpected closing brace");
}

/* All of them, in whatever form the entries between them have. */
static void
all_at_once(void **state)
{
	static const char text[] =
		"one = \"} = {\"\ntwo { three = \"}\" four { } }\nfive (\")\", x)\r\n"
		"name = fine\nsix = {a, \"}\",\nb}\nmax_clients = no\nseven\n=\n8\nname = again\n"
		"log_level = no\nlisten = {a}\nlisten += {b}\n";
	static const char *const expected[] = { ":1: there is no key \"one\"",
		":2: there is no key \"two\"", ":3: there is no key \"five\"",
		":5: there is no key \"six\"", ":8: there is no key \"seven\"", ":11: name is set twice",
		":7: max_clients: \"no\" is not a whole number",
		":12: log_level: \"no\" is not one of error, warn, info, debug" };
	struct problems problems = PROBLEMS_INIT;
	const char *path = unit_path(*state, "evhub.conf");
	size_t n = sizeof(expected) / sizeof(expected[0]);
	struct conf c;

	unit_write(path, text, sizeof(text) - 1);
	assert_int_equal(conf_init(&c), EVH_OK);
	assert_int_equal(conf_read(&c, path, &problems), EVH_INVALID);
	for (size_t i = 0; i < n && i < problems.count; i++) {
		assert_string_equal(problems.items[i].text + strlen(path), expected[i]);
		assert_non_null(problems.items[i].hint);
	}
	assert_int_equal(problems.count, n);
	assert_int_equal(problems.serious, n);
	assert_false(problems.incomplete);
	expect_list(&c.listen, "a|b"); /* what is good has been taken */
	conf_free(&c);
	problems_free(&problems);
}

/* Comments do not move the line that a complaint names. */
static void
lines_are_counted_right(void **state)
{
	struct conf c;
	char why[CONF_WHY_BYTES] = "";

	refused(*state, "# 1\n# 2\n\n// 4\n/* 5\n6\n */ name = a # 7\nbogus = 1\n",
		":8: there is no key \"bogus\"");
	refused(*state, "name = \"#\" # '\n// \"\nfoo = 1\n", ":3: there is no key \"foo\"");
	refused(*state, "name = '\\'#' # c\nfoo = 1\n", ":2: there is no key \"foo\"");
	assert_int_equal(
		read_text(*state, &c,
			"name = \"a # b // c /* d */\" # e\ndatabase = '#\\'' // f\n"
			"tls_key = \"\\\"#\"/**/tls_certificate=/x/y\nallowed_origins = {\"http://x\"}#",
			why),
		EVH_OK);
	assert_string_equal(c.name, "a # b // c /* d */");
	assert_string_equal(c.database, "#'");
	assert_string_equal(c.tls_key, "\"#");
	expect_list(&c.allowed_origins, "http://x");
	conf_free(&c);
}

/* One bad file, then a good one: what a reload does. */
static void
a_bad_file_leaves_nothing_behind(void **state)
{
	static const char *const bad[] = { "name = \"abc\n", "name = 'abc\n", "listen = {\"a\"",
		"name = ", "bogus = 1\n", "include(\"no-such-file\")\n", "include(\"bad\")\n",
		"/* open" };
	const char *dir = *state;
	struct conf c;
	char why[CONF_WHY_BYTES];

	unit_write(unit_path(dir, "bad"), "name = \"abc\n", 12);
	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			(void)read_text(dir, &c, bad[i], why);
			conf_free(&c);
			if (read_text(dir, &c, "name = good\nlisten = {\"l\"}\n", why) != EVH_OK)
				fail_msg("after %s: %s", bad[i], why);
			assert_string_equal(c.name, "good");
			conf_free(&c);
		}
	}
}

static void
unreadable_files(void **state)
{
	struct conf c;
	char why[CONF_WHY_BYTES];

	assert_int_equal(conf_init(&c), EVH_OK);
	assert_int_equal(read_file(&c, "/nonexistent/evhub.conf", why), EVH_NOT_FOUND);
	assert_string_equal(why, "/nonexistent/evhub.conf: cannot be read: No such file or directory");
	assert_int_equal(read_file(&c, *state, why), EVH_NOT_FOUND);
	assert_non_null(strstr(why, ": cannot be read: Is a directory"));
	assert_string_equal(c.name, "wsd");
	conf_free(&c);
}

static void
include_beside_the_file(void **state)
{
	const char *dir = *state;
	struct conf c;
	char why[CONF_WHY_BYTES] = "";

	assert_int_equal(mkdir(unit_path(dir, "sub"), 0700), 0);
	unit_write(unit_path(dir, "sub/one"), "name = one\nping_interval = 7\ninclude(\"two\")\n", 43);
	unit_write(unit_path(dir, "sub/two"), "\nfcgi_threads = 2\n", 18);
	if (read_text(dir, &c, "name = zero\ninclude(\"sub/one\")\nping_interval = 8\n", why) != EVH_OK)
		fail_msg("%s", why);
	assert_string_equal(c.name, "one"); /* as if its lines stood there */
	assert_int_equal(c.ping_interval, 8000);
	assert_int_equal(c.fcgi_threads, 2);
	conf_free(&c);
}

/* Ten files that each include the next one twice are a thousand readings. */
static void
includes_that_multiply(void **state)
{
	const char *dir = *state;
	struct conf c;
	static const char line[] = "include(\"twice10\")\n";
	static char many[100 * sizeof(line)];
	char why[CONF_WHY_BYTES] = "", name[24], text[64];

	for (int i = 1; i < 10; i++) {
		(void)snprintf(name, sizeof(name), "twice%d", i);
		(void)snprintf(text, sizeof(text), "include(\"twice%d\")\ninclude(\"twice%d\")\n", i + 1,
			i + 1);
		unit_write(unit_path(dir, name), text, strlen(text));
	}
	unit_write(unit_path(dir, "twice10"), "max_clients = 7\n", 16);
	assert_int_equal(read_text(dir, &c, "include(\"twice1\")\n", why), EVH_INVALID);
	assert_non_null(strstr(why, "more than 100 files are included"));
	conf_free(&c);
	/* as many as that are fine */
	for (int i = 0; i < 100; i++)
		memcpy(many + (size_t)i * (sizeof(line) - 1), line, sizeof(line));
	assert_int_equal(read_text(dir, &c, many, why), EVH_OK);
	assert_int_equal(c.max_clients, 7);
	conf_free(&c);
}

static void
wrong_includes(void **state)
{
	const char *dir = *state;
	struct conf c;
	char why[CONF_WHY_BYTES] = "", expected[CONF_WHY_BYTES];

	unit_write(unit_path(dir, "inc"), "# fine\nbogus = 1\n", 17);
	assert_int_equal(read_text(dir, &c, "\ninclude(\"inc\")\n", why), EVH_INVALID);
	(void)snprintf(expected, sizeof(expected), "%s/inc:2: there is no key \"bogus\"", dir);
	assert_string_equal(why, expected);
	conf_free(&c);

	(void)snprintf(
		expected, sizeof(expected), ":2: include: %s/none: No such file or directory", dir);
	refused(dir, "\ninclude(\"none\")\nname = a\n", expected);
	refused(dir, "include()\n", ":1: include takes the name of one file");
	refused(dir, "include(\"a\",\"b\")\n", ":1: include takes the name of one file");
	refused(dir, "include(\"evhub.conf\")\n", ":1: more than 10 files include each other");
	(void)snprintf(expected, sizeof(expected), ":1: include: %s/.: Is a directory", dir);
	refused(dir, "include(\".\")\n", expected);
	/* the line counts go on in the outer file */
	unit_write(unit_path(dir, "inc"), "\n\n\n\n\n", 5);
	refused(dir, "include(\"inc\")\n\nbogus = 1\n", ":3: there is no key \"bogus\"");
}

static void
overrides(void **state)
{
	struct conf c;
	char why[CONF_WHY_BYTES];

	(void)state;
	assert_int_equal(conf_init(&c), EVH_OK);
	assert_int_equal(conf_override(&c, "name=x", why), EVH_OK);
	assert_string_equal(c.name, "x");
	assert_int_equal(conf_override(&c, "database = /a=b", why), EVH_OK);
	assert_string_equal(c.database, "/a=b");
	assert_int_equal(conf_override(&c, "tls_key=", why), EVH_OK);
	assert_string_equal(c.tls_key, "");
	assert_int_equal(conf_override(&c, "ping_interval=100ms", why), EVH_OK);
	assert_int_equal(c.ping_interval, 100);
	assert_int_equal(conf_override(&c, "query_credentials=on", why), EVH_OK);
	assert_true(c.query_credentials);
	assert_int_equal(conf_override(&c, "query_credentials=False", why), EVH_OK);
	assert_false(c.query_credentials);
	assert_int_equal(conf_override(&c, "log_format=json", why), EVH_OK);
	assert_int_equal(c.log_format, CONF_LOG_JSON);
	conf_free(&c);
}

static void
overridden_lists(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ " ", "" },
		{ "{}", "" },
		{ "{ }", "" },
		{ "a", "a" },
		{ "a,b", "a|b" },
		{ " a , b ", "a|b" },
		{ "{a,b}", "a|b" },
		{ "{\"a\", \"b\"}", "a|b" },
		{ "\"a,b\",c", "a,b|c" },
		{ "{\"a}\"}", "a}" },
		{ "a,,b,", "a|b" },
		{ "[::1]:80,unix:/run/x y", "[::1]:80|unix:/run/x y" },
	};
	static const char *const bad[] = { "{a", "a}", "{a}b", "{{a}}", "\"a", "\"a\"b", "{a,b",
		"{a},b" };
	struct conf c;
	char why[CONF_WHY_BYTES], text[128];

	(void)state;
	assert_int_equal(conf_init(&c), EVH_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(text, sizeof(text), "listen=%s", cases[i][0]);
		if (conf_override(&c, text, why) != EVH_OK)
			fail_msg("%s", why);
		expect_list(&c.listen, cases[i][1]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(conf_override(&c, "listen=kept", why), EVH_OK);
		(void)snprintf(text, sizeof(text), "listen=%s", bad[i]);
		if (conf_override(&c, text, why) != EVH_INVALID)
			fail_msg("accepted: %s", bad[i]);
		assert_non_null(strstr(why, "-o listen: "));
		expect_list(&c.listen, "kept");
	}
	conf_free(&c);
}

static void
wrong_overrides(void **state)
{
	static const char *const cases[][2] = {
		{ "name", "-o name: write key=value" },
		{ "", "-o : write key=value" },
		{ "=x", "-o =x: there is no key \"\"" },
		{ "bogus=1", "-o bogus=1: there is no key \"bogus\"" },
		{ "nam=1", "-o nam=1: there is no key \"nam\"" },
		{ "names=1", "-o names=1: there is no key \"names\"" },
		{ "max_clients=0", "-o max_clients: 0 is out of bounds (1 to 10000000)" },
		{ "log_level=loud", "-o log_level: \"loud\" is not one of error, warn, info, debug" },
	};
	struct conf c;
	char why[CONF_WHY_BYTES];

	(void)state;
	assert_int_equal(conf_init(&c), EVH_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(conf_override(&c, cases[i][0], why), EVH_INVALID);
		assert_string_equal(why, cases[i][1]);
	}
	assert_int_equal(c.max_clients, 100000);
	conf_free(&c);
}

static void
keys_that_do_not_fit_together(void **state)
{
	static const char *const cases[][2] = {
		{ "database=", "database: " },
		{ "control_socket=wsd.sock", "control_socket: " },
		{ "control_socket=/12345678901234567890123456789012345678901234567890123456789012345678901234567890"
		  "1234567890123456789012345678",
			"control_socket: " },
		{ "name=", "name: " },
		{ "name=a b", "name: " },
		{ "name=12345678901234567890123456789012345678901234567890123456789012345", "name: " },
		{ "base_path=api", "base_path: " },
		{ "base_path=/api/", "base_path: " },
		{ "base_path=", "base_path: " },
		{ "listen=", "listen: " },
		{ "pong_timeout=30", "pong_timeout: " },
		{ "trusted_proxies=10.0.0.1,example.org", "trusted_proxies: \"example.org\" " },
		{ "trusted_proxies=10.0.0.0/33", "trusted_proxies: " },
		{ "tls_key=/x", "tls_key: " },
		{ "tls_certificate=/x", "tls_certificate: " },
	};
	char why[CONF_WHY_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf c;

		assert_int_equal(conf_init(&c), EVH_OK);
		if (conf_override(&c, cases[i][0], why) != EVH_OK)
			fail_msg("%s", why);
		if (check(&c, why) != EVH_INVALID)
			fail_msg("accepted: %s", cases[i][0]);
		assert_true(strncmp(why, cases[i][1], strlen(cases[i][1])) == 0);
		conf_free(&c);
	}
}

/* Every number takes its bounds and its default, and nothing beyond them. */
static void
bounds_of_every_number(void **state)
{
	(void)state;
	for (const struct conf_option *o = conf_table; o->key != NULL; o++) {
		const char *unit = o->kind == CONF_TIME ? "ms" : "";
		struct conf c;
		char text[128], why[CONF_WHY_BYTES];

		if (o->kind != CONF_NUMBER && o->kind != CONF_SIZE && o->kind != CONF_TIME)
			continue;
		assert_int_equal(conf_init(&c), EVH_OK);
		(void)snprintf(text, sizeof(text), "%s=%lld%s", o->key, (long long)o->min, unit);
		assert_int_equal(conf_override(&c, text, why), EVH_OK);
		(void)snprintf(text, sizeof(text), "%s=%lld%s", o->key, (long long)o->max, unit);
		assert_int_equal(conf_override(&c, text, why), EVH_OK);
		(void)snprintf(text, sizeof(text), "%s=%lld%s", o->key, (long long)o->max + 1, unit);
		assert_int_equal(conf_override(&c, text, why), EVH_INVALID);
		if (o->min > 0) {
			(void)snprintf(
				text, sizeof(text), "%s=%lld%s", o->key, (long long)o->min - 1, unit);
			assert_int_equal(conf_override(&c, text, why), EVH_INVALID);
		}
		conf_free(&c);
	}
}

/* Hands the words of line, the program's name first, to conf_arguments. */
static int
arguments(struct conf_args *args, char *line)
{
	char *argv[16], *saved = NULL;
	int argc = 0;

	for (char *word = strtok_r(line, " ", &saved); word != NULL; word = strtok_r(NULL, " ", &saved))
		argv[argc++] = word;
	argv[argc] = NULL;
	optind = 0; /* begin anew */
	return conf_arguments(args, argc, argv, "prog", "summary");
}

static void
command_line(void **state)
{
	char line[] = "prog -c file -o a=1 -o b=2 -t -v";
	struct conf_args args;

	(void)state;
	assert_int_equal(arguments(&args, line), -1);
	assert_string_equal(args.path, "file");
	assert_int_equal(args.override_count, 2);
	assert_string_equal(args.overrides[0], "a=1");
	assert_string_equal(args.overrides[1], "b=2");
	assert_true(args.test && args.verbose);
	conf_arguments_free(&args);
}

static void
command_line_that_ends_the_program(void **state)
{
	static const struct {
		const char *line;
		int status;
	} cases[] = { { "prog -h", 0 }, { "prog -V", 0 }, { "prog -x", 2 }, { "prog -c", 2 },
		{ "prog extra", 2 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf_args args;
		char line[32];

		(void)snprintf(line, sizeof(line), "%s", cases[i].line);
		assert_int_equal(arguments(&args, line), cases[i].status);
		conf_arguments_free(&args);
	}
}

static void
load(void **state)
{
	const char *path = unit_path(*state, "evhub.conf");
	char override[] = "max_clients=9", *given[] = { override };
	struct conf_args args = { .path = path, .overrides = given, .override_count = 1 };
	struct conf c;

	unit_write(path, "max_clients = 5\nname = x\n", 25);
	assert_int_equal(conf_load(&c, &args, "prog"), EVH_OK);
	assert_int_equal(c.max_clients, 9); /* -o is stronger than the file */
	assert_string_equal(c.name, "x");
	conf_free(&c);
	args.path = "/nonexistent";
	assert_int_equal(conf_load(&c, &args, "prog"), EVH_NOT_FOUND);
	assert_null(c.database);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, unit_dir_setup, unit_dir_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		IN_DIR(every_kind_in_a_file),
		IN_DIR(lists_grow),
		IN_DIR(wrong_files),
		IN_DIR(all_at_once),
		IN_DIR(lines_are_counted_right),
		IN_DIR(a_bad_file_leaves_nothing_behind),
		IN_DIR(unreadable_files),
		IN_DIR(include_beside_the_file),
		IN_DIR(includes_that_multiply),
		IN_DIR(wrong_includes),
		cmocka_unit_test(overrides),
		cmocka_unit_test(overridden_lists),
		cmocka_unit_test(wrong_overrides),
		cmocka_unit_test(keys_that_do_not_fit_together),
		cmocka_unit_test(bounds_of_every_number),
		cmocka_unit_test(command_line),
		cmocka_unit_test(command_line_that_ends_the_program),
		IN_DIR(load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
