#include "wsd/handover.h"

#include "wsd/subprotocols.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* What fits the library's buffers. */
#define LIST_MAX 126
#define NAME_MAX_BYTES 62

/* What it has places for: header lines that it knows, and parts of the query.  It
 * has 95, of which the request line takes two and the first is left free. */
#define PLACES_MAX 90

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
 * section 5.6.2 has for it, and not for a number. */
static bool
is_name(const char *p, size_t len)
{
	bool number = true;

	for (size_t i = 0; i < len; i++) {
		bool digit = (p[i] >= '0' && p[i] <= '9') || p[i] == '.';

		if (!digit && !isalpha((unsigned char)p[i]) && strchr("!#$%&'*+-^_`|~", p[i]) == NULL)
			return false;
		number = number && digit;
	}
	return !number;
}

typedef int compare_fn(const char *, const char *, size_t);

/* Whether the library can read this list, written in so many bytes, up to the word
 * that it looks for, or up to the end. */
static bool
list_fits(const char *list, size_t written, const char *word, compare_fn *compare, size_t name_max)
{
	if (list == NULL)
		return true;
	if (written > LIST_MAX)
		return false;
	for (;;) {
		size_t len;

		list += strspn(list, " \t");
		len = strcspn(list, ", \t");
		if (len == strlen(word) && compare(list, word, len) == 0)
			return true; /* the library looks no further */
		if (len > name_max || !is_name(list, len))
			return false;
		list += len;
		list += strspn(list, " \t");
		if (*list++ != ',')
			return list[-1] == '\0';
	}
}

const char *
handover_fault(const struct http_request *r)
{
	if (r->untidy || r->host == NULL)
		return "over TLS of the daemon's own, Host and what makes a handshake have values with no tabs before "
		       "and no blanks behind them";
	if (r->lines + r->arg_count > PLACES_MAX)
		return "over TLS of the daemon's own, headers and parts of the query are 90 at most";
	if (!list_fits(r->connection, r->connection_written, "upgrade", strncasecmp, LIST_MAX))
		return "over TLS of the daemon's own, Connection is a list of at most 126 bytes, and in front of "
		       "Upgrade of nothing but names";
	if (!list_fits(r->protocols, r->protocols_written, SUBPROTOCOL, strncmp, NAME_MAX_BYTES))
		return "over TLS of the daemon's own, Sec-WebSocket-Protocol has at most 126 bytes, and in front "
		       "of evhub.v1 but names of up to 62; use a ticket";
	return NULL;
}
