#include "wsd/handover.h"

#include "wsd/subprotocols.h"

#include <string.h>

/* What fits the library's buffers. */
#define LIST_MAX 126
#define NAME_MAX_BYTES 63

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

static bool
list_fits(const char *list)
{
	if (strlen(list) > LIST_MAX)
		return false;
	while (*list != '\0') {
		size_t len;

		list += strspn(list, ", \t");
		len = strcspn(list, ", \t");
		if (len == sizeof(ours) - 1 && memcmp(list, ours, len) == 0)
			return true; /* the library looks no further */
		if (len > NAME_MAX_BYTES)
			return false;
		list += len;
	}
	return true;
}

const char *
handover_fault(const struct http_request *r, const char **header)
{
	*header = "connection";
	if (r->connection != NULL && strlen(r->connection) > LIST_MAX)
		return "over TLS of the daemon's own, Connection has at most 126 bytes";
	*header = "sec-websocket-protocol";
	if (r->protocols != NULL && !list_fits(r->protocols))
		return "over TLS of the daemon's own, Sec-WebSocket-Protocol has at most 126 bytes; use a ticket";
	return NULL;
}
