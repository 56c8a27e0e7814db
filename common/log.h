/* log.h - one line per thing worth telling, on standard error or to syslog.
 *
 * A line is a fixed word for what happened and then key=value pairs, so that
 * grep and fail2ban can rely on it: log_info("client_joined", "user_id=%s", u).
 * With log_format = json the same line is one JSON object with the same keys.
 * What may stand in the format is told in log_format.h.  Secrets are never
 * passed to it.  Thread-safe. */

#ifndef EVH_LOG_H
#define EVH_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* auto: standard error, as the journal likes it if it is what reads there. */
enum log_target { LOG_TARGET_AUTO, LOG_TARGET_STDERR, LOG_TARGET_SYSLOG, LOG_TARGET_JOURNALD };

/* Sets what is told from now on, how and where, and the program's name. */
void log_setup(const char *program, enum log_level level, bool json, enum log_target target);

/* One line.  event is a word, fmt gives the pairs.  No value can begin a line
 * or look like a pair of its own.  Equal lines in a row are held back; see
 * log_repeat.h. */
void log_line(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Tells of the lines that were held back: now and then (those whose time is
 * over), and at the end (all). */
void log_flush(bool all);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
