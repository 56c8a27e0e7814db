/* GET …/clients: the live connections; an administrator sees all, others
 * their own.  The rows of the database tell who is there; how far each is
 * behind is asked of the daemons, for the rows are up to a second old. */

#include "fcgi/endpoints.h"
#include "fcgi/live.h"

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
add_client(struct buf *out, sqlite3_stmt *s, const struct live_depths *depths)
{
	int64_t depth = live_depth(depths, db_text(s, 9), db_text(s, 0), sqlite3_column_int64(s, 8));

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
		sqlite3_column_int(s, 7) != 0 ? "true" : "false", (long long)depth);
}

/* The rows to show.  Those of one user are known by the daemons, so that nobody
 * walks the rows of all for them; if one of them is away its rows may be any. */
static sqlite3_stmt *
choose(struct context *ctx, const char *user_id, const struct buf *ids, bool all_answered)
{
	sqlite3_stmt *s;

	if (user_id == NULL)
		return context_statement(ctx, STATEMENT_CLIENTS);
	s = context_statement(ctx, all_answered ? STATEMENT_CLIENTS_BY_ID : STATEMENT_CLIENTS_OF_USER);
	db_bind_text(s, 1, user_id);
	if (all_answered)
		db_bind_text(s, 2, ids->data);
	return s;
}

void
endpoint_clients(struct context *ctx, struct call *call)
{
	const char *user_id = (call->who.scopes & AUTH_ADMIN) != 0 ? NULL : call->who.user_id;
	struct buf *out = &call->response->body, away = BUF_INIT, ids = BUF_INIT;
	struct live_depths depths = LIVE_DEPTHS_INIT;
	const char *separator = "[";
	enum evh_rc rc = live_depths_read(ctx, user_id, &depths, &away);
	sqlite3_stmt *s = NULL;
	bool row;

	if (user_id != NULL)
		live_depths_ids(&depths, &ids);
	if (rc == EVH_OK && ids.failed)
		rc = EVH_NOMEM;
	if (rc == EVH_OK)
		s = choose(ctx, user_id, &ids, depths.asked.count > 0 && away.len == 0);
	while (rc == EVH_OK && (rc = context_step(ctx, s, &row)) == EVH_OK && row) {
		buf_puts(out, separator);
		add_client(out, s, &depths);
		separator = ",";
	}
	buf_puts(out, *separator == '[' ? "[]" : "]");
	if (rc == EVH_OK)
		call->response->status = 200;
	else
		context_fault(ctx, rc, &call->error);
	live_note(&away, &call->response->note);
	live_depths_free(&depths);
	buf_free(&away);
	buf_free(&ids);
}
