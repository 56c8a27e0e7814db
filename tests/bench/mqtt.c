#include "tests/bench/mqtt.h"

#include <stdio.h>
#include <string.h>

static size_t
put_text(uint8_t *out, const char *text)
{
	const size_t n = strlen(text);

	out[0] = (uint8_t)(n >> 8);
	out[1] = (uint8_t)n;
	memcpy(out + 2, text, n);
	return n + 2;
}

/* The first byte and the length of what follows. */
static size_t
put_head(uint8_t *out, uint8_t first, size_t len)
{
	size_t n = 1;

	out[0] = first;
	do {
		out[n++] = (uint8_t)(len % 128 + (len >= 128 ? 128 : 0));
		len /= 128;
	} while (len > 0);
	return n;
}

size_t
mqtt_connect(uint8_t *out, unsigned number)
{
	static const uint8_t fixed[] = { 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0 }; /* clean session */
	uint8_t id[32];
	char text[24];
	size_t n, id_len;

	snprintf(text, sizeof(text), "bench%u", number);
	id_len = put_text(id, text);
	n = put_head(out, 0x10, sizeof(fixed) + id_len);
	memcpy(out + n, fixed, sizeof(fixed));
	memcpy(out + n + sizeof(fixed), id, id_len);
	return n + sizeof(fixed) + id_len;
}

size_t
mqtt_subscribe(uint8_t *out, const char *topic)
{
	size_t n = put_head(out, 0x82, 2 + 2 + strlen(topic) + 1);

	out[n++] = 0;
	out[n++] = 1;
	n += put_text(out + n, topic);
	out[n++] = 0; /* at most once */
	return n;
}

size_t
mqtt_publish(uint8_t *out, const char *topic, uint16_t packet, const void *payload, size_t len)
{
	size_t n = put_head(out, 0x32, 2 + strlen(topic) + 2 + len);

	n += put_text(out + n, topic);
	out[n++] = (uint8_t)(packet >> 8);
	out[n++] = (uint8_t)packet;
	memcpy(out + n, payload, len);
	return n + len;
}

bool
mqtt_is_suback(const uint8_t *at, size_t len)
{
	return (len >= 5 && at[0] == 0x90) || (len >= 9 && at[4] == 0x90); /* CONNACK has 4 bytes */
}
