#include "common/json.h"
#include "common/log.h"
#include "common/log_format.h"
#include "common/log_repeat.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct buf out;

/* Sends standard error to a file while write_lines runs. */
static void
capture(const char *dir, void (*write_lines)(void))
{
	const char *path = unit_path(dir, "log");
	int saved = dup(STDERR_FILENO), fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(saved >= 0 && fd >= 0);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	write_lines();
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(fd);
	(void)close(saved);
	buf_clear(&out);
	unit_read(&out, path);
}

static void
two_lines(void)
{
	log_setup("evhub-test", LOG_LEVEL_INFO, false, LOG_TARGET_STDERR);
	log_info("joined", "user_id=%s n=%d", "alice", 5);
	log_debug("hidden", "%s", "");
	log_error("bare", "%s", "");
}

static void
text_lines(void **state)
{
	capture(*state, two_lines);
	assert_non_null(strstr(out.data, "Z evhub-test: info joined user_id=alice n=5\n"));
	assert_non_null(strstr(out.data, "Z evhub-test: error bare\n"));
	assert_null(strstr(out.data, "hidden"));
	assert_int_equal(out.data[10], 'T');
}

static void
injection(void)
{
	log_setup("evhub-test", LOG_LEVEL_INFO, false, LOG_TARGET_STDERR);
	log_info("joined", "agent=%s", "a\nevil: error x\r\x1b[2J\x7f end");
}

static void
no_value_begins_a_line(void **state)
{
	capture(*state, injection);
	assert_non_null(strstr(out.data, "agent=\"a\\nevil: error x\\r\\u001b[2J\\u007f end\"\n"));
	assert_ptr_equal(strchr(out.data, '\n'), out.data + out.len - 1);
}

static void
long_line(void)
{
	char text[10000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_setup("evhub-test", LOG_LEVEL_INFO, false, LOG_TARGET_STDERR);
	log_info("long", "%s", text);
}

static void
long_lines_are_cut(void **state)
{
	capture(*state, long_line);
	assert_true(out.len > 3000 && out.len < 4096);
	assert_int_equal(out.data[out.len - 1], '\n');
}

static void
json_line(void)
{
	log_setup("evhub-test", LOG_LEVEL_DEBUG, true, LOG_TARGET_STDERR);
	log_debug("joined", "agent=%s", "\"q\\\n\xff");
	log_setup("evhub-test", LOG_LEVEL_INFO, false, LOG_TARGET_STDERR);
}

static void
json_lines(void **state)
{
	struct json_object *o;
	char why[JSON_WHY_BYTES];

	capture(*state, json_line);
	assert_int_equal(out.data[out.len - 1], '\n');
	assert_int_equal(json_parse(out.data, out.len, &o, why), EVH_OK);
	assert_string_equal(
		json_object_get_string(json_object_object_get(o, "agent")), "\"q\\\n\xef\xbf\xbd");
	assert_string_equal(json_object_get_string(json_object_object_get(o, "level")), "debug");
	assert_string_equal(json_object_get_string(json_object_object_get(o, "event")), "joined");
	json_object_put(o);
}

/* Formats */

static struct log_body body;

static const char *formatted(bool json, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static const char *
formatted(bool json, const char *fmt, ...)
{
	static char text[LOG_LINE_BYTES + 3];
	va_list ap;

	va_start(ap, fmt);
	log_format(&body, json, "info", "e", fmt, ap);
	va_end(ap);
	(void)snprintf(text, sizeof(text), json ? "{%.*s}" : "%.*s", (int)body.len, body.text);
	return text;
}

static void
pairs_as_text(void **state)
{
	(void)state;
	assert_string_equal(formatted(false, "%s", ""), "info e");
	assert_string_equal(
		formatted(false, "a=%d b=%s c=\"%s\"", -1, "x/y:z", "q"), "info e a=-1 b=x/y:z c=\"q\"");
	assert_string_equal(formatted(false, "a=%s", ""), "info e a=\"\"");
	assert_string_equal(formatted(false, "a=%s b=2", "x b=1"), "info e a=\"x b=1\" b=2");
	assert_string_equal(
		formatted(false, "a=\"%s\" b=2", "x\" b=1 c=\""), "info e a=\"x\\\" b=1 c=\\\"\" b=2");
	assert_string_equal(formatted(false, "a=%s", "\\"), "info e a=\"\\\\\"");
	assert_string_equal(formatted(false, "a=%s", "x=1"), "info e a=\"x=1\"");
	assert_string_equal(formatted(false, "a=%.3s b=%.*s", "abcdef", 2, "xyz"), "info e a=abc b=xy");
	assert_string_equal(formatted(false, "n=%zu m=%llu l=%ld x=%x", (size_t)7, 8ULL, -9L, 255U),
		"info e n=7 m=8 l=-9 x=ff");
	assert_string_equal(
		formatted(false, "effect=\"two words\" p=100%%"), "info e effect=\"two words\" p=100%");
	assert_string_equal(formatted(false, "plain words a=%s", "b c"), "info e plain words a=b c");
	assert_string_equal(
		formatted(false, "a=%s", "gr\xc3\xbc\xc3\x9f"), "info e a=gr\xc3\xbc\xc3\x9f");
}

static void
what_deceives_is_escaped(void **state)
{
	(void)state;
	/* a C1 control, a line separator, text turned around, and no UTF-8 */
	assert_string_equal(formatted(false, "a=%s", "\xc2\x9b"), "info e a=\"\\u009b\"");
	assert_string_equal(formatted(false, "a=%s", "\xe2\x80\xa8"), "info e a=\"\\u2028\"");
	assert_string_equal(formatted(false, "a=%s", "\xe2\x80\xae"), "info e a=\"\\u202e\"");
	assert_string_equal(formatted(false, "a=%s", "\xe2\x81\xa6"), "info e a=\"\\u2066\"");
	assert_string_equal(
		formatted(false, "a=%s", "\xff\xc3"), "info e a=\"\xef\xbf\xbd\xef\xbf\xbd\"");
	assert_string_equal(formatted(false, "%s", "one\ntwo"), "info e one\\ntwo");
}

static void
pairs_as_json(void **state)
{
	(void)state;
	assert_string_equal(formatted(true, "%s", ""), "{\"level\":\"info\",\"event\":\"e\"}");
	assert_string_equal(formatted(true, "n=%d s=%s q=\"%d\" m=%dx t=%s", 5, "a\"\n", 6, 7, ""),
		"{\"level\":\"info\",\"event\":\"e\",\"n\":5,\"s\":\"a\\\"\\n\",\"q\":6,\"m\":\"7x\",\"t\":\"\"}");
	assert_string_equal(formatted(true, "in words %d", 1),
		"{\"level\":\"info\",\"event\":\"e\",\"text\":\"in words 1\"}");
}

/* However long the values are, and whatever is in them, it is JSON. */
static void
json_when_cut(void **state)
{
	static const char *const units[] = { "x", "\"", "\n", "\xff", "\xe2\x80\xa8",
		"\xf0\x9f\x98\x80" };
	static char value[6000];
	char why[JSON_WHY_BYTES];

	(void)state;
	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		size_t n = strlen(units[u]);

		for (size_t len = 3400; len < 4200; len += n == 1 ? 1 : n) {
			struct json_object *o = NULL;
			const char *text;

			for (size_t i = 0; i + n <= len; i += n)
				memcpy(value + i, units[u], n);
			value[len / n * n] = '\0';
			text = formatted(true, "a=%s number=%d b=%s", value, 123456789, value);
			assert_true(body.len <= LOG_LINE_BYTES);
			if (json_parse(text, strlen(text), &o, why) != EVH_OK)
				fail_msg("%s: ...%s", why, text + strlen(text) - 60);
			json_object_put(o);
		}
	}
}

/* Repeats */

static void
repeats(void **state)
{
	struct log_repeats *r = calloc(1, sizeof(*r));
	const struct log_repeat *held;
	int64_t now = 5000000, second = 1000000;

	(void)state;
	for (int i = 0; i < LOG_REPEAT_BURST; i++)
		assert_true(log_repeat_pass(r, 1, "same", 4, now));
	for (int i = 0; i < 7; i++)
		assert_false(log_repeat_pass(r, 1, "same", 4, now + second));
	assert_true(log_repeat_pass(r, 1, "other", 5, now + second));
	assert_null(log_repeat_due(r, now + second, false));
	held = log_repeat_due(r, now + LOG_REPEAT_SECONDS * second, false);
	assert_non_null(held);
	assert_int_equal(held->held, 7);
	assert_int_equal(held->level, 1);
	assert_memory_equal(held->text, "same", 4);
	assert_null(log_repeat_due(r, now + LOG_REPEAT_SECONDS * second, true));
	assert_true(log_repeat_pass(r, 1, "same", 4, now + LOG_REPEAT_SECONDS * second));
	free(r);
}

/* More lines than are watched: none is held back wrongly, and the count of
 * one that is held back is not lost. */
static void
repeats_of_many(void **state)
{
	struct log_repeats *r = calloc(1, sizeof(*r));
	char text[24], longest[LOG_REPEAT_BYTES + 1];
	const struct log_repeat *held;

	(void)state;
	for (int i = 0; i < LOG_REPEAT_BURST + 3; i++)
		(void)log_repeat_pass(r, 0, "kept", 4, 1);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(text, sizeof(text), "line %d", i);
		assert_true(log_repeat_pass(r, 0, text, strlen(text), 2));
	}
	held = log_repeat_due(r, 3, true);
	assert_non_null(held);
	assert_int_equal(held->held, 3);
	memset(longest, 'x', sizeof(longest));
	for (int i = 0; i < LOG_REPEAT_BURST + 3; i++)
		assert_true(log_repeat_pass(r, 0, longest, sizeof(longest), 4));
	free(r);
}

static void
same_line_often(void)
{
	log_setup("evhub-test", LOG_LEVEL_INFO, false, LOG_TARGET_STDERR);
	for (int i = 0; i < LOG_REPEAT_BURST + 5; i++)
		log_warn("again", "n=%d", 1);
	log_flush(false);
	log_flush(true);
}

static void
repeats_are_told(void **state)
{
	size_t lines = 0;

	capture(*state, same_line_often);
	for (const char *p = out.data; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	assert_int_equal(lines, LOG_REPEAT_BURST + 1);
	assert_non_null(strstr(out.data, "evhub-test: warn again n=1 repeats=5\n"));
}

/* Targets */

static void
for_the_journal(void)
{
	log_setup("evhub-test", LOG_LEVEL_DEBUG, false, LOG_TARGET_JOURNALD);
	log_error("a", "k=%d", 1);
	log_warn("b", "k=%d", 1);
	log_info("c", "k=%d", 1);
	log_debug("d", "k=%d", 1);
	log_setup("evhub-test", LOG_LEVEL_INFO, true, LOG_TARGET_JOURNALD);
	log_info("e", "k=%d", 1);
	log_setup("evhub-test", LOG_LEVEL_INFO, false, LOG_TARGET_STDERR);
}

static void
journal(void **state)
{
	capture(*state, for_the_journal);
	assert_non_null(strstr(out.data,
		"<3>error a k=1\n<4>warn b k=1\n<6>info c k=1\n<7>debug d k=1\n<6>{\"time\":"));
	assert_non_null(strstr(
		out.data, ",\"program\":\"evhub-test\",\"level\":\"info\",\"event\":\"e\",\"k\":1}\n"));
}

/* Says that standard error is what the journal reads, or is not. */
static void
auto_line(bool truly)
{
	char text[64];
	struct stat st;

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino + (truly ? 0 : 1));
	assert_int_equal(setenv("JOURNAL_STREAM", text, 1), 0);
	log_setup("evhub-test", LOG_LEVEL_INFO, false, LOG_TARGET_AUTO);
	log_info("x", "k=%d", 1);
	log_setup("evhub-test", LOG_LEVEL_INFO, false, LOG_TARGET_STDERR);
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
}

static void
auto_lines(void)
{
	auto_line(true);
	auto_line(false);
}

static void
the_journal_is_recognised(void **state)
{
	capture(*state, auto_lines);
	assert_memory_equal(out.data, "<6>info x k=1\n20", 16);
	assert_non_null(strstr(out.data, "Z evhub-test: info x k=1\n"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(text_lines, unit_dir_setup, unit_dir_teardown),
		cmocka_unit_test_setup_teardown(
			no_value_begins_a_line, unit_dir_setup, unit_dir_teardown),
		cmocka_unit_test_setup_teardown(long_lines_are_cut, unit_dir_setup, unit_dir_teardown),
		cmocka_unit_test_setup_teardown(json_lines, unit_dir_setup, unit_dir_teardown),
		cmocka_unit_test(pairs_as_text),
		cmocka_unit_test(what_deceives_is_escaped),
		cmocka_unit_test(pairs_as_json),
		cmocka_unit_test(json_when_cut),
		cmocka_unit_test(repeats),
		cmocka_unit_test(repeats_of_many),
		cmocka_unit_test_setup_teardown(repeats_are_told, unit_dir_setup, unit_dir_teardown),
		cmocka_unit_test_setup_teardown(journal, unit_dir_setup, unit_dir_teardown),
		cmocka_unit_test_setup_teardown(
			the_journal_is_recognised, unit_dir_setup, unit_dir_teardown),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_free(&out);
	return failed;
}
