#include "wsd/handover.h"

#include "wsd/loop.h"
#include "wsd/subprotocols.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* What fits the library's buffers. */
#define LIST_MAX 126
#define NAME_MAX_BYTES 62
#define EXTENSIONS_MAX 254

void
handover_write(struct buf *out, const struct http_request *r)
{
	buf_puts(out,
		"GET / HTTP/1.1\r\nHost: evhub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ");
	buf_puts(out, r->key);
	if (r->protocols != NULL)
		buf_puts(out, "\r\nSec-WebSocket-Protocol: " SUBPROTOCOL);
	buf_puts(out, "\r\n\r\n");
}

/* Whether the library takes these bytes for a name: of the characters that RFC 9110
 * section 5.6.2 has for it, and not for a number, nor for the beginning of one that
 * has two dots. */
static bool
is_name(const char *p, size_t len)
{
	size_t number = 0, dots = 0;

	while (number < len && ((p[number] >= '0' && p[number] <= '9') || p[number] == '.'))
		dots += p[number++] == '.';
	if (number == len || dots > 1)
		return false;
	for (size_t i = number; i < len; i++)
		if (!isalnum((unsigned char)p[i]) && strchr(".!#$%&'*+-^_`|~", p[i]) == NULL)
			return false;
	return true;
}

/* The lines of a header that is a list. */
struct list {
	size_t lines, bytes; /* bytes of all of them, and what the library puts between */
	bool empty;	     /* one of them is */
};

/* What the library makes of the lines of a head. */
struct reading {
	size_t kept; /* lines that take a place */
	struct list connection, protocols, extensions;
	bool confused; /* it reads something that is not there */
};

/* A header line, without its end. */
struct line {
	const char *at;
	size_t name, len;
};

static bool
is(const struct line *line, const char *name)
{
	return strlen(name) == line->name && strncasecmp(line->at, name, line->name) == 0;
}

/* The library knows its headers by the colon behind them.  It overlooks the one
 * behind what is but the beginning of such a name, and takes all up to the next one,
 * in another line, for a part of it.  Three methods it knows without the blank behind
 * them: "Putter" is PUT, and its value a path. */
static void
read_name(struct reading *reading, const struct line *line)
{
	bool misread = false;

	for (int i = 0; i < loop_known_names(); i++) {
		const char *known = loop_known_name(i);
		size_t len = strlen(known), common = len < line->name ? len : line->name;

		if (len == 0 || strncasecmp(known, line->at, common) != 0)
			continue;
		if (len == line->name + 1 && known[line->name] == ':') {
			reading->kept++;
			return;
		}
		if (len > line->name || isalpha((unsigned char)known[len - 1]))
			misread = true;
	}
	reading->confused = reading->confused || misread;
}

/* One more line of a list, of which the library keeps the blanks in front too, but
 * for the first; it puts a comma and one more between. */
static void
read_list(struct list *list, size_t blanks, size_t len)
{
	list->bytes += list->lines > 0 ? blanks + len + 2 : len;
	list->lines++;
	list->empty = list->empty || len == 0;
}

/* The library keeps blanks behind a value, and tabs in front of it. */
static void
read_value(struct reading *reading, const struct line *line)
{
	const char *value = line->at + line->name + 1;
	size_t len = line->len - line->name - 1, blanks = strspn(value, " ");

	len -= blanks;
	value += blanks;
	if (len > 0 && (*value == '\t' || value[len - 1] == ' ' || value[len - 1] == '\t'))
		reading->confused = true;
	if (is(line, "connection"))
		read_list(&reading->connection, blanks, len);
	if (is(line, "sec-websocket-protocol"))
		read_list(&reading->protocols, blanks, len);
	if (is(line, "sec-websocket-extensions"))
		read_list(&reading->extensions, blanks, len);
}

/* Reads the lines of head[0..len) behind the first. */
static void
read_lines(struct reading *reading, const char *head, size_t len)
{
	static const char *const handshake[] = { "host", "connection", "upgrade", "sec-websocket-key",
		"sec-websocket-protocol", "sec-websocket-version", "sec-websocket-extensions" };
	const char *end = head + len - 2, *p = memchr(head, '\n', len);

	for (p++; p < end;) {
		const char *colon = memchr(p, ':', (size_t)(end - p)),
			   *cr = memchr(p, '\r', (size_t)(end - p));
		struct line line = { p, (size_t)(colon - p), (size_t)(cr - p) };

		read_name(reading, &line);
		for (size_t i = 0; i < sizeof(handshake) / sizeof(handshake[0]); i++)
			if (is(&line, handshake[i]))
				read_value(reading, &line);
		p = cr + 2;
	}
}

typedef int compare_fn(const char *, const char *, size_t);

/* Whether the library can read this list up to the word that it looks for, or up
 * to the end. */
static bool
list_fits(const struct list *lines, const char *list, const char *word, compare_fn *compare,
	size_t name_max)
{
	if (lines->bytes > LIST_MAX || (lines->lines > 1 && lines->empty))
		return false;
	while (list != NULL) {
		const char *name = list + strspn(list, " \t");
		size_t len = strcspn(name, ", \t");
		bool found = len == strlen(word) && compare(name, word, len) == 0;

		if (!found && (len > name_max || !is_name(name, len)))
			return false;
		list = name + len + strspn(name + len, " \t");
		if (found || *list != ',')
			return *list == ',' || *list == '\0'; /* it looks no further */
		list++;
	}
	return true;
}

const char *
handover_fault(const struct http_request *r, const char *head, size_t len)
{
	struct reading reading;

	memset(&reading, 0, sizeof(reading));
	read_lines(&reading, head, len);
	if (reading.confused || r->host == NULL)
		return "over TLS of the daemon's own, what makes a handshake has values with no tabs in front and no "
		       "blanks behind, and no header has a name that is the beginning of a usual one";
	/* it has as many places for what it keeps as it knows names: the first stays free, and
	 * the request line takes one for the path and one for the version */
	if (reading.kept + r->arg_count + 3 > (size_t)loop_known_names())
		return "over TLS of the daemon's own, usual headers and parts of the query are 90 at most";
	if (!list_fits(&reading.connection, r->connection, "upgrade", strncasecmp, LIST_MAX))
		return "over TLS of the daemon's own, Connection is a list of at most 126 bytes, and in front of "
		       "Upgrade of nothing but names";
	if (!list_fits(&reading.protocols, r->protocols, SUBPROTOCOL, strncmp, NAME_MAX_BYTES))
		return "over TLS of the daemon's own, Sec-WebSocket-Protocol has at most 126 bytes, and in front "
		       "of evhub.v1 but names of up to 62; use a ticket";
	if (reading.extensions.bytes > EXTENSIONS_MAX)
		return "over TLS of the daemon's own, Sec-WebSocket-Extensions has at most 254 bytes";
	return NULL;
}
