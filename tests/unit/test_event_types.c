#include "common/event_types.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIXTY_FOUR "a234567890123456789012345678901234567890123456789012345678901234"

static void
normalise(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
	} cases[] = {
		{ "pdfm", "pdfm" },
		{ "PDFM", "pdfm" },
		{ " \t\r\n System_Logs \n", "system_logs" },
		{ "9lives", "9lives" },
		{ "a.b-c_d", "a.b-c_d" },
		{ SIXTY_FOUR, SIXTY_FOUR },
		{ SIXTY_FOUR "5", NULL },
		{ "", NULL },
		{ "   ", NULL },
		{ "_a", NULL },
		{ ".a", NULL },
		{ "-a", NULL },
		{ "a b", NULL },
		{ "a,b", NULL },
		{ "a*", NULL },
		{ "a/b", NULL },
		{ "a\x01", NULL },
		{ "gr\xc3\xbcn", NULL },
		{ "\xe2\x84\xaa", NULL }, /* the Kelvin sign is no k */
		{ "a'; DROP TABLE event", NULL },
	};
	char out[EVENT_TYPE_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum evh_rc rc = event_type_normalise(cases[i].in, strlen(cases[i].in), out);

		if (rc != (cases[i].out != NULL ? EVH_OK : EVH_INVALID))
			fail_msg("\"%s\": %s", cases[i].in, evh_rc_name(rc));
		if (cases[i].out != NULL)
			assert_string_equal(out, cases[i].out);
	}
	assert_int_equal(event_type_normalise("a\0b", 3, out), EVH_INVALID);
	assert_int_equal(event_type_normalise("abcdef", 3, out), EVH_OK);
	assert_string_equal(out, "abc");
}

static void
list(void **state)
{
	struct event_types l = EVENT_TYPES_INIT;
	char bad[EVENT_TYPE_MAX + 1] = "";

	(void)state;
	assert_int_equal(event_types_parse(&l, " Health,pdfm ,, health,\tPDFM, stats,", bad), EVH_OK);
	assert_int_equal(l.count, 3);
	assert_string_equal(l.names[0], "health");
	assert_string_equal(l.names[1], "pdfm");
	assert_string_equal(l.names[2], "stats");
	assert_true(event_types_contains(&l, "stats"));
	assert_false(event_types_contains(&l, "stat"));
	assert_false(event_types_contains(&l, ""));
	event_types_free(&l);
	assert_int_equal(l.count, 0);
	assert_null(l.names);
	event_types_free(&l);
}

static void
empty_lists(void **state)
{
	static const char *const cases[] = { "", ",", " , ,\t,", "   " };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct event_types l = EVENT_TYPES_INIT;

		assert_int_equal(event_types_parse(&l, cases[i], NULL), EVH_OK);
		assert_int_equal(l.count, 0);
		event_types_free(&l);
	}
}

static void
the_bad_item_is_named(void **state)
{
	struct event_types l = EVENT_TYPES_INIT;
	char bad[EVENT_TYPE_MAX + 1] = "";

	(void)state;
	assert_int_equal(event_types_parse(&l, "pdfm,no good,stats", bad), EVH_INVALID);
	assert_string_equal(bad, "no good");
	assert_int_equal(event_types_parse(&l, "x," SIXTY_FOUR "567", bad), EVH_INVALID);
	assert_string_equal(bad, SIXTY_FOUR);
	assert_int_equal(event_types_parse(&l, "no good", NULL), EVH_INVALID);
	event_types_free(&l);
}

/* A list of count items, the n-th of which is t<n modulo distinct>. */
static char *
long_list(int count, int distinct)
{
	struct buf b = BUF_INIT;

	for (int i = 0; i < count; i++)
		buf_printf(&b, "%st%d", i > 0 ? "," : "", i % distinct);
	return buf_take(&b);
}

static void
ten_thousand_items(void **state)
{
	struct event_types l = EVENT_TYPES_INIT;
	char *same = long_list(10000, 100), *distinct = long_list(10000, 10000);
	char *most = long_list(EVENT_TYPES_MAX, EVENT_TYPES_MAX);

	(void)state;
	assert_int_equal(event_types_parse(&l, same, NULL), EVH_OK);
	assert_int_equal(l.count, 100);
	event_types_free(&l);
	assert_int_equal(event_types_parse(&l, distinct, NULL), EVH_TOO_LARGE);
	assert_int_equal(l.count, EVENT_TYPES_MAX);
	event_types_free(&l);
	assert_int_equal(event_types_parse(&l, most, NULL), EVH_OK);
	assert_int_equal(l.count, EVENT_TYPES_MAX);
	assert_int_equal(event_types_add(&l, "t0"), EVH_OK);
	assert_int_equal(event_types_add(&l, "another"), EVH_TOO_LARGE);
	event_types_free(&l);
	free(same);
	free(distinct);
	free(most);
}

static void
patterns(void **state)
{
	static const struct {
		const char *patterns, *name;
		bool allowed;
	} cases[] = {
		{ NULL, "anything", true },
		{ "", "pdfm", false },
		{ "   ", "pdfm", false },
		{ "pdfm", "pdfm", true },
		{ "pdfm", "pdfm2", false },
		{ "pdfm", "pdf", false },
		{ "a b pdfm", "pdfm", true },
		{ "  a   pdfm  ", "pdfm", true },
		{ "apdfm", "pdfm", false },
		{ "*", "pdfm", true },
		{ "x *", "pdfm", true },
		{ "vm.*", "vm.started", true },
		{ "vm.*", "vm.a.b", true },
		{ "vm.*", "vm.", true },
		{ "vm.*", "vm", false },
		{ "vm.*", "vmx", false },
		{ "vm.*", "vm2.started", false },
		{ "vm*", "vmx", false }, /* only after a dot */
		{ "*.vm", "a.vm", false },
		{ "a*b", "aXb", false },
		{ "vm.* stats", "stats", true },
		{ "vm.* stats", "statsx", false },
		{ "global", "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (event_type_allowed(cases[i].patterns, cases[i].name) != cases[i].allowed)
			fail_msg("\"%s\" against \"%s\"", cases[i].name, cases[i].patterns);
}

static void
knows_patterns(void **state)
{
	static const char *const good[] = { "", " ", "a", "*", "a.*", "a b.* *", " a  b ", "0.a-b_c",
		"a.b.*" };
	static const char *const bad[] = { "a*", "**", "*.a", ".*", "_a", ".a", "-a", "A", "a,b",
		"a.*.b", "a.**", "a\tb", "\xc3\xa4", "a b* c" };
	char text[80];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(event_patterns_valid(good[i], 3));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(event_patterns_valid(bad[i], 3));
	assert_false(event_patterns_valid("a b c d", 3));
	memset(text, 'a', sizeof(text));
	text[64] = '\0';
	assert_true(event_patterns_valid(text, 1));
	text[64] = 'a';
	text[65] = '\0';
	assert_false(event_patterns_valid(text, 1));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(normalise),
		cmocka_unit_test(list),
		cmocka_unit_test(empty_lists),
		cmocka_unit_test(the_bad_item_is_named),
		cmocka_unit_test(ten_thousand_items),
		cmocka_unit_test(patterns),
		cmocka_unit_test(knows_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
