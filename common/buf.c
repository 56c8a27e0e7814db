#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

bool
buf_reserve(struct buf *b, size_t len)
{
	size_t size = b->size != 0 ? b->size : 128;
	char *data;

	if (b->failed)
		return false;
	if (b->size - b->len > len)
		return true;
	if (len > (size_t)-1 / 4 - b->len) {
		b->failed = true;
		return false;
	}
	while (size - b->len <= len)
		size *= 2;
	data = realloc(b->data, size);
	if (data == NULL) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->size = size;
	return true;
}

void
buf_add(struct buf *b, const void *bytes, size_t len)
{
	if (!buf_reserve(b, len))
		return;
	if (len > 0)
		memcpy(b->data + b->len, bytes, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void
buf_puts(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !buf_reserve(b, (size_t)n + 1)) {
		b->failed = true;
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

/* The length of the UTF-8 sequence at p, or 0 if there is none (RFC 3629
 * section 4: no overlong forms, no surrogates, nothing over U+10FFFF). */
static size_t
utf8_sequence(const unsigned char *p, size_t len)
{
	size_t n;
	unsigned char low = 0x80, high = 0xbf;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (n > len)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

size_t
buf_utf8_valid(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len) {
		size_t n = utf8_sequence((const unsigned char *)text + i, len - i);

		if (n == 0)
			break;
		i += n;
	}
	return i;
}

static void
json_escape(struct buf *b, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char u[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

	switch (c) {
	case '"':
		buf_add(b, "\\\"", 2);
		return;
	case '\\':
		buf_add(b, "\\\\", 2);
		return;
	case '\n':
		buf_add(b, "\\n", 2);
		return;
	case '\r':
		buf_add(b, "\\r", 2);
		return;
	case '\t':
		buf_add(b, "\\t", 2);
		return;
	default:
		buf_add(b, u, sizeof(u));
	}
}

void
buf_json_string(struct buf *b, const char *text, size_t len)
{
	size_t i = 0, plain = 0;

	buf_add(b, "\"", 1);
	while (i < len) {
		unsigned char c = (unsigned char)text[i];
		size_t n = utf8_sequence((const unsigned char *)text + i, len - i);

		if (n != 0 && c >= 0x20 && c != '"' && c != '\\') {
			i += n;
			continue;
		}
		buf_add(b, text + plain, i - plain);
		if (n == 0)
			buf_add(b, REPLACEMENT, 3);
		else
			json_escape(b, c);
		plain = ++i;
	}
	buf_add(b, text + plain, i - plain);
	buf_add(b, "\"", 1);
}

void
buf_json_raw(struct buf *b, const char *json, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t valid = buf_utf8_valid(json + done, len - done);

		buf_add(b, json + done, valid);
		done += valid;
		if (done < len) {
			buf_add(b, REPLACEMENT, 3);
			done++;
		}
	}
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

char *
buf_take(struct buf *b)
{
	char *data;

	buf_add(b, "", 0);
	data = b->failed ? NULL : b->data;
	if (data == NULL)
		free(b->data);
	*b = (struct buf)BUF_INIT;
	return data;
}

void
buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf)BUF_INIT;
}
