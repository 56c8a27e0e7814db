/* What a client says on its WebSocket: there is one answer, of one of the
 * documented shapes, in valid JSON, whatever it said. */

#include "common/json.h"
#include "tests/fuzz/fuzz.h"
#include "wsd/frame.h"
#include "wsd/inbound.h"

#include <stdlib.h>
#include <string.h>

static bool
known(void *arg, const char *event_type)
{
	(void)arg;
	return strcmp(event_type, "health") == 0 || strcmp(event_type, "system") == 0 ||
		strcmp(event_type, "pdfm") == 0;
}

static void
check_body(const struct inbound_reply *reply)
{
	if (strcmp(reply->message, "error") == 0) {
		FUZZ_CHECK(strcmp(reply->event_type, "global") == 0);
		FUZZ_CHECK(json_member((struct json_slice){ reply->body.data, reply->body.len }, "error")
				   .at != NULL);
	} else if (strcmp(reply->message, "client-id") == 0) {
		FUZZ_CHECK(strcmp(reply->event_type, "system") == 0);
	} else {
		FUZZ_CHECK(strcmp(reply->message, "pong") == 0 && reply->body.len == 0);
	}
	if (reply->body.len > 0)
		fuzz_check_json(reply->body.data, reply->body.len);
}

/* The whole frame, as hub_reply builds it. */
static void
check_frame(const struct inbound_reply *reply)
{
	struct message m = { .id = "e-1",
		.ref_id = reply->ref_id,
		.event_type = reply->event_type,
		.timestamp = "T",
		.text = reply->message,
		.text_len = strlen(reply->message),
		.body = reply->body.len > 0 ? reply->body.data : NULL,
		.body_len = reply->body.len };
	struct buf out = BUF_INIT;

	message_json(&out, &m);
	fuzz_check_json(out.data, out.len);
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };
	struct inbound_reply reply;
	size_t len;
	char *text = fuzz_rest(&in, &len);

	inbound_answer(text, len, "338a28f7-666e-46e1-8e7d-4feba5edc061", known, NULL, &reply);
	FUZZ_CHECK(memchr(reply.ref_id, '\0', sizeof(reply.ref_id)) != NULL);
	check_body(&reply);
	check_frame(&reply);
	inbound_reply_free(&reply);
	free(text);
	return 0;
}
