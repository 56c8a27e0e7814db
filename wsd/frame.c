#include "wsd/frame.h"

#include <stdlib.h>
#include <string.h>

static void
member(struct buf *out, const char *name, const char *value, size_t len)
{
	buf_puts(out, name);
	buf_json_string(out, value, len);
}

void
message_json(struct buf *out, const struct message *m)
{
	member(out, "{\"id\":", m->id, strlen(m->id));
	if (m->ref_id != NULL)
		member(out, ",\"ref_id\":", m->ref_id, strlen(m->ref_id));
	member(out, ",\"event_type\":", m->event_type, strlen(m->event_type));
	member(out, ",\"timestamp\":", m->timestamp, strlen(m->timestamp));
	member(out, ",\"message\":", m->text, m->text_len);
	if (m->body != NULL) {
		buf_puts(out, ",\"body\":");
		buf_json_raw(out, m->body, m->body_len);
	}
	if (m->client_id != NULL)
		member(out, ",\"client_id\":", m->client_id, strlen(m->client_id));
	buf_add(out, "}", 1);
}

size_t
frame_header(uint8_t out[FRAME_HEADER_MAX], uint8_t opcode, uint64_t len)
{
	size_t extra = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;

	out[0] = (uint8_t)(0x80 | opcode); /* FIN */
	out[1] = extra == 0 ? (uint8_t)len : extra == 2 ? 126 : 127;
	for (size_t i = 0; i < extra; i++)
		out[2 + i] = (uint8_t)(len >> (8 * (extra - 1 - i)));
	return 2 + extra;
}

void
frame_append(struct buf *out, const struct message *m)
{
	uint8_t header[FRAME_HEADER_MAX] = { 0 };
	size_t start = out->len, payload, n;

	/* leave room for the longest header, then close the gap: messages are
	 * short and the move is cheaper than building them twice */
	buf_add(out, header, sizeof(header));
	message_json(out, m);
	if (out->failed)
		return;
	payload = out->len - start - sizeof(header);
	n = frame_header(header, FRAME_TEXT, payload);
	memcpy(out->data + start, header, n);
	memmove(out->data + start + n, out->data + start + sizeof(header), payload);
	out->len = start + n + payload;
}

struct frame *
frame_new(const struct message *m)
{
	struct buf b = BUF_INIT;
	struct frame *f = NULL;

	frame_append(&b, m);
	if (!b.failed && b.len <= UINT32_MAX)
		f = malloc(sizeof(*f) + b.len);
	if (f != NULL) {
		f->len = (uint32_t)b.len;
		memcpy(f->bytes, b.data, b.len);
	}
	buf_free(&b);
	return f;
}
