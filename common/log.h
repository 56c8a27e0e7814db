/* log.h - one line per thing worth telling, on standard error.
 *
 * A line is a fixed word for what happened and then key=value pairs, so that
 * grep and fail2ban can rely on it: log_info("client_joined", "user_id=%s", u).
 * With log_format = json the same line is one JSON object.  Secrets are never
 * passed to it.  Thread-safe. */

#ifndef EVH_LOG_H
#define EVH_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Sets what is told from now on and the name that begins each line. */
void log_setup(const char *program, enum log_level level, bool json);

/* One line.  event is a word; fmt gives the pairs.  Control characters in
 * the pairs are written as '?', so that no value can begin a line. */
void log_line(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
