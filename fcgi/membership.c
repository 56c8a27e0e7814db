#include "fcgi/membership.h"

#include "common/clock.h"
#include "common/log.h"
#include "fcgi/daemons.h"
#include "fcgi/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
wrong_type(struct call *call, const char *path, struct json_object *v, const char *wanted)
{
	api_error_fail(&call->error, 400, "wrong_type", path, "%s must be %s, not %s", path, wanted,
		json_type_name(v));
}

static void
check_members(struct call *call)
{
	json_object_object_foreach (call->json, key, value) {
		(void)value;
		if (strcmp(key, "client_id") != 0 && strcmp(key, "event_types") != 0 &&
			strcmp(key, "user_id") != 0)
			api_error_fail(&call->error, 400, "unknown_field", key,
				"%.64s is no field of this request", key);
	}
}

/* A NUL would end the text for us, but not for whoever sent it. */
static bool
has_nul(struct json_object *string)
{
	return strlen(json_object_get_string(string)) != (size_t)json_object_get_string_len(string);
}

/* What is no UUID is the id of no client: that is a 404, and not yet. */
static void
parse_client(struct membership *m, struct call *call)
{
	struct json_object *v = NULL;
	uint8_t uuid[EVH_UUID_BYTES];

	(void)json_object_object_get_ex(call->json, "client_id", &v);
	if (v == NULL ||
		(json_object_is_type(v, json_type_string) && json_object_get_string_len(v) == 0))
		api_error_fail(&call->error, 400, "missing", "client_id", "client_id is missing");
	else if (!json_object_is_type(v, json_type_string))
		wrong_type(call, "client_id", v, "a string");
	else if (has_nul(v))
		api_error_fail(&call->error, 400, "nul_byte", "client_id",
			"client_id must not contain the character U+0000");
	else if (evh_uuid_parse(json_object_get_string(v), uuid))
		evh_uuid_format(uuid, m->client_id);
}

/* Adds one name unless it is there. */
static void
parse_type(struct membership *m, struct call *call, struct json_object *v, size_t index)
{
	struct membership_type *type = &m->wanted[m->count];

	if (!json_object_is_type(v, json_type_string)) {
		char path[40];

		(void)snprintf(path, sizeof(path), "event_types[%zu]", index);
		wrong_type(call, path, v, "a string");
		return;
	}
	type->valid = event_type_normalise(json_object_get_string(v),
			      (size_t)json_object_get_string_len(v), type->name) == EVH_OK;
	if (!type->valid)
		(void)snprintf(type->name, sizeof(type->name), "%s", json_object_get_string(v));
	for (size_t i = 0; i < m->count; i++)
		if (m->wanted[i].valid == type->valid && strcmp(m->wanted[i].name, type->name) == 0)
			return;
	m->count++;
}

static void
parse_types(struct membership *m, struct call *call)
{
	struct json_object *v = NULL;
	size_t count;

	(void)json_object_object_get_ex(call->json, "event_types", &v);
	if (v == NULL) {
		api_error_fail(&call->error, 400, "missing", "event_types", "event_types is missing");
		return;
	}
	if (!json_object_is_type(v, json_type_array)) {
		wrong_type(call, "event_types", v, "an array of strings");
		return;
	}
	count = json_object_array_length(v);
	if (count == 0)
		api_error_fail(&call->error, 400, "empty", "event_types", "event_types is empty");
	else if (count > EVENT_TYPES_MAX)
		api_error_fail(&call->error, 400, "too_many", "event_types",
			"event_types has more than %d names", EVENT_TYPES_MAX);
	for (size_t i = 0; i < count && count <= EVENT_TYPES_MAX; i++)
		parse_type(m, call, json_object_array_get_idx(v, i), i);
}

/* Whose client it has to be: the caller's, or for an administrator that of
 * the user named, or anybody's when none is. */
static void
parse_user(struct membership *m, struct call *call)
{
	bool admin = (call->who.scopes & AUTH_ADMIN) != 0;
	struct json_object *v = NULL;

	(void)json_object_object_get_ex(call->json, "user_id", &v);
	if (v == NULL) {
		m->user_id = admin ? NULL : call->who.user_id;
		return;
	}
	if (!json_object_is_type(v, json_type_string)) {
		wrong_type(call, "user_id", v, "a string");
		return;
	}
	m->user_id = json_object_get_string(v);
	if (has_nul(v))
		api_error_fail(&call->error, 400, "nul_byte", "user_id",
			"user_id must not contain the character U+0000");
	else if (!admin && call->error.code == 0 && strcmp(m->user_id, call->who.user_id) != 0)
		api_error_fail(&call->error, 403, "user_mismatch", "user_id",
			"user_id is not the authenticated user");
}

static bool
parse(struct membership *m, struct call *call)
{
	if (!json_object_is_type(call->json, json_type_object)) {
		wrong_type(call, "body", call->json, "an object");
		return false;
	}
	check_members(call);
	parse_client(m, call);
	parse_types(m, call);
	parse_user(m, call);
	return call->error.code == 0;
}

/* Reads the client's row into m.  False with a fault. */
static bool
find_client(struct membership *m, struct context *ctx, struct call *call)
{
	sqlite3_stmt *s = context_statement(ctx, STATEMENT_CLIENT);
	bool row = false;
	enum evh_rc rc;

	db_bind_text(s, 1, m->client_id);
	rc = context_step(ctx, s, &row);
	if (rc != EVH_OK) {
		context_fault(ctx, rc, &call->error);
	} else if (!row) {
		api_error_set(&call->error, 404, "client not found");
		api_error_push(&call->error, 404, "client_not_found", "client_id",
			"no live client has this id");
	} else if (m->user_id != NULL && strcmp(db_text(s, 0), m->user_id) != 0) {
		api_error_fail(&call->error, 403, "not_owner", "client_id",
			"the client belongs to another user");
	} else {
		if (snprintf(m->socket, sizeof(m->socket), "%s", db_text(s, 2)) >=
			(int)sizeof(m->socket))
			m->socket[0] = '\0';
		free(m->allowed); /* of an attempt that was taken back */
		m->allowed = NULL;
		if (sqlite3_column_type(s, 3) != SQLITE_NULL &&
			(m->allowed = strdup(db_text(s, 3))) == NULL)
			context_fault(ctx, EVH_NOMEM, &call->error);
	}
	(void)sqlite3_reset(s);
	return call->error.code == 0;
}

static enum evh_rc
read_subscriptions(struct membership *m, struct context *ctx)
{
	sqlite3_stmt *s = context_statement(ctx, STATEMENT_SUBSCRIPTIONS);
	enum evh_rc rc;
	bool row;

	db_bind_text(s, 1, m->client_id);
	while ((rc = context_step(ctx, s, &row)) == EVH_OK && row)
		if (event_types_add(&m->have, db_text(s, 0)) == EVH_NOMEM)
			return EVH_NOMEM;
	return rc;
}

void
membership_done(struct membership *m, const char *name)
{
	if (m->done.len > 0) {
		buf_puts(&m->done, ", ");
		buf_puts(&m->done_json, ",");
	}
	buf_puts(&m->done, name);
	buf_json_string(&m->done_json, name, strlen(name));
}

void
membership_fault(struct membership *m, struct call *call, int code, const char *error, const char *name,
	const char *reason)
{
	m->forbidden = code == 403 && (m->forbidden || m->faults.len == 0);
	buf_printf(&m->faults, "%s%s (%s)", m->faults.len > 0 ? ", " : "", name, reason);
	api_error_push(&call->error, code, error, "event_types", "%s: %s", name, reason);
}

/* The barrier: nobody is told of the change before the daemon has applied it. */
static bool
confirm(struct membership *m, struct context *ctx, struct call *call)
{
	int64_t deadline = clock_mono_us() + ctx->conf->confirm_timeout * 1000;
	char why[DAEMON_WHY_BYTES];
	enum evh_rc rc = daemons_sync(ctx, m->socket, m->change, deadline, why);

	if (rc == EVH_OK)
		return true;
	log_warn("change_unconfirmed", "client_id=%s change=%lld socket=%s reason=\"%s\"", m->client_id,
		(long long)m->change, m->socket, why);
	api_error_free(&call->error);
	api_error_fail(&call->error, 503, rc == EVH_TIMEOUT ? "daemon_timeout" : "daemon_unavailable",
		"daemon",
		"the change is stored and will be applied, but the daemon has not confirmed it: %s",
		why);
	return false;
}

/* Writes the client's subscriptions as a JSON array. */
static enum evh_rc
list_subscriptions(struct membership *m, struct context *ctx, struct buf *out)
{
	sqlite3_stmt *s = context_statement(ctx, STATEMENT_SUBSCRIPTIONS);
	const char *separator = "[";
	enum evh_rc rc;
	bool row;

	db_bind_text(s, 1, m->client_id);
	while ((rc = context_step(ctx, s, &row)) == EVH_OK && row) {
		buf_puts(out, separator);
		buf_json_string(out, db_text(s, 0), strlen(db_text(s, 0)));
		separator = ",";
	}
	buf_puts(out, *separator == '[' ? "[]" : "]");
	return rc;
}

static enum evh_rc
read_last_change(struct membership *m, struct context *ctx)
{
	sqlite3_stmt *s = context_statement(ctx, STATEMENT_LAST_CHANGE);
	bool row = false;
	enum evh_rc rc = context_step(ctx, s, &row);

	m->change = row ? sqlite3_column_int64(s, 0) : 0;
	(void)sqlite3_reset(s);
	return rc;
}

static void
answer(struct membership *m, struct call *call)
{
	struct buf message = BUF_INIT, *out = &call->response->body;

	buf_printf(&message, "%s: %s", m->words->done, m->done.data);
	if (m->faults.len > 0)
		buf_printf(&message, "; %s: %s", m->words->not_done, m->faults.data);
	if (message.failed || m->subscriptions.failed) {
		buf_free(&message);
		api_error_fail(&call->error, 503, "out_of_memory", "",
			"the change is stored and applied, but there was no memory for the answer");
		return;
	}
	call->response->status = 200;
	buf_puts(out, "{\"code\":200,\"message\":");
	buf_json_string(out, message.data, message.len);
	buf_printf(out, ",\"client_id\":\"%s\",\"%s\":[%s],\"subscriptions\":%s", m->client_id,
		m->words->member, m->done_json.data, m->subscriptions.data);
	if (m->faults.len > 0) {
		buf_puts(out, ",");
		api_error_stack_json(&call->error, out);
	}
	buf_puts(out, "}");
	buf_free(&message);
}

/* Looks one type up and lets the endpoint change it. */
static enum evh_rc
change_type(struct membership *m, struct context *ctx, struct call *call,
	const struct membership_type *type, membership_apply *apply)
{
	sqlite3_stmt *s = context_statement(ctx, STATEMENT_EVENT_TYPE);
	bool known = false, mandatory;
	enum evh_rc rc = EVH_OK;

	db_bind_text(s, 1, type->name);
	if (type->valid)
		rc = context_step(ctx, s, &known);
	if (rc != EVH_OK)
		return rc;
	if (!known) {
		membership_fault(m, call, 400, "unknown_event_type", type->name, "unknown");
		return EVH_OK;
	}
	mandatory = sqlite3_column_int(s, 0) != 0;
	(void)sqlite3_reset(s);
	return apply(m, ctx, call, type->name, mandatory);
}

struct changing {
	struct membership *m;
	struct call *call;
	membership_apply *apply;
};

/* What happens in the transaction, at the end of which it is known what the
 * answer needs.  False with a fault if nothing could be done. */
static bool
change(void *arg, struct context *ctx)
{
	const struct changing *c = arg;
	struct membership *m = c->m;
	struct call *call = c->call;
	enum evh_rc rc;

	if (!find_client(m, ctx, call))
		return false;
	rc = read_subscriptions(m, ctx);
	for (size_t i = 0; rc == EVH_OK && i < m->count; i++)
		rc = change_type(m, ctx, call, &m->wanted[i], c->apply);
	if (rc == EVH_OK)
		rc = list_subscriptions(m, ctx, &m->subscriptions);
	if (rc == EVH_OK)
		rc = read_last_change(m, ctx);
	if (rc == EVH_OK && (m->done.failed || m->done_json.failed || m->faults.failed))
		rc = EVH_NOMEM;
	if (rc != EVH_OK)
		context_fault(ctx, rc, &call->error);
	else if (m->done.len == 0)
		api_error_set(&call->error, m->forbidden ? 403 : 400, "%s: %s", m->words->not_done,
			m->faults.data);
	return call->error.code == 0;
}

void
membership_change(struct context *ctx, struct call *call, const struct membership_words *words,
	membership_apply *apply)
{
	struct membership m;
	struct changing changing = { &m, call, apply };

	memset(&m, 0, sizeof(m));
	m.words = words;
	if (parse(&m, call) && writer_run(ctx->writer, change, &changing, &call->error)) {
		log_info(words->member, "user_id=%s client_id=%s event_types=%s", call->who.user_id,
			m.client_id, m.done.data);
		if (confirm(&m, ctx, call))
			answer(&m, call);
	}
	event_types_free(&m.have);
	buf_free(&m.subscriptions);
	free(m.allowed);
	buf_free(&m.done);
	buf_free(&m.done_json);
	buf_free(&m.faults);
}
