#include "fcgi/records.h"

#include <assert.h>

#define FCGI_VERSION 1
#define HEADER 8

enum type { ABORT_REQUEST = 2, END_REQUEST = 3, STDIN = 5, STDOUT = 6 };

bool
records_whole(struct records *r, const uint8_t *bytes, size_t len)
{
	while (r->next + HEADER <= len) {
		const uint8_t *head = bytes + r->next;
		size_t content = (size_t)head[4] << 8 | head[5];

		if (head[0] != FCGI_VERSION || head[1] == ABORT_REQUEST ||
			(head[1] == STDIN && content == 0))
			return true;
		if (r->next == 0)
			r->id = (uint16_t)(head[2] << 8 | head[3]);
		r->count++;
		r->next += HEADER + content + head[6];
	}
	return false;
}

static void
add_header(struct buf *out, enum type type, uint16_t id, size_t len)
{
	const uint8_t head[HEADER] = { FCGI_VERSION, (uint8_t)type, (uint8_t)(id >> 8), (uint8_t)id,
		(uint8_t)(len >> 8), (uint8_t)len, 0, 0 };

	buf_add(out, head, sizeof(head));
}

void
records_answer(struct buf *out, uint16_t id, const char *text, size_t len)
{
	static const uint8_t complete[8]; /* application and protocol status */

	assert(len <= UINT16_MAX);
	add_header(out, STDOUT, id, len);
	buf_add(out, text, len);
	add_header(out, STDOUT, id, 0);
	add_header(out, END_REQUEST, id, sizeof(complete));
	buf_add(out, complete, sizeof(complete));
}
