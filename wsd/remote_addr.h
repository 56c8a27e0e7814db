/* remote_addr.h - whose connection it is, when proxies stand in between.
 *
 * X-Forwarded-For is believed only from trusted peers, and read from the
 * right: the first address that is not itself a trusted proxy is the client
 * (each proxy appends the address it was reached from).  What stands further
 * to the left is anybody's word and not looked at.  Pure. */

#ifndef EVH_WSD_REMOTE_ADDR_H
#define EVH_WSD_REMOTE_ADDR_H

#include "common/address.h"
#include "common/conf.h"

#include <stdbool.h>

#define REMOTE_ADDR_BYTES ADDRESS_BYTES

/* Writes the client's address into out.  An element may have a port, and
 * brackets around an IPv6 address; "unknown" and names that begin with "_"
 * (RFC 7239 section 6) end the list like its beginning.  False if the element
 * that counts is something else; out is then the last address before it. */
bool remote_addr_pick(const char *peer, const char *forwarded_for, const struct conf_list *trusted,
	char out[REMOTE_ADDR_BYTES]);

#endif
