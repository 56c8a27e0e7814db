/* GET …/health: asks the database and each daemon, and says who does not
 * answer.  Open to everybody, so it tells no paths and no versions. */

#include "common/clock.h"
#include "fcgi/daemons.h"
#include "fcgi/endpoints.h"

#include <string.h>

/* How long another writer may hold the database before that is an illness,
 * how long all daemons together have for their answers, and what is left to
 * each when others have used that up. */
#define PROBE_BUSY_MS 1000
#define PROBE_DAEMONS_US INT64_C(2000000)
#define PROBE_DAEMON_US INT64_C(200000)

/* Reads a row, and takes the lock that every write needs. */
static enum evh_rc
probe_database(struct context *ctx)
{
	bool row;
	enum evh_rc rc = context_step(ctx, context_statement(ctx, STATEMENT_PROBE), &row);

	if (rc != EVH_OK)
		return rc;
	(void)sqlite3_reset(ctx->statements[STATEMENT_PROBE]);
	(void)sqlite3_busy_timeout(ctx->db, PROBE_BUSY_MS);
	rc = context_run(ctx, STATEMENT_BEGIN);
	(void)sqlite3_busy_timeout(ctx->db, CONTEXT_BUSY_MS);
	if (rc == EVH_OK)
		context_rollback(ctx);
	return rc;
}

static void
check_database(struct context *ctx, struct call *call, struct buf *out)
{
	if (context_open(ctx, &call->error)) {
		enum evh_rc rc = probe_database(ctx);

		if (rc != EVH_OK)
			context_fault(ctx, rc, &call->error);
	}
	buf_printf(out, "\"database\":\"%s\"", call->error.code == 0 ? "ok" : "unavailable");
}

static void
check_daemon(struct context *ctx, struct call *call, struct buf *out, const struct daemon_ref *d,
	int64_t deadline)
{
	int64_t least = clock_mono_us() + PROBE_DAEMON_US;
	char why[DAEMON_WHY_BYTES];
	enum evh_rc rc = daemons_hello(ctx, d->socket, deadline > least ? deadline : least, why);

	buf_puts(out, "{\"name\":");
	buf_json_string(out, d->name, strlen(d->name));
	buf_printf(out, ",\"status\":\"%s\"}", rc == EVH_OK ? "ok" : "unavailable");
	if (rc != EVH_OK)
		api_error_fail(&call->error, 503, "daemon_unavailable", "daemon", "the daemon %s: %s",
			d->name, why);
}

static void
check_daemons(struct context *ctx, struct call *call, struct buf *out)
{
	int64_t deadline = clock_mono_us() + PROBE_DAEMONS_US;
	struct daemons list = DAEMONS_INIT;
	enum evh_rc rc = ctx->db != NULL ? daemons_read(ctx, &list) : EVH_OK;

	buf_puts(out, ",\"daemons\":[");
	if (rc != EVH_OK)
		context_fault(ctx, rc, &call->error);
	else if (ctx->db != NULL && list.count == 0)
		api_error_fail(
			&call->error, 503, "daemon_unavailable", "daemon", "no daemon is running");
	for (size_t i = 0; i < list.count; i++) {
		buf_puts(out, i > 0 ? "," : "");
		check_daemon(ctx, call, out, &list.items[i], deadline);
	}
	buf_puts(out, "]");
	daemons_free(&list);
}

void
endpoint_health(struct context *ctx, struct call *call)
{
	struct buf parts = BUF_INIT, *out = &call->response->body;

	check_database(ctx, call, &parts);
	check_daemons(ctx, call, &parts);
	if (parts.failed) {
		buf_free(&parts);
		api_error_fail(&call->error, 503, "out_of_memory", "", "out of memory");
		return;
	}
	call->response->status = call->error.code == 0 ? 200 : 503;
	buf_printf(
		out, "{\"status\":\"%s\",%s", call->error.code == 0 ? "ok" : "unavailable", parts.data);
	if (call->error.code != 0) {
		buf_printf(out, ",\"code\":503,\"message\":");
		buf_json_string(out, call->error.message, strlen(call->error.message));
		buf_puts(out, ",");
		api_error_stack_json(&call->error, out);
	}
	buf_puts(out, "}");
	buf_free(&parts);
}
