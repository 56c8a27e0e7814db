#include "common/json.h"

#include <json-c/json_tokener.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Reading along a text that json-c has accepted, so the shape is known. */

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

/* p at the opening quote; returns behind the closing one. */
static const char *
skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p < end ? p + 1 : end;
}

static const char *
skip_value(const char *p, const char *end)
{
	int depth = 0;

	p = skip_space(p, end);
	while (p < end) {
		if (*p == '"') {
			p = skip_string(p, end);
		} else if (*p == '{' || *p == '[') {
			depth++;
			p++;
		} else if (depth > 0 && (*p == '}' || *p == ']')) {
			depth--;
			p++;
		} else if (depth == 0 &&
			(*p == ',' || *p == '}' || *p == ']' || *p == ' ' || *p == '\t' || *p == '\n' ||
				*p == '\r')) {
			break;
		} else {
			p++;
			continue;
		}
		if (depth == 0)
			break;
	}
	return p;
}

struct json_slice
json_member(struct json_slice text, const char *key)
{
	const char *p = skip_space(text.at, text.at + text.len), *end = text.at + text.len;
	size_t key_len = strlen(key);

	if (p >= end || *p++ != '{')
		return (struct json_slice){ NULL, 0 };
	for (p = skip_space(p, end); p < end && *p == '"';) {
		const char *name = p + 1, *value;
		bool same;

		p = skip_string(p, end);
		same = (size_t)(p - name) == key_len + 1 && memcmp(name, key, key_len) == 0;
		p = skip_space(p, end);
		value = skip_space(p < end ? p + 1 : end, end); /* behind the colon */
		p = skip_value(value, end);
		if (same)
			return (struct json_slice){ value, (size_t)(p - value) };
		p = skip_space(p, end);
		p = skip_space(p < end ? p + 1 : end, end); /* behind the comma */
	}
	return (struct json_slice){ NULL, 0 };
}

struct json_slice
json_element(struct json_slice text, size_t index)
{
	const char *p = skip_space(text.at, text.at + text.len), *end = text.at + text.len;

	if (p >= end || *p++ != '[')
		return (struct json_slice){ NULL, 0 };
	for (p = skip_space(p, end); p < end && *p != ']';) {
		const char *value = p;

		p = skip_value(p, end);
		if (index-- == 0)
			return (struct json_slice){ value, (size_t)(p - value) };
		p = skip_space(p, end);
		p = skip_space(p < end ? p + 1 : end, end);
	}
	return (struct json_slice){ NULL, 0 };
}

/* How many keys the text writes; each is followed by a colon outside of strings. */
static size_t
keys_written(const char *text, size_t len)
{
	const char *p = text, *end = text + len;
	size_t n = 0;

	while (p < end) {
		if (*p == '"') {
			p = skip_string(p, end);
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

/* Names the first key that the outermost object of text repeats. */
static bool
find_repeated(struct json_slice text, char why[JSON_WHY_BYTES])
{
	const char *p = skip_space(text.at, text.at + text.len), *end = text.at + text.len;

	if (p >= end || *p++ != '{')
		return false;
	for (p = skip_space(p, end); p < end && *p == '"';) {
		const char *name = p + 1;
		size_t name_len;
		char key[64];
		struct json_slice first;

		p = skip_string(p, end);
		name_len = (size_t)(p - name - 1);
		p = skip_space(p, end);
		p = skip_space(p < end ? p + 1 : end, end);
		if (name_len < sizeof(key)) {
			memcpy(key, name, name_len);
			key[name_len] = '\0';
			first = json_member(text, key);
			if (first.at != NULL && first.at < p) {
				(void)snprintf(
					why, JSON_WHY_BYTES, "the key \"%s\" is there twice", key);
				return true;
			}
		}
		p = skip_space(skip_value(p, end), end);
		p = skip_space(p < end ? p + 1 : end, end);
	}
	return false;
}

/* json-c lets control characters through in strings; RFC 8259 does not. */
static const char *
find_control(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
			return text + i;
	}
	return NULL;
}

static const char *
find_control_in_string(const char *text, size_t len)
{
	const char *p = text, *end = text + len;

	while (p < end) {
		const char *close;

		if (*p != '"') {
			p++;
			continue;
		}
		close = skip_string(p, end);
		for (; p < close; p++)
			if ((unsigned char)*p < 0x20)
				return p;
	}
	return NULL;
}

static enum evh_rc
check_text(const char *text, size_t len, struct json_object *o, char why[JSON_WHY_BYTES])
{
	const char *bad = find_control_in_string(text, len);

	if (bad != NULL) {
		(void)snprintf(why, JSON_WHY_BYTES, "an unescaped control character at offset %zu",
			(size_t)(bad - text));
		return EVH_INVALID;
	}
	if (keys_written(text, len) == keys_kept(o))
		return EVH_OK;
	if (!find_repeated((struct json_slice){ text, len }, why))
		(void)snprintf(why, JSON_WHY_BYTES, "an object has the same key twice");
	return EVH_INVALID;
}

static enum evh_rc
parse_failed(enum json_tokener_error e, size_t offset, size_t len, char why[JSON_WHY_BYTES])
{
	if (e == json_tokener_error_depth) {
		(void)snprintf(why, JSON_WHY_BYTES, "nested deeper than %d levels", JSON_DEPTH_MAX);
		return EVH_TOO_LARGE;
	}
	if (e == json_tokener_continue)
		(void)snprintf(why, JSON_WHY_BYTES, "ends in the middle, after %zu bytes", len);
	else
		(void)snprintf(
			why, JSON_WHY_BYTES, "%s at offset %zu", json_tokener_error_desc(e), offset);
	return EVH_INVALID;
}

enum evh_rc
json_parse(const char *text, size_t len, struct json_object **out, char why[JSON_WHY_BYTES])
{
	struct json_tokener *tok;
	struct json_object *o;
	enum json_tokener_error e;
	size_t end;
	const char *bad;
	enum evh_rc rc;

	*out = NULL;
	why[0] = '\0';
	if (len > INT32_MAX)
		return EVH_TOO_LARGE;
	if (skip_space(text, text + len) == text + len) {
		(void)snprintf(why, JSON_WHY_BYTES, "empty");
		return EVH_INVALID;
	}
	bad = find_control(text, len);
	if (bad != NULL) {
		(void)snprintf(why, JSON_WHY_BYTES, "the byte 0x%02x at offset %zu", (unsigned char)*bad,
			(size_t)(bad - text));
		return EVH_INVALID;
	}
	tok = json_tokener_new_ex(JSON_DEPTH_MAX);
	if (tok == NULL)
		return EVH_NOMEM;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, text, (int)len);
	e = json_tokener_get_error(tok);
	if (e == json_tokener_continue) {
		/* a bare number is only known to end when the text does */
		o = json_tokener_parse_ex(tok, "", 1);
		e = json_tokener_get_error(tok);
		end = len;
		if (e != json_tokener_success)
			e = json_tokener_continue;
	} else {
		end = json_tokener_get_parse_end(tok);
	}
	json_tokener_free(tok);
	if (e != json_tokener_success)
		return parse_failed(e, end, len, why);
	if (skip_space(text + end, text + len) != text + len) {
		(void)snprintf(why, JSON_WHY_BYTES, "text after the value, at offset %zu", end);
		rc = EVH_INVALID;
	} else {
		rc = check_text(text, len, o, why);
	}
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
