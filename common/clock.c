#include "common/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t
read_us(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clock_now_us(void)
{
	return read_us(CLOCK_REALTIME);
}

int64_t
clock_mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

void
clock_format(int64_t us, char out[CLOCK_TEXT_BYTES])
{
	int64_t fraction = us % 1000000;
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;
	char date[24];

	if (fraction < 0) { /* before 1970 */
		fraction += 1000000;
		seconds--;
	}
	memset(&tm, 0, sizeof(tm));
	(void)gmtime_r(&seconds, &tm);
	if (strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) != 19)
		memcpy(date, "1970-01-01T00:00:00", 20);
	(void)snprintf(out, CLOCK_TEXT_BYTES, "%.19s.%06uZ", date, (unsigned)fraction % 1000000u);
}

/* The fraction at *p, ".5" being 500000; p moves behind it. */
static bool
parse_fraction(const char **p, int64_t *us)
{
	int64_t unit = 100000;
	const char *first;

	*us = 0;
	if (**p != '.')
		return true;
	first = ++*p;
	for (; isdigit((unsigned char)**p) && *p - first < 9; (*p)++) {
		*us += (**p - '0') * unit;
		unit /= 10;
	}
	return *p > first;
}

bool
clock_parse(const char *text, int64_t *us)
{
	struct tm tm;
	const char *p;
	int64_t fraction;

	memset(&tm, 0, sizeof(tm));
	p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (p == NULL || p - text != 19 || !parse_fraction(&p, &fraction) || strcmp(p, "Z") != 0)
		return false;
	*us = (int64_t)timegm(&tm) * 1000000 + fraction;
	return true;
}
