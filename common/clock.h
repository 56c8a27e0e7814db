/* clock.h - time as evhub counts and writes it: microseconds since 1970, UTC,
 * and RFC 3339 text.  Only clock_now_us and clock_mono_us read a clock. */

#ifndef EVH_CLOCK_H
#define EVH_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Room for "2026-11-23T20:42:11.123456Z" and its NUL. */
#define CLOCK_TEXT_BYTES 28

/* Wall-clock time, microseconds since the epoch. */
int64_t clock_now_us(void);

/* Time that never jumps, microseconds since some fixed moment. */
int64_t clock_mono_us(void);

/* Writes us as RFC 3339 with six digits of fraction into out. */
void clock_format(int64_t us, char out[CLOCK_TEXT_BYTES]);

/* Reads what clock_format writes, with 1 to 9 digits of fraction or none;
 * digits behind the sixth are dropped.  False if text is something else. */
bool clock_parse(const char *text, int64_t *us);

#endif
