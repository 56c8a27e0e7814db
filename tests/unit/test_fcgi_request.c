#include "fcgi/records.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

/* A body that arrives in pieces of at most piece bytes. */
struct source {
	const char *text;
	size_t left, piece;
};

static size_t
read_source(void *arg, char *out, size_t len)
{
	struct source *s = arg;

	if (len > s->left)
		len = s->left;
	if (len > s->piece)
		len = s->piece;
	memcpy(out, s->text, len);
	s->text += len;
	s->left -= len;
	return len;
}

/* FastCGI Specification 1.0 section 3.3 and appendix B. */
static void
records_come_in_pieces(void **state)
{
	static const uint8_t begin[] = { 1, 1, 1, 2, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0 },
			     params[] = { 1, 4, 1, 2, 0, 2, 3, 0, 'a', 'b', 0, 0, 0, 1, 4, 1, 2, 0, 0, 0,
				     0 },
			     body[] = { 1, 5, 1, 2, 0, 3, 0, 0, 1, 5, 1 },
			     end[] = { 1, 5, 1, 2, 0, 0, 0, 0 }, gone[] = { 1, 2, 1, 2, 0, 0, 0, 0 },
			     odd[] = { 2, 5, 0, 0, 0, 1, 0, 0 };
	struct records r = { 0 };
	struct buf all = BUF_INIT;

	(void)state;
	buf_add(&all, begin, sizeof(begin));
	buf_add(&all, params, sizeof(params));
	buf_add(&all, body, sizeof(body)); /* which looks like the head of another */
	assert_false(records_whole(&r, (const uint8_t *)all.data, all.len));
	assert_int_equal(r.id, 0x102);
	assert_int_equal(r.count, 4);
	buf_add(&all, end, sizeof(end));
	for (size_t len = 0; len < all.len; len++)
		assert_false(records_whole(&r, (const uint8_t *)all.data, len));
	assert_true(records_whole(&r, (const uint8_t *)all.data, all.len));
	r = (struct records){ 0 };
	assert_true(records_whole(&r, gone, sizeof(gone)));
	r = (struct records){ 0 };
	assert_true(records_whole(&r, odd, sizeof(odd)));
	buf_clear(&all);
	records_answer(&all, 0x102, "Status: 408\r\n\r\n", 15);
	assert_int_equal(all.len, 8 + 15 + 8 + 16);
	assert_memory_equal(all.data,
		"\1\6\1\2\0\17\0\0Status: 408\r\n\r\n\1\6\1\2\0\0\0\0\1\3\1\2\0\10\0\0\0\0\0\0\0\0\0\0",
		all.len);
	buf_free(&all);
}

static const char *
name_of(char *const *env)
{
	struct request r;
	const struct route *route;

	request_init(&r, env, (struct request_input){ 0 });
	route = route_find(&r, "/api/v1/ws");
	request_free(&r);
	return route != NULL ? route->name : "";
}

static const char *
uri(const char *value)
{
	char text[2048];
	char *env[] = { text, NULL };

	(void)snprintf(text, sizeof(text), "REQUEST_URI=%s", value);
	return name_of(env);
}

static void
test_repeated_credentials(void **state)
{
	char key[] = "HTTP_X_API_KEY=a", other_key[] = "HTTP_X_API_KEY=b",
	     token[] = "HTTP_AUTHORIZATION=Bearer c", type[] = "CONTENT_TYPE=x";
	char *once[] = { key, token, type, type, NULL }, *keys[] = { key, token, other_key, NULL },
	     *tokens[] = { token, token, NULL };
	struct request r;

	(void)state;
	request_init(&r, once, (struct request_input){ 0 });
	assert_null(r.repeated);
	request_init(&r, keys, (struct request_input){ 0 });
	assert_string_equal(r.repeated, "x-api-key");
	request_init(&r, tokens, (struct request_input){ 0 });
	assert_string_equal(r.repeated, "authorization");
}

static void
test_uri(void **state)
{
	char long_uri[1024];

	(void)state;
	assert_string_equal(uri("/api/v1/ws/health"), "health");
	assert_string_equal(uri("/v1/ws/unsubscribe"), "unsubscribe");
	assert_string_equal(uri("/api/v1/ws/health?x=/../"), "health");
	assert_string_equal(uri("/api/v1/ws/%68ealt%48"), "");
	assert_string_equal(uri("/api/v1/ws/%68ealt%68"), "health");
	assert_string_equal(uri("http://host:80/api/v1/ws/clients?a"), "clients");
	assert_string_equal(uri("http://host"), "");
	assert_string_equal(uri("/api/v1/ws%2fhealth"), "");
	assert_string_equal(uri("/api/v1/ws/health%00"), "");
	assert_string_equal(uri("/api/v1/ws/health%"), "");
	assert_string_equal(uri("/api/v1/ws/health%6"), "");
	assert_string_equal(uri("/api/v1/ws/health%zz"), "");
	assert_string_equal(uri("/api/v1/ws/health/"), "");
	assert_string_equal(uri("/api/v1/ws/"), "");
	assert_string_equal(uri("/api/v1/ws"), "");
	assert_string_equal(uri("/health"), "");
	assert_string_equal(uri("health"), "");
	assert_string_equal(uri(""), "");
	memset(long_uri, '/', sizeof(long_uri) - 1);
	long_uri[sizeof(long_uri) - 1] = '\0';
	assert_string_equal(uri(long_uri), "");
}

static void
test_other_paths(void **state)
{
	char rewritten[] = "REQUEST_URI=/public/x", document[] = "DOCUMENT_URI=/v1/ws/stats";
	char script[] = "SCRIPT_NAME=/api/v1/ws", info[] = "PATH_INFO=/events",
	     alias[] = "SCRIPT_NAME=/cgi/evhub";
	char *by_document[] = { rewritten, document, NULL };
	char *by_script[] = { rewritten, script, info, NULL };
	char *by_info[] = { rewritten, alias, info, NULL };
	char *none[] = { rewritten, alias, NULL };

	(void)state;
	assert_string_equal(name_of(by_document), "stats");
	assert_string_equal(name_of(by_script), "events");
	assert_string_equal(name_of(by_info), "events");
	assert_string_equal(name_of(none), "");
}

static void
test_headers(void **state)
{
	char redirected[] = "REDIRECT_HTTP_AUTHORIZATION=Bearer r",
	     direct[] = "HTTP_AUTHORIZATION=Bearer d";
	char odd[] = "HTTP_AUTHORIZATION", prefix[] = "HTTP_AUTHORIZATIONX=no",
	     key[] = "HTTP_X_API_KEY=a=b";
	char *both[] = { direct, redirected, NULL }, *one[] = { odd, prefix, redirected, key, NULL };
	struct request r;

	(void)state;
	request_init(&r, both, (struct request_input){ 0 });
	assert_string_equal(r.authorization, "Bearer d");
	assert_string_equal(r.api_key, "");
	request_init(&r, one, (struct request_input){ 0 });
	assert_string_equal(r.authorization, "Bearer r");
	assert_string_equal(r.api_key, "a=b");
}

static void
test_content_type(void **state)
{
	static const char *const good[] = { "application/json", "Application/JSON; charset=utf-8",
		" application/json ", "application/problem+json", "application/json;x" };
	static const char *const bad[] = { "", "text/json", "application/jsonx", "application/", "json",
		"application/+json", "application/x-www-form-urlencoded" };
	struct request r = { .content_type = "" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		r.content_type = good[i];
		assert_true(request_is_json(&r));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r.content_type = bad[i];
		assert_false(request_is_json(&r));
	}
}

/* Reads a body of 10 bytes that is said to have this length; limit 16. */
static int
read_body(const char *length, size_t available, size_t piece)
{
	struct source source = { .text = "0123456789abcdefghij", .left = available, .piece = piece };
	struct request r = { .content_length = length,
		.input = { .read = read_source, .arg = &source } };
	struct api_error e = API_ERROR_INIT;
	enum evh_rc rc = request_read_body(&r, 16, &e);
	int code = e.code;

	if (rc == EVH_OK) {
		assert_int_equal(code, 0);
		assert_memory_equal(r.body.data, "0123456789abcdefghij", r.body.len);
		code = (int)r.body.len;
	}
	request_drain(&r);
	assert_int_equal(source.left, 0);
	request_free(&r);
	api_error_free(&e);
	return code;
}

static void
test_body(void **state)
{
	(void)state;
	assert_int_equal(read_body("10", 10, 3), 10);
	assert_int_equal(read_body("10", 20, 100), 10);
	assert_int_equal(read_body("", 16, 1), 16);
	assert_int_equal(read_body("16", 16, 100), 16);
	assert_int_equal(read_body("", 17, 5), 413);
	assert_int_equal(read_body("17", 17, 5), 413);
	assert_int_equal(read_body("99999999999999999999999999", 17, 5), 413);
	assert_int_equal(read_body("18446744073709551616", 17, 5), 413);
	assert_int_equal(read_body("11", 10, 5), 400);
	assert_int_equal(read_body("-1", 10, 5), 400);
	assert_int_equal(read_body("1 ", 10, 5), 400);
	assert_int_equal(read_body("0x1", 10, 5), 400);
}

static void
test_response(void **state)
{
	struct response r = RESPONSE_INIT;
	struct api_error e = API_ERROR_INIT;
	struct buf out = BUF_INIT;

	(void)state;
	r.allow = "POST";
	api_error_fail(&e, 405, "method_not_allowed", "method", "no");
	response_error(&r, &e);
	response_write(&r, &out);
	assert_memory_equal(out.data, "Status: 405 Method Not Allowed\r\n", 32);
	assert_non_null(strstr(out.data, "\r\nAllow: POST\r\n"));
	assert_non_null(strstr(out.data, "\r\nCache-Control: no-store\r\n"));
	assert_non_null(strstr(out.data, "\r\n\r\n{\"code\":405,"));
	assert_null(strstr(out.data, "Retry-After"));
	buf_clear(&out);
	r.body.failed = true;
	response_write(&r, &out);
	assert_memory_equal(out.data, "Status: 503 ", 12);
	assert_non_null(strstr(out.data, "\r\nRetry-After: "));
	assert_non_null(strstr(out.data, "\"error\":\"out_of_memory\""));
	buf_free(&out);
	response_free(&r);
	api_error_free(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_in_pieces),
		cmocka_unit_test(test_repeated_credentials),
		cmocka_unit_test(test_uri),
		cmocka_unit_test(test_other_paths),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_content_type),
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_response),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
