#include "tests/bench/payload.h"

static void
digits(char *to, int count, uint64_t value)
{
	while (count-- > 0) {
		to[count] = (char)('0' + value % 10);
		value /= 10;
	}
}

void
payload_write(char out[PAYLOAD_BYTES], uint64_t seq, uint64_t us)
{
	static const char head[] = PAYLOAD_MARK "00000000\",\"t\":\"0000000000000000\",\"p\":\"";
	const size_t n = sizeof(head) - 1;

	memcpy(out, head, n);
	digits(out + PAYLOAD_SEQ_AT, 8, seq);
	digits(out + PAYLOAD_TIME_AT, 16, us);
	memset(out + n, 'x', PAYLOAD_BYTES - n - 2);
	out[PAYLOAD_BYTES - 2] = '"';
	out[PAYLOAD_BYTES - 1] = '}';
}

const uint8_t *
payload_search(const uint8_t *frame, size_t len)
{
	if (len < PAYLOAD_BYTES)
		return NULL;
	return memmem(frame, len - PAYLOAD_BYTES + PAYLOAD_MARK_BYTES, PAYLOAD_MARK, PAYLOAD_MARK_BYTES);
}
