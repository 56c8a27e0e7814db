/* json.h - strict JSON in: RFC 8259 and nothing else.
 *
 * Two equal keys, half a surrogate pair and U+0000 in a key are errors too,
 * because two readers of one message must not see different things.  Depth
 * and size are bounded.  Pure. */

#ifndef EVH_JSON_H
#define EVH_JSON_H

#include "common/rc.h"

#include <json-c/json.h>
#include <stddef.h>

#define JSON_DEPTH_MAX 64

/* Room for what json_parse says is wrong. */
#define JSON_WHY_BYTES 160

/* Parses text[0..len), which need not end in NUL.  On EVH_OK the caller owns
 * *out (json_object_put).  Else *out is NULL and why says what is wrong,
 * naming the field or the offset.  EVH_INVALID, EVH_TOO_LARGE (nested deeper
 * than JSON_DEPTH_MAX) or EVH_NOMEM. */
enum evh_rc json_parse(const char *text, size_t len, struct json_object **out, char why[JSON_WHY_BYTES]);

/* A part of a JSON text, as it was written. */
struct json_slice {
	const char *at;
	size_t len;
};

/* The value of key in the object, or element index of the array, that text
 * holds.  text must have passed json_parse.  at == NULL if there is none. */
struct json_slice json_member(struct json_slice text, const char *key);
struct json_slice json_element(struct json_slice text, size_t index);

/* The element behind previous in the array that text holds; the first one if
 * previous.at == NULL.  at == NULL at the end. */
struct json_slice json_next(struct json_slice text, struct json_slice previous);

/* The text of a string that C can read: NULL if o is no string, or has U+0000
 * in it.  Belongs to o. */
const char *json_plain_string(struct json_object *o);

/* A word for the JSON type of o (which may be NULL), for messages. */
const char *json_type_name(struct json_object *o);

#endif
