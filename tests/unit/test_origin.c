#include "common/origin.h"

#include "tests/unit/unit.h"

#include <string.h>

static void
reads_origins(void **state)
{
	static const struct {
		const char *text, *scheme, *host;
		unsigned port;
	} cases[] = {
		{ "https://example.org", "https", "example.org", 443 },
		{ "http://example.org", "http", "example.org", 80 },
		{ "HTTPS://Example.ORG:8443", "https", "example.org", 8443 },
		{ "http://a", "http", "a", 80 },
		{ "http://127.0.0.1:1", "http", "127.0.0.1", 1 },
		{ "https://xn--bcher-kva.example:65535", "https", "xn--bcher-kva.example", 65535 },
		{ "http://[::1]", "http", "[::1]", 80 },
		{ "http://[0:0:0:0:0:0:0:1]:8080", "http", "[::1]", 8080 },
		{ "https://[2001:DB8::0:1]", "https", "[2001:db8::1]", 443 },
		{ "http://[::ffff:192.0.2.1]:80", "http", "[::ffff:192.0.2.1]", 80 },
		{ "chrome-extension://abcdefghij", "chrome-extension", "abcdefghij", 0 },
		{ "tauri://localhost:9", "tauri", "localhost", 9 },
	};
	struct origin o;
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!origin_parse(cases[i].text, &o, &why))
			fail_msg("%s: %s", cases[i].text, why);
		assert_string_equal(o.scheme, cases[i].scheme);
		assert_string_equal(o.host, cases[i].host);
		assert_int_equal(o.port, cases[i].port);
	}
}

static void
tells_what_is_no_origin(void **state)
{
	static const char *const bad[] = { "", "null", "example.org", "//example.org", "://x",
		"https:", "https://", "https:///", "https://example.org/", "https://example.org/app",
		"https://example.org?x", "https://example.org#x", "https://user@example.org",
		"https://*.example.org", "https://*", "https://example.org:", "https://example.org:0",
		"https://example.org:65536", "https://example.org:443443", "https://example.org:+80",
		"https://example.org: 80", "https://example.org:80a", "https://exa mple.org",
		"https://ex\xc3\xa4mple.org", "https://[::1", "https://[::1]x", "https://[example.org]",
		"https://[127.0.0.1]", "https://[fe80::1%eth0]", "https://::1", "1https://example.org",
		"https ://example.org", " https://example.org", "https://example.org ",
		"https://example.org,https://example.net", "https://a:1:2" };
	struct origin o;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *why = NULL;

		if (origin_parse(bad[i], &o, &why))
			fail_msg("accepted: %s", bad[i]);
		assert_non_null(why);
		assert_false(origin_pattern_valid(bad[i], &why));
	}
}

static bool
at(const char *origin, const char *host, const char *forwarded_host, const char *forwarded_proto,
	bool tls)
{
	struct origin_site site = { host, forwarded_host, forwarded_proto, tls };
	struct conf_list none = { NULL, 0 };

	return origin_allowed(origin, &site, &none);
}

static void
allows_the_same_host(void **state)
{
	(void)state;
	assert_true(at("https://example.org", "example.org", NULL, NULL, false));
	assert_true(at("http://example.org", "example.org", NULL, NULL, false));
	assert_true(at("http://example.org:8080", "example.org:8080", NULL, NULL, false));
	assert_true(at("https://EXAMPLE.org", "Example.org:443", NULL, NULL, false));
	assert_true(at("https://example.org:443", "example.org", NULL, NULL, false));
	assert_true(at("http://[::1]:80", "[::1]", NULL, NULL, false));
	assert_true(at("http://[::1]:8090", "[0::1]:8090", NULL, NULL, false));
	assert_false(at("https://example.org:8443", "example.org", NULL, NULL, false));
	assert_false(at("https://example.org", "example.org:8443", NULL, NULL, false));
	assert_false(at("https://example.org", "example.org:80", NULL, NULL, false));
	assert_false(at("http://[::1]:8090", "[::2]:8090", NULL, NULL, false));
	assert_false(at("http://[::1]", "::1", NULL, NULL, false));
	assert_false(at("https://evil.org", "example.org", NULL, NULL, false));
	assert_false(at("https://example.org.evil.org", "example.org", NULL, NULL, false));
	assert_false(at("https://example.or", "example.org", NULL, NULL, false));
	assert_false(at("https://example.org", "xexample.org", NULL, NULL, false));
	assert_false(at("null", "example.org", NULL, NULL, false));
	assert_false(at("null", "null", NULL, NULL, false));
	assert_false(at("", "", NULL, NULL, false));
	assert_false(at("https://example.org", NULL, NULL, NULL, false));
	assert_false(at("https://example.org", "", NULL, NULL, false));
	assert_false(at("tauri://localhost", "localhost", NULL, NULL, false));
	assert_false(at("https://example.org", "a@example.org", NULL, NULL, false));
}

static void
knows_where_tls_is_certain(void **state)
{
	(void)state;
	assert_true(at("https://example.org", "example.org", NULL, "https", false));
	assert_true(at("https://example.org", "example.org", NULL, "https, http", false));
	assert_true(at("https://example.org", "example.org", NULL, NULL, true));
	/* the one who says http may have another in front of it */
	assert_true(at("https://example.org", "example.org", NULL, "http", false));
	assert_true(at("http://example.org", "example.org", NULL, "http", false));
	assert_false(at("http://example.org", "example.org", NULL, "https", false));
	assert_false(at("http://example.org", "example.org", NULL, "http,HTTPS", false));
	assert_false(at("http://example.org", "example.org", NULL, NULL, true));
}

static void
believes_a_proxy_about_the_host(void **state)
{
	(void)state;
	assert_true(at("https://example.org", "127.0.0.1:8090", "example.org", NULL, false));
	assert_true(at("https://example.org", "inner", "example.org, middle:80", NULL, false));
	assert_true(at("https://example.org:8443", NULL, "x,example.org:8443", NULL, false));
	assert_false(at("https://example.org", "127.0.0.1:8090", "example.net", NULL, false));
	assert_false(at("https://example.org", "127.0.0.1:8090", ", ,", NULL, false));
}

static void
a_list_is_exact(void **state)
{
	static char app[] = "https://App.example.org", port[] = "http://a:8080",
		    other[] = "tauri://localhost", star[] = "*";
	char *items[] = { app, port, other }, *all[] = { star };
	struct conf_list list = { items, 3 }, any = { all, 1 };
	struct origin_site site = { "hub.example.org", NULL, NULL, false };

	(void)state;
	assert_true(origin_allowed("https://app.example.org", &site, &list));
	assert_true(origin_allowed("https://app.example.org:443", &site, &list));
	assert_true(origin_allowed("http://a:8080", &site, &list));
	assert_true(origin_allowed("tauri://localhost", &site, &list));
	assert_false(origin_allowed("http://app.example.org", &site, &list));
	assert_false(origin_allowed("http://app.example.org:443", &site, &list));
	assert_false(origin_allowed("https://app.example.org:8443", &site, &list));
	assert_false(origin_allowed(
		"https://hub.example.org", &site, &list)); /* not the same host any more */
	assert_false(origin_allowed("http://a", &site, &list));
	assert_false(origin_allowed("null", &site, &list));
	assert_true(origin_allowed("null", &site, &any));
	assert_true(origin_allowed("https://anything", &site, &any));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_origins),
		cmocka_unit_test(tells_what_is_no_origin),
		cmocka_unit_test(allows_the_same_host),
		cmocka_unit_test(knows_where_tls_is_certain),
		cmocka_unit_test(believes_a_proxy_about_the_host),
		cmocka_unit_test(a_list_is_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
