#include "tests/bench/http.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The value of a header, up to the end of its line; NULL: it is not there. */
static const char *
header(const char *head, size_t len, const char *name)
{
	const size_t n = strlen(name);
	const char *end = head + len, *line = memchr(head, '\n', len);

	while (line != NULL && (size_t)(end - ++line) > n) {
		if (strncasecmp(line, name, n) == 0)
			return line + n + strspn(line + n, " ");
		line = memchr(line, '\n', (size_t)(end - line));
	}
	return NULL;
}

/* The length of a chunked body; SIZE_MAX: there is more to come. */
static size_t
chunked(const char *body, size_t len)
{
	size_t at = 0;

	for (;;) {
		const char *line = memchr(body + at, '\n', len - at);
		size_t size;

		if (line == NULL)
			return SIZE_MAX;
		size = strtoul(body + at, NULL, 16);
		at = (size_t)(line - body) + 1 + size + 2;
		if (at > len)
			return SIZE_MAX;
		if (size == 0)
			return at;
	}
}

bool
http_parse(const char *text, size_t len, struct http_answer *answer)
{
	const char *end = memmem(text, len, "\r\n\r\n", 4), *value;
	size_t head, body = 0;

	if (end == NULL || len < 13)
		return false;
	head = (size_t)(end - text) + 4;
	answer->status = atoi(text + 9);
	value = header(text, head, "Connection:");
	answer->closes = value != NULL && strncasecmp(value, "close", 5) == 0;
	value = header(text, head, "Content-Length:");
	if (value != NULL)
		body = strtoul(value, NULL, 10);
	else if ((value = header(text, head, "Transfer-Encoding:")) != NULL)
		body = chunked(text + head, len - head);
	if (body == SIZE_MAX || len - head < body)
		return false;
	answer->len = head + body;
	return true;
}
