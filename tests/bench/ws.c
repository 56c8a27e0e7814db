#include "tests/bench/ws.h"

#include <stdio.h>
#include <string.h>

size_t
ws_request(char *out, size_t size, const char *path, const char *key, const char *protocol)
{
	int n = snprintf(out, size,
		"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s%s%s%s%s\r\n",
		path, protocol != NULL ? "Sec-WebSocket-Protocol: " : "",
		protocol != NULL ? protocol : "", protocol != NULL ? "\r\n" : "",
		key != NULL ? "X-Api-Key: " : "", key != NULL ? key : "", key != NULL ? "\r\n" : "");

	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

size_t
ws_frame(uint8_t *out, enum ws_opcode opcode, const void *payload, size_t len)
{
	const size_t extra = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;
	size_t at = 2 + extra;

	out[0] = (uint8_t)(0x80 | opcode);
	out[1] = (uint8_t)(0x80 | (extra == 0 ? len : extra == 2 ? 126 : 127));
	for (size_t i = 0; i < extra; i++)
		out[2 + i] = (uint8_t)(len >> (8 * (extra - 1 - i)));
	memset(out + at, 0, 4); /* a mask that changes nothing: servers unmask all the same */
	at += 4;
	if (len > 0)
		memcpy(out + at, payload, len);
	return at + len;
}
