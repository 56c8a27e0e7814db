#include "wsd/client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_MIN 64

/* The random part of an id is the hash, but for its first byte: there stands the
 * variant, the same in all of them (RFC 9562 section 4.1). */
static size_t
home(const struct clients *all, const uint8_t *id)
{
	uint32_t h;

	memcpy(&h, id + EVH_UUID_RANDOM_AT + 1, sizeof(h));
	return h & (all->size - 1);
}

static bool
table_grow(struct clients *all)
{
	size_t size = all->size == 0 ? TABLE_MIN : all->size * 2, old_size = all->size;
	struct client **old = all->slots, **slots = calloc(size, sizeof(*slots));

	if (slots == NULL)
		return false;
	all->slots = slots;
	all->size = size;
	for (size_t i = 0; i < old_size; i++) {
		size_t at;

		if (old[i] == NULL)
			continue;
		for (at = home(all, old[i]->id); slots[at] != NULL; at = (at + 1) & (size - 1))
			;
		slots[at] = old[i];
	}
	free(old);
	return true;
}

static size_t
table_place(const struct clients *all, const uint8_t *id)
{
	size_t at = home(all, id);

	while (all->slots[at] != NULL && memcmp(all->slots[at]->id, id, EVH_UUID_BYTES) != 0)
		at = (at + 1) & (all->size - 1);
	return at;
}

struct client *
clients_find(const struct clients *all, const uint8_t id[EVH_UUID_BYTES])
{
	return all->size == 0 ? NULL : all->slots[table_place(all, id)];
}

/* Closes the gap at place, so that every entry can still be reached. */
static void
table_delete(struct clients *all, size_t gap)
{
	size_t mask = all->size - 1;

	all->slots[gap] = NULL;
	for (size_t at = (gap + 1) & mask; all->slots[at] != NULL; at = (at + 1) & mask) {
		size_t want = home(all, all->slots[at]->id);

		if (((at - want) & mask) >= ((at - gap) & mask)) {
			all->slots[gap] = all->slots[at];
			all->slots[at] = NULL;
			gap = at;
		}
	}
}

struct user *
clients_user(const struct clients *all, const char *user_id)
{
	struct user *u = NULL;

	HASH_FIND_STR(all->users, user_id, u);
	return u;
}

uint32_t
clients_of_user(const struct clients *all, const char *user_id)
{
	struct user *u = clients_user(all, user_id);

	return u != NULL ? u->count : 0;
}

uint32_t
clients_of_address(const struct clients *all, const char *address)
{
	struct address *a = NULL;

	HASH_FIND_STR(all->addresses, address, a);
	return a != NULL ? a->count : 0;
}

static bool
user_attach(struct clients *all, struct client *c, const char *user_id)
{
	struct user *u = clients_user(all, user_id);

	if (u == NULL) {
		size_t len = strlen(user_id);

		u = calloc(1, sizeof(*u) + len + 1);
		if (u == NULL)
			return false;
		memcpy(u->user_id, user_id, len + 1);
		HASH_ADD_KEYPTR(hh, all->users, u->user_id, len, u);
		if (!hash_added(u)) {
			free(u);
			return false;
		}
	}
	if (u->count == u->size) {
		uint32_t size = u->size == 0 ? 1 : u->size * 2;
		struct client **list = realloc(u->clients, size * sizeof(struct client *));

		if (list == NULL) {
			if (u->count == 0) {
				HASH_DEL(all->users, u);
				free(u);
			}
			return false;
		}
		u->clients = list;
		u->size = size;
	}
	c->user = u;
	c->user_index = u->count;
	u->clients[u->count++] = c;
	return true;
}

static void
user_detach(struct clients *all, struct client *c)
{
	struct user *u = c->user;

	u->clients[c->user_index] = u->clients[--u->count];
	u->clients[c->user_index]->user_index = c->user_index;
	if (u->count == 0) {
		HASH_DEL(all->users, u);
		free(u->clients);
		free(u);
	}
}

static bool
address_attach(struct clients *all, struct client *c, const char *text)
{
	struct address *a = NULL;

	if (text == NULL)
		return true;
	HASH_FIND_STR(all->addresses, text, a);
	if (a == NULL) {
		size_t len = strlen(text);

		a = calloc(1, sizeof(*a) + len + 1);
		if (a == NULL)
			return false;
		memcpy(a->text, text, len + 1);
		HASH_ADD_KEYPTR(hh, all->addresses, a->text, len, a);
		if (!hash_added(a)) {
			free(a);
			return false;
		}
	}
	a->count++;
	c->address = a;
	return true;
}

static void
address_detach(struct clients *all, struct client *c)
{
	if (c->address == NULL || --c->address->count > 0)
		return;
	HASH_DEL(all->addresses, c->address);
	free(c->address);
}

struct client *
clients_add(struct clients *all, const char *user_id, const char *address, int64_t now_us)
{
	struct client *c;

	if ((all->count + 1) * 2 > all->size && !table_grow(all))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	if (!address_attach(all, c, address)) {
		free(c);
		return NULL;
	}
	if (!user_attach(all, c, user_id)) {
		address_detach(all, c);
		free(c);
		return NULL;
	}
	evh_uuid_new(c->id, now_us);
	c->connected_at = now_us;
	c->live_index = c->lag_index = c->dirty_index = CLIENT_NOT_LIVE;
	all->slots[table_place(all, c->id)] = c;
	all->count++;
	return c;
}

void
clients_remove(struct clients *all, struct client **client)
{
	struct client *c = *client;

	assert(c->live_index == CLIENT_NOT_LIVE && c->dirty_index == CLIENT_NOT_LIVE);
	wheel_remove(&c->timer);
	table_delete(all, table_place(all, c->id));
	all->count--;
	address_detach(all, c);
	user_detach(all, c);
	free(c);
	*client = NULL;
}

void
clients_free(struct clients *all)
{
	assert(all->count == 0);
	free(all->slots);
	all->slots = NULL;
	all->size = 0;
}
