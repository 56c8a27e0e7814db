/* event_types.h - names of event types, lists of them, and patterns.
 *
 * Pure.  A name is 1 to 64 of a-z 0-9 _ . - beginning with a letter or a
 * digit; input is lower-cased and blanks around it are dropped. */

#ifndef EVH_EVENT_TYPES_H
#define EVH_EVENT_TYPES_H

#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>

#define EVENT_TYPE_MAX 64 /* bytes of a name, without the NUL */

/* How many names one request or one client may list. */
#define EVENT_TYPES_MAX 256

/* A list of distinct names in the order of their first mention. */
struct event_types {
	char **names;
	size_t count;
};

#define EVENT_TYPES_INIT      \
	{                     \
		.names = NULL \
	}

/* Normalises text[0..len) into out.  EVH_INVALID if it is no name. */
enum evh_rc event_type_normalise(const char *text, size_t len, char out[EVENT_TYPE_MAX + 1]);

/* Adds one normalised name unless it is there.  EVH_TOO_LARGE when the list
 * is full. */
enum evh_rc event_types_add(struct event_types *list, const char *name);

/* Adds the names of a comma-separated list; empty items are skipped.  On
 * EVH_INVALID bad (may be NULL) holds the start of the item at fault. */
enum evh_rc event_types_parse(struct event_types *list, const char *text, char bad[EVENT_TYPE_MAX + 1]);

bool event_types_contains(const struct event_types *list, const char *name);
void event_types_free(struct event_types *list);

/* True if name matches one of the patterns: names and "prefix.*", separated
 * by blanks.  NULL patterns allow every name. */
bool event_type_allowed(const char *patterns, const char *name);

/* True if patterns is a list of at most max patterns, each "*", a name, or a
 * name and ".*" (64 bytes at most); "" is one. */
bool event_patterns_valid(const char *patterns, size_t max);

#endif
