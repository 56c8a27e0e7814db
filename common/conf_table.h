/* conf_table.h - the one list of configuration keys: conf.c reads by it, the
 * manual page is compared with it. */

#ifndef EVH_CONF_TABLE_H
#define EVH_CONF_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum conf_kind { CONF_STRING, CONF_LIST, CONF_NUMBER, CONF_SIZE, CONF_TIME, CONF_BOOL, CONF_WORD };

struct conf_option {
	const char *key; /* "section.key" in a section */
	enum conf_kind kind;
	size_t offset;		  /* in struct conf */
	const char *fallback;	  /* the default, as one would write it */
	int64_t min, max;	  /* numbers; bytes for sizes, ms for times */
	const char *const *words; /* CONF_WORD: the words in the order of their enum */
};

/* Ends with a NULL key. */
extern const struct conf_option conf_table[];

/* What a daemon's name may consist of. */
#define CONF_NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

#endif
