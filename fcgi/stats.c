/* GET …/stats: the figures of the hub, for administrators.  They are asked of
 * the daemons; if one does not answer, all are those of the database's rows. */

#include "fcgi/endpoints.h"
#include "fcgi/live.h"

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
add_live(struct buf *out, const struct live_stats *live)
{
	const char *types = json_object_to_json_string_ext(live->types, JSON_C_TO_STRING_PLAIN);

	buf_printf(out, "{\"total_clients\":%lld,\"total_subscriptions\":%lld,\"type_stats\":%s",
		(long long)live->clients, (long long)live->subscriptions, types != NULL ? types : "{}");
	buf_printf(out, ",\"messages_sent\":%lld", (long long)live->messages_sent);
	out->failed = out->failed || types == NULL;
}

static void
add_rows(struct buf *out, sqlite3_stmt *s)
{
	buf_printf(out, "{\"total_clients\":%lld,\"total_subscriptions\":%lld,\"type_stats\":",
		(long long)sqlite3_column_int64(s, 0), (long long)sqlite3_column_int64(s, 1));
	buf_json_raw(out, db_text(s, 2), strlen(db_text(s, 2)));
	buf_printf(out, ",\"messages_sent\":%lld", (long long)sqlite3_column_int64(s, 3));
}

/* From the columns start_time and uptime, which is the next one. */
static void
add_times(struct buf *out, sqlite3_stmt *s, int column)
{
	const char *start = db_text(s, column);

	buf_puts(out, ",\"start_time\":");
	if (sqlite3_column_type(s, column) == SQLITE_NULL)
		buf_puts(out, "null");
	else
		buf_json_string(out, start, strlen(start));
	buf_puts(out, ",\"uptime\":\"");
	add_duration(out, (long long)sqlite3_column_int64(s, column + 1));
	buf_puts(out, "\"");
}

static void
add_stats(struct context *ctx, struct call *call, const struct live_stats *live, bool complete)
{
	struct buf *out = &call->response->body;
	sqlite3_stmt *s = context_statement(ctx, complete ? STATEMENT_UPTIME : STATEMENT_STATS);
	bool row = false;
	enum evh_rc rc = context_step(ctx, s, &row);

	if (rc != EVH_OK || !row) {
		context_fault(ctx, rc != EVH_OK ? rc : EVH_FOREIGN, &call->error);
		return;
	}
	if (complete)
		add_live(out, live);
	else
		add_rows(out, s);
	add_times(out, s, complete ? 0 : 4);
	if (complete)
		buf_printf(out, ",\"lagging_clients\":%lld", (long long)live->lagging);
	if (call->response->note.len > 0) {
		buf_puts(out, ",\"note\":");
		buf_json_string(out, call->response->note.data, call->response->note.len);
	}
	buf_puts(out, "}");
	call->response->status = 200;
}

void
endpoint_stats(struct context *ctx, struct call *call)
{
	struct buf away = BUF_INIT;
	struct live_stats live;
	enum evh_rc rc = live_stats_read(ctx, &live, &away);

	live_note(&away, &call->response->note);
	if (rc == EVH_OK)
		add_stats(ctx, call, &live, away.len == 0);
	else
		context_fault(ctx, rc, &call->error);
	live_stats_free(&live);
	buf_free(&away);
}
