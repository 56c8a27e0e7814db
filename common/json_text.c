#include "common/json_text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct scan {
	const char *start, *p, *end;
	int depth;
	char *why;
};

static enum evh_rc scan_value(struct scan *s);

static enum evh_rc
complain(struct scan *s, const char *what)
{
	(void)snprintf(s->why, JSON_WHY_BYTES, "%s at offset %zu", what, (size_t)(s->p - s->start));
	return EVH_INVALID;
}

/* What stands at p cannot stand there. */
static enum evh_rc
unexpected(struct scan *s)
{
	unsigned char c;
	char what[40];

	if (s->p >= s->end) {
		(void)snprintf(s->why, JSON_WHY_BYTES, "ends in the middle, after %zu bytes",
			(size_t)(s->end - s->start));
		return EVH_INVALID;
	}
	c = (unsigned char)*s->p;
	if (c > 0x20 && c < 0x7f)
		(void)snprintf(what, sizeof(what), "unexpected '%c'", c);
	else
		(void)snprintf(what, sizeof(what), "unexpected byte 0x%02x", c);
	return complain(s, what);
}

const char *
json_skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The value of the four digits at p, -1 if they are not there. */
static int32_t
hex4(const char *p, const char *end)
{
	int32_t v = 0;

	for (int i = 0; i < 4; i++) {
		int d = p + i < end ? hex_digit(p[i]) : -1;

		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

/* Reads \uXXXX, two of them for a surrogate pair, with p at the backslash.
 * Returns how many bytes that is, 0 if it is wrong; *code is the character. */
static size_t
unicode_escape(const char *p, const char *end, uint32_t *code)
{
	int32_t high, low;

	if (end - p < 6 || (high = hex4(p + 2, end)) < 0)
		return 0;
	*code = (uint32_t)high;
	if (high < 0xd800 || high > 0xdfff)
		return 6;
	if (high > 0xdbff || end - p < 12 || p[6] != '\\' || p[7] != 'u')
		return 0;
	low = hex4(p + 8, end);
	if (low < 0xdc00 || low > 0xdfff)
		return 0;
	*code = 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
	return 12;
}

static enum evh_rc
scan_escape(struct scan *s, bool key)
{
	uint32_t code;
	size_t n;

	if (s->p + 1 >= s->end) {
		s->p = s->end;
		return unexpected(s);
	}
	if (s->p[1] != 'u') {
		if (s->p[1] == '\0' || strchr("\"\\/bfnrt", s->p[1]) == NULL)
			return complain(s, "unknown escape");
		s->p += 2;
		return EVH_OK;
	}
	n = unicode_escape(s->p, s->end, &code);
	if (n == 0)
		return complain(s, "malformed \\u escape or half a surrogate pair");
	if (key && code == 0)
		return complain(s, "the character U+0000 in a key");
	s->p += n;
	return EVH_OK;
}

static enum evh_rc
scan_string(struct scan *s, bool key)
{
	enum evh_rc rc;

	if (s->p >= s->end || *s->p != '"')
		return unexpected(s);
	for (s->p++; s->p < s->end && *s->p != '"';) {
		if ((unsigned char)*s->p < 0x20)
			return complain(s, "an unescaped control character");
		if (*s->p != '\\') {
			s->p++;
			continue;
		}
		rc = scan_escape(s, key);
		if (rc != EVH_OK)
			return rc;
	}
	if (s->p >= s->end)
		return unexpected(s);
	s->p++;
	return EVH_OK;
}

/* One digit at least. */
static bool
scan_digits(struct scan *s)
{
	const char *first = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return s->p > first;
}

static enum evh_rc
scan_number(struct scan *s)
{
	if (*s->p == '-')
		s->p++;
	if (s->p < s->end && *s->p == '0')
		s->p++;
	else if (!scan_digits(s))
		return unexpected(s);
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		if (!scan_digits(s))
			return unexpected(s);
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (!scan_digits(s))
			return unexpected(s);
	}
	return EVH_OK;
}

static enum evh_rc
scan_word(struct scan *s, const char *word)
{
	for (; *word != '\0'; word++, s->p++)
		if (s->p >= s->end || *s->p != *word)
			return unexpected(s);
	return EVH_OK;
}

static enum evh_rc
scan_name(struct scan *s)
{
	enum evh_rc rc;

	s->p = json_skip_space(s->p, s->end);
	rc = scan_string(s, true);
	if (rc != EVH_OK)
		return rc;
	s->p = json_skip_space(s->p, s->end);
	if (s->p >= s->end || *s->p != ':')
		return unexpected(s);
	s->p++;
	return EVH_OK;
}

/* An object or an array, with p at its bracket. */
static enum evh_rc
scan_container(struct scan *s)
{
	bool object = *s->p == '{';
	char close = object ? '}' : ']';
	enum evh_rc rc;

	if (++s->depth > JSON_DEPTH_MAX) {
		(void)snprintf(s->why, JSON_WHY_BYTES, "nested deeper than %d levels", JSON_DEPTH_MAX);
		return EVH_TOO_LARGE;
	}
	s->p = json_skip_space(s->p + 1, s->end);
	if (s->p < s->end && *s->p == close) {
		s->p++;
		s->depth--;
		return EVH_OK;
	}
	for (;;) {
		rc = object ? scan_name(s) : EVH_OK;
		if (rc == EVH_OK)
			rc = scan_value(s);
		if (rc != EVH_OK)
			return rc;
		if (s->p >= s->end || (*s->p != ',' && *s->p != close))
			return unexpected(s);
		if (*s->p++ == close)
			break;
	}
	s->depth--;
	return EVH_OK;
}

/* A value and the blanks on both sides of it. */
static enum evh_rc
scan_value(struct scan *s)
{
	enum evh_rc rc;

	s->p = json_skip_space(s->p, s->end);
	if (s->p >= s->end)
		return unexpected(s);
	if (*s->p == '{' || *s->p == '[')
		rc = scan_container(s);
	else if (*s->p == '"')
		rc = scan_string(s, false);
	else if (*s->p == '-' || (*s->p >= '0' && *s->p <= '9'))
		rc = scan_number(s);
	else if (*s->p == 't')
		rc = scan_word(s, "true");
	else if (*s->p == 'f')
		rc = scan_word(s, "false");
	else if (*s->p == 'n')
		rc = scan_word(s, "null");
	else
		rc = unexpected(s);
	if (rc == EVH_OK)
		s->p = json_skip_space(s->p, s->end);
	return rc;
}

enum evh_rc
json_text_check(const char *text, size_t len, char why[JSON_WHY_BYTES])
{
	struct scan s = { .start = text, .p = text, .end = text + len, .why = why };
	size_t valid = buf_utf8_valid(text, len);
	enum evh_rc rc;

	why[0] = '\0';
	if (json_skip_space(text, s.end) == s.end) {
		(void)snprintf(why, JSON_WHY_BYTES, "empty");
		return EVH_INVALID;
	}
	if (valid < len) {
		s.p = text + valid;
		return complain(&s, "invalid UTF-8");
	}
	rc = scan_value(&s);
	if (rc == EVH_OK && s.p < s.end)
		rc = complain(&s, "text after the value");
	return rc;
}

const char *
json_skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p < end ? p + 1 : end;
}

/* p at a bracket; returns behind its counterpart. */
static const char *
skip_container(const char *p, const char *end)
{
	int depth = 0;

	while (p < end) {
		char c = *p;

		if (c == '"') {
			p = json_skip_string(p, end);
			continue;
		}
		p++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			break;
	}
	return p;
}

const char *
json_skip_value(const char *p, const char *end)
{
	p = json_skip_space(p, end);
	if (p < end && *p == '"')
		return json_skip_string(p, end);
	if (p < end && (*p == '{' || *p == '['))
		return skip_container(p, end);
	while (p < end && strchr(",]} \t\n\r", *p) == NULL)
		p++;
	return p;
}

static size_t
put_utf8(char out[4], uint32_t code)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* Decodes the escape at p into out; returns how long it is written. */
static size_t
decode_escape(const char *p, const char *end, char out[4], size_t *out_len)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *found;
	uint32_t code = 0;
	size_t n;

	*out_len = 1;
	out[0] = '\0';
	if (end - p < 2)
		return 1;
	if (p[1] == 'u') {
		n = unicode_escape(p, end, &code);
		*out_len = put_utf8(out, code);
		return n != 0 ? n : 2;
	}
	found = strchr(from, p[1]);
	out[0] = found != NULL ? to[found - from] : p[1];
	return 2;
}

bool
json_join_pairs(const char *text, size_t len, struct buf *out)
{
	const char *p = text, *end = text + len, *copied = text;

	while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
		char c[4];
		size_t n, step = decode_escape(p, end, c, &n);

		if (n == sizeof(c)) {
			buf_add(out, copied, (size_t)(p - copied));
			buf_add(out, c, n);
			copied = p + step;
		}
		p += step;
	}
	if (copied == text)
		return false;
	buf_add(out, copied, (size_t)(end - copied));
	return true;
}

bool
json_string_is(const char *raw, size_t len, const char *text)
{
	const char *end = raw + len;

	while (raw < end) {
		char c[4];
		size_t n = 1, step = 1;

		if (*raw == '\\')
			step = decode_escape(raw, end, c, &n);
		else
			c[0] = *raw;
		if (c[0] == '\0' || strncmp(text, c, n) != 0)
			return false; /* a NUL is in no key */
		text += n;
		raw += step;
	}
	return *text == '\0';
}
