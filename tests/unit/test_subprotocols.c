/* The list of subprotocols. */

#include "tests/unit/unit.h"
#include "wsd/subprotocols.h"

#include <string.h>

static void
finds_our_name(void **state)
{
	static const char *const with[] = { "evhub.v1", "evhub.v1,x", "x,evhub.v1", " x ,\tevhub.v1 ",
		",,evhub.v1,," };
	static const char *const without[] = { "", ",", "evhub", "evhub.v", "evhub.v12", "EVHUB.V1",
		"x.evhub.v1", "evhub.v1.x", "bearer.evhub.v1" };

	(void)state;
	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++)
		assert_true(subprotocols_have_ours(with[i]));
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++)
		assert_false(subprotocols_have_ours(without[i]));
}

static void
finds_the_token(void **state)
{
	const char *token = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(subprotocols_token("evhub.v1", &token, &len), 0);
	assert_int_equal(subprotocols_token("evhub.v1, Bearer.abc, bearer", &token, &len), 0);
	assert_int_equal(subprotocols_token("evhub.v1, bearer.a.b-c", &token, &len), 1);
	assert_int_equal(len, 5);
	assert_memory_equal(token, "a.b-c", 5);
	assert_int_equal(subprotocols_token("bearer., evhub.v1", &token, &len), 1);
	assert_int_equal(len, 0);
	assert_int_equal(subprotocols_token("bearer.first,bearer.second,bearer.third", &token, &len), 3);
	assert_int_equal(len, 5);
	assert_memory_equal(token, "first", 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_our_name),
		cmocka_unit_test(finds_the_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
