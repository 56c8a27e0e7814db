#include "common/event.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#define UUID "338a28f7-666e-46e1-8e7d-4feba5edc061"

struct parsed {
	struct json_object *o;
	struct event_input event;
	struct api_error e;
	enum evh_rc rc;
};

static void
parse(struct parsed *p, const char *text, size_t max_bytes, const char *prefix)
{
	static const char *const allowed[] = { "op", "rid", NULL };
	char why[JSON_WHY_BYTES];

	p->e = (struct api_error)API_ERROR_INIT;
	if (json_parse(text, strlen(text), &p->o, why) != EVH_OK)
		fail_msg("%s: %s", text, why);
	p->rc = event_parse(&p->event, p->o, (struct json_slice){ text, strlen(text) }, max_bytes,
		prefix, prefix[0] == '\0' ? allowed : NULL, &p->e);
}

static void
done(struct parsed *p)
{
	json_object_put(p->o);
	api_error_free(&p->e);
}

static void
everything_given(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p,
		"{\"op\":\"publish\",\"rid\":7,\"event_type\":\" PDFM \",\"message\":\"m\\u00e9\","
		"\"body\": {\"a\":[1, 2]} ,\"client_id\":\"338A28F7-666E-46E1-8E7D-4FEBA5EDC061\","
		"\"dedup_id\":\"d1\"}",
		1000, "");
	assert_int_equal(p.rc, EVH_OK);
	assert_int_equal(p.e.code, 0);
	assert_int_equal(p.e.count, 0);
	assert_string_equal(p.event.event_type, "pdfm");
	assert_string_equal(p.event.message, "m\xc3\xa9");
	assert_int_equal(p.event.message_len, 3);
	assert_int_equal(p.event.body.len, strlen("{\"a\":[1, 2]}"));
	assert_memory_equal(p.event.body.at, "{\"a\":[1, 2]}", p.event.body.len);
	assert_string_equal(p.event.client_id, UUID);
	assert_null(p.event.user_id);
	assert_string_equal(p.event.dedup_id, "d1");
	done(&p);
}

static void
only_the_type(void **state)
{
	static const char *const cases[] = {
		"{\"event_type\":\"health\"}",
		"{\"event_type\":\"health\",\"message\":null,\"client_id\":null,\"user_id\":null,\"dedup_id\":null}"
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct parsed p;

		parse(&p, cases[i], 1000, "");
		assert_int_equal(p.rc, EVH_OK);
		assert_null(p.event.message);
		assert_int_equal(p.event.message_len, 0);
		assert_null(p.event.body.at);
		assert_string_equal(p.event.client_id, "");
		assert_null(p.event.user_id);
		assert_null(p.event.dedup_id);
		done(&p);
	}
}

/* A body may be any JSON, null and scalars too, however its key is written. */
static void
bodies(void **state)
{
	static const char *const bodies[] = { "null", "0", "\"x\"", "[]", "{\"body\":1}", "false" };

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct parsed p;
		char text[128];

		(void)snprintf(
			text, sizeof(text), "{\"event_type\":\"stats\",\"b\\u006fdy\":%s}", bodies[i]);
		parse(&p, text, 1000, "");
		assert_int_equal(p.rc, EVH_OK);
		assert_int_equal(p.event.body.len, strlen(bodies[i]));
		assert_memory_equal(p.event.body.at, bodies[i], p.event.body.len);
		done(&p);
	}
}

struct fault_case {
	const char *text;
	const char *error, *path; /* of the first stack entry */
	unsigned count;
};

static void
check_fault(const struct fault_case *c, const char *prefix)
{
	struct parsed p;
	char expected[256];

	parse(&p, c->text, 1000, prefix);
	if (p.rc != EVH_INVALID || p.e.code != 400 || p.e.count != c->count)
		fail_msg("%s: %s, code %d, %u faults", c->text, evh_rc_name(p.rc), p.e.code, p.e.count);
	(void)snprintf(expected, sizeof(expected), "\"error\":\"%s\",\"path\":\"%s%s\"", c->error,
		prefix, c->path);
	if (strstr(p.e.stack.data, expected) == NULL)
		fail_msg("%s: no %s in %s", c->text, expected, p.e.stack.data);
	assert_true(strncmp(p.e.message, prefix, strlen(prefix)) == 0);
	done(&p);
}

static void
each_fault(void **state)
{
	static const struct fault_case cases[] = {
		{ "{}", "missing", "event_type", 1 },
		{ "{\"event_type\":null}", "missing", "event_type", 1 },
		{ "{\"event_type\":1}", "wrong_type", "event_type", 1 },
		{ "{\"event_type\":\"\"}", "invalid_event_type", "event_type", 1 },
		{ "{\"event_type\":\"no good\"}", "invalid_event_type", "event_type", 1 },
		{ "{\"event_type\":\"a\\u0000b\"}", "nul_byte", "event_type", 1 },
		{ "{\"event_type\":\"a\",\"message\":{}}", "wrong_type", "message", 1 },
		{ "{\"event_type\":\"a\",\"message\":\"x\\u0000\"}", "nul_byte", "message", 1 },
		{ "{\"event_type\":\"a\",\"client_id\":\"1\"}", "invalid_client_id", "client_id", 1 },
		{ "{\"event_type\":\"a\",\"client_id\":\"\"}", "invalid_client_id", "client_id", 1 },
		{ "{\"event_type\":\"a\",\"client_id\":[]}", "wrong_type", "client_id", 1 },
		{ "{\"event_type\":\"a\",\"user_id\":\"\"}", "bad_length", "user_id", 1 },
		{ "{\"event_type\":\"a\",\"user_id\":true}", "wrong_type", "user_id", 1 },
		{ "{\"event_type\":\"a\",\"dedup_id\":\"\"}", "bad_length", "dedup_id", 1 },
		{ "{\"event_type\":\"a\",\"dedup_id\":\"\\u0000\"}", "nul_byte", "dedup_id", 1 },
		{ "{\"event_type\":\"a\",\"client_id\":\"" UUID "\",\"user_id\":\"u\"}", "two_targets",
			"user_id", 1 },
		{ "{\"event_type\":\"a\",\"typo\":1}", "unknown_field", "typo", 1 },
		{ "{\"event_type\":\"a\",\"Message\":\"x\"}", "unknown_field", "Message", 1 },
		{ "{\"message\":1,\"dedup_id\":\"\",\"x\":1,\"y\":2}", "missing", "event_type", 5 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check_fault(&cases[i], "");
		check_fault(&cases[i], "[3].");
	}
}

static void
names_of_255_bytes(void **state)
{
	struct parsed p;
	char text[600], name[257];

	(void)state;
	for (size_t len = 255; len <= 256; len++) {
		memset(name, 'n', len);
		name[len] = '\0';
		(void)snprintf(text, sizeof(text), "{\"event_type\":\"a\",\"user_id\":\"%s\"}", name);
		parse(&p, text, 1000, "");
		assert_int_equal(p.rc, len == 255 ? EVH_OK : EVH_INVALID);
		done(&p);
	}
}

static void
not_an_object(void **state)
{
	static const char *const cases[] = { "[]", "1", "\"x\"", "null" };
	struct parsed p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		parse(&p, cases[i], 1000, "");
		assert_int_equal(p.rc, EVH_INVALID);
		assert_string_equal(p.e.message, "an event must be an object");
		done(&p);
		parse(&p, cases[i], 1000, "[7].");
		assert_string_equal(p.e.message, "[7]: an event must be an object");
		assert_non_null(strstr(p.e.stack.data, "\"path\":\"[7]\""));
		done(&p);
	}
}

static void
allowed_members_are_the_callers(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "{\"event_type\":\"a\",\"op\":\"publish\"}", 1000, "");
	assert_int_equal(p.rc, EVH_OK);
	done(&p);
	parse(&p, "{\"event_type\":\"a\",\"op\":\"publish\"}", 1000, "[0].");
	assert_int_equal(p.rc, EVH_INVALID);
	done(&p);
}

static void
too_large(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "{\"event_type\":\"a\",\"message\":\"12345\",\"body\":\"678\"}", 10, "");
	assert_int_equal(p.rc, EVH_OK); /* the quotes of the body count */
	done(&p);
	parse(&p, "{\"event_type\":\"a\",\"message\":\"12345\",\"body\":\"6789\"}", 10, "");
	assert_int_equal(p.rc, EVH_TOO_LARGE);
	assert_int_equal(p.e.code, 413);
	assert_non_null(strstr(p.e.message, "max_event_bytes (10)"));
	done(&p);
	parse(&p, "{\"event_type\":\"no good\",\"message\":\"12345678901\"}", 10, "");
	assert_int_equal(p.rc, EVH_INVALID); /* that which is wrong in itself comes first */
	assert_int_equal(p.e.code, 400);
	done(&p);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_given),
		cmocka_unit_test(only_the_type),
		cmocka_unit_test(bodies),
		cmocka_unit_test(each_fault),
		cmocka_unit_test(names_of_255_bytes),
		cmocka_unit_test(not_an_object),
		cmocka_unit_test(allowed_members_are_the_callers),
		cmocka_unit_test(too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
