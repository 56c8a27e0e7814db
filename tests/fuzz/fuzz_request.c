/* A request as the web server tells it.  Lines NAME=value are the environment,
 * up to an empty line; what follows is the body, which comes in pieces. */

#include "fcgi/records.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/routes.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define VARIABLES_MAX 32
#define BODY_MAX 512

struct source {
	struct fuzz_input in;
	size_t piece;
};

/* Pieces of 1, 2, 3 … bytes, so that every border is met. */
static size_t
read_source(void *arg, char *out, size_t len)
{
	struct source *s = arg;
	size_t n = s->piece++ % 97 + 1;

	if (n > len)
		n = len;
	if (n > s->in.left)
		n = s->in.left;
	memcpy(out, s->in.at, n);
	s->in.at += n;
	s->in.left -= n;
	return n;
}

static void
check_paths(const struct request *r)
{
	char path[REQUEST_PATH_BYTES];

	for (int which = 0; which < REQUEST_PATH_COUNT; which++) {
		size_t n = strlen(r->uri);

		memset(path, 'x', sizeof(path));
		if (!request_path(r, (enum request_path)which, path))
			continue;
		FUZZ_CHECK(memchr(path, '\0', sizeof(path)) != NULL && path[0] != '\0');
		if (which == REQUEST_PATH_URI) /* an escape never makes a path longer */
			FUZZ_CHECK(strlen(path) <= n);
	}
	if (route_find(r, "/api/v1/ws") != NULL)
		FUZZ_CHECK(strstr(r->uri, "/") != NULL || strchr(r->document_uri, '/') != NULL ||
			strchr(r->script_name, '/') != NULL || strchr(r->path_info, '/') != NULL);
}

static void
check_body(struct request *r, const char *body, size_t len)
{
	struct api_error e = API_ERROR_INIT;
	struct response response = RESPONSE_INIT;
	struct buf out = BUF_INIT;
	enum evh_rc rc = request_read_body(r, BODY_MAX, &e);

	if (rc == EVH_OK) {
		FUZZ_CHECK(e.code == 0 && r->body.len <= BODY_MAX && r->body.len <= len);
		FUZZ_CHECK(r->body.len == 0 || memcmp(r->body.data, body, r->body.len) == 0);
		if (r->content_length[0] != '\0')
			FUZZ_CHECK(strtoull(r->content_length, NULL, 10) == r->body.len);
		else
			FUZZ_CHECK(r->body.len == len);
	} else {
		FUZZ_CHECK(rc == EVH_INVALID ? e.code == 400 : rc == EVH_TOO_LARGE && e.code == 413);
		response_error(&response, &e);
		fuzz_check_json(response.body.data, response.body.len);
		response_write(&response, &out);
		FUZZ_CHECK(strncmp(out.data, "Status: 4", 9) == 0);
		buf_free(&out);
		response_free(&response);
	}
	request_drain(r);
	api_error_free(&e);
}

/* Looked at in pieces, it is whole when it is so at one look. */
static void
check_records(const uint8_t *data, size_t size)
{
	struct records once = { 0 }, pieces = { 0 };
	bool whole = records_whole(&once, data, size), seen = false;

	for (size_t len = 0, step = 1; len < size && !seen; step = step % 97 + 1) {
		len = size - len < step ? size : len + step;
		seen = records_whole(&pieces, data, len);
	}
	FUZZ_CHECK(seen == whole && once.next == pieces.next && once.id == pieces.id);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source source = { .in = { (const char *)data, size } };
	char *env[VARIABLES_MAX + 1], *line;
	struct request request;
	size_t count = 0;

	check_records(data, size);
	while (count < VARIABLES_MAX && (line = fuzz_line(&source.in)) != NULL) {
		if (line[0] == '\0') {
			free(line);
			break;
		}
		env[count++] = line;
	}
	env[count] = NULL;
	request_init(&request, env, (struct request_input){ .read = read_source, .arg = &source });
	check_paths(&request);
	(void)request_is_json(&request);
	check_body(&request, source.in.at, source.in.left);
	FUZZ_CHECK(source.in.left == 0);
	request_free(&request);
	for (size_t i = 0; i < count; i++)
		free(env[i]);
	return 0;
}
