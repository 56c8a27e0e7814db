#include "common/json.h"
#include "common/log.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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
	log_setup("evhub-test", LOG_LEVEL_INFO, false);
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
	log_setup("evhub-test", LOG_LEVEL_INFO, false);
	log_info("joined", "agent=%s", "a\nevil: error x\r\x1b[2J\x7f end");
}

static void
no_value_begins_a_line(void **state)
{
	capture(*state, injection);
	assert_non_null(strstr(out.data, "agent=a?evil: error x??[2J? end\n"));
	assert_ptr_equal(strchr(out.data, '\n'), out.data + out.len - 1);
}

static void
long_line(void)
{
	char text[10000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_setup("evhub-test", LOG_LEVEL_INFO, false);
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
	log_setup("evhub-test", LOG_LEVEL_DEBUG, true);
	log_debug("joined", "agent=%s", "\"q\\\n\xff");
	log_setup("evhub-test", LOG_LEVEL_INFO, false);
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
		json_object_get_string(json_object_object_get(o, "text")), "agent=\"q\\?\xef\xbf\xbd");
	assert_string_equal(json_object_get_string(json_object_object_get(o, "level")), "debug");
	assert_string_equal(json_object_get_string(json_object_object_get(o, "event")), "joined");
	json_object_put(o);
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
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_free(&out);
	return failed;
}
