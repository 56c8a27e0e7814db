#include "common/event_types.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool
name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

enum evh_rc
event_type_normalise(const char *text, size_t len, char out[EVENT_TYPE_MAX + 1])
{
	while (len > 0 && isspace((unsigned char)text[0])) {
		text++;
		len--;
	}
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	if (len == 0 || len > EVENT_TYPE_MAX)
		return EVH_INVALID;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (!name_char(c) || (i == 0 && (c == '_' || c == '.' || c == '-')))
			return EVH_INVALID;
		out[i] = c;
	}
	out[len] = '\0';
	return EVH_OK;
}

bool
event_types_contains(const struct event_types *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->names[i], name) == 0)
			return true;
	return false;
}

enum evh_rc
event_types_add(struct event_types *list, const char *name)
{
	char **names, *copy;

	if (event_types_contains(list, name))
		return EVH_OK;
	if (list->count >= EVENT_TYPES_MAX)
		return EVH_TOO_LARGE;
	if ((list->count & (list->count - 1)) == 0) { /* grow at 0, 1, 2, 4, 8 … */
		names = realloc(list->names, sizeof(*names) * (list->count == 0 ? 1 : list->count * 2));
		if (names == NULL)
			return EVH_NOMEM;
		list->names = names;
	}
	copy = strdup(name);
	if (copy == NULL)
		return EVH_NOMEM;
	list->names[list->count++] = copy;
	return EVH_OK;
}

static bool
blank(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isspace((unsigned char)text[i]))
			return false;
	return true;
}

enum evh_rc
event_types_parse(struct event_types *list, const char *text, char bad[EVENT_TYPE_MAX + 1])
{
	char name[EVENT_TYPE_MAX + 1];
	enum evh_rc rc = EVH_OK;

	while (rc == EVH_OK) {
		size_t len = strcspn(text, ",");

		if (!blank(text, len)) {
			rc = event_type_normalise(text, len, name);
			if (rc == EVH_OK) {
				rc = event_types_add(list, name);
			} else if (bad != NULL) {
				size_t n = len < EVENT_TYPE_MAX ? len : EVENT_TYPE_MAX;

				memcpy(bad, text, n);
				bad[n] = '\0';
			}
		}
		if (text[len] == '\0')
			break;
		text += len + 1;
	}
	return rc;
}

void
event_types_free(struct event_types *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->names[i]);
	free(list->names);
	list->names = NULL;
	list->count = 0;
}

bool
event_type_allowed(const char *patterns, const char *name)
{
	size_t len, name_len = strlen(name);

	if (patterns == NULL)
		return true;
	for (; *patterns != '\0'; patterns += len) {
		patterns += strspn(patterns, " ");
		len = strcspn(patterns, " ");
		if (len == name_len && memcmp(patterns, name, len) == 0)
			return true;
		/* "prefix.*", and "*" alone for every name */
		if (len > 0 && patterns[len - 1] == '*' && len - 1 <= name_len &&
			(len == 1 || patterns[len - 2] == '.') && memcmp(patterns, name, len - 1) == 0)
			return true;
	}
	return false;
}

static bool
pattern_valid(const char *text, size_t len)
{
	if (len == 1 && text[0] == '*')
		return true;
	if (len == 0 || len > EVENT_TYPE_MAX)
		return false;
	if (len > 2 && memcmp(text + len - 2, ".*", 2) == 0)
		len -= 2;
	for (size_t i = 0; i < len; i++)
		if (!name_char(text[i]))
			return false;
	return text[0] != '_' && text[0] != '.' && text[0] != '-';
}

bool
event_patterns_valid(const char *patterns, size_t max)
{
	size_t count = 0, len;

	for (patterns += strspn(patterns, " "); *patterns != '\0'; patterns += strspn(patterns, " ")) {
		len = strcspn(patterns, " ");
		if (!pattern_valid(patterns, len) || ++count > max)
			return false;
		patterns += len;
	}
	return true;
}
