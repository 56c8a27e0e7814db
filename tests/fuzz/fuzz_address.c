/* X-Forwarded-For and the networks of trusted_proxies, and the Origin header.
 * Lines: the peer, the header, the origin, the host, then one network each. */

#include "common/origin.h"
#include "tests/fuzz/fuzz.h"
#include "wsd/remote_addr.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define NETWORKS_MAX 8

static bool
is_address(const char *text)
{
	uint8_t bytes[16];

	return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* The result is the peer, or an address, in its one form. */
static void
check_forwarded(const char *peer, const char *header, const struct conf_list *trusted)
{
	char out[REMOTE_ADDR_BYTES], again[REMOTE_ADDR_BYTES];

	(void)remote_addr_pick(peer, header, trusted, out);
	FUZZ_CHECK(memchr(out, '\0', sizeof(out)) != NULL);
	if (strncmp(out, peer, sizeof(out) - 1) != 0)
		FUZZ_CHECK(is_address(out));
	FUZZ_CHECK(is_address(out) || strcmp(out, "unix") == 0);
	(void)remote_addr_pick(peer, header, trusted, again);
	FUZZ_CHECK(strcmp(out, again) == 0);
	FUZZ_CHECK(remote_addr_pick("192.0.2.77", header, trusted, out) || trusted->count > 0);
	if (trusted->count == 0) /* loopback and Unix sockets: it is not one of them */
		FUZZ_CHECK(strcmp(out, "192.0.2.77") == 0);
}

static void
check_origin(const char *origin, const char *host)
{
	char *one = (char *)(uintptr_t)origin;
	struct conf_list none = { NULL, 0 }, listed = { &one, 1 };
	struct origin_site nowhere = { NULL, NULL, NULL, false }, here = { host, NULL, NULL, false },
			   there = { "example.org", host, host, false },
			   usual = { "example.org:443", NULL, NULL, true };
	struct origin o;
	const char *why = NULL;

	if (origin_parse(origin, &o, &why))
		FUZZ_CHECK(o.host[0] != '\0' && o.port <= 65535);
	else
		FUZZ_CHECK(why != NULL);
	FUZZ_CHECK(origin_allowed(origin, &nowhere, &listed));
	FUZZ_CHECK(!origin_allowed(origin, &nowhere, &none));
	if (origin_allowed(origin, &here, &none)) {
		FUZZ_CHECK(strcmp(o.scheme, "http") == 0 || strcmp(o.scheme, "https") == 0);
		FUZZ_CHECK(strchr(origin, ' ') == NULL);
	}
	(void)origin_allowed("https://example.org", &there, &none);
	(void)origin_allowed(origin, &usual, &none);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };
	char *lines[4], *networks[NETWORKS_MAX];
	struct conf_list trusted = { networks, 0 }, none = { NULL, 0 };
	char *line;

	for (int i = 0; i < 4; i++) {
		lines[i] = fuzz_line(&in);
		if (lines[i] == NULL)
			lines[i] = calloc(1, 1);
	}
	while (trusted.count < NETWORKS_MAX && (line = fuzz_line(&in)) != NULL) {
		(void)address_valid_network(line);
		networks[trusted.count++] = line;
	}
	check_forwarded(is_address(lines[0]) ? lines[0] : "unix", lines[1], &trusted);
	check_forwarded("127.0.0.1", lines[1], &none);
	check_forwarded("::1", NULL, &none);
	check_origin(lines[2], lines[3]);
	for (int i = 0; i < 4; i++)
		free(lines[i]);
	for (size_t i = 0; i < trusted.count; i++)
		free(networks[i]);
	return 0;
}
