/* POST …/subscriptions: gives event types to a live client; the mirror image
 * of unsubscribe.  The credential of the caller must allow each of them, and so
 * must the one that the client came with. */

#include "common/event_types.h"
#include "fcgi/endpoints.h"
#include "fcgi/membership.h"

static const struct membership_words words = {
	.done = "subscribed to",
	.not_done = "not subscribed",
	.member = "subscribed",
};

static enum evh_rc
insert(struct membership *m, struct context *ctx, const char *name)
{
	sqlite3_stmt *s = context_statement(ctx, STATEMENT_SUBSCRIBE);
	bool row;
	enum evh_rc rc;

	db_bind_text(s, 1, m->client_id);
	db_bind_text(s, 2, name);
	rc = context_step(ctx, s, &row);
	if (rc == EVH_OK)
		rc = event_types_add(&m->have, name);
	if (rc == EVH_OK)
		membership_done(m, name);
	return rc;
}

static enum evh_rc
add_type(struct membership *m, struct context *ctx, struct call *call, const char *name, bool mandatory)
{
	if (!mandatory && !event_type_allowed(call->who.event_types, name))
		membership_fault(m, call, 403, "event_type_not_allowed", name, "not allowed");
	else if (!mandatory && !event_type_allowed(m->allowed, name))
		membership_fault(m, call, 403, "event_type_not_allowed", name,
			"not allowed to the client's credential");
	else if (event_types_contains(&m->have, name))
		membership_fault(m, call, 400, "already_subscribed", name, "already subscribed");
	else if (m->have.count >= (size_t)ctx->conf->max_event_types)
		membership_fault(m, call, 400, "too_many", name, "the client has as many as it may");
	else
		return insert(m, ctx, name);
	return EVH_OK;
}

void
endpoint_subscriptions(struct context *ctx, struct call *call)
{
	membership_change(ctx, call, &words, add_type);
}
