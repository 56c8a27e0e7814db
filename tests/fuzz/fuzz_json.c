/* JSON text: what passes is JSON for json-c too, says the same when it is
 * written anew, and its parts are where the walk over the text finds them. */

#include "common/json.h"
#include "common/json_text.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

/* Equal as values; json-c compares doubles by their bits, which is right here. */
static void
check_same(struct json_object *a, struct json_object *b)
{
	FUZZ_CHECK(json_object_equal(a, b) == 1);
}

static struct json_object *
parse_slice(struct json_slice slice)
{
	struct json_object *o = NULL;
	char why[JSON_WHY_BYTES];

	FUZZ_CHECK(slice.at != NULL);
	FUZZ_CHECK(json_parse(slice.at, slice.len, &o, why) == EVH_OK);
	return o;
}

static void
check_members(struct json_slice text, struct json_object *o)
{
	json_object_object_foreach (o, key, value) {
		struct json_object *part = parse_slice(json_member(text, key));

		check_same(part, value);
		json_object_put(part);
	}
}

static void
check_elements(struct json_slice text, struct json_object *o)
{
	struct json_slice at = { NULL, 0 };
	size_t count = json_object_array_length(o);

	for (size_t i = 0; i < count; i++) {
		struct json_object *part;

		at = json_next(text, at);
		part = parse_slice(at);
		check_same(part, json_object_array_get_idx(o, i));
		json_object_put(part);
	}
	FUZZ_CHECK(json_next(text, at).at == NULL);
	FUZZ_CHECK(json_element(text, count).at == NULL);
}

/* Any bytes can be written as a JSON string; valid UTF-8 comes back as it was. */
static void
check_string(const char *text, size_t len)
{
	struct json_object *o = NULL;
	struct buf out = BUF_INIT;
	char why[JSON_WHY_BYTES];

	buf_json_string(&out, text, len);
	fuzz_check_json(out.data, out.len);
	FUZZ_CHECK(json_parse(out.data, out.len, &o, why) == EVH_OK);
	if (buf_utf8_valid(text, len) == len) {
		FUZZ_CHECK((size_t)json_object_get_string_len(o) == len);
		FUZZ_CHECK(memcmp(json_object_get_string(o), text, len) == 0);
	}
	json_object_put(o);
	buf_free(&out);
}

static void
check_parsed(const char *text, size_t len, struct json_object *o)
{
	struct json_slice whole = { text, len };
	struct json_object *again = NULL;
	struct buf raw = BUF_INIT;
	char why[JSON_WHY_BYTES];
	const char *written = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);

	FUZZ_CHECK(buf_utf8_valid(text, len) == len);
	FUZZ_CHECK(json_text_check(text, len, why) == EVH_OK);
	FUZZ_CHECK(json_parse(written, strlen(written), &again, why) == EVH_OK);
	check_same(o, again);
	json_object_put(again);
	buf_json_raw(&raw, text, len);
	FUZZ_CHECK(raw.len == len && memcmp(raw.data, text, len) == 0);
	buf_free(&raw);
	if (json_object_is_type(o, json_type_object))
		check_members(whole, o);
	else if (json_object_is_type(o, json_type_array))
		check_elements(whole, o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };
	struct json_object *o = NULL;
	char why[JSON_WHY_BYTES] = "";
	size_t len;
	char *text = fuzz_rest(&in, &len);

	if (json_parse(text, len, &o, why) == EVH_OK) {
		check_parsed(text, len, o);
		json_object_put(o);
	} else {
		FUZZ_CHECK(o == NULL && why[0] != '\0' && memchr(why, '\0', sizeof(why)) != NULL);
	}
	check_string(text, len);
	free(text);
	return 0;
}
