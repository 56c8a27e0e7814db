/* log_format.h - a line of the log as key=value pairs or as members of a JSON
 * object.
 *
 * The format is taken apart before anything is put into it, so a value can
 * never become a pair, a line or a JSON member of its own: text with a blank,
 * a quote, a control character or the like is quoted and escaped.  Pure. */

#ifndef EVH_LOG_FORMAT_H
#define EVH_LOG_FORMAT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* A line at most; what does not fit is cut, and the line is still well-formed. */
#define LOG_LINE_BYTES 4096

struct log_body {
	char text[LOG_LINE_BYTES];
	size_t len;
	bool full;
};

/* Writes level, event and the pairs of fmt:
 *
 *   info refused status=401 reason="no credential"
 *   "level":"info","event":"refused","status":401,"reason":"no credential"
 *
 * fmt is pairs of key=value or key="value" between single blanks, or a text
 * that does not begin with a key; JSON calls that one "text".  Conversions:
 * %s with an optional precision, and d, i, u, x with an optional l, ll or z. */
void log_format(struct log_body *out, bool json, const char *level, const char *event, const char *fmt,
	va_list ap);

/* Appends one more pair, as many times a line has been held back. */
void log_format_number(struct log_body *out, bool json, const char *key, unsigned long long value);

#endif
