/* log_repeat.h - the same line over and over does not fill the disk.
 *
 * Of lines that are equal but for their time, LOG_REPEAT_BURST pass within
 * LOG_REPEAT_SECONDS (enough for a program that counts them, such as
 * fail2ban); further ones are counted and told as one when the time is over.
 * Lines that differ are never held back.  Pure: time comes in. */

#ifndef EVH_LOG_REPEAT_H
#define EVH_LOG_REPEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_REPEAT_BURST 10
#define LOG_REPEAT_SECONDS 10

/* How many different lines are watched, and how long they may be. */
#define LOG_REPEAT_LINES 32
#define LOG_REPEAT_BYTES 640

struct log_repeat {
	int64_t begun; /* when the first of them came, µs */
	uint32_t seen; /* 0: the place is free */
	uint32_t held;
	int level;
	uint16_t len;
	char text[LOG_REPEAT_BYTES];
};

struct log_repeats {
	struct log_repeat lines[LOG_REPEAT_LINES];
};

/* True if the line may be written now. */
bool log_repeat_pass(struct log_repeats *r, int level, const char *text, size_t len, int64_t now_us);

/* A line of which some were held back and whose time is over (all: whether it
 * is over or not); NULL if there is none.  Its place is free from then on, and
 * the content valid until the next call. */
const struct log_repeat *log_repeat_due(struct log_repeats *r, int64_t now_us, bool all);

#endif
