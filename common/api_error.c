#include "common/api_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Seconds after which it makes sense to ask again. */
#define RETRY_AFTER 2

static void
push(struct api_error *e, int code, const char *error, const char *path, const char *text)
{
	if (e->error == NULL)
		e->error = error;
	if (e->count++ >= API_ERROR_STACK_MAX)
		return;
	if (e->stack.len > 0)
		buf_add(&e->stack, ",", 1);
	buf_printf(&e->stack, "{\"code\":%d,\"description\":", code);
	buf_json_string(&e->stack, text, strlen(text));
	buf_puts(&e->stack, ",\"error\":");
	buf_json_string(&e->stack, error, strlen(error));
	buf_puts(&e->stack, ",\"path\":");
	buf_json_string(&e->stack, path, strlen(path));
	buf_puts(&e->stack, "}");
}

static void
format(char *text, size_t size, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/* Formats into text; what does not fit is cut between two characters. */
static void
format(char *text, size_t size, const char *fmt, va_list ap)
{
	size_t len, valid;

	(void)vsnprintf(text, size, fmt, ap);
	len = strlen(text);
	valid = buf_utf8_valid(text, len);
	if (len + 1 == size && len - valid < 4)
		text[valid] = '\0';
}

void
api_error_set(struct api_error *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e->code != 0)
		return;
	e->code = code;
	va_start(ap, fmt);
	format(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
}

void
api_error_push(struct api_error *e, int code, const char *error, const char *path, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	format(text, sizeof(text), fmt, ap);
	va_end(ap);
	push(e, code, error, path, text);
}

void
api_error_fail(struct api_error *e, int code, const char *error, const char *path, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	format(text, sizeof(text), fmt, ap);
	va_end(ap);
	api_error_set(e, code, "%s", text);
	push(e, code, error, path, text);
}

int
api_error_retry_after(const struct api_error *e)
{
	if (e->code != 429 && e->code != 503)
		return 0;
	return e->retry_after > 0 ? e->retry_after : RETRY_AFTER;
}

void
api_error_stack_json(const struct api_error *e, struct buf *out)
{
	buf_puts(out, "\"stack\":[");
	if (e->stack.failed)
		out->failed = true;
	else if (e->stack.len > 0)
		buf_add(out, e->stack.data, e->stack.len);
	if (e->count > API_ERROR_STACK_MAX)
		buf_printf(out,
			",{\"code\":%d,\"description\":\"and %u more\",\"error\":\"more\",\"path\":\"\"}",
			e->code, e->count - API_ERROR_STACK_MAX);
	buf_puts(out, "]");
}

void
api_error_json(const struct api_error *e, struct buf *out)
{
	buf_printf(out, "{\"code\":%d,\"message\":", e->code);
	buf_json_string(out, e->message, strlen(e->message));
	buf_puts(out, ",");
	api_error_stack_json(e, out);
	buf_puts(out, "}");
}

const char *
api_status_text(int code)
{
	switch (code) {
	case 200:
		return "OK";
	case 201:
		return "Created";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 409:
		return "Conflict";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 415:
		return "Unsupported Media Type";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 505:
		return "HTTP Version Not Supported";
	case 503:
		return "Service Unavailable";
	default:
		return "Unknown";
	}
}

void
api_error_free(struct api_error *e)
{
	buf_free(&e->stack);
	e->code = 0;
	e->count = 0;
	e->error = NULL;
	e->retry_after = 0;
}
