/* json_text.h - the text of JSON: its grammar, and the parts of a text.
 *
 * json_text_check holds a text to RFC 8259 with nothing forgiven; json-c, even
 * in its strict mode, takes NaN, -01, 1., {'a':1} and a key with U+0000 in it.
 * The walk (json_skip_*, json_member, json_element) is for texts that passed.
 * Private to the json module.  Pure. */

#ifndef EVH_JSON_TEXT_H
#define EVH_JSON_TEXT_H

#include "common/buf.h"
#include "common/json.h"

#include <stdbool.h>

/* EVH_OK if text[0..len) is one JSON value with blanks around it at most.
 * Else why says what is wrong and at which offset: EVH_INVALID, or
 * EVH_TOO_LARGE when objects and arrays nest deeper than JSON_DEPTH_MAX. */
enum evh_rc json_text_check(const char *text, size_t len, char why[JSON_WHY_BYTES]);

/* Appends a text that passed, with every surrogate pair of escapes written as the
 * character that it stands for.  False, and nothing is appended, if it has none. */
bool json_join_pairs(const char *text, size_t len, struct buf *out);

const char *json_skip_space(const char *p, const char *end);

/* p at the opening quote; returns behind the closing one. */
const char *json_skip_string(const char *p, const char *end);

/* p at the value or before it; returns behind it. */
const char *json_skip_value(const char *p, const char *end);

/* Whether the string written as raw[0..len), without its quotes, is text. */
bool json_string_is(const char *raw, size_t len, const char *text);

#endif
