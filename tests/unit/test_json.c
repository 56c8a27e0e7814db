#include "common/json.h"
#include "tests/unit/unit.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum evh_rc
parse(const char *text, size_t len, char why[JSON_WHY_BYTES])
{
	struct json_object *o = NULL;
	char *copy = malloc(len + 1); /* of that size, for the sanitizers */
	enum evh_rc rc;

	assert_non_null(copy);
	memcpy(copy, text, len);
	rc = json_parse(copy, len, &o, why);
	if (rc != EVH_OK) {
		assert_null(o);
		assert_true(why[0] != '\0');
	} else {
		assert_string_equal(why, "");
	}
	json_object_put(o);
	free(copy);
	return rc;
}

static void
accepted(void **state)
{
	static const char *const cases[] = { "{}", "[]", "\"\"", "0", "-0", "1.5", "1e5", "1E+05",
		"-1.25e-10", "true", "false", "null", " \t\r\n{ \"a\" : [ 1 , 2 ] } \n",
		"[[],{},\"\",null]", "{\"\":1}", "\"\\u0000\"", "\"\\ud83d\\ude00\"",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uFFFF\"", "\"gr\xc3\xbc\xc3\x9f\x7f\"",
		"123456789012345678901234567890", "1e999", "{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":2}}",
		"{\"a:b\":\"c:d\",\"e\":\":\"}" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[JSON_WHY_BYTES];

		if (parse(cases[i], strlen(cases[i]), why) != EVH_OK)
			fail_msg("refused: %s (%s)", cases[i], why);
	}
}

static void
refused(void **state)
{
	static const char *const cases[] = {
		/* nothing, or not all of it */
		"",
		" ",
		"\n",
		"{",
		"[",
		"\"",
		"\"a",
		"{\"a\"",
		"{\"a\":",
		"{\"a\":1",
		"[1",
		"[1,",
		"tru",
		"nul",
		"-",
		"1.",
		"1e",
		"1e+",
		"\"\\",
		"\"\\u",
		"\"\\u12",
		/* more than one value */
		"{}{}",
		"{} x",
		"1 2",
		"1,",
		"[1]]",
		"nullnull",
		"truefalse",
		"{}\f",
		/* commas and colons */
		"[1,]",
		"[,1]",
		"[1,,2]",
		"[,]",
		"{,}",
		"{\"a\":1,}",
		"{\"a\":1,,\"b\":2}",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\" 1}",
		"{\"a\":1 \"b\":2}",
		"[1 2]",
		"[\"a\" \"b\"]",
		"{\"a\"::1}",
		"[1:2]",
		"{\"a\",1}",
		"[}",
		"{]",
		"[1}",
		"{\"a\":1]",
		/* keys */
		"{a:1}",
		"{'a':1}",
		"{1:2}",
		"{null:1}",
		"{[]:1}",
		/* numbers */
		"01",
		"-01",
		"00",
		"-00",
		"1.e5",
		".5",
		"-.5",
		"+1",
		"--1",
		"0x10",
		"1e5.5",
		"1-1",
		"1.2.3",
		"1_000",
		"[01]",
		"[1.]",
		"[-]",
		"NaN",
		"-NaN",
		"nan",
		"Infinity",
		"-Infinity",
		"inf",
		"[NaN]",
		/* words and strings */
		"True",
		"TRUE",
		"NULL",
		"None",
		"undefined",
		"nulll",
		"'a'",
		"\"\\x41\"",
		"\"\\a\"",
		"\"\\'\"",
		"\"\\u12G4\"",
		"\"\\U0041\"",
		"\"\\ud800\"",
		"\"\\udc00\"",
		"\"\\ud800x\"",
		"\"\\ud800\\n\"",
		"\"\\ud800\\ud800\"",
		"\"\\ud800\\u0041\"",
		"\"tab\there\"",
		"\"line\nbreak\"",
		"\"\x01\"",
		"\"\x1f\"",
		/* comments, other blanks, a byte order mark */
		"/* c */1",
		"1 // c",
		"# c\n1",
		"[1\v]",
		"[1\f]",
		"[\xc2\xa0]",
		"\xef\xbb\xbf{}",
		/* not UTF-8 */
		"\"\xff\"",
		"\"\xc0\x80\"",
		"\"\xed\xa0\x80\"",
		"\"\xf4\x90\x80\x80\"",
		"\"\xe2\x82\"",
		"\xff",
		"{\"\xff\":1}",
		/* a key that C would cut short */
		"{\"a\\u0000\":1}",
		"{\"a\\u0000b\":1}",
		"{\"\\u0000\":1}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[JSON_WHY_BYTES];

		if (parse(cases[i], strlen(cases[i]), why) != EVH_INVALID)
			fail_msg("accepted: %s", cases[i]);
	}
}

static void
nul_bytes(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = { { "\0", 1 }, { "1\0", 2 }, { "{}\0", 3 }, { "{\"a\":\"b\0\"}", 10 },
		{ "[1\0]", 4 }, { "\0{}", 3 }, { "{\"a\0\":1}", 8 }, { "tru\0", 4 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[JSON_WHY_BYTES];

		if (parse(cases[i].text, cases[i].len, why) != EVH_INVALID)
			fail_msg("accepted: case %zu", i);
	}
}

static void
duplicate_keys(void **state)
{
	static const char *const cases[] = { "{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":1}",
		"{\"a\":1,\"\\u0061\":2}", "{\"\\u0061\":1,\"\\u0061\":2}", "{\"\":1,\"\":2}",
		"[{\"a\":1,\"a\":2}]", "{\"x\":{\"y\":[1,{\"a\":1,\"b\":2,\"a\":3}]}}",
		"{\"a\":{\"b\":1},\"a\":{\"c\":1}}", "{\"\\/\":1,\"/\":2}",
		"{\"\xc3\xa9\":1,\"\\u00e9\":2}", "{\"a\":null,\"a\":null}" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[JSON_WHY_BYTES];

		if (parse(cases[i], strlen(cases[i]), why) != EVH_INVALID)
			fail_msg("accepted: %s", cases[i]);
		assert_non_null(strstr(why, "twice"));
	}
}

static void
expect_why(const char *text, const char *expected)
{
	char why[JSON_WHY_BYTES];

	assert_int_equal(parse(text, strlen(text), why), EVH_INVALID);
	assert_string_equal(why, expected);
}

static void
what_is_wrong_and_where(void **state)
{
	(void)state;
	expect_why("{\"name\":1,\"b\":2,\"name\":3}", "the key \"name\" is there twice");
	expect_why("[1,", "ends in the middle, after 3 bytes");
	expect_why("[1 2]", "unexpected '2' at offset 3");
	expect_why("[\x01]", "unexpected byte 0x01 at offset 1");
	expect_why("\"a\x01\"", "an unescaped control character at offset 2");
	expect_why("\"a\\q\"", "unknown escape at offset 2");
	expect_why("\"a\xff\"", "invalid UTF-8 at offset 2");
	expect_why("  ", "empty");
	expect_why("{} {}", "text after the value at offset 3");
	expect_why("{\"a\\u0000\":1}", "the character U+0000 in a key at offset 3");
}

/* depth brackets with value in the middle. */
static enum evh_rc
nested(int depth, const char *open, const char *value, const char *close, char why[JSON_WHY_BYTES])
{
	struct buf b = BUF_INIT;
	enum evh_rc rc;

	for (int i = 0; i < depth; i++)
		buf_puts(&b, open);
	buf_puts(&b, value);
	for (int i = 0; i < depth; i++)
		buf_puts(&b, close);
	rc = parse(b.data, b.len, why);
	buf_free(&b);
	return rc;
}

static void
depth(void **state)
{
	char why[JSON_WHY_BYTES];

	(void)state;
	assert_int_equal(nested(JSON_DEPTH_MAX, "[", "", "]", why), EVH_OK);
	assert_int_equal(nested(JSON_DEPTH_MAX, "[", "1", "]", why), EVH_OK);
	assert_int_equal(nested(JSON_DEPTH_MAX, "{\"a\":", "\"x\"", "}", why), EVH_OK);
	assert_int_equal(nested(JSON_DEPTH_MAX + 1, "[", "", "]", why), EVH_TOO_LARGE);
	assert_string_equal(why, "nested deeper than 64 levels");
	assert_int_equal(nested(JSON_DEPTH_MAX + 1, "{\"a\":", "1", "}", why), EVH_TOO_LARGE);
	assert_int_equal(nested(10000, "[", "1", "]", why), EVH_TOO_LARGE);
	assert_int_equal(nested(10000, "{\"a\":[", "1", "]}", why), EVH_TOO_LARGE);
	assert_int_equal(nested(1000000, "[", "", "", why), EVH_TOO_LARGE);
}

/* A repeated key in a long text must not cost the square of its length. */
static void
long_text_with_a_repeated_key(void **state)
{
	struct buf b = BUF_INIT;
	char why[JSON_WHY_BYTES];

	(void)state;
	buf_puts(&b, "{");
	for (int i = 0; i < 200000; i++)
		buf_printf(&b, "\"k%d\":0,", i);
	buf_puts(&b, "\"k199999\":1}");
	assert_int_equal(parse(b.data, b.len, why), EVH_INVALID);
	assert_string_equal(why, "an object has the same key twice");
	buf_free(&b);
}

static void
expect_slice(struct json_slice got, const char *expected)
{
	if (expected == NULL) {
		assert_null(got.at);
		assert_int_equal(got.len, 0);
		return;
	}
	assert_non_null(got.at);
	assert_int_equal(got.len, strlen(expected));
	assert_memory_equal(got.at, expected, got.len);
}

static void
expect_member(const char *text, const char *key, const char *expected)
{
	char why[JSON_WHY_BYTES];

	assert_int_equal(parse(text, strlen(text), why), EVH_OK);
	expect_slice(json_member((struct json_slice){ text, strlen(text) }, key), expected);
}

static void
members(void **state)
{
	static const char *const values[] = { "1", "-1.5e+3", "true", "false", "null", "\"\"", "\"x\"",
		"{}", "[]", "[[1,[2,{\"a\":[]}]],{}]", "{\"a\":{\"v\":1},\"b\":[{}]}", "\"{\"", "\"}\"",
		"\"[,]\"", "\"\\\"\"", "\"\\\\\"", "\"\\\\\\\"}\"", "\"a\\\"b:c,d\"",
		"[\"]\",\"}\",\"\\\"\"]", "{\"}\":\"{\",\"\\\"\":\"\\\\\"}", "\"\xc3\xbc\"",
		"\"\\u007d\"", "[ 1 , 2 ]", "{ \"v\" : 2 }" };

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		static const char *const shapes[] = { "{\"v\":%s}", "{\"v\" : %s ,\"z\":1}",
			" {\"a\":[{\"v\":0}],\n\"v\":\t%s\n}\n",
			"{\"w\":\"v\",\"x\":{\"v\":9},\"v\":%s,\"y\":\"v\"}", "{\"\\u0076\":%s}" };

		for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
			struct buf b = BUF_INIT;
			const char *hole = strstr(shapes[k], "%s");

			buf_add(&b, shapes[k], (size_t)(hole - shapes[k]));
			buf_puts(&b, values[i]);
			buf_puts(&b, hole + 2);
			expect_member(b.data, "v", values[i]);
			expect_member(b.data, "none", NULL);
			buf_free(&b);
		}
	}
}

static void
members_by_other_spellings(void **state)
{
	(void)state;
	expect_member("{\"b\\u006fdy\":[1]}", "body", "[1]");
	expect_member("{\"bod\":1,\"bodyx\":2,\"xbody\":3,\"body\":4}", "body", "4");
	expect_member("{\"a\\\"b\":1}", "a\"b", "1");
	expect_member("{\"a\\/b\\n\":1}", "a/b\n", "1");
	expect_member("{\"\\u00e9\":1}", "\xc3\xa9", "1");
	expect_member("{\"\\u20ac\":1}", "\xe2\x82\xac", "1");
	expect_member("{\"\\ud83d\\ude00\":1}", "\xf0\x9f\x98\x80", "1");
	expect_member("{\"\":1}", "", "1");
	expect_member("{}", "a", NULL);
	expect_member("[{\"a\":1}]", "a", NULL);
	expect_member("\"a\"", "a", NULL);
	expect_member("null", "a", NULL);
}

static void
elements(void **state)
{
	static const char text[] = " [ 1,\"a,]\" , [2,[3]],{\"x\":[4,5]},null,\"\\\\\" ]";
	static const char *const expected[] = { "1", "\"a,]\"", "[2,[3]]", "{\"x\":[4,5]}", "null",
		"\"\\\\\"", NULL, NULL };
	struct json_slice all = { text, sizeof(text) - 1 };
	char why[JSON_WHY_BYTES];

	(void)state;
	assert_int_equal(parse(text, strlen(text), why), EVH_OK);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		expect_slice(json_element(all, i), expected[i]);
	expect_slice(json_element(json_element(all, 2), 1), "[3]");
	expect_slice(json_member(json_element(all, 3), "x"), "[4,5]");
	expect_slice(json_element((struct json_slice){ "[]", 2 }, 0), NULL);
	expect_slice(json_element((struct json_slice){ "{\"a\":1}", 7 }, 0), NULL);
	expect_slice(json_element((struct json_slice){ "1", 1 }, 0), NULL);
}

static void
elements_one_after_the_other(void **state)
{
	static const char *const cases[] = { "[]", " [ ] ", "[1]",
		" [ 1,\"a,]\" , [2,[3]],{\"x\":[4,5]},null ] " };
	static const size_t counts[] = { 0, 0, 1, 5 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_slice all = { cases[i], strlen(cases[i]) }, one = { NULL, 0 };
		size_t n = 0;

		while ((one = json_next(all, one)).at != NULL) {
			struct json_slice same = json_element(all, n++);

			assert_ptr_equal(one.at, same.at);
			assert_int_equal(one.len, same.len);
		}
		assert_int_equal(n, counts[i]);
	}
	expect_slice(
		json_next((struct json_slice){ "{\"a\":1}", 7 }, (struct json_slice){ NULL, 0 }), NULL);
}

static void
type_names(void **state)
{
	static const char *const cases[][2] = { { "null", "null" }, { "true", "a boolean" },
		{ "1", "a number" }, { "1.5", "a number" }, { "{}", "an object" }, { "[]", "an array" },
		{ "\"\"", "a string" } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_object *o;
		char why[JSON_WHY_BYTES];

		assert_int_equal(json_parse(cases[i][0], strlen(cases[i][0]), &o, why), EVH_OK);
		assert_string_equal(json_type_name(o), cases[i][1]);
		json_object_put(o);
	}
}

static int
sqlite_takes(sqlite3_stmt *stmt, const char *text, size_t len)
{
	int valid;

	assert_int_equal(sqlite3_bind_text(stmt, 1, text, (int)len, SQLITE_STATIC), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	valid = sqlite3_column_int(stmt, 0);
	assert_int_equal(sqlite3_reset(stmt), SQLITE_OK);
	return valid;
}

/* Whatever passes here must pass the CHECK of event.body: else one publisher
 * could make a transaction fail that holds the events of others. */
static void
what_passes_is_json_to_sqlite(void **state)
{
	static const char *const seeds[] = {
		"{\"a\":[1,-2.5e3,true,null,\"x\\u00e9\\n\"],\"b\":{\"c\":{}}}",
		"[\"\\\"\\\\\",0,-0,0.5,1E9,{\"k\":\"v\"},[[[]]]]", "\"\\ud83d\\ude00\"", "-12.75e-2",
		"false"
	};
	static const char alphabet[] = "{}[]\",:\\/u0159eE+-.tfnabr \n\t\x01\xc3";
	sqlite3_stmt *stmt;
	sqlite3 *db;
	unsigned long random = 1;
	int passed = 0;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT json_valid(?1)", -1, &stmt, NULL), SQLITE_OK);
	for (int i = 0; i < 60000; i++) {
		char text[80], why[JSON_WHY_BYTES];
		const char *seed = seeds[(size_t)i % (sizeof(seeds) / sizeof(seeds[0]))];
		size_t len = strlen(seed);

		memcpy(text, seed, len);
		for (int changes = i % 3; changes >= 0; changes--) {
			random = random * 1103515245 + 12345;
			text[(random >> 16) % len] = alphabet[(random >> 8) % (sizeof(alphabet) - 1)];
		}
		if (parse(text, len, why) != EVH_OK)
			continue;
		passed++;
		if (!sqlite_takes(stmt, text, len))
			fail_msg("SQLite refuses %.*s", (int)len, text);
	}
	assert_true(passed > 1000);
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* json-c 0.16 takes some of these for half a pair, and puts U+FFFD in their place. */
static void
pairs_of_escapes(void **state)
{
	char why[JSON_WHY_BYTES], text[32];

	(void)state;
	for (unsigned code = 0x10000; code <= 0x10ffff; code += 127) {
		const char wanted[] = { (char)(0xf0 | code >> 18), (char)(0x80 | (code >> 12 & 0x3f)),
			(char)(0x80 | (code >> 6 & 0x3f)), (char)(0x80 | (code & 0x3f)), '\\', '0',
			'\0' };
		struct json_object *o = NULL;
		int len = snprintf(text, sizeof(text), "{\"\\u%04X\\u%04x\\\\0\":0}",
			0xd800 + ((code - 0x10000) >> 10), 0xdc00 + (code & 0x3ff));

		assert_int_equal(json_parse(text, (size_t)len, &o, why), EVH_OK);
		if (!json_object_object_get_ex(o, wanted, NULL))
			fail_msg("%s becomes %s", text, json_object_to_json_string(o));
		json_object_put(o);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted),
		cmocka_unit_test(refused),
		cmocka_unit_test(nul_bytes),
		cmocka_unit_test(duplicate_keys),
		cmocka_unit_test(what_is_wrong_and_where),
		cmocka_unit_test(depth),
		cmocka_unit_test(long_text_with_a_repeated_key),
		cmocka_unit_test(pairs_of_escapes),
		cmocka_unit_test(members),
		cmocka_unit_test(members_by_other_spellings),
		cmocka_unit_test(elements),
		cmocka_unit_test(elements_one_after_the_other),
		cmocka_unit_test(type_names),
		cmocka_unit_test(what_passes_is_json_to_sqlite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
