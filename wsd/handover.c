#include "wsd/handover.h"

#include "wsd/subprotocols.h"

#include <ctype.h>
#include <string.h>

/* What fits the library's buffers. */
#define LIST_MAX 126
#define NAME_MAX_BYTES 62

static const char ours[] = SUBPROTOCOL;

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

	if (len == 0 || len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool digit = (p[i] >= '0' && p[i] <= '9') || p[i] == '.';

		if (!digit && !isalpha((unsigned char)p[i]) && strchr("!#$%&'*+-^_`|~", p[i]) == NULL)
			return false;
		number = number && digit;
	}
	return !number;
}

static bool
list_fits(const char *list)
{
	if (strlen(list) > LIST_MAX)
		return false;
	for (;;) {
		size_t len;

		list += strspn(list, " \t");
		len = strcspn(list, ", \t");
		if (len == sizeof(ours) - 1 && memcmp(list, ours, len) == 0)
			return true; /* the library looks no further */
		if (!is_name(list, len))
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
	if (r->connection != NULL && strlen(r->connection) > LIST_MAX)
		return "over TLS of the daemon's own, Connection has at most 126 bytes";
	if (r->protocols != NULL && !list_fits(r->protocols))
		return "over TLS of the daemon's own, Sec-WebSocket-Protocol has at most 126 bytes, and in front "
		       "of evhub.v1 but names of up to 62; use a ticket";
	return NULL;
}
