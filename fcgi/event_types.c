/* GET …/event_types: what the caller may subscribe to, so that a page can offer
 * it.  Mandatory types are in it whatever the credential allows. */

#include "common/event_types.h"
#include "fcgi/endpoints.h"

#include <string.h>

static void
add_type(struct buf *out, sqlite3_stmt *s)
{
	buf_puts(out, "{\"name\":");
	buf_json_string(out, db_text(s, 0), strlen(db_text(s, 0)));
	buf_puts(out, ",\"description\":");
	buf_json_string(out, db_text(s, 1), strlen(db_text(s, 1)));
	buf_printf(out, ",\"mandatory\":%s,\"persistent\":%s}",
		sqlite3_column_int(s, 2) != 0 ? "true" : "false",
		sqlite3_column_int(s, 3) != 0 ? "true" : "false");
}

void
endpoint_event_types(struct context *ctx, struct call *call)
{
	sqlite3_stmt *s = context_statement(ctx, STATEMENT_EVENT_TYPES);
	struct buf *out = &call->response->body;
	const char *separator = "[";
	enum evh_rc rc;
	bool row;

	while ((rc = context_step(ctx, s, &row)) == EVH_OK && row) {
		if (sqlite3_column_int(s, 2) == 0 &&
			!event_type_allowed(call->who.event_types, db_text(s, 0)))
			continue;
		buf_puts(out, separator);
		add_type(out, s);
		separator = ",";
	}
	buf_puts(out, *separator == '[' ? "[]" : "]");
	if (rc == EVH_OK)
		call->response->status = 200;
	else
		context_fault(ctx, rc, &call->error);
}
