/* The names in a configuration file: unknown, misspelt and repeated ones. */

#include "common/conf_priv.h"
#include "common/conf_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for a key with its section. */
#define FULL_BYTES 96

/* How many letters must be changed to make b of a. */
static size_t
distance(const char *a, size_t len, const char *b)
{
	size_t row[64], n = strlen(b);

	if (n >= sizeof(row) / sizeof(row[0]))
		return SIZE_MAX;
	for (size_t k = 0; k <= n; k++)
		row[k] = k;
	for (size_t i = 1; i <= len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t k = 1; k <= n; k++) {
			size_t best = diagonal + (a[i - 1] != b[k - 1]);

			diagonal = row[k];
			if (row[k] + 1 < best)
				best = row[k] + 1;
			if (row[k - 1] + 1 < best)
				best = row[k - 1] + 1;
			row[k] = best;
		}
	}
	return row[n];
}

void
conf_hint_key(struct problems *problems, const char *name, size_t len)
{
	const char *best = NULL;
	size_t least = len / 3 + 1; /* more than that is another word */

	for (const struct conf_option *o = conf_table; o->key != NULL; o++) {
		size_t d = distance(name, len, o->key);

		if (d <= least) {
			least = d;
			best = o->key;
		}
	}
	if (best != NULL)
		problems_hint(problems, "did you mean %s?", best);
	else
		problems_hint(problems, "evhub.conf(5) lists the keys");
}

/* What is known of the names of the file being looked at. */
struct names {
	struct problems *problems;
	const char *file;
	int *lines; /* of each option, where it was set; 0: not yet */
};

/* Whether keys of the table stand in a section of this name. */
static bool
is_section(const char *name, size_t len)
{
	for (const struct conf_option *o = conf_table; o->key != NULL; o++)
		if (strncmp(o->key, name, len) == 0 && o->key[len] == '.')
			return true;
	return false;
}

/* The option that a name is of; NULL if there is none.  full gets its key. */
static const struct conf_option *
option_of(const struct conf_scan_name *n, char full[FULL_BYTES])
{
	int len = n->section != NULL ? snprintf(full, FULL_BYTES, "%.*s.%.*s", (int)n->section_len,
					       n->section, (int)n->len, n->name)
				     : snprintf(full, FULL_BYTES, "%.*s", (int)n->len, n->name);

	/* a key of a section stands in it, not behind a dot */
	if (len < 0 || len >= FULL_BYTES || memchr(n->name, '.', n->len) != NULL)
		return NULL;
	return conf_find(full, (size_t)len);
}

/* Tells of names that nobody knows, and of keys that are set twice, of which
 * one would be ignored. */
static bool
see_name(void *arg, const struct conf_scan_name *n)
{
	struct names *names = arg;
	char full[FULL_BYTES];
	const struct conf_option *o = option_of(n, full);
	int *first;

	if (n->section == NULL && n->kind == CONF_SCAN_FUNCTION && strcmp(full, "include") == 0)
		return true;
	if (n->section == NULL && n->kind == CONF_SCAN_SECTION && is_section(n->name, n->len))
		return true;
	if (o == NULL) {
		problems_add(
			names->problems, "%s:%d: there is no key \"%s\"", names->file, n->line, full);
		conf_hint_key(names->problems, full, strlen(full));
		return false;
	}
	first = &names->lines[o - conf_table];
	if (n->kind == CONF_SCAN_SET && *first != 0) {
		problems_add(names->problems, "%s:%d: %s is set twice", names->file, n->line, o->key);
		problems_hint(names->problems, "the first is in line %d; take one of them away", *first);
	} else if (n->kind == CONF_SCAN_SET) {
		*first = n->line;
	}
	return true;
}

void
conf_names_check(char *text, const char *file, struct problems *problems)
{
	struct names names = { problems, file, NULL };
	size_t n = 0;

	while (conf_table[n].key != NULL)
		n++;
	names.lines = calloc(n + 1, sizeof(*names.lines));
	if (names.lines != NULL)
		conf_scan(text, see_name, &names);
	else
		problems_add(problems, "%s: out of memory", file);
	free(names.lines);
}
