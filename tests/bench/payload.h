/* payload.h - what an event of the benchmark says: its number, and when its
 * publisher called.
 *
 *   {"n":"00000042","t":"0001234567890123","p":"xxxx…"}
 *
 * 200 bytes, the same for every server.  Those who wrap it keep it whole, so
 * a reader looks for it once and then finds it at the same distance from the
 * end of each frame.  Pure. */

#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PAYLOAD_BYTES 200
#define PAYLOAD_MARK "{\"n\":\""
#define PAYLOAD_MARK_BYTES 6
#define PAYLOAD_SEQ_AT 6
#define PAYLOAD_TIME_AT 21
#define PAYLOAD_SEQ_MAX 99999999

/* Writes the payload; no NUL behind it. */
void payload_write(char out[PAYLOAD_BYTES], uint64_t seq, uint64_t us);

/* Eight decimal digits, all at once. */
static inline uint64_t
payload_digits(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, 8);
	v -= 0x3030303030303030U;
	v = v * 10 + (v >> 8);
	return (((v & 0x000000ff000000ffU) * 0x000f424000000064U) +
		       (((v >> 16) & 0x000000ff000000ffU) * 0x0000271000000001U)) >>
		32;
}

/* Where in the frame it is, the slow way; NULL if nowhere. */
const uint8_t *payload_search(const uint8_t *frame, size_t len);

/* Reads seq and time out of a frame.  *tail is kept from frame to frame: how
 * far from its end the payload begins.  False if there is none. */
static inline bool
payload_read(const uint8_t *frame, size_t len, size_t *tail, uint64_t *seq, uint64_t *us)
{
	const uint8_t *at = frame + len - *tail;

	if (*tail > len || *tail < PAYLOAD_BYTES || memcmp(at, PAYLOAD_MARK, PAYLOAD_MARK_BYTES) != 0) {
		at = payload_search(frame, len);
		if (at == NULL)
			return false;
		*tail = (size_t)(frame + len - at);
	}
	*seq = payload_digits(at + PAYLOAD_SEQ_AT);
	*us = payload_digits(at + PAYLOAD_TIME_AT) * 100000000U +
		payload_digits(at + PAYLOAD_TIME_AT + 8);
	return true;
}

#endif
