#include "common/api_error.h"
#include "common/json.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct json_object *
body_of(const struct api_error *e)
{
	struct buf b = BUF_INIT;
	struct json_object *o = NULL;
	char why[JSON_WHY_BYTES];

	api_error_json(e, &b);
	if (json_parse(b.data, b.len, &o, why) != EVH_OK)
		fail_msg("%s: %s", why, b.data);
	buf_free(&b);
	return o;
}

static const char *
text_of(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	assert_true(json_object_object_get_ex(o, key, &v));
	assert_true(json_object_is_type(v, json_type_string));
	return json_object_get_string(v);
}

static struct json_object *
entry(struct json_object *body, size_t i)
{
	struct json_object *stack = json_object_object_get(body, "stack");

	assert_true(json_object_is_type(stack, json_type_array));
	return json_object_array_get_idx(stack, i);
}

static void
shape(void **state)
{
	struct api_error e = API_ERROR_INIT;
	struct buf b = BUF_INIT;

	(void)state;
	api_error_fail(&e, 404, "client_not_found", "client_id", "no live client has this id");
	api_error_json(&e, &b);
	assert_string_equal(b.data,
		"{\"code\":404,\"message\":\"no live client has this id\",\"stack\":[{\"code\":404,"
		"\"description\":\"no live client has this id\",\"error\":\"client_not_found\","
		"\"path\":\"client_id\"}]}");
	buf_free(&b);
	api_error_free(&e);
	assert_int_equal(e.code, 0);
	assert_int_equal(e.count, 0);
}

static void
no_fault_is_an_empty_stack(void **state)
{
	struct api_error e = API_ERROR_INIT;
	struct buf b = BUF_INIT;

	(void)state;
	api_error_set(&e, 503, "the %s is down", "daemon");
	api_error_json(&e, &b);
	assert_string_equal(b.data, "{\"code\":503,\"message\":\"the daemon is down\",\"stack\":[]}");
	buf_clear(&b);
	api_error_stack_json(&e, &b);
	assert_string_equal(b.data, "\"stack\":[]");
	buf_free(&b);
	api_error_free(&e);
}

static void
the_first_status_wins_and_each_fault_is_told(void **state)
{
	struct api_error e = API_ERROR_INIT;
	struct json_object *o;

	(void)state;
	api_error_push(&e, 400, "unknown_event_type", "event_types[0]", "x is unknown");
	api_error_fail(&e, 400, "unknown_event_type", "event_types[1]", "y is unknown");
	api_error_fail(&e, 403, "other_user", "user_id", "not you");
	o = body_of(&e);
	assert_int_equal(json_object_get_int(json_object_object_get(o, "code")), 400);
	assert_string_equal(text_of(o, "message"), "y is unknown");
	assert_int_equal(json_object_array_length(json_object_object_get(o, "stack")), 3);
	assert_string_equal(text_of(entry(o, 0), "path"), "event_types[0]");
	assert_string_equal(text_of(entry(o, 2), "error"), "other_user");
	assert_int_equal(json_object_get_int(json_object_object_get(entry(o, 2), "code")), 403);
	json_object_put(o);
	api_error_free(&e);
}

static void
more_than_thirty_two_faults(void **state)
{
	struct api_error e = API_ERROR_INIT;
	struct json_object *o;

	(void)state;
	for (int i = 0; i < API_ERROR_STACK_MAX; i++)
		api_error_fail(&e, 400, "bad", "x", "fault %d", i);
	o = body_of(&e);
	assert_int_equal(
		json_object_array_length(json_object_object_get(o, "stack")), API_ERROR_STACK_MAX);
	json_object_put(o);
	for (int i = 0; i < 1000; i++)
		api_error_push(&e, 400, "bad", "x", "fault %d", i);
	o = body_of(&e);
	assert_int_equal(
		json_object_array_length(json_object_object_get(o, "stack")), API_ERROR_STACK_MAX + 1);
	assert_string_equal(text_of(entry(o, 31), "description"), "fault 31");
	assert_string_equal(text_of(entry(o, 32), "description"), "and 1000 more");
	assert_string_equal(text_of(entry(o, 32), "error"), "more");
	json_object_put(o);
	api_error_free(&e);
}

static void
escaping(void **state)
{
	struct api_error e = API_ERROR_INIT;
	struct json_object *o;

	(void)state;
	api_error_fail(
		&e, 400, "e\"\\", "p\n\x01", "%s", "quote \" backslash \\ tab \t bad \xff\xc3 end");
	o = body_of(&e);
	assert_string_equal(
		text_of(o, "message"), "quote \" backslash \\ tab \t bad \xef\xbf\xbd\xef\xbf\xbd end");
	assert_string_equal(text_of(entry(o, 0), "error"), "e\"\\");
	assert_string_equal(text_of(entry(o, 0), "path"), "p\n\x01");
	json_object_put(o);
	api_error_free(&e);
}

static void
long_text_is_cut_between_characters(void **state)
{
	struct api_error e = API_ERROR_INIT;
	struct json_object *o;
	char text[3001];

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = "\xe2\x82\xac"[i % 3];
	text[sizeof(text) - 1] = '\0';
	api_error_fail(&e, 400, "long", "x", "%s", text);
	o = body_of(&e);
	assert_int_equal(strlen(text_of(o, "message")), sizeof(e.message) / 3 * 3);
	assert_null(strstr(text_of(o, "message"), "\xef\xbf\xbd"));
	assert_null(strstr(text_of(entry(o, 0), "description"), "\xef\xbf\xbd"));
	assert_int_equal(strlen(text_of(entry(o, 0), "description")), 1023);
	json_object_put(o);
	api_error_free(&e);
}

static void
reason_phrases(void **state)
{
	static const int codes[] = { 200, 201, 400, 401, 403, 404, 405, 408, 409, 413, 415, 429, 431,
		500, 503 };

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		assert_string_not_equal(api_status_text(codes[i]), "Unknown");
	assert_string_equal(api_status_text(404), "Not Found");
	assert_string_equal(api_status_text(799), "Unknown");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(shape),
		cmocka_unit_test(no_fault_is_an_empty_stack),
		cmocka_unit_test(the_first_status_wins_and_each_fault_is_told),
		cmocka_unit_test(more_than_thirty_two_faults),
		cmocka_unit_test(escaping),
		cmocka_unit_test(long_text_is_cut_between_characters),
		cmocka_unit_test(reason_phrases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
