/* limiter and guard: how often one address may try. */

#include "common/guard.h"
#include "common/limiter.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#define SECOND INT64_C(1000000)

static void
name(uint8_t key[LIMITER_KEY_BYTES], uint32_t n)
{
	memset(key, 0, LIMITER_KEY_BYTES);
	memcpy(key, &n, sizeof(n));
	key[15] = 1;
}

static void
test_so_many_at_once_and_as_many_again(void **state)
{
	struct limiter_rate rate = { 5, 10 * SECOND };
	struct limiter *l;
	uint8_t key[LIMITER_KEY_BYTES], other[LIMITER_KEY_BYTES];
	int64_t now = 1000;

	(void)state;
	name(key, 1);
	name(other, 2);
	assert_int_equal(limiter_new(&l, 64, 7), EVH_OK);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(limiter_wait(l, key, rate, now), 0);
		limiter_count(l, key, rate, now);
	}
	assert_int_equal(limiter_wait(l, key, rate, now), 2 * SECOND);
	assert_int_equal(limiter_wait(l, other, rate, now), 0);
	assert_int_equal(limiter_wait(l, key, rate, now + SECOND), SECOND);
	assert_int_equal(limiter_wait(l, key, rate, now + 2 * SECOND), 0);
	limiter_count(l, key, rate, now + 2 * SECOND);
	assert_int_equal(limiter_wait(l, key, rate, now + 2 * SECOND), 2 * SECOND);
	/* however many more are counted, nobody owes more than a period */
	for (int i = 0; i < 1000; i++)
		limiter_count(l, key, rate, now + 2 * SECOND);
	assert_int_equal(limiter_wait(l, key, rate, now + 2 * SECOND), 2 * SECOND);
	assert_int_equal(limiter_wait(l, key, rate, now + 12 * SECOND), 0);
	limiter_free(&l);
	assert_null(l);
}

static void
test_a_flood_of_addresses(void **state)
{
	struct limiter_rate rate = { 1, 10 * SECOND };
	struct limiter *l;
	uint8_t key[LIMITER_KEY_BYTES];
	int held = 0;

	(void)state;
	assert_int_equal(limiter_new(&l, 64, 7), EVH_OK);
	for (uint32_t i = 0; i < 100000; i++) {
		name(key, i);
		assert_int_equal(limiter_wait(l, key, rate, i), 0); /* never for another's doing */
		limiter_count(l, key, rate, i);
		assert_true(limiter_wait(l, key, rate, i) > 0);
	}
	for (uint32_t i = 0; i < 100000; i++) {
		name(key, i);
		held += limiter_wait(l, key, rate, 100000) > 0;
	}
	assert_int_equal(held, 64);
	limiter_free(&l);
}

static void
test_changes_of_clock_and_rate(void **state)
{
	struct limiter_rate slow = { 1, 3600 * SECOND }, fast = { 10, SECOND };
	struct limiter *l;
	uint8_t key[LIMITER_KEY_BYTES];

	(void)state;
	name(key, 1);
	assert_int_equal(limiter_new(&l, 1, 0), EVH_OK);
	limiter_count(l, key, slow, 5000 * SECOND);
	assert_true(limiter_wait(l, key, fast, 5000 * SECOND) <= SECOND / 10);
	limiter_count(l, key, fast, 10 * SECOND);
	assert_true(limiter_wait(l, key, fast, 10 * SECOND) <= SECOND / 10);
	assert_int_equal(limiter_wait(l, key, fast, 12 * SECOND), 0);
	limiter_free(&l);
}

static struct conf
settings(void)
{
	struct conf c;
	char why[CONF_WHY_BYTES];

	assert_int_equal(conf_init(&c), EVH_OK);
	assert_int_equal(conf_override(&c, "max_auth_failures=2", why), EVH_OK);
	assert_int_equal(conf_override(&c, "auth_failure_period=10", why), EVH_OK);
	assert_int_equal(conf_override(&c, "max_handshakes_per_second=3", why), EVH_OK);
	return c;
}

static void
failed_try(struct guard *g, const struct conf *c, const char *address, int code, const char *word)
{
	struct api_error e = API_ERROR_INIT;

	api_error_fail(&e, code, word, "authorization", "no");
	guard_refused(g, c, address, 0, &e);
	api_error_free(&e);
}

/* The status and Retry-After of a try at that moment; 0: allowed. */
static int
try(const struct guard *g, const struct conf *c, const char *address, int64_t now)
{
	struct api_error e = API_ERROR_INIT;
	int result = 0;

	if (!guard_may_try(g, c, address, now, &e)) {
		assert_int_equal(e.code, 429);
		assert_string_equal(e.error, "too_many_auth_failures");
		result = api_error_retry_after(&e);
		assert_true(result > 0);
	}
	api_error_free(&e);
	return result;
}

static void
test_failures(void **state)
{
	struct conf c = settings();
	struct guard *g;

	(void)state;
	assert_int_equal(guard_new(&g), EVH_OK);
	for (int i = 0; i < 20; i++) {
		failed_try(g, &c, "192.0.2.1", 401, "missing_credential"); /* no attempt */
		failed_try(g, &c, "192.0.2.1", 403, "missing_scope");
		failed_try(g, &c, "127.0.0.1", 401, "invalid_credential"); /* trusted */
		failed_try(g, &c, "unix", 401, "invalid_credential");
		failed_try(g, &c, "garbage", 401, "invalid_credential");
	}
	assert_int_equal(try(g, &c, "192.0.2.1", 0), 0);
	assert_int_equal(try(g, &c, "127.0.0.1", 0), 0);
	assert_int_equal(try(g, &c, "unix", 0), 0);
	failed_try(g, &c, "192.0.2.1", 401, "invalid_credential");
	assert_int_equal(try(g, &c, "192.0.2.1", 0), 0);
	failed_try(g, &c, "::ffff:192.0.2.1", 401, "invalid_ticket"); /* the same address */
	assert_int_equal(try(g, &c, "192.0.2.1", 0), 5);
	assert_int_equal(try(g, &c, "192.0.2.1", 4500000), 1);
	assert_int_equal(try(g, &c, "192.0.2.1", 5000000), 0);
	assert_int_equal(try(g, &c, "192.0.2.2", 0), 0);
	for (int i = 0; i < 2; i++) /* one customer's network */
		failed_try(g, &c, i == 0 ? "2001:db8:1:2::1" : "2001:db8:1:2:ffff::9", 401,
			"invalid_credential");
	assert_int_equal(try(g, &c, "2001:db8:1:2::77", 0), 5);
	assert_int_equal(try(g, &c, "2001:db8:1:3::77", 0), 0);
	c.max_auth_failures = 0;
	assert_int_equal(try(g, &c, "192.0.2.1", 0), 0);
	guard_free(&g);
	conf_free(&c);
}

static void
test_handshakes(void **state)
{
	struct conf c = settings();
	struct api_error e = API_ERROR_INIT;
	struct guard *g;

	(void)state;
	assert_int_equal(guard_new(&g), EVH_OK);
	for (int i = 0; i < 3; i++)
		assert_true(guard_handshake(g, &c, "192.0.2.1", 0, &e));
	assert_false(guard_handshake(g, &c, "192.0.2.1", 0, &e));
	assert_int_equal(e.code, 429);
	assert_string_equal(e.error, "too_many_handshakes");
	assert_int_equal(api_error_retry_after(&e), 1);
	api_error_free(&e);
	assert_true(guard_handshake(g, &c, "192.0.2.1", 333334, &e));
	for (int i = 0; i < 1000; i++)
		assert_true(guard_handshake(g, &c, "127.0.0.1", 0, &e));
	c.max_handshakes_per_second = 0;
	for (int i = 0; i < 1000; i++)
		assert_true(guard_handshake(g, &c, "192.0.2.1", 0, &e));
	guard_free(&g);
	conf_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_so_many_at_once_and_as_many_again),
		cmocka_unit_test(test_a_flood_of_addresses),
		cmocka_unit_test(test_changes_of_clock_and_rate),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_handshakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
