/* The list of subprotocols, and the handshake that is written anew for it. */

#include "tests/unit/unit.h"
#include "wsd/rehandshake.h"
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

static void
knows_what_the_library_cannot_take(void **state)
{
	char list[200];

	(void)state;
	assert_false(rehandshake_needed(NULL));
	assert_false(rehandshake_needed(""));
	assert_false(rehandshake_needed("evhub.v1, bearer.0123456789abcdef"));
	memset(list, 'x', sizeof(list));
	list[63] = '\0';
	assert_false(rehandshake_needed(list)); /* a name of 63 bytes */
	list[63] = 'x';
	list[64] = '\0';
	assert_true(rehandshake_needed(list));
	memcpy(list, "evhub.v1,", 9);
	list[64] = 'x';
	list[126] = '\0';
	assert_false(rehandshake_needed(list)); /* a list of 126, our name in front of the long one */
	list[126] = 'x';
	list[127] = '\0';
	assert_true(rehandshake_needed(list));
}

static void
writes_a_request_that_means_the_same(void **state)
{
	struct server_request r = { .method = "GET",
		.path = "/api/v1/ws/sub scribe",
		.args = { "event_types=a,b=c&d", "flag", "=", "x=%\xc3\xa9+" },
		.arg_count = 4,
		.authorization = "Basic dTpw",
		.origin = "https://app.example",
		.host = "hub.example:8443",
		.protocols = "evhub.v1, bearer.secret" };
	struct buf out = BUF_INIT;

	(void)state;
	rehandshake_write(&out, &r, "dGhlIHNhbXBsZSBub25jZQ==");
	assert_false(out.failed);
	assert_string_equal(out.data,
		"GET /api/v1/ws/sub%20scribe?event_types=a%2Cb%3Dc%26d&flag&=&x=%25%C3%A9%2B HTTP/1.1\r\n"
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Protocol: evhub.v1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		"Host: hub.example:8443\r\nAuthorization: Basic dTpw\r\nOrigin: https://app.example\r\n\r\n");
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_our_name),
		cmocka_unit_test(finds_the_token),
		cmocka_unit_test(knows_what_the_library_cannot_take),
		cmocka_unit_test(writes_a_request_that_means_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
