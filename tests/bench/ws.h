/* ws.h - the client's half of RFC 6455, as much as the benchmark needs.  Pure. */

#ifndef BENCH_WS_H
#define BENCH_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

/* A frame of a client may be this much longer than what it carries. */
#define WS_OVERHEAD 14

/* The request to upgrade; key and protocol may be NULL.  Returns its length. */
size_t ws_request(char *out, size_t size, const char *path, const char *key, const char *protocol);

/* Writes a masked frame; returns its length. */
size_t ws_frame(uint8_t *out, enum ws_opcode opcode, const void *payload, size_t len);

struct ws_head {
	unsigned opcode;
	size_t head, len; /* of the header and of what it carries */
};

/* Reads the header of a server's frame.  False: more bytes are needed. */
static inline bool
ws_parse(const uint8_t *at, size_t n, struct ws_head *h)
{
	if (n < 2)
		return false;
	h->opcode = at[0] & 0x0f;
	h->len = at[1] & 0x7f;
	h->head = 2;
	if (h->len == 126) {
		if (n < 4)
			return false;
		h->len = (size_t)at[2] << 8 | at[3];
		h->head = 4;
	} else if (h->len == 127) {
		if (n < 10)
			return false;
		h->len = 0;
		for (int i = 2; i < 10; i++)
			h->len = h->len << 8 | at[i];
		h->head = 10;
	}
	return n - h->head >= h->len;
}

#endif
