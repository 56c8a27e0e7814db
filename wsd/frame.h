/* frame.h - what goes out on a WebSocket: JSON messages and RFC 6455 framing.
 *
 * Frames of a server are not masked, so one frame is the same bytes for every
 * client and is built once.  Pure. */

#ifndef EVH_WSD_FRAME_H
#define EVH_WSD_FRAME_H

#include "common/buf.h"

#include <stddef.h>
#include <stdint.h>

/* RFC 6455 section 5.2 */
#define FRAME_TEXT 0x1
#define FRAME_CLOSE 0x8
#define FRAME_HEADER_MAX 10

/* An immutable text frame, header included.  Freed with free(). */
struct frame {
	uint32_t len;
	uint8_t bytes[];
};

/* The members of a message in the order in which they are written.  Those
 * that are NULL are left out; body is JSON and written as it is. */
struct message {
	const char *id;
	const char *ref_id;
	const char *event_type;
	const char *timestamp;
	const char *text; /* "message" */
	size_t text_len;
	const char *body;
	size_t body_len;
	const char *client_id;
};

/* Appends the message as JSON.  Always valid UTF-8. */
void message_json(struct buf *out, const struct message *m);

/* Writes the header of an unfragmented frame; returns its length. */
size_t frame_header(uint8_t out[FRAME_HEADER_MAX], uint8_t opcode, uint64_t payload_len);

/* Appends a whole text frame holding m. */
void frame_append(struct buf *out, const struct message *m);

/* The same as a frame of its own; NULL when out of memory. */
struct frame *frame_new(const struct message *m);

#endif
