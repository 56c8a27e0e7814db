#include "common/origin.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool
fail(const char **why, const char *text)
{
	*why = text;
	return false;
}

static unsigned
usual_port(const char *scheme)
{
	return strcmp(scheme, "http") == 0 ? 80 : strcmp(scheme, "https") == 0 ? 443 : 0;
}

/* Copies text[0..len) in lower case.  False if it does not fit, or has a
 * character that is neither a letter, nor a digit, nor in more. */
static bool
copy_lower(char *out, size_t size, const char *text, size_t len, const char *more)
{
	if (len == 0 || len >= size)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x80 || (!isalnum(c) && strchr(more, c) == NULL) || c == '\0')
			return false;
		out[i] = (char)tolower(c);
	}
	out[len] = '\0';
	return true;
}

/* An IPv6 address in brackets; returns behind it, NULL if it is none. */
static const char *
parse_v6(const char *text, char host[256])
{
	const char *end = strchr(text, ']');
	char address[64], usual[INET6_ADDRSTRLEN];
	struct in6_addr bytes;

	if (end == NULL ||
		!copy_lower(address, sizeof(address), text + 1, (size_t)(end - text - 1), ":.") ||
		inet_pton(AF_INET6, address, &bytes) != 1 ||
		inet_ntop(AF_INET6, &bytes, usual, sizeof(usual)) == NULL)
		return NULL;
	(void)snprintf(host, 256, "[%s]", usual);
	return end + 1;
}

/* Reads "host" or "host:port" up to the end of text[0..len); *port stays when
 * none is given. */
static bool
parse_authority(const char *text, size_t len, char host[256], unsigned *port)
{
	char copy[320];
	const char *p;
	unsigned n = 0;

	if (len == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (copy[0] == '[') {
		p = parse_v6(copy, host);
	} else {
		p = copy + strcspn(copy, ":");
		if (!copy_lower(host, 256, copy, (size_t)(p - copy), ".-_"))
			p = NULL;
	}
	if (p == NULL || *p == '\0')
		return p != NULL;
	if (*p++ != ':' || *p == '\0' || strlen(p) > 5)
		return false;
	for (; *p != '\0'; p++) {
		if (!isdigit((unsigned char)*p))
			return false;
		n = n * 10 + (unsigned)(*p - '0');
	}
	*port = n;
	return n >= 1 && n <= 65535;
}

bool
origin_parse(const char *text, struct origin *o, const char **why)
{
	const char *rest = strstr(text, "://");

	memset(o, 0, sizeof(*o));
	if (rest == NULL || !isalpha((unsigned char)text[0]) ||
		!copy_lower(o->scheme, sizeof(o->scheme), text, (size_t)(rest - text), "+.-"))
		return fail(why, "an origin begins with a scheme, such as https://");
	rest += 3;
	if (strpbrk(rest, "/?#") != NULL)
		return fail(
			why, "an origin ends with its host or port; nothing, not even a slash, follows");
	if (strchr(rest, '@') != NULL)
		return fail(why, "an origin has no user");
	if (strchr(rest, '*') != NULL)
		return fail(why, "wildcards are not known, but for \"*\" alone, which is every origin");
	o->port = usual_port(o->scheme);
	if (!parse_authority(rest, strlen(rest), o->host, &o->port))
		return fail(why,
			"what follows the scheme is no host, or no port from 1 to 65535 "
			"(a name that is not ASCII is written as xn--...)");
	return true;
}

bool
origin_pattern_valid(const char *text, const char **why)
{
	struct origin o;

	return strcmp(text, "*") == 0 || origin_parse(text, &o, why);
}

/* The next element of a comma-separated list; false at the end. */
static bool
next_element(const char **list, const char **at, size_t *len)
{
	*list += strspn(*list, ", \t");
	*at = *list;
	*len = strcspn(*list, ", \t");
	*list += *len;
	return *len > 0;
}

static bool
same(const struct origin *a, const struct origin *b)
{
	return strcmp(a->scheme, b->scheme) == 0 && strcmp(a->host, b->host) == 0 && a->port == b->port;
}

static bool
listed(const char *text, const struct origin *o, const struct conf_list *allowed)
{
	struct origin one;
	const char *why;

	for (size_t i = 0; i < allowed->count; i++) {
		if (strcmp(allowed->items[i], "*") == 0)
			return true;
		if (o != NULL ? origin_parse(allowed->items[i], &one, &why) && same(&one, o)
			      : strcmp(allowed->items[i], text) == 0)
			return true;
	}
	return false;
}

/* Whether one of these hosts is that of the origin.  A host without a port is
 * at the usual one of the page's scheme: TLS may have ended before it. */
static bool
of_host(const struct origin *o, const char *hosts)
{
	const char *at;
	size_t len;

	while (hosts != NULL && next_element(&hosts, &at, &len)) {
		char host[256];
		unsigned port = usual_port(o->scheme);

		if (parse_authority(at, len, host, &port) && strcmp(host, o->host) == 0 &&
			port == o->port)
			return true;
	}
	return false;
}

static bool
came_by_https(const struct origin_site *site)
{
	const char *list = site->forwarded_proto, *at;
	size_t len;

	while (list != NULL && next_element(&list, &at, &len))
		if (len == 5 && strncasecmp(at, "https", 5) == 0)
			return true;
	return site->tls;
}

bool
origin_allowed(const char *text, const struct origin_site *site, const struct conf_list *allowed)
{
	struct origin o;
	const char *why;
	bool parsed = origin_parse(text, &o, &why);

	if (allowed->count > 0)
		return listed(text, parsed ? &o : NULL, allowed);
	if (!parsed || usual_port(o.scheme) == 0 ||
		(came_by_https(site) && strcmp(o.scheme, "https") != 0))
		return false;
	return of_host(&o, site->host) || of_host(&o, site->forwarded_host);
}
