#include "fcgi/request.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CHUNK 16384
#define DRAIN_MAX ((size_t)64 << 20)

void
request_init(struct request *r, char *const *env, struct request_input input)
{
	const char *redirected = "";
	const struct {
		const char *name;
		const char **value;
		const char *header; /* that must not be there twice */
	} variables[] = {
		{ "REQUEST_METHOD", &r->method, NULL },
		{ "REQUEST_URI", &r->uri, NULL },
		{ "DOCUMENT_URI", &r->document_uri, NULL },
		{ "SCRIPT_NAME", &r->script_name, NULL },
		{ "PATH_INFO", &r->path_info, NULL },
		{ "HTTP_AUTHORIZATION", &r->authorization, "authorization" },
		{ "REDIRECT_HTTP_AUTHORIZATION", &redirected, NULL },
		{ "HTTP_X_API_KEY", &r->api_key, "x-api-key" },
		{ "CONTENT_TYPE", &r->content_type, NULL },
		{ "CONTENT_LENGTH", &r->content_length, NULL },
		{ "REMOTE_ADDR", &r->remote_addr, NULL },
	};
	const size_t count = sizeof(variables) / sizeof(variables[0]);

	memset(r, 0, sizeof(*r));
	r->input = input;
	for (size_t i = 0; i < count; i++)
		*variables[i].value = "";
	for (; *env != NULL; env++) {
		size_t len = strcspn(*env, "=");

		for (size_t i = 0; (*env)[len] == '=' && i < count; i++)
			if (strncmp(*env, variables[i].name, len) == 0 &&
				variables[i].name[len] == '\0') {
				/* nginx tells each of two equal headers, and who shows two
				 * secrets may have sent one of them through a filter */
				if (variables[i].header != NULL && **variables[i].value != '\0')
					r->repeated = variables[i].header;
				*variables[i].value = *env + len + 1;
			}
	}
	/* Apache hands the header to a CGI program only through a rewrite rule,
	 * which renames it */
	if (r->authorization[0] == '\0')
		r->authorization = redirected;
}

void
request_free(struct request *r)
{
	buf_free(&r->body);
}

/* The value of a hexadecimal digit, -1 if it is none. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes the path of a request target (RFC 9112 section 3.2: "/path?query"
 * or "http://host/path?query"). */
static bool
decode_uri(const char *uri, char out[REQUEST_PATH_BYTES])
{
	const char *authority = strstr(uri, "://");
	size_t n = 0;

	if (uri[0] != '/' && authority != NULL)
		uri = authority + 3 + strcspn(authority + 3, "/?#");
	for (; *uri != '\0' && *uri != '?' && *uri != '#'; uri++) {
		int c = (unsigned char)*uri;

		if (*uri == '%') {
			int high = hex_value(uri[1]), low = high < 0 ? -1 : hex_value(uri[2]);

			c = low < 0 ? 0 : high * 16 + low;
			if (c <= 0x20 || c == 0x7f || c == '/')
				return false;
			uri += 2;
		}
		if (n + 1 >= REQUEST_PATH_BYTES)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return n > 0;
}

static bool
join(const char *first, const char *second, char out[REQUEST_PATH_BYTES])
{
	int len = snprintf(out, REQUEST_PATH_BYTES, "%s%s", first, second);

	return len > 0 && len < REQUEST_PATH_BYTES;
}

bool
request_path(const struct request *r, enum request_path which, char out[REQUEST_PATH_BYTES])
{
	switch (which) {
	case REQUEST_PATH_URI:
		return decode_uri(r->uri, out);
	case REQUEST_PATH_DOCUMENT:
		return join(r->document_uri, "", out);
	case REQUEST_PATH_SCRIPT:
		return join(r->script_name, r->path_info, out);
	case REQUEST_PATH_INFO:
		return join(r->path_info, "", out);
	case REQUEST_PATH_COUNT:
		break;
	}
	return false;
}

bool
request_is_json(const struct request *r)
{
	static const char prefix[] = "application/";
	const char *type = r->content_type + strspn(r->content_type, " \t");
	size_t len = strcspn(type, "; \t");

	if (strncasecmp(type, prefix, sizeof(prefix) - 1) != 0)
		return false;
	type += sizeof(prefix) - 1;
	len -= sizeof(prefix) - 1;
	if (len == 4 && strncasecmp(type, "json", 4) == 0)
		return true;
	return len > 5 && strncasecmp(type + len - 5, "+json", 5) == 0;
}

/* Reads Content-Length.  False if it is no number; SIZE_MAX if it is huge. */
static bool
parse_length(const char *text, size_t *length)
{
	*length = 0;
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (!isdigit((unsigned char)*text))
			return false;
		if (*length > (SIZE_MAX - 9) / 10)
			*length = SIZE_MAX;
		else
			*length = *length * 10 + (size_t)(*text - '0');
	}
	return true;
}

static enum evh_rc
too_large(size_t limit, struct api_error *e)
{
	api_error_fail(
		e, 413, "body_too_large", "body", "the body is longer than max_body_bytes (%zu)", limit);
	return EVH_TOO_LARGE;
}

/* Reads until want bytes are there or the input ends. */
static bool
read_up_to(struct request *r, size_t want)
{
	while (r->body.len < want) {
		size_t room = want - r->body.len < CHUNK ? want - r->body.len : CHUNK, n;

		if (!buf_reserve(&r->body, room))
			return false;
		n = r->input.read(r->input.arg, r->body.data + r->body.len, room);
		if (n == 0)
			break;
		r->body.len += n;
	}
	return true;
}

enum evh_rc
request_read_body(struct request *r, size_t limit, struct api_error *e)
{
	bool told = r->content_length[0] != '\0';
	size_t length = limit + 1;

	if (told && !parse_length(r->content_length, &length)) {
		api_error_fail(e, 400, "invalid_content_length", "content-length",
			"Content-Length is not a number");
		return EVH_INVALID;
	}
	if (told && length > limit)
		return too_large(limit, e);
	if (!read_up_to(r, length)) {
		api_error_fail(e, 503, "out_of_memory", "body", "out of memory");
		return EVH_NOMEM;
	}
	if (r->body.len > limit)
		return too_large(limit, e);
	if ((!told || r->body.len < length) && r->input.late != NULL && r->input.late(r->input.arg)) {
		api_error_fail(e, 408, "request_timeout", "body",
			"the request did not come to its end in time");
		return EVH_INVALID;
	}
	if (told && r->body.len < length) {
		api_error_fail(e, 400, "truncated_body", "body", "the body ends after %zu of %zu bytes",
			r->body.len, length);
		return EVH_INVALID;
	}
	return EVH_OK;
}

void
request_drain(struct request *r)
{
	char scratch[4096];
	size_t total = 0, n = 1;

	while (n > 0 && total < DRAIN_MAX) {
		n = r->input.read(r->input.arg, scratch, sizeof(scratch));
		total += n;
	}
}
