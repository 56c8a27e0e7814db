#include "wsd/http_head.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* Headers that a request has once: two of them are two requests in one. */
static const char *const single[] = { "host", "authorization", "x-api-key", "upgrade", "origin",
	"sec-websocket-key", "sec-websocket-version", "content-length", "transfer-encoding" };

enum { HOST, CONTENT_LENGTH = 7, TRANSFER_ENCODING, SINGLES };

struct head {
	struct api_error *e;
	struct http_head_seen *seen; /* singles: bits by the places in single[] */
};

/* A line without its end. */
struct line {
	const char *at;
	size_t len;
};

static bool
bad(struct head *h, int code, const char *error, const char *path, const char *text)
{
	api_error_fail(h->e, code, error, path, "%s", text);
	return false;
}

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* RFC 9110 section 5.6.2 */
static size_t
token(const char *p, size_t len)
{
	size_t n = 0;

	while (n < len && p[n] != '\0' && (is_alnum(p[n]) || strchr("!#$%&'*+-.^_`|~", p[n]) != NULL))
		n++;
	return n;
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
http_uri_char(const char *p, size_t len, size_t *step)
{
	int c = (unsigned char)*p, high, low;

	*step = 1;
	if (c != '%')
		return c > 0x20 && c < 0x7f && strchr("\"#<>\\^`{|}", c) == NULL ? c : -1;
	*step = 3;
	if (len < 3 || (high = hex(p[1])) < 0 || (low = hex(p[2])) < 0)
		return -1;
	c = high * 16 + low;
	return (c >= 0x20 && c != 0x7f) || c == '\t' ? c : -1;
}

/* No empty, "." or ".." segment, nothing that would be a slash for others. */
static bool
check_path(struct head *h, const char *p, size_t len)
{
	size_t dots = 0, others = 0, step;

	for (size_t i = 1; i < len; i += step) {
		int c = http_uri_char(p + i, len - i, &step);

		if (c < 0 || c == '\t' || c == ';' || c == '\\' || (step == 3 && (c == '/' || c == '%')))
			return bad(h, 400, "malformed_path", "path",
				"the path has a character, or an escape, that it may not have");
		if (c != '/') {
			dots += c == '.';
			others += c != '.';
			continue;
		}
		if (others == 0 && dots <= 2)
			break;
		dots = others = 0;
	}
	/* the last segment may be empty, and is looked at by who knows the paths */
	if (others == 0 && dots <= 2 && (dots > 0 || memmem(p, len, "//", 2) != NULL))
		return bad(h, 400, "malformed_path", "path",
			"the path has an empty segment, \".\" or \"..\"");
	return true;
}

static bool
check_query(struct head *h, const char *p, size_t len)
{
	size_t parts = 1, step;

	for (size_t i = 0; i < len; i += step) {
		if (http_uri_char(p + i, len - i, &step) < 0 &&
			(p[i] == '\0' || strchr("\"<>\\^`{|}", p[i]) == NULL))
			return bad(h, 400, "malformed_query", "query",
				"the query has a character, or an escape, that it may not have");
		parts += p[i] == '&' || p[i] == ';';
	}
	if (parts > HTTP_HEAD_ARGS_MAX)
		return bad(h, 400, "malformed_query", "query", "the query has too many parts");
	return true;
}

static bool
check_target(struct head *h, const char *p, size_t len)
{
	const char *query = memchr(p, '?', len);
	size_t path_len = query != NULL ? (size_t)(query - p) : len;

	if (len == 0 || p[0] != '/')
		return bad(h, 400, "malformed_target", "path",
			"the target of the request must be a path, such as /api/v1/ws/subscribe");
	return check_path(h, p, path_len) &&
		(query == NULL || check_query(h, query + 1, len - path_len - 1));
}

static bool
check_version(struct head *h, const char *p, size_t len)
{
	if (len == 8 && memcmp(p, "HTTP/1.1", 8) == 0)
		return true;
	if (len == 8 && memcmp(p, "HTTP/1.0", 8) == 0)
		return bad(h, 400, "old_version", "request",
			"a WebSocket needs HTTP/1.1; does the proxy in front speak 1.0?");
	if (len > 5 && memcmp(p, "HTTP/", 5) == 0)
		return bad(h, 505, "unsupported_version", "request", "the version of HTTP must be 1.1");
	return bad(h, 400, "malformed_request", "request", "the request line does not end in HTTP/1.1");
}

static bool
known_method(const char *p, size_t len)
{
	static const char *const known[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE",
		"OPTIONS" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i]) == len && memcmp(known[i], p, len) == 0)
			return true;
	return false;
}

/* RFC 9112 section 3 */
static bool
check_request_line(struct head *h, struct line line)
{
	size_t method = token(line.at, line.len), target;
	const char *space, *p = line.at + method + 1;

	if (method == 0 || method >= line.len || line.at[method] != ' ')
		return bad(h, 400, "malformed_request", "request", "this is no HTTP request");
	space = memchr(p, ' ', line.len - method - 1);
	if (space == NULL)
		return bad(h, 400, "malformed_request", "request",
			"the request line is not a method, a target and HTTP/1.1");
	target = (size_t)(space - p);
	h->seen->get = method == 3 && memcmp(line.at, "GET", 3) == 0;
	if (!check_version(h, space + 1, line.len - method - target - 2))
		return false;
	if (!known_method(line.at, method))
		return bad(h, 405, "method_not_allowed", "method", "the method must be GET");
	return check_target(h, p, target);
}

/* RFC 9110 section 5.5 */
static bool
check_value(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
			return false;
	return true;
}

static struct line
trim(const char *p, size_t len)
{
	while (len > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		len--;
	}
	while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
		len--;
	return (struct line){ p, len };
}

static bool
twice(struct head *h, const char *name)
{
	api_error_fail(h->e, 400, "repeated_header", name, "the header %s is there twice", name);
	return false;
}

static bool
check_single(struct head *h, int which, struct line value)
{
	if ((h->seen->singles & 1U << which) != 0)
		return twice(h, single[which]);
	h->seen->singles |= 1U << which;
	if (which == HOST)
		for (size_t i = 0; i < value.len; i++)
			if (!is_alnum(value.at[i]) && strchr("-._~:[]%", value.at[i]) == NULL)
				return bad(h, 400, "malformed_header", "host",
					"the Host header is not a name and a port");
	if (which == CONTENT_LENGTH && (value.len == 0 || strspn(value.at, "0123456789") < value.len))
		return bad(
			h, 400, "malformed_header", "content-length", "Content-Length is not a number");
	if (h->seen->get &&
		((which == CONTENT_LENGTH && strspn(value.at, "0") < value.len) ||
			which == TRANSFER_ENCODING))
		return bad(h, 400, "body_not_allowed", single[which], "a handshake has no body");
	return true;
}

static bool
check_header(struct head *h, struct line line)
{
	size_t name = token(line.at, line.len);

	if (line.at[0] == ' ' || line.at[0] == '\t')
		return bad(h, 400, "malformed_header", "header",
			"a header is continued on a second line, which HTTP no longer has");
	if (name == 0 || name == line.len || line.at[name] != ':')
		return bad(h, 400, "malformed_header", "header",
			"a header line is not a name, a colon without a blank before it, and a value");
	if (!check_value(line.at + name + 1, line.len - name - 1))
		return bad(
			h, 400, "malformed_header", "header", "a header has a control character in it");
	for (int i = 0; i < SINGLES; i++)
		if (strlen(single[i]) == name && strncasecmp(single[i], line.at, name) == 0)
			return check_single(h, i, trim(line.at + name + 1, line.len - name - 1));
	return true;
}

/* What holds for all headers together. */
static bool
check_whole(struct head *h)
{
	unsigned both = 1U << CONTENT_LENGTH | 1U << TRANSFER_ENCODING;

	if ((h->seen->singles & 1U << HOST) == 0)
		return bad(h, 400, "missing_header", "host", "there is no Host header");
	if ((h->seen->singles & both) == both)
		return bad(h, 400, "malformed_request", "transfer-encoding",
			"Content-Length and Transfer-Encoding contradict each other");
	return true;
}

/* The line at p, which ends in CR LF.  PART if its end has not come yet. */
static enum http_head
next_line(struct head *h, const char *p, const char *end, struct line *line)
{
	const char *lf = memchr(p, '\n', (size_t)(end - p)), *cr;

	line->at = p;
	line->len = (size_t)((lf != NULL ? lf : end) - p);
	cr = memchr(p, '\r', line->len);
	if (lf == NULL && (cr == NULL || cr + 1 == end))
		return HTTP_HEAD_PART;
	if (lf == NULL || cr == NULL || cr + 1 != lf) {
		(void)bad(h, 400, "malformed_request", "header", "a line does not end in CR LF");
		return HTTP_HEAD_BAD;
	}
	line->len--;
	return HTTP_HEAD_GOOD;
}

/* TLS and other things that no request begins with need not go on. */
static enum http_head
check_beginning(struct head *h, struct line line)
{
	size_t method = token(line.at, line.len);

	if (method <= 32 && (method == line.len || line.at[method] == ' '))
		return HTTP_HEAD_PART;
	(void)bad(h, 400, "malformed_request", "request", "this is no HTTP request");
	return HTTP_HEAD_BAD;
}

static enum http_head
check_lines(struct head *h, const char *bytes, const char *end)
{
	for (;;) {
		bool first = h->seen->len == 0;
		struct line line;
		enum http_head state = next_line(h, bytes + h->seen->len, end, &line);

		if (state == HTTP_HEAD_PART && first)
			return check_beginning(h, line);
		if (state != HTTP_HEAD_GOOD)
			return state;
		h->seen->len += line.len + 2;
		if (!first && line.len == 0)
			return check_whole(h) ? HTTP_HEAD_GOOD : HTTP_HEAD_BAD;
		if (!(first ? check_request_line(h, line) : check_header(h, line)))
			return HTTP_HEAD_BAD;
	}
}

enum http_head
http_head_check(
	const char *bytes, size_t len, size_t max, struct http_head_seen *seen, struct api_error *e)
{
	struct head h = { e, seen };
	size_t used = len < max ? len : max;
	enum http_head state = check_lines(&h, bytes, bytes + used);

	if (state != HTTP_HEAD_PART || used < max)
		return state;
	if (memchr(bytes, '\n', used) == NULL)
		api_error_fail(
			e, 414, "target_too_long", "path", "the target of the request is too long");
	else
		api_error_fail(e, 431, "header_too_large", "header",
			"the request header is longer than %zu bytes", max);
	return HTTP_HEAD_BAD;
}
