#include "fcgi/cgi.h"

#include "fcgi/context.h"
#include "fcgi/service.h"
#include "fcgi/writer.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

bool
cgi_started(void)
{
	return getenv("GATEWAY_INTERFACE") != NULL || getenv("REQUEST_METHOD") != NULL;
}

/* Standard input, which need not end where the body does (RFC 3875 section
 * 4.2): *arg is how much of the body is left. */
static size_t
read_input(void *arg, char *out, size_t len)
{
	size_t *left = arg;
	ssize_t n;

	if (len > *left)
		len = *left;
	do {
		n = read(STDIN_FILENO, out, len);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	*left -= (size_t)n;
	return (size_t)n;
}

/* A web server that unpacks a chunked body tells no length, but ends the
 * input.  Without a body it may never end. */
static size_t
body_length(void)
{
	const char *length = getenv("CONTENT_LENGTH");
	char *end;
	unsigned long long n;

	if (length == NULL || *length == '\0')
		return getenv("HTTP_TRANSFER_ENCODING") != NULL ? SIZE_MAX : 0;
	errno = 0;
	n = strtoull(length, &end, 10);
	return isdigit((unsigned char)*length) && *end == '\0' && errno == 0 && n < SIZE_MAX ? (size_t)n
											     : 0;
}

static bool
write_answer(struct response *response)
{
	struct buf out = BUF_INIT;
	size_t done = 0;
	bool written;

	response_write(response, &out);
	while (!out.failed && done < out.len) {
		ssize_t n = write(STDOUT_FILENO, out.data + done, out.len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EINTR)
			break;
	}
	written = !out.failed && done == out.len;
	buf_free(&out);
	return written;
}

bool
cgi_serve(const struct conf *conf, struct keys *keys)
{
	extern char **environ;
	size_t left = body_length();
	const struct request_input input = { .read = read_input, .arg = &left };
	struct response response = RESPONSE_INIT;
	struct request request;
	struct writer writer;
	struct context ctx;
	bool written;

	writer_init(&writer, conf);
	context_init(&ctx, conf, &writer);
	ctx.keys = keys;
	request_init(&request, environ, input);
	service_handle(&ctx, &request, &response);
	request_drain(&request);
	written = write_answer(&response);
	request_free(&request);
	response_free(&response);
	context_free(&ctx);
	writer_free(&writer);
	return written;
}

bool
cgi_refuse(const char *error, const char *message)
{
	struct api_error e = API_ERROR_INIT;
	struct response response = RESPONSE_INIT;
	bool written;

	api_error_fail(&e, 503, error, "", "%s", message);
	response_error(&response, &e);
	written = write_answer(&response);
	response_free(&response);
	api_error_free(&e);
	return written;
}
