#include "wsd/control_request.h"

#include "common/api_error.h"
#include "common/buf.h"

#include <string.h>

bool
control_request_parse(struct control_request *q, const char *line, size_t len, struct buf *error)
{
	struct json_object *op = NULL;
	char why[JSON_WHY_BYTES];
	enum evh_rc rc;

	memset(q, 0, sizeof(*q));
	q->text = (struct json_slice){ line, len };
	rc = json_parse(line, len, &q->o, why);
	if (rc != EVH_OK) {
		buf_printf(error, rc == EVH_NOMEM ? "out of memory%s" : "not JSON: %s", why);
		return false;
	}
	if (!json_object_is_type(q->o, json_type_object)) {
		buf_puts(error, "a request must be a JSON object");
		return false;
	}
	q->rid = json_member(q->text, "rid");
	(void)json_object_object_get_ex(q->o, "op", &op);
	q->op = json_plain_string(op);
	if (q->op == NULL)
		buf_puts(error, "op: is missing or not a string");
	return q->op != NULL;
}

void
control_request_free(struct control_request *q)
{
	json_object_put(q->o);
	q->o = NULL;
	q->op = NULL;
}

bool
control_request_change(const struct control_request *q, uint64_t *change)
{
	struct json_object *v = NULL;

	if (!json_object_object_get_ex(q->o, "change", &v) || !json_object_is_type(v, json_type_int) ||
		json_object_get_int64(v) < 0)
		return false;
	*change = (uint64_t)json_object_get_int64(v);
	return true;
}

bool
control_request_flag(const struct control_request *q, const char *name, bool *value)
{
	struct json_object *v = NULL;

	if (!json_object_object_get_ex(q->o, name, &v))
		return true;
	if (!json_object_is_type(v, json_type_boolean))
		return false;
	*value = json_object_get_boolean(v);
	return true;
}

bool
control_request_text(const struct control_request *q, const char *name, const char **value)
{
	struct json_object *v = NULL;

	if (!json_object_object_get_ex(q->o, name, &v))
		return true;
	*value = json_plain_string(v);
	return *value != NULL;
}

bool
control_request_event(
	const struct control_request *q, size_t max_bytes, struct event_input *event, struct buf *error)
{
	static const char *const beside[] = { "op", "rid", NULL };
	struct api_error e = API_ERROR_INIT;
	bool good = event_parse(event, q->o, q->text, max_bytes, "", beside, &e) == EVH_OK;

	if (!good)
		buf_puts(error, e.message);
	api_error_free(&e);
	return good;
}

void
control_answer_begin(struct buf *out, bool ok, struct json_slice rid)
{
	buf_puts(out, ok ? "{\"ok\":true" : "{\"ok\":false");
	if (rid.at != NULL) {
		buf_puts(out, ",\"rid\":");
		buf_add(out, rid.at, rid.len);
	}
}

void
control_answer_error(struct buf *out, struct json_slice rid, const char *what, const char *detail)
{
	struct buf text = BUF_INIT;

	control_answer_begin(out, false, rid);
	buf_puts(&text, what);
	buf_puts(&text, detail);
	buf_puts(out, ",\"error\":");
	buf_json_string(out, text.data, text.len);
	buf_puts(out, "}");
	out->failed = out->failed || text.failed;
	buf_free(&text);
}
