/* POST …/events: publishes one event, or an array of them all or none. */

#include "common/log.h"
#include "fcgi/endpoints.h"
#include "fcgi/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Goes on to the next event unless the database fails; faults add up. */
static bool
parse_one(struct publish_batch *batch, struct context *ctx, struct call *call, struct json_object *o,
	struct json_slice text, const char *prefix)
{
	struct publish_item *item = &batch->items[batch->count++];
	size_t max = (size_t)ctx->conf->max_event_bytes;
	char path[64];

	if (event_parse(&item->event, o, text, max, prefix, NULL, &call->error) != EVH_OK)
		return true;
	if (event_type_allowed(call->who.event_types, item->event.event_type))
		return publish_prepare(item, ctx, call, prefix) || call->error.code != 503;
	(void)snprintf(path, sizeof(path), "%sevent_type", prefix);
	api_error_fail(&call->error, 403, "event_type_not_allowed", path,
		"%s: the credential may not publish this event type", item->event.event_type);
	return true;
}

static void
parse_array(struct publish_batch *batch, struct context *ctx, struct call *call, size_t count)
{
	struct json_slice text = { NULL, 0 };
	bool more = true;

	for (size_t i = 0; more && i < count; i++) {
		char prefix[32];

		text = json_next(call->text, text);
		(void)snprintf(prefix, sizeof(prefix), "[%zu].", i);
		more = parse_one(
			batch, ctx, call, json_object_array_get_idx(call->json, i), text, prefix);
	}
}

/* False with the faults of all events in call->error. */
static bool
parse(struct publish_batch *batch, struct context *ctx, struct call *call)
{
	bool many = batch->array;
	size_t count = many ? json_object_array_length(call->json) : 1;

	if (!many && !json_object_is_type(call->json, json_type_object))
		api_error_fail(&call->error, 400, "wrong_type", "body",
			"the body must be an event or an array of events, not %s",
			json_type_name(call->json));
	else if (count == 0)
		api_error_fail(&call->error, 400, "empty", "body", "the array is empty");
	else if (count > PUBLISH_MAX)
		api_error_fail(&call->error, 400, "too_many", "body",
			"the array has more than %d events", PUBLISH_MAX);
	else if ((batch->items = calloc(count, sizeof(*batch->items))) == NULL)
		api_error_fail(&call->error, 503, "out_of_memory", "body", "out of memory");
	else if (many)
		parse_array(batch, ctx, call, count);
	else
		(void)parse_one(batch, ctx, call, call->json, call->text, "");
	return call->error.code == 0;
}

static void
answer(const struct publish_batch *batch, struct call *call)
{
	struct buf *out = &call->response->body;

	call->response->status = batch->fresh > 0 ? 201 : 200;
	for (size_t i = 0; i < batch->count; i++) {
		buf_puts(out, !batch->array ? "" : i == 0 ? "[" : ",");
		buf_puts(out, "{\"id\":");
		buf_json_string(out, batch->items[i].id, strlen(batch->items[i].id));
		buf_puts(out, "}");
	}
	if (batch->array)
		buf_puts(out, "]");
}

void
endpoint_events(struct context *ctx, struct call *call)
{
	struct publish_batch batch = { .array = json_object_is_type(call->json, json_type_array) };

	if (parse(&batch, ctx, call) && publish_store(&batch, ctx, call) &&
		publish_send(&batch, ctx, call)) {
		log_debug("published", "user_id=%s events=%zu new=%zu", call->who.user_id, batch.count,
			batch.fresh);
		answer(&batch, call);
	}
	publish_free(&batch);
}
