/* What is read from the head of a request, and what the library gets instead. */

#include "tests/unit/unit.h"
#include "wsd/handover.h"
#include "wsd/http_request.h"

#include <stdlib.h>
#include <string.h>

#define LINE "GET /api/v1/ws/subscribe HTTP/1.1\r\nHost: hub\r\n"
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"

static struct buf text = BUF_INIT;
static struct http_request r;

/* As the gate does: a head is read if it is good, and alone. */
static void
read_head(const char *head)
{
	struct api_error e = API_ERROR_INIT;
	struct http_head_seen seen = { 0, false, 0 };
	size_t len = strlen(head);
	char *exact = malloc(len);

	assert_non_null(exact);
	memcpy(exact, head, len);
	assert_int_equal(http_head_check(exact, len, 8192, &seen, &e), HTTP_HEAD_GOOD);
	assert_int_equal(seen.len, len);
	assert_true(http_request_read(&r, &text, exact, len));
	free(exact);
}

static const char *
arg(const char *name)
{
	bool twice = false;
	const char *value = http_request_arg(&r, name, &twice);

	assert_false(twice);
	return value;
}

static void
the_request_line(void **state)
{
	bool twice = false;

	(void)state;
	read_head("GET /a%20b/c+d?x=1+2%2B3&flag&=&&y%3Dz=%c3%a9=;e= HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_string_equal(r.method, "GET");
	assert_string_equal(r.path, "/a b/c+d");
	assert_int_equal(r.arg_count, 4);
	assert_string_equal(arg("x"), "1 2+3");
	assert_string_equal(arg("flag"), "");
	assert_string_equal(arg("y=z"), "\xc3\xa9=");
	assert_string_equal(arg("e"), "");
	assert_null(arg("y"));
	assert_null(arg("X"));
	read_head("OPTIONS /? HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_string_equal(r.method, "OPTIONS");
	assert_int_equal(r.arg_count, 0);
	read_head("GET /?a=1&b=2&a=3 HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_string_equal(http_request_arg(&r, "b", &twice), "2");
	assert_false(twice);
	assert_string_equal(http_request_arg(&r, "a", &twice), "3");
	assert_true(twice);
}

/* As many parts as there may be, each a name alone: the most that can come of a head. */
static void
a_query_of_names(void **state)
{
	(void)state;
	read_head("GET /?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q&r&s&t&u&v&w&x&y&z&0&1&2&3&4&5 HTTP/1.1\r\n"
		  "Host:h\r\n\r\n");
	assert_int_equal(r.arg_count, HTTP_HEAD_ARGS_MAX);
	assert_string_equal(arg("5"), "");
	assert_string_equal(r.host, "h");
}

static void
headers(void **state)
{
	(void)state;
	read_head(LINE "authorization:Bearer x y\t \r\nX-API-KEY: \t k\r\nOrigin: https://a\r\n"
		       "User-Agent: a b\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\n"
		       "X-Forwarded-For:\r\nX-Forwarded-Forx: no\r\n\r\n");
	assert_string_equal(r.authorization, "Bearer x y");
	assert_string_equal(r.api_key, "k");
	assert_string_equal(r.origin, "https://a");
	assert_string_equal(r.host, "hub");
	assert_string_equal(r.user_agent, "a b");
	assert_string_equal(r.forwarded_proto, "https");
	assert_string_equal(r.forwarded_host, "a");
	assert_null(r.forwarded_for); /* empty is as good as none */
	assert_null(r.protocols);
	assert_false(r.upgrade);
	assert_null(r.bad);
}

/* RFC 9110 section 5.3 */
static void
lists_on_some_lines(void **state)
{
	(void)state;
	read_head(LINE "X-Forwarded-For: 1.1.1.1\r\nSec-WebSocket-Protocol: a\r\n"
		       "x-forwarded-for: 2.2.2.2, 3.3.3.3 \r\nOrigin: https://a\r\n"
		       "sec-websocket-protocol: bearer.b\r\nX-Forwarded-For: 4.4.4.4\r\n\r\n");
	assert_string_equal(r.forwarded_for, "1.1.1.1,2.2.2.2, 3.3.3.3,4.4.4.4");
	assert_string_equal(r.protocols, "a,bearer.b");
	assert_string_equal(r.origin, "https://a");
}

static void
upgrades(void **state)
{
	static const struct {
		const char *head, *bad;
	} cases[] = {
		{ LINE UPGRADE "Sec-WebSocket-Key: " KEY "\r\n\r\n", NULL },
		{ LINE "Upgrade: WebSocket\r\nConnection: keep-alive,\tUPGRADE\r\n"
		       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
			NULL },
		{ LINE "Upgrade: websocket\r\nConnection: close\r\nConnection: upgrade\r\n"
		       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
			NULL },
		{ LINE "Upgrade: websocket\r\nConnection: upgraded\r\n"
		       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
			"Connection" },
		{ LINE "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY
		       "\r\n\r\n",
			"Connection" },
		{ LINE UPGRADE "\r\n", "Sec-WebSocket-Key" },
		{ LINE UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n\r\n",
			"Sec-WebSocket-Key" },
		{ LINE UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j=Q==\r\n\r\n",
			"Sec-WebSocket-Key" },
		{ LINE "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
		       "Sec-WebSocket-Key: " KEY "\r\n\r\n",
			"Sec-WebSocket-Version" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		read_head(cases[i].head);
		assert_int_equal(r.upgrade, cases[i].bad == NULL);
		if (cases[i].bad == NULL)
			assert_null(r.bad);
		else if (r.bad == NULL || strstr(r.bad, cases[i].bad) == NULL)
			fail_msg("%zu: %s", i, r.bad);
	}
	read_head(LINE "Upgrade: h2c\r\n\r\n");
	assert_false(r.upgrade);
	assert_null(r.bad);
}

static void
hands_over(void **state)
{
	struct buf out = BUF_INIT;

	(void)state;
	read_head(LINE UPGRADE "Sec-WebSocket-Key: " KEY "\r\nAuthorization: Bearer secret\r\n"
			       "Sec-WebSocket-Protocol: x, evhub.v1, bearer.secret\r\n\r\n");
	handover_write(&out, &r);
	assert_string_equal(out.data,
		"GET / HTTP/1.1\r\nHost: evhub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY
		"\r\nSec-WebSocket-Protocol: evhub.v1\r\n\r\n");
	buf_clear(&out);
	read_head(LINE UPGRADE "Sec-WebSocket-Key: " KEY "\r\n\r\n");
	handover_write(&out, &r);
	assert_null(strstr(out.data, "Protocol"));
	buf_free(&out);
}

/* So many times the same byte. */
#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define ACCEPT10                                                            \
	"Accept: a\r\nAccept: a\r\nAccept: a\r\nAccept: a\r\nAccept: a\r\n" \
	"Accept: a\r\nAccept: a\r\nAccept: a\r\nAccept: a\r\nAccept: a\r\n"
#define ACCEPT80 ACCEPT10 ACCEPT10 ACCEPT10 ACCEPT10 ACCEPT10 ACCEPT10 ACCEPT10 ACCEPT10

/* Lines behind the request line, and whether the library reads them as we do. */
static void
knows_what_the_library_cannot_take(void **state)
{
	static const struct {
		const char *lines;
		bool good;
	} cases[] = {
		{ "Host: x\r\nConnection: Upgrade\r\n", true },
		{ "Host:\r\n", false },
		{ "Host: x \r\n", false },
		{ "Host:\tx\r\n", false },
		{ "Host:  x\r\nZ-A: 1 \r\nZ-B:\t2\r\nAccept: a \r\nAccept:\tb\r\n", true },
		{ "Host: x\r\nAcce: b\r\n", false }, /* the beginning of Accept */
		{ "Host: x\r\nX: b\r\n", false },    /* of X-Auth-Token */
		{ "Host: x\r\nAccept-C: b\r\nGET: c\r\n", false },
		{ "Host: x\r\nPutter: b\r\n", false },
		{ "Host: x\r\nConnection: keep-alive, UPGRADE, a=\r\n", true },
		{ "Host: x\r\nConnection: a=, upgrade\r\n", false },
		{ "Host: x\r\nConnection: upgrade a\r\n", false },
		{ "Host: x\r\nConnection: upgrade\t, a=\r\n", true },
		{ "Host: x\r\nConnection: a\r\nConnection:\r\nConnection: Upgrade\r\n", false },
		{ "Host: x\r\nConnection: " X50 X50 X10 "xxxxxxxx,Upgrade\r\n", true }, /* 126 */
		{ "Host: x\r\nConnection: " X50 X50 X10 "xxxxxxxxx,Upgrade\r\n", false },
		{ "Host: x\r\nConnection: " X50 X50 X10 "xxxxxx\r\nConnection: Upgrade\r\n", true },
		{ "Host: x\r\nConnection: " X50 X50 X10 "xxxxxxx\r\nConnection: Upgrade\r\n", false },
		{ "Host: x\r\nSec-WebSocket-Protocol: evhub.v1, bearer.0123456789abcdef\r\n", true },
		{ "Host: x\r\nSec-WebSocket-Protocol:\r\n", true },
		{ "Host: x\r\nSec-WebSocket-Protocol: evhub.v1\t\r\n", false },
		{ "Host: x\r\nSec-WebSocket-Protocol: a\r\nsec-websocket-protocol: evhub.v1\r\n", true },
		{ "Host: x\r\nSec-WebSocket-Protocol:\r\nSec-WebSocket-Protocol: evhub.v1\r\n", false },
		{ "Host: x\r\nSec-WebSocket-Protocol: EVHUB.V1, a=\r\n", false }, /* not our name */
		{ "Host: x\r\nSec-WebSocket-Protocol: " X50 X10 "xx, evhub.v1\r\n", true }, /* 62 */
		{ "Host: x\r\nSec-WebSocket-Protocol: " X50 X10 "xxx, evhub.v1\r\n", false },
		{ "Host: x\r\nSec-WebSocket-Protocol: evhub.v1, " X50 X50 "\r\n", true },
		{ "Host: x\r\nSec-WebSocket-Protocol: evhub.v1, " X50 X50 X10 X10 "\r\n", false },
		{ "Host: x\r\n" ACCEPT80 ACCEPT10, true }, /* 91 of 92 */
		{ "Host: x\r\n" ACCEPT80 ACCEPT10 "Accept: a\r\nAccept: a\r\n", false },
		{ "Host: x\r\n" ACCEPT80 ACCEPT10 "Y: a\r\nY: a\r\n", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf head = BUF_INIT;

		buf_printf(&head, "GET / HTTP/1.1\r\n%s\r\n", cases[i].lines);
		read_head(head.data);
		if ((handover_fault(&r, head.data, head.len) == NULL) != cases[i].good)
			fail_msg("%zu: %s", i, cases[i].lines);
		buf_free(&head);
	}
}

static int
tear_down(void **state)
{
	(void)state;
	buf_free(&text);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_request_line),
		cmocka_unit_test(a_query_of_names),
		cmocka_unit_test(headers),
		cmocka_unit_test(lists_on_some_lines),
		cmocka_unit_test(upgrades),
		cmocka_unit_test(hands_over),
		cmocka_unit_test(knows_what_the_library_cannot_take),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
