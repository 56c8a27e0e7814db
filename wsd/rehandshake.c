#include "wsd/rehandshake.h"

#include "wsd/subprotocols.h"

#include <ctype.h>
#include <string.h>

/* What fits the library's buffers. */
#define LIST_MAX 126
#define NAME_MAX_BYTES 63

static const char ours[] = SUBPROTOCOL;

bool
rehandshake_needed(const char *protocols)
{
	if (protocols == NULL)
		return false;
	if (strlen(protocols) > LIST_MAX)
		return true;
	while (*protocols != '\0') {
		size_t len;

		protocols += strspn(protocols, ", \t");
		len = strcspn(protocols, ", \t");
		if (len == sizeof(ours) - 1 && memcmp(protocols, ours, len) == 0)
			return false; /* it looks no further */
		if (len > NAME_MAX_BYTES)
			return true;
		protocols += len;
	}
	return false;
}

/* Percent-encodes all but what RFC 3986 calls unreserved, and what is in keep. */
static void
encode(struct buf *out, const char *text, size_t len, const char *keep)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < 0x80 && isalnum(c)) || strchr("-._~", c) != NULL || strchr(keep, c) != NULL)
			buf_add(out, text + i, 1);
		else
			buf_printf(out, "%%%02X", c);
	}
}

static void
header(struct buf *out, const char *name, const char *value)
{
	if (value != NULL)
		buf_printf(out, "%s: %s\r\n", name, value);
}

void
rehandshake_write(struct buf *out, const struct server_request *r, const char *key)
{
	buf_printf(out, "%s ", r->method);
	encode(out, r->path, strlen(r->path), "/");
	for (size_t i = 0; i < r->arg_count; i++) {
		size_t len = strlen(r->args[i]), name_len = strcspn(r->args[i], "=");

		buf_puts(out, i == 0 ? "?" : "&");
		encode(out, r->args[i], name_len, "");
		if (name_len < len) {
			buf_puts(out, "=");
			encode(out, r->args[i] + name_len + 1, len - name_len - 1, "");
		}
	}
	buf_puts(out,
		" HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
	header(out, "Sec-WebSocket-Protocol", ours);
	header(out, "Sec-WebSocket-Key", key);
	header(out, "Host", r->host);
	header(out, "Authorization", r->authorization);
	header(out, "X-Api-Key", r->api_key);
	header(out, "Origin", r->origin);
	header(out, "User-Agent", r->user_agent);
	header(out, "X-Forwarded-For", r->forwarded_for);
	header(out, "X-Forwarded-Host", r->forwarded_host);
	header(out, "X-Forwarded-Proto", r->forwarded_proto);
	buf_puts(out, "\r\n");
}
