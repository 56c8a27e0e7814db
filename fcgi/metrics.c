/* GET …/metrics: the figures of every daemon of the database as one page for
 * Prometheus.  A daemon that does not answer is told by evhub_daemon_up. */

#include "common/clock.h"
#include "fcgi/auth_gate.h"
#include "fcgi/counts.h"
#include "fcgi/daemons.h"
#include "fcgi/endpoints.h"
#include "fcgi/merge.h"

#include <string.h>

/* How long all daemons together have, and what is left to each when others
 * have used that up. */
#define ALL_US INT64_C(4000000)
#define EACH_US INT64_C(200000)

#define UP_HELP                                                                                     \
	"# HELP evhub_daemon_up 1 if the daemon answered; those that ended without a word are 0.\n" \
	"# TYPE evhub_daemon_up gauge\n"

static bool
may_read(struct context *ctx, struct call *call)
{
	const struct conf_list *users = &ctx->conf->metrics_users;

	for (size_t i = 0; i < users->count; i++)
		if (strcmp(users->items[i], call->who.user_id) == 0)
			return true;
	return auth_gate_scope(call, AUTH_ADMIN);
}

/* The name stands in the database, where anybody may have written it. */
static void
add_up(struct buf *page, const char *daemon, bool up)
{
	buf_puts(page, "evhub_daemon_up{daemon=\"");
	for (; *daemon != '\0'; daemon++) {
		if (*daemon == '\\' || *daemon == '"')
			buf_puts(page, "\\");
		if (*daemon == '\n')
			buf_puts(page, "\\n");
		else
			buf_add(page, daemon, 1);
	}
	buf_printf(page, "\"} %d\n", up);
}

static void
ask_all(struct context *ctx, const struct daemons *list, struct merge *all)
{
	int64_t deadline = clock_mono_us() + ALL_US;
	struct buf up = BUF_INIT, own = BUF_INIT;

	buf_puts(&up, UP_HELP);
	for (size_t i = 0; i < list->count; i++) {
		int64_t least = clock_mono_us() + EACH_US;
		char why[DAEMON_WHY_BYTES];
		struct json_object *answer = NULL, *text = NULL;
		enum evh_rc rc = daemons_ask(ctx, list->items[i].socket, "{\"op\":\"metrics\"}\n",
			deadline > least ? deadline : least, &answer, why);

		if (rc == EVH_OK && json_object_object_get_ex(answer, "text", &text) &&
			json_object_is_type(text, json_type_string))
			merge_add(all, json_object_get_string(text),
				(size_t)json_object_get_string_len(text));
		else
			rc = EVH_INVALID;
		json_object_put(answer);
		add_up(&up, list->items[i].name, rc == EVH_OK);
	}
	counts_write(&own);
	if (!up.failed && !own.failed) {
		merge_add(all, up.data, up.len);
		merge_add(all, own.data, own.len);
	}
	all->failed = all->failed || up.failed || own.failed;
	buf_free(&up);
	buf_free(&own);
}

void
endpoint_metrics(struct context *ctx, struct call *call)
{
	struct daemons list = DAEMONS_INIT;
	struct merge all = MERGE_INIT;
	enum evh_rc rc;

	if (!may_read(ctx, call))
		return;
	rc = daemons_read(ctx, &list);
	if (rc != EVH_OK) {
		context_fault(ctx, rc, &call->error);
	} else {
		ask_all(ctx, &list, &all);
		merge_write(&all, &call->response->body);
		call->response->type = "text/plain; version=0.0.4; charset=utf-8";
		call->response->status = 200;
	}
	merge_free(&all);
	daemons_free(&list);
}
