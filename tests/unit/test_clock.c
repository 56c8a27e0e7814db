#include "common/clock.h"
#include "tests/unit/unit.h"

#include <string.h>
#include <time.h>

static void
format(void **state)
{
	static const struct {
		int64_t us;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000000Z" },
		{ 1, "1970-01-01T00:00:00.000001Z" },
		{ 999999, "1970-01-01T00:00:00.999999Z" },
		{ 1000000, "1970-01-01T00:00:01.000000Z" },
		{ INT64_C(1795466531123456), "2026-11-23T20:42:11.123456Z" },
		{ INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z" },
		{ INT64_C(2147483648000000), "2038-01-19T03:14:08.000000Z" },
		{ INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z" },
		{ -1, "1969-12-31T23:59:59.999999Z" },
		{ -1000000, "1969-12-31T23:59:59.000000Z" },
	};
	char text[CLOCK_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		clock_format(cases[i].us, text);
		assert_string_equal(text, cases[i].text);
	}
}

/* What no calendar holds still has the form that clients parse. */
static void
always_the_same_form(void **state)
{
	static const int64_t cases[] = { INT64_MAX, INT64_MIN, INT64_C(253402300800000000) };
	char text[CLOCK_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		clock_format(cases[i], text);
		assert_int_equal(strlen(text), CLOCK_TEXT_BYTES - 1);
		assert_int_equal(text[10], 'T');
		assert_int_equal(text[19], '.');
		assert_int_equal(text[26], 'Z');
	}
}

static void
parse(void **state)
{
	static const struct {
		const char *text;
		int64_t us;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-23T20:42:11.123456Z", INT64_C(1795466531123456) },
		{ "2026-11-23T20:42:11.5Z", INT64_C(1795466531500000) },
		{ "2026-11-23T20:42:11.123456789Z", INT64_C(1795466531123456) },
		{ "2000-02-29T23:59:59.000Z", INT64_C(951868799000000) },
	};
	static const char *const bad[] = { "", "Z", "2026-11-23", "2026-11-23T20:42:11",
		"2026-11-23 20:42:11Z", "2026-11-23T20:42:11.Z", "2026-11-23T20:42:11.1234567890Z",
		"2026-11-23T20:42:11.1Zx", "2026-13-23T20:42:11.1Z", "2026-1-2T3:4:5Z" };
	int64_t us;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(clock_parse(good[i].text, &us));
		assert_int_equal(us, good[i].us);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(clock_parse(bad[i], &us));
}

static void
clocks(void **state)
{
	int64_t before = (int64_t)time(NULL) * 1000000, now = clock_now_us(), mono = clock_mono_us();

	(void)state;
	assert_true(now >= before && now < before + 60 * INT64_C(1000000));
	for (int i = 0; i < 1000; i++) {
		int64_t next = clock_mono_us();

		assert_true(next >= mono);
		mono = next;
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(format),
		cmocka_unit_test(always_the_same_form),
		cmocka_unit_test(parse),
		cmocka_unit_test(clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
