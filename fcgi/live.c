#include "fcgi/live.h"

#include "common/clock.h"
#include "common/json.h"

#include <stdlib.h>
#include <string.h>

/* How long all daemons together have, and what is left to each when others
 * have used that up. */
#define ALL_US INT64_C(2000000)
#define EACH_US INT64_C(200000)

static void
add_note(struct buf *note, const char *daemon)
{
	buf_puts(note, note->len > 0 ? ", " : "");
	buf_puts(note, daemon);
}

static int64_t
number(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_int64(v) : 0;
}

/* Calls take for the answer of each daemon, in turn; EVH_INVALID from it: that is none. */
static enum evh_rc
ask_all(struct context *ctx, const char *line, struct buf *note,
	enum evh_rc (*take)(void *arg, const struct daemon_ref *d, struct json_object *answer),
	void *arg)
{
	int64_t deadline = clock_mono_us() + ALL_US;
	struct daemons list = DAEMONS_INIT;
	enum evh_rc rc = daemons_read(ctx, &list);

	for (size_t i = 0; rc == EVH_OK && i < list.count; i++) {
		int64_t least = clock_mono_us() + EACH_US;
		char why[DAEMON_WHY_BYTES];
		struct json_object *answer = NULL;

		rc = daemons_ask(ctx, list.items[i].socket, line, deadline > least ? deadline : least,
			&answer, why);
		if (rc == EVH_OK)
			rc = take(arg, &list.items[i], answer);
		if (rc != EVH_OK && rc != EVH_NOMEM) {
			add_note(note, list.items[i].name);
			rc = EVH_OK;
		}
		json_object_put(answer);
	}
	daemons_free(&list);
	return rc == EVH_OK && note->failed ? EVH_NOMEM : rc;
}

void
live_note(const struct buf *away, struct buf *note)
{
	if (away->len == 0)
		return;
	buf_puts(note, "no answer from the daemon ");
	for (const char *p = away->data; *p != '\0'; p++) /* names are rows, written by anybody */
		buf_add(note, (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f ? p : "?", 1);
	buf_puts(note, ": figures of its clients are those of the database");
}

/* Depths */

static bool
add_asked(struct daemons *list, const struct daemon_ref *d)
{
	struct daemon_ref *items = realloc(list->items, (list->count + 1) * sizeof(*items));

	if (items == NULL)
		return false;
	list->items = items;
	items[list->count++] = *d;
	return true;
}

static enum evh_rc
take_depths(void *arg, const struct daemon_ref *d, struct json_object *answer)
{
	struct live_depths *depths = arg;
	struct json_object *clients = NULL, *v;
	size_t n;
	struct live_depth *items;

	if (!json_object_object_get_ex(answer, "clients", &clients) ||
		!json_object_is_type(clients, json_type_array))
		return EVH_INVALID; /* as if it had not answered */
	n = json_object_array_length(clients);
	items = realloc(depths->items, (depths->count + n + 1) * sizeof(*items));
	if (items == NULL)
		return EVH_NOMEM;
	depths->items = items;
	for (size_t i = 0; i < n; i++) {
		struct json_object *c = json_object_array_get_idx(clients, i);
		const char *id = json_object_object_get_ex(c, "id", &v) ? json_plain_string(v) : NULL;

		if (id == NULL || strlen(id) != EVH_UUID_TEXT - 1)
			continue;
		memcpy(items[depths->count].id, id, EVH_UUID_TEXT);
		items[depths->count++].depth = number(c, "queue_depth");
	}
	return add_asked(&depths->asked, d) ? EVH_OK : EVH_NOMEM;
}

static int
by_id(const void *a, const void *b)
{
	return memcmp(
		((const struct live_depth *)a)->id, ((const struct live_depth *)b)->id, EVH_UUID_TEXT);
}

enum evh_rc
live_depths_read(struct context *ctx, const char *user_id, struct live_depths *depths, struct buf *note)
{
	struct buf line = BUF_INIT;
	enum evh_rc rc = EVH_NOMEM;

	buf_puts(&line, "{\"op\":\"clients\",\"brief\":true");
	if (user_id != NULL) {
		buf_puts(&line, ",\"user_id\":");
		buf_json_string(&line, user_id, strlen(user_id));
	} else {
		buf_puts(&line, ",\"lagging\":true");
	}
	buf_puts(&line, "}\n");
	if (!line.failed)
		rc = ask_all(ctx, line.data, note, take_depths, depths);
	buf_free(&line);
	if (depths->count > 0)
		qsort(depths->items, depths->count, sizeof(*depths->items), by_id);
	return rc;
}

void
live_depths_ids(const struct live_depths *depths, struct buf *out)
{
	buf_puts(out, "[");
	for (size_t i = 0; i < depths->count; i++)
		buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", depths->items[i].id);
	buf_puts(out, "]");
}

int64_t
live_depth(const struct live_depths *depths, const char *daemon, const char *id, int64_t fallback)
{
	const struct live_depth *found = NULL;
	struct live_depth key = { .depth = 0 };
	bool asked = false;

	for (size_t i = 0; i < depths->asked.count && !asked; i++)
		asked = strcmp(depths->asked.items[i].name, daemon) == 0;
	if (!asked || strlen(id) >= sizeof(key.id))
		return fallback;
	memcpy(key.id, id, strlen(id) + 1);
	if (depths->count > 0)
		found = bsearch(&key, depths->items, depths->count, sizeof(key), by_id);
	return found != NULL ? found->depth : 0;
}

void
live_depths_free(struct live_depths *depths)
{
	free(depths->items);
	daemons_free(&depths->asked);
	*depths = (struct live_depths)LIVE_DEPTHS_INIT;
}

/* Figures */

static enum evh_rc
take_stats(void *arg, const struct daemon_ref *d, struct json_object *answer)
{
	struct live_stats *s = arg;
	struct json_object *types = NULL;

	(void)d;
	s->clients += number(answer, "total_clients");
	s->subscriptions += number(answer, "total_subscriptions");
	s->lagging += number(answer, "lagging_clients");
	s->messages_sent += number(answer, "messages_sent");
	if (!json_object_object_get_ex(answer, "type_stats", &types) ||
		!json_object_is_type(types, json_type_object))
		return EVH_OK;
	json_object_object_foreach (types, name, count) {
		int64_t sum = number(s->types, name) + json_object_get_int64(count);
		struct json_object *v = json_object_new_int64(sum);

		if (v == NULL || json_object_object_add(s->types, name, v) != 0) {
			json_object_put(v);
			return EVH_NOMEM;
		}
	}
	return EVH_OK;
}

enum evh_rc
live_stats_read(struct context *ctx, struct live_stats *stats, struct buf *note)
{
	memset(stats, 0, sizeof(*stats));
	stats->types = json_object_new_object();
	if (stats->types == NULL)
		return EVH_NOMEM;
	return ask_all(ctx, "{\"op\":\"stats\"}\n", note, take_stats, stats);
}

void
live_stats_free(struct live_stats *stats)
{
	json_object_put(stats->types);
	stats->types = NULL;
}
