#include "common/log.h"

#include "common/buf.h"
#include "common/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

static const char *log_program = "evhub";
static atomic_int log_max = LOG_LEVEL_INFO;
static atomic_bool log_as_json;

void
log_setup(const char *program, enum log_level level, bool json)
{
	log_program = program;
	log_max = (int)level;
	log_as_json = json;
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

static void
write_line(const char *line, size_t len)
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

void
log_line(enum log_level level, const char *event, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES - 256], line[LINE_MAX_BYTES], stamp[CLOCK_TEXT_BYTES];
	va_list ap;
	int n;

	if ((int)level > log_max)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';

	clock_format(clock_now_us(), stamp);
	if (log_as_json) {
		struct buf b = BUF_INIT;

		buf_printf(&b,
			"{\"time\":\"%s\",\"program\":\"%s\",\"level\":\"%s\",\"event\":\"%s\",\"text\":",
			stamp, log_program, level_name(level), event);
		buf_json_string(&b, text, strlen(text));
		buf_add(&b, "}\n", 2);
		if (!b.failed)
			write_line(b.data, b.len);
		buf_free(&b);
		return;
	}
	n = snprintf(line, sizeof(line), "%s %s: %s %s%s%s\n", stamp, log_program, level_name(level),
		event, text[0] != '\0' ? " " : "", text);
	if (n > 0)
		write_line(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}
