/* POST …/unsubscribe: takes event types from a live client.  After the 200
 * the client is sent no further event of them. */

#include "fcgi/endpoints.h"
#include "fcgi/membership.h"

static const struct membership_words words = {
	.done = "unsubscribed from",
	.not_done = "not unsubscribed",
	.member = "unsubscribed",
};

static enum evh_rc
remove_type(
	struct membership *m, struct context *ctx, struct call *call, const char *name, bool mandatory)
{
	sqlite3_stmt *s = context_statement(ctx, STATEMENT_UNSUBSCRIBE);
	bool row;
	enum evh_rc rc;

	if (mandatory) {
		membership_fault(m, call, 400, "mandatory", name, "mandatory");
		return EVH_OK;
	}
	db_bind_text(s, 1, m->client_id);
	db_bind_text(s, 2, name);
	rc = context_step(ctx, s, &row);
	if (rc != EVH_OK)
		return rc;
	if (sqlite3_changes(ctx->db) > 0)
		membership_done(m, name);
	else
		membership_fault(m, call, 400, "not_subscribed", name, "not subscribed");
	return EVH_OK;
}

void
endpoint_unsubscribe(struct context *ctx, struct call *call)
{
	membership_change(ctx, call, &words, remove_type);
}
