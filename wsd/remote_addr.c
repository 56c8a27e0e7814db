#include "wsd/remote_addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The longest element: an address in brackets, and a port. */
#define ELEMENT_BYTES 64

/* Takes the last element that is not empty off list[0..*len).  0: there is
 * none; -1: it is too long for one. */
static int
last_element(const char *list, size_t *len, char out[ELEMENT_BYTES])
{
	while (*len > 0) {
		size_t end = *len, start;

		while (end > 0 && (list[end - 1] == ' ' || list[end - 1] == '\t'))
			end--;
		start = end;
		while (start > 0 && list[start - 1] != ',')
			start--;
		*len = start > 0 ? start - 1 : 0;
		while (start < end && (list[start] == ' ' || list[start] == '\t'))
			start++;
		if (end - start >= ELEMENT_BYTES)
			return -1;
		memcpy(out, list + start, end - start);
		out[end - start] = '\0';
		if (end > start)
			return 1;
	}
	return 0;
}

static bool
is_port(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= 5 && strspn(text, "0123456789") == len;
}

/* Takes brackets and port off: "[v6]", "[v6]:port", "v4:port".  False if there
 * is a half of either. */
static bool
strip(char element[ELEMENT_BYTES])
{
	char *colon = strchr(element, ':'), *bracket = strchr(element, ']');

	if (strchr(element, '%') != NULL) /* a zone means something to another machine only */
		return false;
	if (element[0] == '[') {
		if (bracket == NULL ||
			(bracket[1] != '\0' && (bracket[1] != ':' || !is_port(bracket + 2))))
			return false;
		*bracket = '\0';
		memmove(element, element + 1, strlen(element));
		return strchr(element, ':') != NULL;
	}
	if (colon != NULL && strchr(colon + 1, ':') == NULL) {
		*colon = '\0';
		return is_port(colon + 1);
	}
	return true;
}

static bool
is_unknown(const char *element)
{
	return strcasecmp(element, "unknown") == 0 || element[0] == '_';
}

bool
remote_addr_pick(const char *peer, const char *forwarded_for, const struct conf_list *trusted,
	char out[REMOTE_ADDR_BYTES])
{
	size_t len = forwarded_for != NULL ? strlen(forwarded_for) : 0;
	char element[ELEMENT_BYTES];
	struct ip_address a;

	if (address_parse(peer, &a))
		address_format(&a, out);
	else
		(void)snprintf(out, REMOTE_ADDR_BYTES, "%s", peer);
	while (address_is_trusted(out, trusted)) {
		int found = last_element(forwarded_for, &len, element);

		if (found == 0 || (found > 0 && is_unknown(element)))
			return true;
		if (found < 0 || !strip(element) || !address_parse(element, &a) || a.family == AF_UNIX)
			return false;
		address_format(&a, out);
	}
	return true;
}
