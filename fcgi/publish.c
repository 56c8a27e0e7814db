#include "fcgi/publish.h"

#include "common/clock.h"
#include "common/log.h"
#include "fcgi/daemons.h"
#include "fcgi/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Appends ,"name":"text" unless text is NULL. */
static void
add_member(struct buf *line, const char *name, const char *text, size_t len)
{
	if (text == NULL)
		return;
	buf_printf(line, ",\"%s\":", name);
	buf_json_string(line, text, len);
}

/* Writes the control line.  A line break can stand only between the tokens
 * of the body, where a blank does as well. */
static void
write_line(struct publish_item *item)
{
	const struct event_input *e = &item->event;
	struct buf *line = &item->line;

	buf_printf(line, "{\"op\":\"publish\",\"event_type\":\"%s\"", e->event_type);
	add_member(line, "message", e->message, e->message_len);
	if (e->body.at != NULL) {
		size_t from;

		buf_puts(line, ",\"body\":");
		from = line->len;
		buf_add(line, e->body.at, e->body.len);
		for (size_t i = from; i < line->len; i++)
			if (line->data[i] == '\n' || line->data[i] == '\r')
				line->data[i] = ' ';
	}
	if (e->client_id[0] != '\0')
		add_member(line, "client_id", e->client_id, strlen(e->client_id));
	add_member(line, "user_id", e->user_id, e->user_id != NULL ? strlen(e->user_id) : 0);
	add_member(line, "dedup_id", e->dedup_id, e->dedup_id != NULL ? strlen(e->dedup_id) : 0);
	buf_puts(line, "}\n");
}

static bool
prepare_line(struct publish_item *item, struct call *call)
{
	write_line(item);
	if (item->line.failed)
		api_error_fail(&call->error, 503, "out_of_memory", "", "out of memory");
	else if (item->line.len > DAEMON_LINE_MAX)
		api_error_fail(&call->error, 413, "too_large", "body",
			"an event of type %s is longer than the daemon takes (%zu bytes)",
			item->event.event_type, DAEMON_LINE_MAX);
	else
		return true;
	return false;
}

bool
publish_prepare(struct publish_item *item, struct context *ctx, struct call *call, const char *prefix)
{
	sqlite3_stmt *s = context_statement(ctx, STATEMENT_EVENT_TYPE);
	bool known = false;
	enum evh_rc rc;

	db_bind_text(s, 1, item->event.event_type);
	rc = context_step(ctx, s, &known);
	if (rc != EVH_OK) {
		context_fault(ctx, rc, &call->error);
		return false;
	}
	if (!known) {
		char path[64];

		(void)snprintf(path, sizeof(path), "%sevent_type", prefix);
		api_error_fail(&call->error, 400, "unknown_event_type", path, "%s: unknown event type",
			item->event.event_type);
		return false;
	}
	item->persistent = sqlite3_column_int(s, 1) != 0;
	(void)sqlite3_reset(s);
	return item->persistent || prepare_line(item, call);
}

/* Looks for an event with the same dedup_id; *seq stays 0 if there is none. */
static enum evh_rc
find_first(struct context *ctx, const char *dedup_id, int64_t *seq)
{
	sqlite3_stmt *s = context_statement(ctx, STATEMENT_DEDUP);
	bool row;
	enum evh_rc rc;

	db_bind_text(s, 1, dedup_id);
	rc = context_step(ctx, s, &row);
	if (rc == EVH_OK && row)
		*seq = sqlite3_column_int64(s, 0);
	(void)sqlite3_reset(s);
	return rc;
}

static enum evh_rc
insert(struct context *ctx, const struct event_input *e, int64_t *seq)
{
	sqlite3_stmt *s = context_statement(ctx, STATEMENT_PUBLISH);
	bool row = false;
	enum evh_rc rc;

	db_bind_text(s, 1, e->event_type);
	db_bind_text(s, 2, e->message != NULL ? e->message : "");
	if (e->body.at != NULL)
		(void)sqlite3_bind_text64(
			s, 3, e->body.at, (sqlite3_uint64)e->body.len, SQLITE_STATIC, SQLITE_UTF8);
	db_bind_text(s, 4, e->client_id[0] != '\0' ? e->client_id : NULL);
	db_bind_text(s, 5, e->user_id);
	db_bind_text(s, 6, e->dedup_id);
	rc = context_step(ctx, s, &row);
	if (rc == EVH_OK && row) {
		*seq = sqlite3_column_int64(s, 0);
		rc = context_step(ctx, s, &row); /* to the end of the statement */
	}
	return rc;
}

/* Stores one event, or finds the one that it repeats. */
static enum evh_rc
store(struct publish_item *item, struct context *ctx, size_t *fresh)
{
	int64_t seq = 0;
	enum evh_rc rc = EVH_OK;

	if (item->event.dedup_id != NULL)
		rc = find_first(ctx, item->event.dedup_id, &seq);
	if (rc == EVH_OK && seq == 0) {
		rc = insert(ctx, &item->event, &seq);
		(*fresh)++;
	}
	(void)evh_id_format(item->id, ctx->epoch, (uint64_t)seq, 0);
	return rc;
}

struct storing {
	struct publish_batch *batch;
	struct call *call;
};

/* All of the batch that is kept, or nothing. */
static bool
store_all(void *arg, struct context *ctx)
{
	const struct storing *s = arg;
	struct publish_batch *batch = s->batch;
	enum evh_rc rc = EVH_OK;

	for (size_t i = 0; rc == EVH_OK && i < batch->count; i++)
		if (batch->items[i].persistent)
			rc = store(&batch->items[i], ctx, &batch->fresh);
	if (rc == EVH_INVALID) /* a rule of the table, which says which */
		api_error_fail(&s->call->error, 400, "rejected", "event", "%s; nothing was stored",
			sqlite3_errmsg(ctx->db));
	else if (rc != EVH_OK)
		context_fault(ctx, rc, &s->call->error);
	return rc == EVH_OK;
}

bool
publish_store(struct publish_batch *batch, struct context *ctx, struct call *call)
{
	struct storing storing = { batch, call };
	size_t persistent = 0;

	for (size_t i = 0; i < batch->count; i++)
		persistent += batch->items[i].persistent;
	return persistent == 0 || writer_run(ctx->writer, store_all, &storing, &call->error);
}

/* Hands one event to every daemon.  One that let the time pass is not waited
 * for again. */
static bool
send_one(struct publish_item *item, struct context *ctx, struct daemons *daemons,
	char why[DAEMON_WHY_BYTES])
{
	bool sent = false;

	for (size_t i = 0; i < daemons->count; i++) {
		int64_t deadline = clock_mono_us() + ctx->conf->confirm_timeout * 1000;
		char id[EVH_ID_TEXT], reason[DAEMON_WHY_BYTES];
		struct daemon_ref *d = &daemons->items[i];
		enum evh_rc rc = daemons_publish(ctx, d->socket, &item->line, deadline, id, reason);

		if (rc == EVH_OK) {
			if (!sent)
				memcpy(item->id, id, sizeof(id));
			sent = true;
			continue;
		}
		log_warn("publish_failed", "daemon=%s event_type=%s reason=\"%s\"", d->name,
			item->event.event_type, reason);
		memcpy(why, reason, DAEMON_WHY_BYTES);
		if (rc == EVH_TIMEOUT)
			d->socket[0] = '\0';
	}
	return sent;
}

bool
publish_send(struct publish_batch *batch, struct context *ctx, struct call *call)
{
	struct daemons daemons = DAEMONS_INIT;
	char why[DAEMON_WHY_BYTES] = "none is running";
	size_t persistent = batch->fresh;
	enum evh_rc rc = EVH_OK;

	for (size_t i = 0; rc == EVH_OK && call->error.code == 0 && i < batch->count; i++) {
		struct publish_item *item = &batch->items[i];

		if (item->persistent)
			continue;
		if (daemons.count == 0)
			rc = daemons_read(ctx, &daemons);
		if (rc == EVH_OK && send_one(item, ctx, &daemons, why))
			batch->fresh++;
		else if (rc == EVH_OK)
			api_error_fail(&call->error, 503, "daemon_unavailable", "daemon",
				"no daemon took an event of type %s, which is not kept: %s; published: %zu of %zu",
				item->event.event_type, why, batch->fresh, batch->count);
	}
	if (rc != EVH_OK) {
		context_suspect(ctx, rc);
		api_error_fail(&call->error, 503, "database_unavailable", "database",
			"the daemons cannot be looked up; published: %zu of %zu", persistent,
			batch->count);
	}
	daemons_free(&daemons);
	return call->error.code == 0;
}

void
publish_free(struct publish_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		buf_free(&batch->items[i].line);
	free(batch->items);
	batch->items = NULL;
	batch->count = 0;
}
