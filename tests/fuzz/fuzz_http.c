/* The head of a request, before the library sees it: what is whole is whole,
 * the answer does not depend on how the bytes arrive, and what is let through
 * has none of the shapes that others read in another way. */

#include "tests/fuzz/fuzz.h"
#include "wsd/http_request.h"

#include <stdlib.h>
#include <string.h>

#define HEAD_MAX 2048

static enum http_head
check(const char *bytes, size_t len, struct http_head_seen *seen, int *code)
{
	struct api_error e = API_ERROR_INIT;
	struct buf body = BUF_INIT;
	char *exact = malloc(len > 0 ? len : 1);
	enum http_head state;

	FUZZ_CHECK(exact != NULL);
	memcpy(exact, bytes, len);
	state = http_head_check(exact, len, HEAD_MAX, seen, &e);
	FUZZ_CHECK((state == HTTP_HEAD_BAD) == (e.code != 0));
	*code = e.code;
	if (e.code != 0) {
		FUZZ_CHECK(e.code == 400 || e.code == 405 || e.code == 414 || e.code == 431 ||
			e.code == 505);
		api_error_json(&e, &body);
		fuzz_check_json(body.data, body.len);
		buf_free(&body);
	}
	api_error_free(&e);
	free(exact);
	return state;
}

static bool
has(const char *bytes, size_t len, const char *what)
{
	return memmem(bytes, len, what, strlen(what)) != NULL;
}

static void
check_good(const char *bytes, size_t len)
{
	const char *end = memmem(bytes, len, "\r\n\r\n", 4), *query;
	size_t head, line, path;

	FUZZ_CHECK(end != NULL);
	head = (size_t)(end - bytes) + 4;
	line = (size_t)((const char *)memchr(bytes, '\r', head) - bytes);
	FUZZ_CHECK(head <= HEAD_MAX);
	for (size_t i = 0; i < head; i++) {
		FUZZ_CHECK(bytes[i] != '\0' && bytes[i] != 0x7f);
		FUZZ_CHECK(bytes[i] != '\n' || bytes[i - 1] == '\r');
		FUZZ_CHECK(bytes[i] != '\r' || bytes[i + 1] == '\n');
	}
	FUZZ_CHECK(!has(bytes, head, "\r\n ") && !has(bytes, head, "\r\n\t"));
	FUZZ_CHECK(line > 9 && memcmp(bytes + line - 9, " HTTP/1.1", 9) == 0);
	query = memchr(bytes, '?', line);
	path = query != NULL ? (size_t)(query - bytes) : line;
	FUZZ_CHECK(!has(bytes, path, "/../") && !has(bytes, path, "//") && !has(bytes, path, ";"));
	FUZZ_CHECK(!has(bytes, line, "%00") && !has(bytes, line, "#"));
	FUZZ_CHECK(strcasestr(bytes, "host:") != NULL);
}

/* The length of a text of a request. */
static size_t
length(const char *text)
{
	if (text == NULL)
		return 0;
	FUZZ_CHECK(strpbrk(text, "\r\n") == NULL);
	return strlen(text);
}

/* What is read from a good head is no more than that, and does not point there. */
static void
check_request(const char *bytes, size_t len)
{
	struct buf text = BUF_INIT;
	struct http_request r;
	char *exact = malloc(len);
	size_t total;

	FUZZ_CHECK(exact != NULL);
	memcpy(exact, bytes, len);
	FUZZ_CHECK(http_request_read(&r, &text, exact, len));
	free(exact);
	total = length(r.method) + length(r.path) + length(r.authorization) + length(r.api_key) +
		length(r.origin) + length(r.host) + length(r.user_agent) + length(r.forwarded_for) +
		length(r.forwarded_host) + length(r.forwarded_proto) + length(r.connection) +
		length(r.key) + length(r.protocols);
	for (size_t i = 0; i < r.arg_count; i++)
		total += length(r.args[i].name) + length(r.args[i].value);
	FUZZ_CHECK(total < len && r.path[0] == '/');
	FUZZ_CHECK(!r.upgrade || (r.bad == NULL && strlen(r.key) == 24 && r.connection != NULL));
	buf_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };
	struct http_head_seen seen = { 0, false, 0 }, part_seen = seen;
	size_t len, step;
	char *text = fuzz_rest(&in, &len), *terminated;
	int code, part_code;
	enum http_head part = HTTP_HEAD_PART, whole = check(text, len, &seen, &code);

	if (whole == HTTP_HEAD_GOOD) {
		terminated = calloc(1, len + 1); /* strcasestr wants its end */
		FUZZ_CHECK(terminated != NULL);
		memcpy(terminated, text, len);
		check_good(terminated, len);
		FUZZ_CHECK(seen.len >= 4 && memmem(text, len, "\r\n\r\n", 4) == text + seen.len - 4);
		check_request(text, seen.len);
		free(terminated);
	}
	/* in pieces, of which each is looked at once, it comes to the same */
	step = len / 24 + 1;
	for (size_t n = 0; part == HTTP_HEAD_PART && n < len;) {
		n = n + step < len ? n + step : len;
		part = check(text, n, &part_seen, &part_code);
		if (part == HTTP_HEAD_BAD) /* it has been refused, and would be */
			FUZZ_CHECK(whole == HTTP_HEAD_BAD);
		if (part == HTTP_HEAD_GOOD)
			FUZZ_CHECK(whole == HTTP_HEAD_GOOD && part_seen.len == seen.len);
	}
	FUZZ_CHECK(len == 0 || part == whole);
	free(text);
	return 0;
}
