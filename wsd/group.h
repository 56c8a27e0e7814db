/* group.h - event types, and the sets of them that clients subscribe to.
 *
 * Clients with the same subscriptions share one group.  What goes out to the
 * live members of a group is the same bytes, so it is built once per group.
 * Each type knows the groups that contain it: an event costs nothing for
 * clients that did not ask for it.  Pure. */

#ifndef EVH_WSD_GROUP_H
#define EVH_WSD_GROUP_H

#include "common/event_types.h"
#include "common/rc.h"
#include "wsd/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct group;

/* Sets are bit strings over the numbers of the types. */
#define GROUP_WORD_BITS 64

struct evtype {
	char name[EVENT_TYPE_MAX + 1];
	uint32_t number; /* never used again for another name */
	bool exists;	 /* false once deleted */
	bool persistent, mandatory;
	struct group **groups; /* that contain it, in no order */
	uint32_t group_count, group_size;
	uint64_t stamp;	 /* scratch of delivery */
	uint64_t events; /* published so far, for the figures */
	UT_hash_handle hh;
};

struct group {
	struct client **live; /* the members that wait for the next event */
	uint32_t live_count, live_size;
	uint32_t members; /* live or not */
	uint32_t type_count;
	uint32_t *places;  /* where it stands in each of its types' groups */
	uint64_t stamp;	   /* scratch of delivery */
	UT_hash_handle hh; /* by bits */
	uint32_t words;
	uint64_t bits[];
};

struct grouping {
	struct evtype *by_name;
	struct evtype **types; /* by number */
	uint32_t type_count, type_size;
	struct group *groups;
};

void grouping_free(struct grouping *g);

/* Creates the type or changes what is known of it. */
enum evh_rc grouping_set_type(struct grouping *g, const char *name, bool persistent, bool mandatory);

/* The type of this name, NULL if it does not exist. */
struct evtype *grouping_type(const struct grouping *g, const char *name);

/* The same, but also finds types that were deleted. */
struct evtype *grouping_any_type(const struct grouping *g, const char *name);

/* The group of exactly these types (by number; repeats are fine), made if need
 * be; NULL when out of memory.  Counts one member: release with
 * grouping_leave. */
struct group *grouping_enter(struct grouping *g, const uint32_t *numbers, uint32_t count);
void grouping_leave(struct grouping *g, struct group *group);

/* The group of the types of from with some more (present) or without them; like
 * grouping_enter.  from keeps its member.  changed (room for count) are those of
 * the numbers that made a difference, each once, in their order. */
struct group *grouping_with(struct grouping *g, const struct group *from, const uint32_t *numbers,
	uint32_t count, bool present, uint32_t *changed, uint32_t *changed_count);

static inline bool
group_has(const struct group *group, uint32_t number)
{
	return number / GROUP_WORD_BITS < group->words &&
		(group->bits[number / GROUP_WORD_BITS] >> (number % GROUP_WORD_BITS) & 1) != 0;
}

/* The numbers of the group's types, ascending, into out (type_count of them). */
void group_types(const struct group *group, uint32_t *out);

#endif
