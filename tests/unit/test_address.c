/* Addresses: what counts as one, and who is trusted. */

#include "common/address.h"
#include "tests/unit/unit.h"

#include <string.h>

static void
test_addresses(void **state)
{
	static char four[] = "192.0.2.0/24", mapped[] = "::ffff:198.51.100.0/120",
		    six[] = "2001:db8::/33";
	static char *items[] = { four, mapped, six };
	struct conf_list list = { items, 3 }, usual = { NULL, 0 };
	uint8_t a[16], b[16];

	(void)state;
	assert_true(address_is_trusted("127.8.9.1", &usual) && address_is_trusted("::1", &usual));
	assert_true(
		address_is_trusted("::ffff:127.0.0.1", &usual) && address_is_trusted("unix", &usual));
	assert_false(address_is_trusted("128.0.0.1", &usual) || address_is_trusted("", &usual));
	assert_true(address_is_trusted("192.0.2.255", &list));
	assert_true(address_is_trusted("198.51.100.7", &list));
	assert_true(address_is_trusted("2001:db8:7fff::1", &list));
	assert_false(address_is_trusted("2001:db8:8000::1", &list));
	assert_false(address_is_trusted("127.0.0.1", &list) || address_is_trusted("unix", &list));
	assert_true(address_valid_network("unix") && address_valid_network("::/0"));
	assert_false(address_valid_network("10.0.0.0/33") || address_valid_network("10.0.0.0/+8"));
	assert_false(address_valid_network("::/129") || address_valid_network("unix/1"));
	/* the zone of a link-local address is no part of it */
	assert_true(address_key("fe80::1%eth0", a) && address_key("fe80::2", b));
	assert_memory_equal(a, b, sizeof(a));
	assert_false(address_key("fe80::1%", a) || address_key("fe80::1%a/b", a) ||
		address_key("2001:db8::1%eth0", a));
	assert_true(address_key("2001:db8::1", a) && address_key("2001:db8::ffff:1:1", b));
	assert_memory_equal(a, b, 16);
	assert_true(address_key("192.0.2.1", a) && address_key("::ffff:192.0.2.1", b));
	assert_memory_equal(a, b, 16);
	assert_true(address_key("192.0.2.2", b));
	assert_memory_not_equal(a, b, 16);
	assert_false(address_key("unix", a) || address_key("unknown", a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
