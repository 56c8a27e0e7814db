#include "wsd/group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct evtype *
grouping_any_type(const struct grouping *g, const char *name)
{
	struct evtype *t = NULL;

	HASH_FIND_STR(g->by_name, name, t);
	return t;
}

struct evtype *
grouping_type(const struct grouping *g, const char *name)
{
	struct evtype *t = grouping_any_type(g, name);

	return t != NULL && t->exists ? t : NULL;
}

static struct evtype *
add_type(struct grouping *g, const char *name)
{
	struct evtype *t;

	if (strlen(name) > EVENT_TYPE_MAX)
		return NULL;
	if (g->type_count == g->type_size) {
		uint32_t size = g->type_size == 0 ? 16 : g->type_size * 2;
		struct evtype **types = realloc(g->types, size * sizeof(*types));

		if (types == NULL)
			return NULL;
		g->types = types;
		g->type_size = size;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	memcpy(t->name, name, strlen(name) + 1);
	t->number = g->type_count;
	HASH_ADD_STR(g->by_name, name, t);
	if (!hash_added(t)) {
		free(t);
		return NULL;
	}
	g->types[g->type_count++] = t;
	return t;
}

enum evh_rc
grouping_set_type(struct grouping *g, const char *name, bool persistent, bool mandatory)
{
	struct evtype *t = grouping_any_type(g, name);

	if (t == NULL)
		t = add_type(g, name);
	if (t == NULL)
		return EVH_NOMEM;
	t->exists = true;
	t->persistent = persistent;
	t->mandatory = mandatory;
	return EVH_OK;
}

void
group_types(const struct group *group, uint32_t *out)
{
	for (uint32_t w = 0; w < group->words; w++)
		for (uint64_t rest = group->bits[w]; rest != 0; rest &= rest - 1)
			*out++ = w * GROUP_WORD_BITS + (uint32_t)__builtin_ctzll(rest);
}

/* Takes the group out of the list of one of its types. */
static void
unlist(struct grouping *g, struct evtype *t, uint32_t place)
{
	struct group *moved = t->groups[--t->group_count];
	uint32_t index = 0;

	if (place == t->group_count)
		return;
	t->groups[place] = moved;
	/* the last group of the list has moved: tell it its new place, which it
	 * keeps at the rank of the type among its own */
	for (uint32_t w = 0; w < t->number / GROUP_WORD_BITS; w++)
		index += (uint32_t)__builtin_popcountll(moved->bits[w]);
	index += (uint32_t)__builtin_popcountll(moved->bits[t->number / GROUP_WORD_BITS] &
		((UINT64_C(1) << t->number % GROUP_WORD_BITS) - 1));
	moved->places[index] = place;
	(void)g;
}

static bool
enlist(struct evtype *t, struct group *group, uint32_t *place)
{
	if (t->group_count == t->group_size) {
		uint32_t size = t->group_size == 0 ? 4 : t->group_size * 2;
		struct group **groups = realloc(t->groups, size * sizeof(*groups));

		if (groups == NULL)
			return false;
		t->groups = groups;
		t->group_size = size;
	}
	*place = t->group_count;
	t->groups[t->group_count++] = group;
	return true;
}

/* Takes the group out of the lists of its first count types, and frees it. */
static void
destroy(struct grouping *g, struct group *group, uint32_t count)
{
	uint32_t done = 0;

	for (uint32_t w = 0; w < group->words; w++)
		for (uint64_t rest = group->bits[w]; rest != 0 && done < count; rest &= rest - 1, done++)
			unlist(g, g->types[w * GROUP_WORD_BITS + (uint32_t)__builtin_ctzll(rest)],
				group->places[done]);
	free(group->places);
	free(group->live);
	free(group);
}

static struct group *
make(struct grouping *g, const uint64_t *bits, uint32_t words)
{
	struct group *group = calloc(1, sizeof(*group) + words * sizeof(*bits));
	uint32_t done = 0;

	if (group == NULL)
		return NULL;
	memcpy(group->bits, bits, words * sizeof(*bits));
	group->words = words;
	for (uint32_t w = 0; w < words; w++)
		group->type_count += (uint32_t)__builtin_popcountll(bits[w]);
	group->places = calloc(group->type_count + 1, sizeof(*group->places));
	if (group->places == NULL) {
		free(group);
		return NULL;
	}
	for (uint32_t w = 0; w < words; w++) {
		for (uint64_t rest = bits[w]; rest != 0; rest &= rest - 1) {
			uint32_t number = w * GROUP_WORD_BITS + (uint32_t)__builtin_ctzll(rest);

			if (!enlist(g->types[number], group, &group->places[done])) {
				destroy(g, group, done);
				return NULL;
			}
			done++;
		}
	}
	HASH_ADD_KEYPTR(hh, g->groups, group->bits, words * sizeof(*bits), group);
	if (!hash_added(group)) {
		destroy(g, group, done);
		return NULL;
	}
	return group;
}

/* The group of this set, whose last word may be 0; consumes nothing. */
static struct group *
enter(struct grouping *g, const uint64_t *bits, uint32_t words)
{
	struct group *group = NULL;

	while (words > 0 && bits[words - 1] == 0)
		words--;
	HASH_FIND(hh, g->groups, bits, words * sizeof(*bits), group);
	if (group == NULL)
		group = make(g, bits, words);
	if (group != NULL)
		group->members++;
	return group;
}

static uint64_t *
new_set(const struct grouping *g, uint32_t *words)
{
	*words = g->type_count / GROUP_WORD_BITS + 1;
	return calloc(*words, sizeof(uint64_t));
}

struct group *
grouping_enter(struct grouping *g, const uint32_t *numbers, uint32_t count)
{
	uint32_t words;
	uint64_t *bits = new_set(g, &words);
	struct group *group;

	if (bits == NULL)
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		assert(numbers[i] < g->type_count);
		bits[numbers[i] / GROUP_WORD_BITS] |= UINT64_C(1) << numbers[i] % GROUP_WORD_BITS;
	}
	group = enter(g, bits, words);
	free(bits);
	return group;
}

struct group *
grouping_with(struct grouping *g, const struct group *from, const uint32_t *numbers, uint32_t count,
	bool present, uint32_t *changed, uint32_t *changed_count)
{
	uint32_t words;
	uint64_t *bits = new_set(g, &words);
	struct group *group;

	if (bits == NULL)
		return NULL;
	memcpy(bits, from->bits, from->words * sizeof(*bits));
	*changed_count = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t *word = &bits[numbers[i] / GROUP_WORD_BITS];
		uint64_t bit = UINT64_C(1) << numbers[i] % GROUP_WORD_BITS;

		assert(numbers[i] < g->type_count);
		if (((*word & bit) != 0) == present)
			continue;
		*word ^= bit;
		changed[(*changed_count)++] = numbers[i];
	}
	group = enter(g, bits, words);
	free(bits);
	return group;
}

void
grouping_leave(struct grouping *g, struct group *group)
{
	assert(group->members > 0);
	if (--group->members > 0)
		return;
	assert(group->live_count == 0);
	HASH_DEL(g->groups, group);
	destroy(g, group, group->type_count);
}

void
grouping_free(struct grouping *g)
{
	struct group *group, *next_group;
	struct evtype *type, *next_type;

	HASH_ITER(hh, g->groups, group, next_group)
	{
		HASH_DEL(g->groups, group);
		destroy(g, group, group->type_count);
	}
	HASH_ITER(hh, g->by_name, type, next_type)
	{
		HASH_DEL(g->by_name, type);
		free(type->groups);
		free(type);
	}
	free(g->types);
	memset(g, 0, sizeof(*g));
}
