#include "common/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The characters of a zone. */
#define ZONE "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* An IPv6 address, of which the zone is left out: "fe80::1%eth0" (RFC 4007 section 11). */
static bool
parse_v6(const char *text, uint8_t bytes[16])
{
	size_t len = strcspn(text, "%");
	char address[ADDRESS_BYTES];

	if (text[len] == '\0')
		return inet_pton(AF_INET6, text, bytes) == 1;
	if (len >= sizeof(address) || text[len + 1] == '\0' ||
		text[len + 1 + strspn(text + len + 1, ZONE)] != '\0')
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	return inet_pton(AF_INET6, address, bytes) == 1 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

bool
address_parse(const char *text, struct ip_address *a)
{
	memset(a, 0, sizeof(*a));
	if (strcmp(text, "unix") == 0) {
		a->family = AF_UNIX;
		return true;
	}
	if (inet_pton(AF_INET, text, a->bytes) == 1) {
		a->family = AF_INET;
		return true;
	}
	if (!parse_v6(text, a->bytes))
		return false;
	a->family = AF_INET6;
	if (memcmp(a->bytes, mapped, sizeof(mapped)) == 0) {
		memmove(a->bytes, a->bytes + 12, 4);
		memset(a->bytes + 4, 0, 12);
		a->family = AF_INET;
	}
	return true;
}

void
address_format(const struct ip_address *a, char out[ADDRESS_BYTES])
{
	if (a->family == AF_UNIX || inet_ntop(a->family, a->bytes, out, ADDRESS_BYTES) == NULL)
		(void)snprintf(out, ADDRESS_BYTES, "unix");
}

/* Splits "address/bits"; without bits it is one host. */
static bool
parse_network(const char *text, struct ip_address *a, unsigned *bits)
{
	char host[64];
	size_t len = strcspn(text, "/");
	char *end;
	unsigned long n;

	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (!address_parse(host, a))
		return false;
	*bits = a->family == AF_INET ? 32 : a->family == AF_INET6 ? 128 : 0;
	if (text[len] == '\0')
		return true;
	n = strtoul(text + len + 1, &end, 10);
	if (text[len + 1] < '0' || text[len + 1] > '9' || *end != '\0')
		return false;
	if (a->family == AF_INET && strchr(host, ':') != NULL && n >= 96)
		n -= 96; /* ::ffff:192.0.2.0/120 */
	if (n > *bits)
		return false;
	*bits = (unsigned)n;
	return true;
}

bool
address_valid_network(const char *text)
{
	struct ip_address a;
	unsigned bits;

	return parse_network(text, &a, &bits);
}

static bool
in_network(const struct ip_address *a, const char *network)
{
	struct ip_address n;
	unsigned bits;

	if (!parse_network(network, &n, &bits) || n.family != a->family)
		return false;
	if (memcmp(a->bytes, n.bytes, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || ((a->bytes[bits / 8] ^ n.bytes[bits / 8]) >> (8 - bits % 8)) == 0;
}

bool
address_is_trusted(const char *text, const struct conf_list *networks)
{
	static const char *const usual[] = { "unix", "127.0.0.0/8", "::1" };
	struct ip_address a;

	if (!address_parse(text, &a))
		return false;
	for (size_t i = 0; i < networks->count; i++)
		if (in_network(&a, networks->items[i]))
			return true;
	for (size_t i = 0; networks->count == 0 && i < sizeof(usual) / sizeof(usual[0]); i++)
		if (in_network(&a, usual[i]))
			return true;
	return false;
}

bool
address_key(const char *text, uint8_t key[16])
{
	struct ip_address a;

	memset(key, 0, 16);
	if (!address_parse(text, &a) || a.family == AF_UNIX)
		return false;
	if (a.family == AF_INET6) {
		memcpy(key, a.bytes, 8);
	} else {
		memcpy(key, mapped, sizeof(mapped));
		memcpy(key + 12, a.bytes, 4);
	}
	return true;
}
