/* conf_scan.h - the names in a configuration file, before it is parsed.
 *
 * libconfuse stops at the first name that it does not know and takes the last
 * of two that are equal.  This looks at the names alone, so that each unknown
 * and each repeated one can be told, with its line, and taken out before the
 * parser sees it.  Pure. */

#ifndef EVH_CONF_SCAN_H
#define EVH_CONF_SCAN_H

#include <stdbool.h>
#include <stddef.h>

enum conf_scan_kind {
	CONF_SCAN_SET,	    /* name = value */
	CONF_SCAN_ADD,	    /* name += value */
	CONF_SCAN_SECTION,  /* name { … } */
	CONF_SCAN_FUNCTION, /* name(…) */
};

struct conf_scan_name {
	enum conf_scan_kind kind;
	const char *section; /* NULL at the top level; else section_len bytes */
	size_t section_len;
	const char *name; /* len bytes */
	size_t len;
	int line;
};

/* Calls see for each name that begins an entry in text, which has no comments.
 * Where it returns false the entry is overwritten with blanks, its line ends
 * kept; for a section that means all that is in it, which is looked at only
 * after true.  What is no entry is left for the parser. */
void conf_scan(char *text, bool (*see)(void *arg, const struct conf_scan_name *name), void *arg);

/* The first character behind the quoted text at p (which is at its quote), or
 * the end of the text. */
char *conf_scan_quoted(char *p);

#endif
