/* POST …/ticket: a secret for one WebSocket within half a minute, for browsers,
 * which cannot set headers on one.  It allows what the caller's credential
 * allows, and ends with it. */

#include "common/ticket.h"

#include "common/clock.h"
#include "common/log.h"
#include "fcgi/endpoints.h"
#include "fcgi/writer.h"

#include <openssl/crypto.h>
#include <string.h>

static enum evh_rc
insert(struct context *ctx, const struct auth_principal *who, const char *hash, const char *expires_at)
{
	sqlite3_stmt *s = context_statement(ctx, STATEMENT_TICKET);
	bool row;

	db_bind_text(s, 1, hash);
	db_bind_text(s, 2, expires_at);
	db_bind_text(s, 3, who->user_id);
	db_bind_text(s, 4, who->username);
	if (who->credential_id != 0)
		(void)sqlite3_bind_int64(s, 5, who->credential_id);
	db_bind_text(s, 6, auth_scopes_text(who->scopes));
	db_bind_text(s, 7, who->event_types);
	(void)sqlite3_bind_int64(s, 8, who->expires_at);
	return context_step(ctx, s, &row);
}

struct storing {
	struct call *call;
	const char *hash, *expires_at;
};

static bool
store(void *arg, struct context *ctx)
{
	const struct storing *s = arg;
	enum evh_rc rc = context_run(ctx, STATEMENT_TICKETS_EXPIRED);

	if (rc == EVH_OK)
		rc = insert(ctx, &s->call->who, s->hash, s->expires_at);
	if (rc != EVH_OK)
		context_fault(ctx, rc, &s->call->error);
	return rc == EVH_OK;
}

void
endpoint_ticket(struct context *ctx, struct call *call)
{
	int64_t until = clock_now_us() + TICKET_SECONDS * INT64_C(1000000);
	char ticket[TICKET_TEXT], hash[AUTH_HASH_TEXT], expires_at[CLOCK_TEXT_BYTES];
	struct storing storing = { call, hash, expires_at };

	if (call->who.expires_at != 0 && call->who.expires_at < until / 1000000)
		until = call->who.expires_at * 1000000;
	clock_format(until, expires_at);
	if (ticket_make(ticket) != EVH_OK) {
		api_error_fail(&call->error, 503, "no_randomness", "", "no randomness to be had");
		return;
	}
	if (auth_hash(ticket, hash) != EVH_OK) {
		api_error_fail(&call->error, 503, "out_of_memory", "", "out of memory");
	} else if (writer_run(ctx->writer, store, &storing, &call->error)) {
		log_debug("ticket_issued", "user_id=%s", call->who.user_id);
		call->response->status = 201;
		buf_printf(&call->response->body, "{\"ticket\":\"%s\",\"expires_at\":\"%s\"}", ticket,
			expires_at);
	}
	OPENSSL_cleanse(ticket, sizeof(ticket));
}
