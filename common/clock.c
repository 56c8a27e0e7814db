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

/* The text of a second, which is that of the call before more often than not. */
static const char *
format_second(time_t second)
{
	static _Thread_local time_t last = -1;
	static _Thread_local char text[24] = "";
	struct tm tm;

	if (second == last && text[0] != '\0')
		return text;
	memset(&tm, 0, sizeof(tm));
	(void)gmtime_r(&second, &tm);
	if (strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) != 19)
		memcpy(text, "1970-01-01T00:00:00", 20);
	last = second;
	return text;
}

void
clock_format(int64_t us, char out[CLOCK_TEXT_BYTES])
{
	int64_t fraction = us % 1000000;
	time_t second = (time_t)(us / 1000000);

	if (fraction < 0) { /* before 1970 */
		fraction += 1000000;
		second--;
	}
	memcpy(out, format_second(second), 19);
	out[19] = '.';
	for (int i = 25; i > 19; i--) {
		out[i] = (char)('0' + fraction % 10);
		fraction /= 10;
	}
	out[26] = 'Z';
	out[27] = '\0';
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
