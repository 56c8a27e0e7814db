#include "wsd/remote_addr.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct address {
	int family; /* AF_INET, AF_INET6, AF_UNIX */
	uint8_t bytes[16];
};

static bool
parse_address(const char *text, struct address *a)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	memset(a, 0, sizeof(*a));
	if (strcmp(text, "unix") == 0) {
		a->family = AF_UNIX;
		return true;
	}
	if (inet_pton(AF_INET, text, a->bytes) == 1) {
		a->family = AF_INET;
		return true;
	}
	if (inet_pton(AF_INET6, text, a->bytes) != 1)
		return false;
	a->family = AF_INET6;
	if (memcmp(a->bytes, mapped, sizeof(mapped)) == 0) { /* ::ffff:192.0.2.1 */
		memmove(a->bytes, a->bytes + 12, 4);
		a->family = AF_INET;
	}
	return true;
}

/* Splits "address/bits"; without bits it is one host. */
static bool
parse_network(const char *text, struct address *a, unsigned *bits)
{
	char host[64];
	size_t len = strcspn(text, "/");
	char *end;
	unsigned long n;

	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (!parse_address(host, a))
		return false;
	*bits = a->family == AF_INET ? 32 : a->family == AF_INET6 ? 128 : 0;
	if (text[len] == '\0')
		return true;
	n = strtoul(text + len + 1, &end, 10);
	if (text[len + 1] < '0' || text[len + 1] > '9' || *end != '\0' || n > *bits)
		return false;
	*bits = (unsigned)n;
	return true;
}

bool
remote_addr_valid_network(const char *text)
{
	struct address a;
	unsigned bits;

	return parse_network(text, &a, &bits);
}

static bool
in_network(const struct address *a, const char *network)
{
	struct address n;
	unsigned bits;

	if (!parse_network(network, &n, &bits) || n.family != a->family)
		return false;
	if (memcmp(a->bytes, n.bytes, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || ((a->bytes[bits / 8] ^ n.bytes[bits / 8]) >> (8 - bits % 8)) == 0;
}

bool
remote_addr_trusted(const char *text, const struct conf_list *trusted)
{
	static const char *const usual[] = { "unix", "127.0.0.0/8", "::1" };
	struct address a;

	if (!parse_address(text, &a))
		return false;
	for (size_t i = 0; i < trusted->count; i++)
		if (in_network(&a, trusted->items[i]))
			return true;
	for (size_t i = 0; trusted->count == 0 && i < sizeof(usual) / sizeof(usual[0]); i++)
		if (in_network(&a, usual[i]))
			return true;
	return false;
}

/* Takes the last element off list[0..*len) into out; false if it is no address. */
static bool
last_element(const char *list, size_t *len, char out[REMOTE_ADDR_BYTES])
{
	size_t end = *len, start;
	struct address a;

	while (end > 0 && (list[end - 1] == ' ' || list[end - 1] == '\t'))
		end--;
	start = end;
	while (start > 0 && list[start - 1] != ',')
		start--;
	*len = start > 0 ? start - 1 : 0;
	while (start < end && (list[start] == ' ' || list[start] == '\t'))
		start++;
	if (end == start || end - start >= REMOTE_ADDR_BYTES)
		return false;
	memcpy(out, list + start, end - start);
	out[end - start] = '\0';
	return parse_address(out, &a) && a.family != AF_UNIX;
}

void
remote_addr_pick(const char *peer, const char *forwarded_for, const struct conf_list *trusted,
	char out[REMOTE_ADDR_BYTES])
{
	size_t len = forwarded_for != NULL ? strlen(forwarded_for) : 0;
	char next[REMOTE_ADDR_BYTES];

	(void)snprintf(out, REMOTE_ADDR_BYTES, "%s", peer);
	while (len > 0 && remote_addr_trusted(out, trusted) && last_element(forwarded_for, &len, next))
		memcpy(out, next, sizeof(next));
}
