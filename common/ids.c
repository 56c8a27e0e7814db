#include "common/ids.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <uuid/uuid.h>

void
evh_uuid_new(uint8_t id[EVH_UUID_BYTES], int64_t now_us)
{
	uint64_t ms = (uint64_t)now_us / 1000, fraction = (uint64_t)now_us % 1000 * 4096 / 1000;

	/* libuuid's own generator asks the kernel five times for each */
	if (getrandom(id, EVH_UUID_BYTES, 0) != EVH_UUID_BYTES)
		uuid_generate_random(id);
	for (int i = 0; i < 6; i++)
		id[i] = (uint8_t)(ms >> (40 - 8 * i));
	id[6] = (uint8_t)(0x70 | fraction >> 8);
	id[7] = (uint8_t)fraction;
	id[8] = (uint8_t)(0x80 | (id[8] & 0x3f));
}

void
evh_uuid_format(const uint8_t id[EVH_UUID_BYTES], char out[EVH_UUID_TEXT])
{
	uuid_unparse_lower(id, out);
}

bool
evh_uuid_parse(const char *text, uint8_t id[EVH_UUID_BYTES])
{
	return strlen(text) == EVH_UUID_TEXT - 1 && uuid_parse(text, id) == 0;
}

size_t
evh_id_format(char out[EVH_ID_TEXT], const char *epoch, uint64_t seq, uint64_t n)
{
	int len;

	if (n == 0)
		len = snprintf(out, EVH_ID_TEXT, "%s-%llu", epoch, (unsigned long long)seq);
	else
		len = snprintf(out, EVH_ID_TEXT, "%s-%llu.%llu", epoch, (unsigned long long)seq,
			(unsigned long long)n);
	return len > 0 ? (size_t)len : 0;
}

/* Reads decimal digits at *p into *value; false on none, or on overflow. */
static bool
digits(const char **p, uint64_t *value)
{
	uint64_t v = 0;
	const char *start = *p;

	for (; isdigit((unsigned char)**p); (*p)++) {
		uint64_t d = (uint64_t)(**p - '0');

		if (v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*value = v;
	return *p != start;
}

bool
evh_id_parse(const char *text, char epoch[EVH_EPOCH_TEXT], uint64_t *seq)
{
	size_t n = strspn(text, "0123456789abcdef");
	const char *p = text + n;
	uint64_t s, rest;

	if (n == 0 || n >= EVH_EPOCH_TEXT || *p++ != '-' || !digits(&p, &s))
		return false;
	if (*p == '.') {
		p++;
		if (!digits(&p, &rest))
			return false;
	}
	if (*p != '\0' || s > INT64_MAX)
		return false;
	memcpy(epoch, text, n);
	epoch[n] = '\0';
	*seq = s;
	return true;
}
