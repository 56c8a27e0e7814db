#include "common/event.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES_MAX 255

struct parse {
	struct api_error *e;
	const char *prefix;
	unsigned faults;
};

static void
fault(struct parse *p, int code, const char *error, const char *field, const char *text)
{
	size_t len = strlen(p->prefix);
	char path[96];

	if (field[0] == '\0' && len > 0)
		len--; /* the event itself: "[3]", not "[3]." */
	(void)snprintf(path, sizeof(path), "%.*s%s", (int)len, p->prefix, field);
	api_error_set(p->e, code, "%s%s%s", path, path[0] != '\0' ? ": " : "", text);
	api_error_push(p->e, code, error, path, "%s", text);
	p->faults++;
}

/* The string member field, NULL if absent or null; anything else is a fault.
 * No NUL inside: it would end the text for half of those who read it. */
static const char *
string_member(struct parse *p, struct json_object *o, const char *field)
{
	struct json_object *v = NULL;
	char text[64];

	if (!json_object_object_get_ex(o, field, &v) || v == NULL)
		return NULL;
	if (!json_object_is_type(v, json_type_string)) {
		(void)snprintf(text, sizeof(text), "must be a string, not %s", json_type_name(v));
		fault(p, 400, "wrong_type", field, text);
		return NULL;
	}
	if (strlen(json_object_get_string(v)) != (size_t)json_object_get_string_len(v)) {
		fault(p, 400, "nul_byte", field, "must not contain the character U+0000");
		return NULL;
	}
	return json_object_get_string(v);
}

/* A member of 1 to 255 bytes. */
static const char *
name_member(struct parse *p, struct json_object *o, const char *field)
{
	const char *name = string_member(p, o, field);

	if (name != NULL && (name[0] == '\0' || strlen(name) > NAME_BYTES_MAX)) {
		fault(p, 400, "bad_length", field, "must be 1 to 255 bytes long");
		return NULL;
	}
	return name;
}

static void
parse_type(struct parse *p, struct event_input *event, struct json_object *o)
{
	const char *name = string_member(p, o, "event_type");
	struct json_object *v = NULL;

	if (name == NULL) {
		if (!json_object_object_get_ex(o, "event_type", &v) || v == NULL)
			fault(p, 400, "missing", "event_type", "is missing");
	} else if (event_type_normalise(name, strlen(name), event->event_type) != EVH_OK) {
		fault(p, 400, "invalid_event_type", "event_type",
			"must be 1 to 64 of a-z 0-9 _ . - beginning with a letter or a digit");
	}
}

static void
parse_target(struct parse *p, struct event_input *event, struct json_object *o)
{
	const char *id = string_member(p, o, "client_id");
	uint8_t uuid[EVH_UUID_BYTES];

	if (id != NULL) {
		if (evh_uuid_parse(id, uuid))
			evh_uuid_format(uuid, event->client_id);
		else
			fault(p, 400, "invalid_client_id", "client_id", "must be a UUID");
	}
	event->user_id = name_member(p, o, "user_id");
	if (id != NULL && event->user_id != NULL)
		fault(p, 400, "two_targets", "user_id", "cannot be given together with client_id");
}

static bool
known(const char *key, const char *const *allowed)
{
	static const char *const members[] = { "event_type", "message", "body", "client_id", "user_id",
		"dedup_id", NULL };

	for (size_t i = 0; members[i] != NULL; i++)
		if (strcmp(key, members[i]) == 0)
			return true;
	for (size_t i = 0; allowed != NULL && allowed[i] != NULL; i++)
		if (strcmp(key, allowed[i]) == 0)
			return true;
	return false;
}

enum evh_rc
event_parse(struct event_input *event, struct json_object *o, struct json_slice text, size_t max_bytes,
	const char *prefix, const char *const *allowed, struct api_error *e)
{
	struct parse p = { .e = e, .prefix = prefix };

	memset(event, 0, sizeof(*event));
	if (!json_object_is_type(o, json_type_object)) {
		fault(&p, 400, "wrong_type", "", "an event must be an object");
		return EVH_INVALID;
	}
	json_object_object_foreach (o, key, value) {
		(void)value;
		if (!known(key, allowed))
			fault(&p, 400, "unknown_field", key, "is no field of an event");
	}
	parse_type(&p, event, o);
	event->message = string_member(&p, o, "message");
	event->message_len = event->message != NULL ? strlen(event->message) : 0;
	event->body = json_member(text, "body");
	parse_target(&p, event, o);
	event->dedup_id = name_member(&p, o, "dedup_id");
	if (p.faults == 0 && event->message_len + event->body.len > max_bytes) {
		char why[96];

		(void)snprintf(why, sizeof(why),
			"message and body are longer than max_event_bytes (%zu)", max_bytes);
		fault(&p, 413, "too_large", "body", why);
		return EVH_TOO_LARGE;
	}
	return p.faults == 0 ? EVH_OK : EVH_INVALID;
}
