/* GET …/clients: the live connections; an administrator sees all, others
 * their own. */

#include "fcgi/endpoints.h"

#include <string.h>

/* Appends "name":"text", or null. */
static void
add_text(struct buf *out, sqlite3_stmt *s, int column, const char *name)
{
	buf_printf(out, "\"%s\":", name);
	if (sqlite3_column_type(s, column) == SQLITE_NULL)
		buf_puts(out, "null");
	else
		buf_json_string(out, db_text(s, column), strlen(db_text(s, column)));
	buf_puts(out, ",");
}

/* Appends the comma-separated names as an array. */
static void
add_names(struct buf *out, const char *names)
{
	buf_puts(out, "[");
	while (*names != '\0') {
		size_t len = strcspn(names, ",");

		buf_json_string(out, names, len);
		names += len;
		if (*names == ',') {
			buf_puts(out, ",");
			names++;
		}
	}
	buf_puts(out, "]");
}

static void
add_client(struct buf *out, sqlite3_stmt *s)
{
	buf_puts(out, "{");
	add_text(out, s, 0, "id");
	add_text(out, s, 1, "user_id");
	add_text(out, s, 2, "username");
	add_text(out, s, 3, "connected_at");
	add_text(out, s, 4, "last_ping_at");
	add_text(out, s, 5, "last_pong_at");
	buf_puts(out, "\"event_subscriptions\":");
	add_names(out, db_text(s, 6));
	buf_printf(out, ",\"is_alive\":%s,\"queue_depth\":%lld}",
		sqlite3_column_int(s, 7) != 0 ? "true" : "false", (long long)sqlite3_column_int64(s, 8));
}

void
endpoint_clients(struct context *ctx, struct call *call)
{
	bool all = (call->who.scopes & AUTH_ADMIN) != 0, row;
	sqlite3_stmt *s = context_statement(ctx, all ? STATEMENT_CLIENTS : STATEMENT_CLIENTS_OF_USER);
	struct buf *out = &call->response->body;
	const char *separator = "[";
	enum evh_rc rc;

	if (!all)
		db_bind_text(s, 1, call->who.user_id);
	while ((rc = context_step(ctx, s, &row)) == EVH_OK && row) {
		buf_puts(out, separator);
		add_client(out, s);
		separator = ",";
	}
	buf_puts(out, *separator == '[' ? "[]" : "]");
	if (rc == EVH_OK)
		call->response->status = 200;
	else
		context_fault(ctx, rc, &call->error);
}
