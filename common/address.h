/* address.h - addresses of peers, in text and in bytes: what counts as one
 * address, and which belong to proxies that are trusted.  Pure. */

#ifndef EVH_ADDRESS_H
#define EVH_ADDRESS_H

#include "common/conf.h"

#include <stdbool.h>
#include <stdint.h>

/* Room for an address in text, or "unix", and its NUL. */
#define ADDRESS_BYTES 46

struct ip_address {
	int family; /* AF_INET, AF_INET6, AF_UNIX */
	uint8_t bytes[16];
};

/* "192.0.2.1", "2001:db8::1", or "unix" for a Unix socket.  An IPv4 address in
 * IPv6 clothes (::ffff:192.0.2.1) is taken for what it is; the zone of a link-local
 * one (fe80::1%eth0) is no part of it. */
bool address_parse(const char *text, struct ip_address *a);

/* The one way in which an address is written. */
void address_format(const struct ip_address *a, char out[ADDRESS_BYTES]);

/* Whether the text is an address, a network in CIDR form, or "unix". */
bool address_valid_network(const char *text);

/* Whether an address belongs to one of the networks; an empty list is loopback
 * and Unix sockets.  False for a text that is no address. */
bool address_is_trusted(const char *text, const struct conf_list *networks);

/* What limits count as one: an IPv4 address, or the 64 bits of an IPv6 address
 * that a customer is given.  False for Unix sockets and what is no address. */
bool address_key(const char *text, uint8_t key[16]);

#endif
