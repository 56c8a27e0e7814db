#include "common/buf.h"
#include "tests/unit/unit.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#define BAD "\xef\xbf\xbd"

static void
grows_and_ends_in_nul(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%03d", i);
	assert_false(b.failed);
	assert_int_equal(b.len, 3000);
	assert_int_equal(strlen(b.data), 3000);
	assert_memory_equal(b.data + 2997, "999", 3);
	buf_add(&b, "\0x", 2);
	assert_int_equal(b.len, 3002);
	assert_int_equal(b.data[3002], 0);
	buf_free(&b);
	assert_null(b.data);
}

static void
every_length_around_a_doubling(void **state)
{
	char text[600];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t len = 0; len < sizeof(text); len++) {
		struct buf b = BUF_INIT;

		buf_add(&b, text, len);
		buf_puts(&b, "end");
		assert_int_equal(b.len, len + 3);
		assert_string_equal(b.data + len, "end");
		assert_true(b.size > b.len);
		buf_free(&b);
	}
}

static void
failure_is_kept_until_the_end(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_puts(&b, "abc");
	assert_false(buf_reserve(&b, SIZE_MAX - 1));
	assert_true(b.failed);
	buf_puts(&b, "def");
	buf_printf(&b, "%d", 5);
	assert_int_equal(b.len, 3);
	assert_null(buf_take(&b));
	assert_false(b.failed);
	assert_null(b.data);
	buf_free(&b);
}

static void
take_and_clear(void **state)
{
	struct buf b = BUF_INIT;
	char *text = buf_take(&b);
	size_t size;

	(void)state;
	assert_string_equal(text, "");
	free(text);
	buf_puts(&b, "one");
	size = b.size;
	buf_clear(&b);
	assert_int_equal(b.size, size);
	buf_puts(&b, "two");
	text = buf_take(&b);
	assert_string_equal(text, "two");
	assert_int_equal(b.size, 0);
	free(text);
}

static void
check_string(const char *text, size_t len, const char *expected)
{
	struct buf b = BUF_INIT;

	buf_json_string(&b, text, len);
	assert_string_equal(b.data, expected);
	assert_int_equal(buf_utf8_valid(b.data, b.len), b.len);
	buf_free(&b);
}

static void
json_strings(void **state)
{
	(void)state;
	check_string("", 0, "\"\"");
	check_string("plain", 5, "\"plain\"");
	check_string("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"");
	check_string("\n\r\t\b\f", 5, "\"\\n\\r\\t\\u0008\\u000c\"");
	check_string("a\0b\x1f\x7f", 5, "\"a\\u0000b\\u001f\x7f\"");
	check_string("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", 15,
		"\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"");
	check_string("x\xffy\xfe", 4, "\"x" BAD "y" BAD "\"");
	check_string("\xed\xa0\x80", 3, "\"" BAD BAD BAD "\"");
	check_string("cut \xe2\x82", 6, "\"cut " BAD BAD "\"");
}

static void
json_strings_are_read_back(void **state)
{
	char text[256];
	struct buf b = BUF_INIT;
	struct json_object *o;

	(void)state;
	for (int i = 0; i < 128; i++)
		text[i] = (char)i;
	buf_json_string(&b, text, 128);
	o = json_tokener_parse(b.data);
	assert_true(json_object_is_type(o, json_type_string));
	assert_int_equal(json_object_get_string_len(o), 128);
	assert_memory_equal(json_object_get_string(o), text, 128);
	json_object_put(o);
	buf_free(&b);
}

static void
json_raw(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_json_raw(&b, "{\"a\":\"\xff\xc3\xbc\xc3\"}", 12);
	assert_string_equal(b.data, "{\"a\":\"" BAD "\xc3\xbc" BAD "\"}");
	buf_free(&b);
}

static void
utf8(void **state)
{
	static const struct {
		const char *text;
		size_t valid;
	} cases[] = {
		{ "", 0 },
		{ "ascii\x7f", 6 },
		{ "\xc2\x80", 2 },	   /* U+0080, the first of two bytes */
		{ "\xdf\xbf", 2 },	   /* U+07FF */
		{ "\xe0\xa0\x80", 3 },	   /* U+0800 */
		{ "\xed\x9f\xbf", 3 },	   /* U+D7FF */
		{ "\xee\x80\x80", 3 },	   /* U+E000 */
		{ "\xef\xbf\xbf", 3 },	   /* U+FFFF */
		{ "\xf0\x90\x80\x80", 4 }, /* U+10000 */
		{ "\xf4\x8f\xbf\xbf", 4 }, /* U+10FFFF */
		{ "\x80", 0 },		   /* a continuation alone */
		{ "a\xbf", 1 },
		{ "\xc0\x80", 0 }, /* overlong */
		{ "\xc1\xbf", 0 },
		{ "\xe0\x80\x80", 0 },
		{ "\xe0\x9f\xbf", 0 },
		{ "\xf0\x80\x80\x80", 0 },
		{ "\xf0\x8f\xbf\xbf", 0 },
		{ "\xed\xa0\x80", 0 }, /* surrogates */
		{ "\xed\xbf\xbf", 0 },
		{ "\xf4\x90\x80\x80", 0 }, /* over U+10FFFF */
		{ "\xf5\x80\x80\x80", 0 },
		{ "\xff", 0 },
		{ "ab\xc3", 2 }, /* truncated */
		{ "ab\xe2\x82", 2 },
		{ "ab\xf0\x9f\x98", 2 },
		{ "\xc3\x28", 0 }, /* the wrong second, third, fourth byte */
		{ "\xe2\x28\xa1", 0 },
		{ "\xe2\x82\x28", 0 },
		{ "\xf0\x9f\x98\x28", 0 },
		{ "\xf0\x9f\x28\x80", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t valid = buf_utf8_valid(cases[i].text, strlen(cases[i].text));

		if (valid != cases[i].valid)
			fail_msg("case %zu: %zu bytes valid, not %zu", i, valid, cases[i].valid);
	}
	assert_int_equal(buf_utf8_valid("a\0b", 3), 3);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_ends_in_nul),
		cmocka_unit_test(every_length_around_a_doubling),
		cmocka_unit_test(failure_is_kept_until_the_end),
		cmocka_unit_test(take_and_clear),
		cmocka_unit_test(json_strings),
		cmocka_unit_test(json_strings_are_read_back),
		cmocka_unit_test(json_raw),
		cmocka_unit_test(utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
