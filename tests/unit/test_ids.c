#include "common/ids.h"
#include "tests/unit/unit.h"

#include <ctype.h>
#include <string.h>

static void
uuid_round_trip(void **state)
{
	uint8_t a[EVH_UUID_BYTES], b[EVH_UUID_BYTES];
	char text[EVH_UUID_TEXT];

	(void)state;
	for (int i = 0; i < 100; i++) {
		evh_uuid_new(a, INT64_C(1764000000123456) + i);
		evh_uuid_format(a, text);
		assert_int_equal(strlen(text), 36);
		assert_memory_equal(text, "019ab697-e87b-7", 15); /* the time, version 7 */
		assert_non_null(strchr("89ab", text[19]));
		assert_true(evh_uuid_parse(text, b));
		assert_memory_equal(a, b, sizeof(a));
	}
	evh_uuid_new(b, INT64_C(1764000000123456) + 99);
	assert_memory_equal(a, b, EVH_UUID_RANDOM_AT);
	assert_memory_not_equal(a, b, sizeof(a));
}

static void
uuid_order_is_that_of_time(void **state)
{
	static const int64_t times[] = { 0, 1, 999, 1000, 1001, INT64_C(1764000000123456),
		INT64_C(1764000000123457), INT64_C(1764000000124000), INT64_C(4102444800000000) };
	uint8_t before[EVH_UUID_BYTES] = { 0 }, id[EVH_UUID_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		evh_uuid_new(id, times[i]);
		assert_true(memcmp(before, id, EVH_UUID_RANDOM_AT) < 0);
		memcpy(before, id, sizeof(id));
	}
}

static void
uuid_either_case_in_lower_case_out(void **state)
{
	uint8_t id[EVH_UUID_BYTES];
	char text[EVH_UUID_TEXT];

	(void)state;
	assert_true(evh_uuid_parse("338A28F7-666E-46E1-8E7D-4FEBA5EDC061", id));
	evh_uuid_format(id, text);
	assert_string_equal(text, "338a28f7-666e-46e1-8e7d-4feba5edc061");
}

static void
uuid_malformed(void **state)
{
	static const char *const cases[] = { "", "x", "338a28f7-666e-46e1-8e7d-4feba5edc06",
		"338a28f7-666e-46e1-8e7d-4feba5edc0611", "338a28f7-666e-46e1-8e7d-4feba5edc06g",
		"338a28f7666e-46e1-8e7d-4feba5edc061-", "338a28f7-666e46e1--8e7d-4feba5edc061",
		"{38a28f7-666e-46e1-8e7d-4feba5edc06}", "338a28f7666e46e18e7d4feba5edc061",
		" 338a28f7-666e-46e1-8e7d-4feba5edc06", "338a28f7-666e-46e1-8e7d-4feba5edc06 ",
		"338a28f7_666e_46e1_8e7d_4feba5edc061", "+38a28f7-666e-46e1-8e7d-4feba5edc061",
		"0x8a28f7-666e-46e1-8e7d-4feba5edc061", "338a28f7-666e-46e1-8e7d-4feba5edc0\xc3\xbc" };
	uint8_t id[EVH_UUID_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (evh_uuid_parse(cases[i], id))
			fail_msg("accepted: \"%s\"", cases[i]);
}

static void
id_format(void **state)
{
	char id[EVH_ID_TEXT];

	(void)state;
	assert_int_equal(evh_id_format(id, "5f0c2a91", 118, 0), 12);
	assert_string_equal(id, "5f0c2a91-118");
	assert_int_equal(evh_id_format(id, "5f0c2a91", 118, 3), 14);
	assert_string_equal(id, "5f0c2a91-118.3");
	assert_int_equal(evh_id_format(id, "ffffffffffffffff", UINT64_MAX, UINT64_MAX), EVH_ID_TEXT - 1);
	assert_string_equal(id, "ffffffffffffffff-18446744073709551615.18446744073709551615");
}

static void
id_parse(void **state)
{
	static const struct {
		const char *text, *epoch;
		uint64_t seq;
	} cases[] = {
		{ "5f0c2a91-118", "5f0c2a91", 118 },
		{ "5f0c2a91-118.7", "5f0c2a91", 118 },
		{ "0-0", "0", 0 },
		{ "a-1.0", "a", 1 },
		{ "0123456789abcdef-1", "0123456789abcdef", 1 },
		{ "a-9223372036854775807", "a", INT64_MAX },
		{ "a-1.18446744073709551615", "a", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char epoch[EVH_EPOCH_TEXT] = "";
		uint64_t seq = 99;

		assert_true(evh_id_parse(cases[i].text, epoch, &seq));
		assert_string_equal(epoch, cases[i].epoch);
		assert_true(seq == cases[i].seq);
	}
}

static void
id_malformed(void **state)
{
	static const char *const cases[] = { "", "-", "a", "a-", "-1", "a-x", "a-1x", "a-1.", "a-1.x",
		"a-1.2.3", "a-1.2x", "a--1", "a-+1", "a- 1", " a-1", "a-1 ", "A-1", "g-1", "5F0C-1",
		"0123456789abcdef0-1", "a-9223372036854775808", "a-18446744073709551616",
		"a-99999999999999999999999", "a-1.18446744073709551616", "a-1\n", "a_1", "a-0x1" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char epoch[EVH_EPOCH_TEXT] = "kept";
		uint64_t seq = 99;

		if (evh_id_parse(cases[i], epoch, &seq))
			fail_msg("accepted: \"%s\"", cases[i]);
		assert_string_equal(epoch, "kept");
		assert_true(seq == 99);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(uuid_round_trip),
		cmocka_unit_test(uuid_order_is_that_of_time),
		cmocka_unit_test(uuid_either_case_in_lower_case_out),
		cmocka_unit_test(uuid_malformed),
		cmocka_unit_test(id_format),
		cmocka_unit_test(id_parse),
		cmocka_unit_test(id_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
