/* GET …/stats: the figures of the hub, for administrators. */

#include "fcgi/endpoints.h"

#include <string.h>

/* Writes seconds as the API does: "49h3m5s". */
static void
add_duration(struct buf *out, long long seconds)
{
	if (seconds < 0)
		seconds = 0;
	if (seconds >= 3600)
		buf_printf(out, "%lldh", seconds / 3600);
	if (seconds >= 60)
		buf_printf(out, "%lldm", seconds / 60 % 60);
	buf_printf(out, "%llds", seconds % 60);
}

static void
add_stats(struct buf *out, sqlite3_stmt *s)
{
	buf_printf(out, "{\"total_clients\":%lld,\"total_subscriptions\":%lld,\"type_stats\":",
		(long long)sqlite3_column_int64(s, 0), (long long)sqlite3_column_int64(s, 1));
	buf_json_raw(out, db_text(s, 2), strlen(db_text(s, 2)));
	buf_printf(
		out, ",\"messages_sent\":%lld,\"start_time\":", (long long)sqlite3_column_int64(s, 3));
	if (sqlite3_column_type(s, 4) == SQLITE_NULL)
		buf_puts(out, "null");
	else
		buf_json_string(out, db_text(s, 4), strlen(db_text(s, 4)));
	buf_puts(out, ",\"uptime\":\"");
	add_duration(out, (long long)sqlite3_column_int64(s, 5));
	buf_puts(out, "\"}");
}

void
endpoint_stats(struct context *ctx, struct call *call)
{
	sqlite3_stmt *s = context_statement(ctx, STATEMENT_STATS);
	bool row = false;
	enum evh_rc rc = context_step(ctx, s, &row);

	if (rc != EVH_OK || !row) {
		context_fault(ctx, rc != EVH_OK ? rc : EVH_FOREIGN, &call->error);
		return;
	}
	add_stats(&call->response->body, s);
	call->response->status = 200;
}
