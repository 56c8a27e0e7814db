/* remote_addr.h - whose connection it is, when proxies stand in between.
 *
 * X-Forwarded-For is believed only from trusted peers, and read from the
 * right: the first address that is not itself a trusted proxy is the client
 * (each proxy appends the address it was reached from).  Pure. */

#ifndef EVH_WSD_REMOTE_ADDR_H
#define EVH_WSD_REMOTE_ADDR_H

#include "common/conf.h"

#include <stdbool.h>

#define REMOTE_ADDR_BYTES 46

/* Writes the client's address into out.  An empty trusted list is loopback
 * and Unix sockets.  A header that cannot be read leaves the nearest address
 * that could. */
void remote_addr_pick(const char *peer, const char *forwarded_for, const struct conf_list *trusted,
	char out[REMOTE_ADDR_BYTES]);

/* Whether what a peer says of others is believed. */
bool remote_addr_trusted(const char *peer, const struct conf_list *trusted);

/* Whether the text is an address, or a network in CIDR form, or "unix". */
bool remote_addr_valid_network(const char *text);

#endif
