#include "fcgi/daemons.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum evh_rc
daemons_read(struct context *ctx, struct daemons *list)
{
	sqlite3_stmt *s = context_statement(ctx, STATEMENT_DAEMONS);
	enum evh_rc rc;
	bool row;

	while ((rc = context_step(ctx, s, &row)) == EVH_OK && row) {
		struct daemon_ref *items = realloc(list->items, (list->count + 1) * sizeof(*items));
		struct daemon_ref *d;

		if (items == NULL) {
			rc = EVH_NOMEM;
			break;
		}
		list->items = items;
		d = &items[list->count++];
		(void)snprintf(d->name, sizeof(d->name), "%s", db_text(s, 0));
		if (snprintf(d->socket, sizeof(d->socket), "%s", db_text(s, 1)) >=
			(int)sizeof(d->socket))
			d->socket[0] = '\0';
	}
	(void)sqlite3_reset(s);
	return rc;
}

void
daemons_free(struct daemons *list)
{
	free(list->items);
	list->items = NULL;
	list->count = 0;
}

static void
describe(enum evh_rc rc, char why[DAEMON_WHY_BYTES])
{
	const char *text = evh_rc_name(rc);

	switch (rc) {
	case EVH_CLOSED:
		text = "it is not running";
		break;
	case EVH_DENIED:
		text = "its control socket does not let this program in";
		break;
	case EVH_TIMEOUT:
		text = "it did not answer in time";
		break;
	case EVH_INVALID:
	case EVH_TOO_LARGE:
		text = "its answer cannot be understood";
		break;
	default:
		break;
	}
	(void)snprintf(why, DAEMON_WHY_BYTES, "%s", text);
}

/* Asks, and insists on "ok":true. */
static enum evh_rc
ask(struct context *ctx, const char *socket, const struct buf *line, int64_t deadline,
	struct json_object **answer, char why[DAEMON_WHY_BYTES])
{
	struct json_object *v = NULL;
	enum evh_rc rc = daemon_links_ask(&ctx->links, socket, line, deadline, answer);

	if (rc != EVH_OK) {
		describe(rc, why);
		return rc;
	}
	if (json_object_object_get_ex(*answer, "ok", &v) && json_object_is_type(v, json_type_boolean) &&
		json_object_get_boolean(v))
		return EVH_OK;
	if (json_object_object_get_ex(*answer, "error", &v) && v != NULL)
		(void)snprintf(why, DAEMON_WHY_BYTES, "it refused: %.100s", json_object_get_string(v));
	else
		describe(EVH_INVALID, why);
	json_object_put(*answer);
	*answer = NULL;
	return EVH_INVALID;
}

enum evh_rc
daemons_ask(struct context *ctx, const char *socket, const char *line, int64_t deadline,
	struct json_object **answer, char why[DAEMON_WHY_BYTES])
{
	struct buf text = BUF_INIT;
	enum evh_rc rc;

	buf_puts(&text, line);
	rc = ask(ctx, socket, &text, deadline, answer, why);
	buf_free(&text);
	return rc;
}

enum evh_rc
daemons_sync(struct context *ctx, const char *socket, int64_t change, int64_t deadline,
	char why[DAEMON_WHY_BYTES])
{
	struct buf line = BUF_INIT;
	struct json_object *answer = NULL, *v = NULL;
	enum evh_rc rc;

	buf_printf(&line, "{\"op\":\"sync\",\"change\":%lld}\n", (long long)change);
	rc = ask(ctx, socket, &line, deadline, &answer, why);
	if (rc == EVH_OK &&
		(!json_object_object_get_ex(answer, "change", &v) ||
			!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < change)) {
		describe(EVH_INVALID, why);
		rc = EVH_INVALID;
	}
	json_object_put(answer);
	buf_free(&line);
	return rc;
}

enum evh_rc
daemons_hello(struct context *ctx, const char *socket, int64_t deadline, char why[DAEMON_WHY_BYTES])
{
	struct buf line = BUF_INIT;
	struct json_object *answer = NULL, *v = NULL;
	enum evh_rc rc;

	buf_puts(&line, "{\"op\":\"hello\"}\n");
	rc = ask(ctx, socket, &line, deadline, &answer, why);
	/* it runs, and cannot write: a full disk is seen there first */
	if (rc == EVH_OK && json_object_object_get_ex(answer, "database", &v) &&
		json_object_is_type(v, json_type_string) &&
		strcmp(json_object_get_string(v), evh_rc_name(EVH_OK)) != 0) {
		(void)snprintf(why, DAEMON_WHY_BYTES, "it cannot write the database: %.60s",
			json_object_get_string(v));
		rc = EVH_IO;
	}
	json_object_put(answer);
	buf_free(&line);
	return rc;
}

enum evh_rc
daemons_publish(struct context *ctx, const char *socket, const struct buf *line, int64_t deadline,
	char id[EVH_ID_TEXT], char why[DAEMON_WHY_BYTES])
{
	struct json_object *answer = NULL, *v = NULL;
	enum evh_rc rc = ask(ctx, socket, line, deadline, &answer, why);

	if (rc == EVH_OK &&
		(!json_object_object_get_ex(answer, "id", &v) ||
			!json_object_is_type(v, json_type_string) ||
			json_object_get_string_len(v) >= EVH_ID_TEXT)) {
		describe(EVH_INVALID, why);
		rc = EVH_INVALID;
	}
	if (rc == EVH_OK)
		(void)snprintf(id, EVH_ID_TEXT, "%s", json_object_get_string(v));
	json_object_put(answer);
	return rc;
}
