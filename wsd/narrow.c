#include "wsd/narrow.h"

#include "common/event_types.h"

#include <string.h>

static bool
excess(struct hub *hub, const struct client *c, uint32_t type, const char *patterns)
{
	const struct evtype *t = hub_grouping(hub)->types[type];

	return group_has(c->group, type) && !t->mandatory && !event_type_allowed(patterns, t->name);
}

bool
narrow_needed(struct hub *hub, const struct client *c, const char *patterns)
{
	for (uint32_t t = 0; patterns != NULL && t < hub_grouping(hub)->type_count; t++)
		if (excess(hub, c, t, patterns))
			return true;
	return false;
}

/* The rows of these types; those that nobody has are left alone. */
static struct store_op *
rows_op(struct hub *hub, const struct client *c, const uint32_t *types, uint32_t count,
	uint64_t change_seq)
{
	struct store_op *op = store_op_new(STORE_UNSUBSCRIBE);
	enum evh_rc rc = EVH_OK;

	if (op == NULL)
		return NULL;
	memcpy(op->client, c->id, EVH_UUID_BYTES);
	op->u.unsubscribe.change_seq = change_seq;
	for (uint32_t i = 0; rc == EVH_OK && i < count; i++)
		rc = event_types_add(&op->u.unsubscribe.types, hub_grouping(hub)->types[types[i]]->name);
	if (rc == EVH_OK)
		return op;
	store_op_free(op);
	return NULL;
}

static enum evh_rc
remove_types(struct hub *hub, struct store *store, struct client *c, const uint32_t *types,
	uint32_t count, uint64_t change_seq)
{
	struct store_op *op = rows_op(hub, c, types, count, change_seq);
	enum evh_rc rc;

	if (op == NULL)
		return EVH_NOMEM;
	rc = hub_unsubscribe(hub, c, types, count);
	if (rc != EVH_OK || store == NULL)
		store_op_free(op);
	else
		store_submit(store, op);
	return rc;
}

/* By SQL it may have more types than one operation takes. */
enum evh_rc
narrow_client(struct hub *hub, struct store *store, struct client *c, const char *patterns,
	uint64_t change_seq)
{
	enum evh_rc rc = EVH_OK;
	uint32_t count;

	do {
		uint32_t types[EVENT_TYPES_MAX];

		count = 0;
		for (uint32_t t = 0; t < hub_grouping(hub)->type_count && count < EVENT_TYPES_MAX; t++)
			if (excess(hub, c, t, patterns))
				types[count++] = t;
		if (count > 0)
			rc = remove_types(hub, store, c, types, count, change_seq);
	} while (rc == EVH_OK && count == EVENT_TYPES_MAX);
	return rc;
}
