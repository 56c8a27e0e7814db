#include "common/log.h"

#include "common/clock.h"
#include "common/log_format.h"
#include "common/log_repeat.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
/* after log.h, whose names begin like its own */
#include <syslog.h>
#include <unistd.h>

static atomic_int log_max = LOG_LEVEL_INFO;

static struct {
	pthread_mutex_t lock; /* of all below, and of the order of lines */
	const char *program;
	bool json;
	enum log_target target; /* never auto */
} logging = { .lock = PTHREAD_MUTEX_INITIALIZER, .program = "evhub", .target = LOG_TARGET_STDERR };

/* Guarded by the lock too, but all zero, so that the program's file does not hold it. */
static struct log_repeats repeats;

/* Whether standard error is a stream of the journal: systemd.exec(5). */
static bool
is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char text[64];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	(void)snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino);
	return strcmp(stream, text) == 0;
}

void
log_setup(const char *program, enum log_level level, bool json, enum log_target target)
{
	if (target == LOG_TARGET_AUTO)
		target = is_journal() ? LOG_TARGET_JOURNALD : LOG_TARGET_STDERR;
	log_flush(true); /* in the form that they were counted in */
	(void)pthread_mutex_lock(&logging.lock);
	if (target == LOG_TARGET_SYSLOG)
		openlog(program, LOG_PID | LOG_NDELAY, LOG_DAEMON);
	else if (logging.target == LOG_TARGET_SYSLOG)
		closelog();
	logging.program = program;
	logging.json = json;
	logging.target = target;
	(void)pthread_mutex_unlock(&logging.lock);
	log_max = (int)level;
}

static const char *
level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARN:
		return "warn";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_DEBUG:
		return "debug";
	}
	return "?";
}

static int
priority(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return LOG_ERR;
	case LOG_LEVEL_WARN:
		return LOG_WARNING;
	case LOG_LEVEL_INFO:
		return LOG_INFO;
	case LOG_LEVEL_DEBUG:
		return LOG_DEBUG;
	}
	return LOG_ERR;
}

static void
write_all(const char *line, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, line, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nobody is left to tell */
		line += n;
		len -= (size_t)n;
	}
}

/* Writes one line in one piece.  The journal and syslog know the time and the
 * program themselves, but not the members of a JSON object. */
static void
emit(enum log_level level, const char *body, size_t len)
{
	char line[LOG_LINE_BYTES + 128], stamp[CLOCK_TEXT_BYTES], mark[8] = "";
	int n;

	clock_format(clock_now_us(), stamp);
	if (logging.target == LOG_TARGET_JOURNALD)
		(void)snprintf(mark, sizeof(mark), "<%d>", priority(level));
	if (logging.json)
		n = snprintf(line, sizeof(line), "%s{\"time\":\"%s\",\"program\":\"%.40s\",%.*s}\n",
			mark, stamp, logging.program, (int)len, body);
	else if (logging.target == LOG_TARGET_STDERR)
		n = snprintf(
			line, sizeof(line), "%s %.40s: %.*s\n", stamp, logging.program, (int)len, body);
	else
		n = snprintf(line, sizeof(line), "%s%.*s\n", mark, (int)len, body);
	if (n <= 0 || (size_t)n >= sizeof(line))
		return; /* cannot be: the body is bounded */
	if (logging.target == LOG_TARGET_SYSLOG)
		syslog(priority(level), "%.*s", n - 1, line);
	else
		write_all(line, (size_t)n);
}

static void
tell_held(int64_t now, bool all)
{
	const struct log_repeat *held;
	struct log_body body;

	while ((held = log_repeat_due(&repeats, now, all)) != NULL) {
		memcpy(body.text, held->text, held->len);
		body.len = held->len;
		body.full = false;
		log_format_number(&body, logging.json, "repeats", held->held);
		emit((enum log_level)held->level, body.text, body.len);
	}
}

void
log_line(enum log_level level, const char *event, const char *fmt, ...)
{
	struct log_body body;
	int64_t now;
	va_list ap;

	if ((int)level > log_max)
		return;
	(void)pthread_mutex_lock(&logging.lock);
	va_start(ap, fmt);
	log_format(&body, logging.json, level_name(level), event, fmt, ap);
	va_end(ap);
	now = clock_mono_us();
	tell_held(now, false);
	if (level == LOG_LEVEL_DEBUG || log_repeat_pass(&repeats, (int)level, body.text, body.len, now))
		emit(level, body.text, body.len);
	(void)pthread_mutex_unlock(&logging.lock);
}

void
log_flush(bool all)
{
	(void)pthread_mutex_lock(&logging.lock);
	tell_held(clock_mono_us(), all);
	(void)pthread_mutex_unlock(&logging.lock);
}
