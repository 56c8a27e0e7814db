#include "wsd/subprotocols.h"

#include <string.h>

#define SEPARATORS ", \t"

/* The next element at or behind *list; false at the end. */
static bool
next(const char **list, const char **name, size_t *len)
{
	*list += strspn(*list, SEPARATORS);
	*name = *list;
	*len = strcspn(*list, SEPARATORS);
	*list += *len;
	return *len > 0;
}

bool
subprotocols_have_ours(const char *list)
{
	const char *name;
	size_t len;

	while (next(&list, &name, &len))
		if (len == strlen(SUBPROTOCOL) && memcmp(name, SUBPROTOCOL, len) == 0)
			return true;
	return false;
}

size_t
subprotocols_token(const char *list, const char **token, size_t *len)
{
	static const char prefix[] = "bearer.";
	const size_t prefix_len = sizeof(prefix) - 1;
	const char *name;
	size_t name_len, count = 0;

	while (next(&list, &name, &name_len)) {
		if (name_len < prefix_len || memcmp(name, prefix, prefix_len) != 0)
			continue;
		if (count++ == 0) {
			*token = name + prefix_len;
			*len = name_len - prefix_len;
		}
	}
	return count;
}
