/* control_request.h - one line of the control socket, taken apart, and the
 * frame of its answer.
 *
 * What a request means is the business of control_ops.c.  Pure. */

#ifndef EVH_WSD_CONTROL_REQUEST_H
#define EVH_WSD_CONTROL_REQUEST_H

#include "common/event.h"
#include "common/json.h"

#include <stdbool.h>

/* A request is a JSON object with an "op"; "rid" may have any value and comes
 * back with the answer as it was written.  The slices point into the line. */
struct control_request {
	struct json_object *o;
	struct json_slice text, rid; /* rid.at == NULL: none */
	const char *op;		     /* belongs to o */
};

/* Takes a line (without its newline) apart.  On false error holds what is
 * wrong, and rid is known if there is one.  control_request_free either way. */
bool
control_request_parse(struct control_request *request, const char *line, size_t len, struct buf *error);
void control_request_free(struct control_request *request);

/* The member "change": a whole number that is not negative.  False if it is
 * missing or something else. */
bool control_request_change(const struct control_request *request, uint64_t *change);

/* A member that is true or false; *value stays as it is if it is missing.
 * False if it is something else. */
bool control_request_flag(const struct control_request *request, const char *name, bool *value);

/* A member that is a string without NUL; *value, which belongs to o, stays as it is
 * if it is missing.  False if it is something else. */
bool control_request_text(const struct control_request *request, const char *name, const char **value);

/* The event of a publish.  On false error holds what is wrong. */
bool control_request_event(const struct control_request *request, size_t max_bytes,
	struct event_input *event, struct buf *error);

/* Begins an answer: {"ok":true and the rid, if there was one; the caller adds
 * ,"name":value members and the closing brace. */
void control_answer_begin(struct buf *out, bool ok, struct json_slice rid);

/* A whole answer that says why not: what and detail, in one text. */
void control_answer_error(struct buf *out, struct json_slice rid, const char *what, const char *detail);

#endif
