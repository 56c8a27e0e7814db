#include "wsd/inbound.h"

#include "common/event_types.h"
#include "common/json.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static void
pong(struct inbound_reply *reply, const char *client_id)
{
	(void)client_id;
	reply->event_type = "health";
	reply->message = "pong";
}

static void
client_id_reply(struct inbound_reply *reply, const char *client_id)
{
	reply->event_type = "system";
	reply->message = "client-id";
	buf_printf(&reply->body, "{\"client-id\":\"%s\"}", client_id);
}

static const struct {
	const char *event_type, *message;
	void (*answer)(struct inbound_reply *reply, const char *client_id);
} handlers[] = {
	{ "health", "ping", pong },
	{ "system", "client-id", client_id_reply },
};

static void
say_error(struct inbound_reply *reply, const char *what, const char *detail)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "%s%s", what, detail);

	reply->event_type = "global";
	reply->message = "error";
	buf_puts(&reply->body, "{\"error\":");
	buf_json_string(&reply->body, text,
		n < 0				   ? 0
			: (size_t)n < sizeof(text) ? (size_t)n
						   : sizeof(text) - 1);
	buf_puts(&reply->body, "}");
}

/* A string member: NULL if absent; *wrong when it is there and no string. */
static const char *
member(struct json_object *o, const char *name, bool *wrong)
{
	struct json_object *v = NULL;

	*wrong = false;
	if (!json_object_object_get_ex(o, name, &v) || v == NULL)
		return NULL;
	*wrong = json_plain_string(v) == NULL;
	return json_plain_string(v);
}

static void
answer_object(struct json_object *o, const char *client_id, bool (*known)(void *, const char *),
	void *arg, struct inbound_reply *reply)
{
	char type[EVENT_TYPE_MAX + 1];
	bool wrong, found = false;
	const char *id = member(o, "id", &wrong), *name, *message;

	if (wrong || (id != NULL && strlen(id) > INBOUND_REF_MAX)) {
		say_error(reply, "invalid message: id must be a string of at most 255 bytes", "");
		return;
	}
	if (id != NULL)
		memcpy(reply->ref_id, id, strlen(id) + 1);
	name = member(o, "event_type", &wrong);
	if (name == NULL) {
		say_error(reply,
			wrong ? "invalid message: event_type must be a string"
			      : "invalid message: event_type is missing",
			"");
		return;
	}
	message = member(o, "message", &wrong);
	if (wrong) {
		say_error(reply, "invalid message: message must be a string", "");
		return;
	}
	if (event_type_normalise(name, strlen(name), type) != EVH_OK || !known(arg, type)) {
		say_error(reply, "invalid message type ", name);
		return;
	}
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (strcmp(handlers[i].event_type, type) != 0)
			continue;
		found = true;
		if (message != NULL && strcasecmp(handlers[i].message, message) == 0) {
			handlers[i].answer(reply, client_id);
			return;
		}
	}
	if (found)
		say_error(reply, "unknown message for type ", type);
	else
		say_error(reply, "no handlers registered for type ", type);
}

void
inbound_answer(const char *text, size_t len, const char *client_id, bool (*known)(void *, const char *),
	void *arg, struct inbound_reply *reply)
{
	struct json_object *o = NULL;
	char why[JSON_WHY_BYTES];
	enum evh_rc rc = json_parse(text, len, &o, why);

	memset(reply, 0, sizeof(*reply));
	if (rc == EVH_NOMEM)
		say_error(reply, "out of memory", "");
	else if (rc != EVH_OK)
		say_error(reply, "invalid message: not JSON: ", why);
	else if (!json_object_is_type(o, json_type_object))
		say_error(reply, "invalid message: must be an object, not ", json_type_name(o));
	else
		answer_object(o, client_id, known, arg, reply);
	json_object_put(o);
}

void
inbound_reply_free(struct inbound_reply *reply)
{
	buf_free(&reply->body);
}
