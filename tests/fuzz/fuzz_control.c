/* Lines of the control socket: each gets an answer of one line, valid JSON,
 * with the rid as it was; an event that is accepted keeps the rules. */

#include "common/event_types.h"
#include "common/ids.h"
#include "tests/fuzz/fuzz.h"
#include "wsd/control_request.h"

#include <stdlib.h>
#include <string.h>

#define EVENT_BYTES 4096

static void
check_answer(const struct buf *out, struct json_slice rid)
{
	struct json_slice text = { out->data, out->len }, back = json_member(text, "rid");

	fuzz_check_json(out->data, out->len);
	FUZZ_CHECK(memchr(out->data, '\n', out->len) == NULL);
	FUZZ_CHECK((rid.at == NULL) == (back.at == NULL));
	if (rid.at != NULL)
		FUZZ_CHECK(back.len == rid.len && memcmp(back.at, rid.at, rid.len) == 0);
}

static void
check_event(const struct control_request *q)
{
	char name[EVENT_TYPE_MAX + 1];
	struct buf error = BUF_INIT;
	struct event_input e;

	if (!control_request_event(q, EVENT_BYTES, &e, &error)) {
		FUZZ_CHECK(error.len > 0);
		buf_free(&error);
		return;
	}
	FUZZ_CHECK(error.len == 0);
	FUZZ_CHECK(event_type_normalise(e.event_type, strlen(e.event_type), name) == EVH_OK);
	FUZZ_CHECK(strcmp(e.event_type, name) == 0);
	FUZZ_CHECK(e.message_len + e.body.len <= EVENT_BYTES);
	FUZZ_CHECK(e.message == NULL || strlen(e.message) == e.message_len);
	if (e.body.at != NULL)
		fuzz_check_json(e.body.at, e.body.len);
	FUZZ_CHECK(e.client_id[0] == '\0' || e.user_id == NULL);
	FUZZ_CHECK(e.client_id[0] == '\0' || strlen(e.client_id) == EVH_UUID_TEXT - 1);
	FUZZ_CHECK(e.user_id == NULL || (e.user_id[0] != '\0' && strlen(e.user_id) <= 255));
	FUZZ_CHECK(e.dedup_id == NULL || (e.dedup_id[0] != '\0' && strlen(e.dedup_id) <= 255));
}

static void
check_line(const char *line, size_t len)
{
	struct control_request q;
	struct buf error = BUF_INIT, out = BUF_INIT;
	uint64_t change = 0;

	if (control_request_parse(&q, line, len, &error)) {
		FUZZ_CHECK(error.len == 0 && q.op != NULL);
		if (control_request_change(&q, &change))
			FUZZ_CHECK(change <= INT64_MAX);
		check_event(&q);
		control_answer_error(&out, q.rid, "op: unknown: ", q.op);
		check_answer(&out, q.rid);
		buf_clear(&out);
		control_answer_begin(&out, true, q.rid);
		buf_puts(&out, ",\"change\":1}");
	} else {
		FUZZ_CHECK(error.len > 0);
		control_answer_error(&out, q.rid, error.data, "");
	}
	check_answer(&out, q.rid);
	control_request_free(&q);
	buf_free(&error);
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };

	while (in.left > 0) {
		const char *end = memchr(in.at, '\n', in.left);
		size_t n = end != NULL ? (size_t)(end - in.at) : in.left, len;
		struct fuzz_input one = { in.at, n };
		char *line = fuzz_rest(&one, &len);

		check_line(line, len);
		free(line);
		in.at += n + (end != NULL);
		in.left -= n + (end != NULL);
	}
	return 0;
}
