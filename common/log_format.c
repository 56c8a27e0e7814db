#include "common/log_format.h"

#include "common/buf.h"

#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Left free for what closes a line: a quote, a brace, a newline. */
#define RESERVE 16

#define VALUE_BYTES 3584

/* One value as it was given, before it is escaped. */
struct value {
	char text[VALUE_BYTES];
	size_t len;
	unsigned conversions;
	bool number; /* nothing but one number */
};

/* All of the bytes, or nothing any more. */
static void
put(struct log_body *out, const char *bytes, size_t len)
{
	if (out->full || out->len + len + RESERVE > sizeof(out->text)) {
		out->full = true;
		return;
	}
	memcpy(out->text + out->len, bytes, len);
	out->len += len;
}

static void
puts_to(struct log_body *out, const char *text)
{
	put(out, text, strlen(text));
}

/* What must follow an open quote; there is room for it always. */
static void
close_quote(struct log_body *out)
{
	if (out->len < sizeof(out->text))
		out->text[out->len++] = '"';
}

/* Characters */

/* The length of the UTF-8 character at p, 0 if there is none. */
static size_t
character(const char *p, size_t len)
{
	for (size_t n = 1; n <= 4 && n <= len; n++)
		if (buf_utf8_valid(p, n) == n)
			return n;
	return 0;
}

/* Control characters, line separators, and those that turn the direction of
 * text around: a terminal or a reader could be deceived by them. */
static bool
is_unsafe(const char *p, size_t n)
{
	const unsigned char *u = (const unsigned char *)p;

	if (n == 1)
		return u[0] < 0x20 || u[0] == 0x7f;
	if (n == 2)
		return u[0] == 0xc2 && u[1] < 0xa0;
	if (n == 3 && u[0] == 0xe2 && u[1] == 0x80)
		return u[2] >= 0xa8 && u[2] <= 0xae;
	return n == 3 && u[0] == 0xe2 && u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9;
}

static unsigned
code_point(const char *p, size_t n)
{
	const unsigned char *u = (const unsigned char *)p;

	if (n == 1)
		return u[0];
	if (n == 2)
		return (u[0] & 0x1fU) << 6 | (u[1] & 0x3fU);
	return (u[0] & 0x0fU) << 12 | (u[1] & 0x3fU) << 6 | (u[2] & 0x3fU);
}

static void
put_escaped(struct log_body *out, const char *p, size_t n)
{
	static const char from[] = "\n\r\t", to[] = "nrt";
	const char *short_form = n == 1 && *p != '\0' ? strchr(from, *p) : NULL;
	char escape[8];

	if (short_form != NULL)
		(void)snprintf(escape, sizeof(escape), "\\%c", to[short_form - from]);
	else
		(void)snprintf(escape, sizeof(escape), "\\u%04x", code_point(p, n) & 0xffffU);
	puts_to(out, escape);
}

/* The text with what is unsafe escaped; quoted: quotes and backslashes too. */
static void
put_text(struct log_body *out, const char *p, size_t len, bool quoted)
{
	while (len > 0) {
		size_t n = character(p, len);

		if (n == 0) {
			puts_to(out, "\xef\xbf\xbd");
			n = 1;
		} else if (is_unsafe(p, n)) {
			put_escaped(out, p, n);
		} else if (quoted && (*p == '"' || *p == '\\')) {
			char escape[2] = { '\\', *p };

			put(out, escape, 2);
		} else {
			put(out, p, n);
		}
		p += n;
		len -= n;
	}
}

static bool
needs_quotes(const struct value *v)
{
	if (v->len == 0)
		return true;
	for (size_t i = 0, n; i < v->len; i += n) {
		n = character(v->text + i, v->len - i);
		if (n == 0 || is_unsafe(v->text + i, n) || memchr(" \"\\=", v->text[i], 4) != NULL)
			return true;
	}
	return false;
}

/* Values */

static void
value_add(struct value *v, const char *bytes, size_t len)
{
	if (len > sizeof(v->text) - v->len)
		len = sizeof(v->text) - v->len;
	memcpy(v->text + v->len, bytes, len);
	v->len += len;
}

static long long
signed_argument(const char *length, va_list *ap)
{
	if (length[0] == 'z')
		return (long long)va_arg(*ap, size_t);
	if (length[0] == 'l')
		return length[1] == 'l' ? va_arg(*ap, long long) : va_arg(*ap, long);
	return va_arg(*ap, int);
}

static unsigned long long
unsigned_argument(const char *length, va_list *ap)
{
	if (length[0] == 'z')
		return va_arg(*ap, size_t);
	if (length[0] == 'l')
		return length[1] == 'l' ? va_arg(*ap, unsigned long long) : va_arg(*ap, unsigned long);
	return va_arg(*ap, unsigned);
}

/* Expands the conversion at fmt, which stands on its '%'; returns behind it. */
static const char *
convert(struct value *v, const char *fmt, va_list *ap)
{
	char text[32], length[3] = "";
	size_t precision = SIZE_MAX, n = 0;
	const char *s;

	fmt++;
	v->conversions++;
	if (fmt[0] == '.' && fmt[1] == '*') {
		precision = (size_t)va_arg(*ap, int);
		fmt += 2;
	} else if (fmt[0] == '.') {
		for (fmt++, precision = 0; isdigit((unsigned char)*fmt); fmt++)
			precision = precision * 10 + (size_t)(*fmt - '0');
	}
	while ((*fmt == 'l' || *fmt == 'z') && n < 2)
		length[n++] = *fmt++;
	switch (*fmt) {
	case 's':
		s = va_arg(*ap, const char *);
		if (s == NULL)
			s = "";
		value_add(v, s, strnlen(s, precision));
		return fmt + 1;
	case 'd':
	case 'i':
		(void)snprintf(text, sizeof(text), "%lld", signed_argument(length, ap));
		break;
	case 'u':
		(void)snprintf(text, sizeof(text), "%llu", unsigned_argument(length, ap));
		break;
	case 'x':
		(void)snprintf(text, sizeof(text), "%llx", unsigned_argument(length, ap));
		break;
	default:
		assert(*fmt == '%');
		(void)snprintf(text, sizeof(text), "%%");
		break;
	}
	v->number = v->len == 0 && (*fmt == 'd' || *fmt == 'i' || *fmt == 'u');
	value_add(v, text, strlen(text));
	return fmt + 1;
}

/* Expands fmt up to the character until (NUL: to its end). */
static const char *
expand(struct value *v, const char *fmt, char until, va_list *ap)
{
	v->len = 0;
	v->conversions = 0;
	v->number = false;
	while (*fmt != '\0' && *fmt != until) {
		if (*fmt == '%') {
			fmt = convert(v, fmt, ap);
		} else {
			value_add(v, fmt++, 1);
			v->number = false;
		}
	}
	v->number = v->number && v->conversions == 1;
	return fmt;
}

/* Pairs */

static void
put_key(struct log_body *out, bool json, const char *key, size_t len)
{
	puts_to(out, json ? ",\"" : " ");
	put(out, key, len);
	puts_to(out, json ? "\":" : "=");
}

/* False if not even a part of it fits. */
static bool
put_value(struct log_body *out, bool json, const struct value *v, bool quoted)
{
	if (json ? v->number : !quoted && !needs_quotes(v)) {
		put(out, v->text, v->len);
		return !out->full;
	}
	puts_to(out, "\"");
	if (out->full)
		return false;
	put_text(out, v->text, v->len, true);
	close_quote(out);
	return true;
}

/* One pair, or nothing: half of one would be no JSON. */
static void
put_pair(
	struct log_body *out, bool json, const char *key, size_t len, const struct value *v, bool quoted)
{
	size_t before = out->len;

	if (out->full)
		return;
	put_key(out, json, key, len);
	if (out->full || !put_value(out, json, v, quoted))
		out->len = before;
}

static void
put_free_text(struct log_body *out, bool json, const struct value *v)
{
	if (v->len == 0)
		return;
	if (json) {
		put_pair(out, json, "text", 4, v, true);
		return;
	}
	puts_to(out, " ");
	put_text(out, v->text, v->len, false);
}

static size_t
key_length(const char *fmt)
{
	size_t n = strspn(fmt, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return n > 0 && fmt[n] == '=' ? n : 0;
}

void
log_format(struct log_body *out, bool json, const char *level, const char *event, const char *fmt,
	va_list ap)
{
	struct value v;
	va_list args;

	out->len = 0;
	out->full = false;
	puts_to(out, json ? "\"level\":\"" : "");
	puts_to(out, level);
	puts_to(out, json ? "\",\"event\":\"" : " ");
	puts_to(out, event);
	puts_to(out, json ? "\"" : "");
	va_copy(args, ap);
	for (fmt += strspn(fmt, " "); *fmt != '\0'; fmt += strspn(fmt, " ")) {
		const char *key = fmt;
		size_t len = key_length(fmt);
		bool quoted;

		if (len == 0) {
			(void)expand(&v, fmt, '\0', &args);
			put_free_text(out, json, &v);
			break;
		}
		fmt += len + 1;
		quoted = *fmt == '"';
		fmt = expand(&v, fmt + quoted, quoted ? '"' : ' ', &args);
		fmt += quoted && *fmt == '"';
		put_pair(out, json, key, len, &v, quoted);
	}
	va_end(args);
}

void
log_format_number(struct log_body *out, bool json, const char *key, unsigned long long value)
{
	struct value v = { .number = true };

	v.len = (size_t)snprintf(v.text, sizeof(v.text), "%llu", value);
	put_pair(out, json, key, strlen(key), &v, false);
}
