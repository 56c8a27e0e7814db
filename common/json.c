#include "common/json.h"

#include "common/json_text.h"

#include <json-c/json_tokener.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct json_slice
json_member(struct json_slice text, const char *key)
{
	const char *p = json_skip_space(text.at, text.at + text.len), *end = text.at + text.len;

	if (p >= end || *p++ != '{')
		return (struct json_slice){ NULL, 0 };
	for (p = json_skip_space(p, end); p < end && *p == '"';) {
		const char *name = p + 1, *value;
		bool same;

		p = json_skip_string(p, end);
		same = json_string_is(name, (size_t)(p - name - 1), key);
		p = json_skip_space(p, end);
		value = json_skip_space(p < end ? p + 1 : end, end); /* behind the colon */
		p = json_skip_value(value, end);
		if (same)
			return (struct json_slice){ value, (size_t)(p - value) };
		p = json_skip_space(p, end);
		p = json_skip_space(p < end ? p + 1 : end, end); /* behind the comma */
	}
	return (struct json_slice){ NULL, 0 };
}

struct json_slice
json_element(struct json_slice text, size_t index)
{
	const char *p = json_skip_space(text.at, text.at + text.len), *end = text.at + text.len;

	if (p >= end || *p++ != '[')
		return (struct json_slice){ NULL, 0 };
	for (p = json_skip_space(p, end); p < end && *p != ']';) {
		const char *value = p;

		p = json_skip_value(p, end);
		if (index-- == 0)
			return (struct json_slice){ value, (size_t)(p - value) };
		p = json_skip_space(p, end);
		p = json_skip_space(p < end ? p + 1 : end, end);
	}
	return (struct json_slice){ NULL, 0 };
}

struct json_slice
json_next(struct json_slice text, struct json_slice previous)
{
	const char *p, *value, *end = text.at + text.len;

	if (previous.at == NULL)
		return json_element(text, 0);
	p = json_skip_space(previous.at + previous.len, end);
	if (p >= end || *p != ',')
		return (struct json_slice){ NULL, 0 };
	value = json_skip_space(p + 1, end);
	p = json_skip_value(value, end);
	return (struct json_slice){ value, (size_t)(p - value) };
}

/* How many keys the text writes; each is followed by a colon outside of strings. */
static size_t
keys_written(const char *text, size_t len)
{
	const char *p = text, *end = text + len;
	size_t n = 0;

	while (p < end) {
		if (*p == '"') {
			p = json_skip_string(p, end);
		} else {
			if (*p == ':')
				n++;
			p++;
		}
	}
	return n;
}

/* How many keys the parsed value holds. */
static size_t
keys_kept(struct json_object *o)
{
	size_t n = 0;

	if (json_object_is_type(o, json_type_object)) {
		json_object_object_foreach (o, key, value) {
			(void)key;
			n += 1 + keys_kept(value);
		}
	} else if (json_object_is_type(o, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(o); i++)
			n += keys_kept(json_object_array_get_idx(o, i));
	}
	return n;
}

/* Names the first key that the outermost object repeats; among its first
 * keys only, for each of them is looked up along the whole text. */
static bool
find_repeated(struct json_slice text, char why[JSON_WHY_BYTES])
{
	const char *p = json_skip_space(text.at, text.at + text.len), *end = text.at + text.len;

	if (p >= end || *p++ != '{')
		return false;
	p = json_skip_space(p, end);
	for (int i = 0; i < 64 && p < end && *p == '"'; i++) {
		const char *name = p + 1;
		char key[64];
		struct json_slice first;
		size_t len;

		p = json_skip_string(p, end);
		len = (size_t)(p - name - 1);
		p = json_skip_space(json_skip_space(p, end) + 1, end); /* behind the colon */
		if (len < sizeof(key) && memchr(name, '\\', len) == NULL) {
			memcpy(key, name, len);
			key[len] = '\0';
			first = json_member(text, key);
			if (first.at != NULL && first.at < p) {
				(void)snprintf(
					why, JSON_WHY_BYTES, "the key \"%s\" is there twice", key);
				return true;
			}
		}
		p = json_skip_space(json_skip_value(p, end), end);
		p = json_skip_space(p < end ? p + 1 : end, end); /* behind the comma */
	}
	return false;
}

/* json-c keeps the last of equal keys, so some are gone if there were any. */
static enum evh_rc
check_keys(const char *text, size_t len, struct json_object *o, char why[JSON_WHY_BYTES])
{
	if (keys_written(text, len) == keys_kept(o))
		return EVH_OK;
	if (!find_repeated((struct json_slice){ text, len }, why))
		(void)snprintf(why, JSON_WHY_BYTES, "an object has the same key twice");
	return EVH_INVALID;
}

static enum evh_rc
tokenize(const char *text, size_t len, struct json_object **out, char why[JSON_WHY_BYTES])
{
	/* json-c counts a value inside the deepest array as a level too */
	struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
	enum json_tokener_error e;
	enum evh_rc rc = EVH_OK;

	if (tok == NULL)
		return EVH_NOMEM;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	*out = json_tokener_parse_ex(tok, text, (int)len);
	e = json_tokener_get_error(tok);
	if (e == json_tokener_continue) {
		/* a bare number is only known to end when the text does */
		*out = json_tokener_parse_ex(tok, "", 1);
		e = json_tokener_get_error(tok);
	}
	if (e != json_tokener_success) {
		(void)snprintf(why, JSON_WHY_BYTES, "%s", json_tokener_error_desc(e));
		rc = EVH_INVALID;
	} else if (*out == NULL && *json_skip_space(text, text + len) != 'n') {
		rc = EVH_NOMEM; /* it had no memory for a locale, and does not say so */
	}
	json_tokener_free(tok);
	return rc;
}

/* json-c 0.16 forgets that a pair of \u escapes was a pair if the character looks
 * like half of one in its lower 16 bits (U+1D836, U+2D800 …), and reads U+FFFD. */
static enum evh_rc
build(const char *text, size_t len, struct json_object **out, char why[JSON_WHY_BYTES])
{
	struct buf joined = BUF_INIT;
	bool pairs = json_join_pairs(text, len, &joined);
	enum evh_rc rc = EVH_NOMEM;

	if (!joined.failed)
		rc = pairs ? tokenize(joined.data, joined.len, out, why) : tokenize(text, len, out, why);
	buf_free(&joined);
	return rc;
}

enum evh_rc
json_parse(const char *text, size_t len, struct json_object **out, char why[JSON_WHY_BYTES])
{
	struct json_object *o = NULL;
	enum evh_rc rc;

	*out = NULL;
	if (len > INT32_MAX) {
		(void)snprintf(why, JSON_WHY_BYTES, "longer than %d bytes", INT32_MAX);
		return EVH_TOO_LARGE;
	}
	rc = json_text_check(text, len, why);
	if (rc == EVH_OK)
		rc = build(text, len, &o, why);
	if (rc == EVH_OK)
		rc = check_keys(text, len, o, why);
	if (rc != EVH_OK) {
		json_object_put(o);
		return rc;
	}
	*out = o;
	return EVH_OK;
}

const char *
json_type_name(struct json_object *o)
{
	switch (json_object_get_type(o)) {
	case json_type_null:
		return "null";
	case json_type_boolean:
		return "a boolean";
	case json_type_double:
	case json_type_int:
		return "a number";
	case json_type_object:
		return "an object";
	case json_type_array:
		return "an array";
	case json_type_string:
		return "a string";
	}
	return "unknown";
}

const char *
json_plain_string(struct json_object *o)
{
	const char *text;

	if (!json_object_is_type(o, json_type_string))
		return NULL;
	text = json_object_get_string(o);
	return strlen(text) == (size_t)json_object_get_string_len(o) ? text : NULL;
}
