#include "common/log_repeat.h"

#include <string.h>

#define WINDOW_US (INT64_C(1000000) * LOG_REPEAT_SECONDS)

static bool
is_over(const struct log_repeat *l, int64_t now_us)
{
	return now_us - l->begun >= WINDOW_US || now_us < l->begun;
}

/* A place for a new line: a free one, or the oldest of which nothing was held
 * back; NULL if there is none. */
static struct log_repeat *
place(struct log_repeats *r, int64_t now_us)
{
	struct log_repeat *best = NULL;

	for (size_t i = 0; i < LOG_REPEAT_LINES; i++) {
		struct log_repeat *l = &r->lines[i];

		if (l->seen == 0 || (l->held == 0 && is_over(l, now_us)))
			return l;
		if (l->held == 0 && (best == NULL || l->begun < best->begun))
			best = l;
	}
	return best;
}

bool
log_repeat_pass(struct log_repeats *r, int level, const char *text, size_t len, int64_t now_us)
{
	struct log_repeat *l;

	if (len > LOG_REPEAT_BYTES)
		return true;
	for (size_t i = 0; i < LOG_REPEAT_LINES; i++) {
		l = &r->lines[i];
		if (l->seen == 0 || l->len != len || is_over(l, now_us) ||
			memcmp(l->text, text, len) != 0)
			continue;
		if (l->seen++ < LOG_REPEAT_BURST)
			return true;
		l->held++;
		return false;
	}
	l = place(r, now_us);
	if (l != NULL) {
		l->begun = now_us;
		l->seen = 1;
		l->held = 0;
		l->level = level;
		l->len = (uint16_t)len;
		memcpy(l->text, text, len);
	}
	return true;
}

const struct log_repeat *
log_repeat_due(struct log_repeats *r, int64_t now_us, bool all)
{
	for (size_t i = 0; i < LOG_REPEAT_LINES; i++) {
		struct log_repeat *l = &r->lines[i];

		if (l->seen == 0 || l->held == 0 || (!all && !is_over(l, now_us)))
			continue;
		l->seen = 0;
		return l;
	}
	return NULL;
}
