/* event.h - an event on its way in: from an HTTP body or a control line.
 *
 * The SQL tables hold the same rules for those who INSERT.  Pure. */

#ifndef EVH_EVENT_H
#define EVH_EVENT_H

#include "common/api_error.h"
#include "common/event_types.h"
#include "common/ids.h"
#include "common/json.h"

/* message, user_id and dedup_id belong to the parsed JSON object; body is a
 * slice of its text, at == NULL if there is none.  NULL is "not given". */
struct event_input {
	char event_type[EVENT_TYPE_MAX + 1];
	const char *message;
	size_t message_len;
	struct json_slice body;
	char client_id[EVH_UUID_TEXT]; /* "" if not given */
	const char *user_id;
	const char *dedup_id;
};

/* Reads one event out of o, whose text is given (both outlive the result).
 * prefix is put before the field names in complaints: "" or "[3].".
 * Members that are no part of an event are faults, but for the names in
 * allowed (NULL-terminated; may be NULL).
 * EVH_INVALID or EVH_TOO_LARGE with every fault found in e. */
enum evh_rc event_parse(struct event_input *event, struct json_object *o, struct json_slice text,
	size_t max_bytes, const char *prefix, const char *const *allowed, struct api_error *e);

#endif
