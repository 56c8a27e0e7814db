/* How many there are of each address. */

#include "tests/unit/unit.h"
#include "wsd/headcount.h"

static void
counts_each_address(void **state)
{
	static const uint8_t a[HEADCOUNT_KEY_BYTES] = { 1 }, b[HEADCOUNT_KEY_BYTES] = { 1, 0, 1 };
	struct headcount *all = NULL, *first, *second, *other;

	(void)state;
	first = headcount_enter(&all, a, 2);
	second = headcount_enter(&all, a, 2);
	assert_non_null(first);
	assert_non_null(second);
	assert_null(headcount_enter(&all, a, 2));
	other = headcount_enter(&all, b, 1);
	assert_non_null(other);
	assert_null(headcount_enter(&all, b, 1));
	headcount_leave(&all, first);
	first = headcount_enter(&all, a, 2);
	assert_non_null(first);
	assert_null(headcount_enter(&all, a, 1)); /* the limit has become a smaller one */
	headcount_leave(&all, other);
	headcount_leave(&all, second);
	headcount_leave(&all, first);
	assert_null(all);
	assert_null(headcount_enter(&all, a, 0));
	headcount_leave(&all, NULL);
	assert_null(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_each_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
