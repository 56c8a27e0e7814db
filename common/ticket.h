/* ticket.h - tickets, the secrets that a browser may show once.
 *
 * evhub-fcgi makes a ticket for a caller who has shown a credential;
 * evhub-wsd takes it from the URL of a WebSocket.  Like all secrets it is
 * stored as its hash alone.  Pure, but for ticket_make, which draws from the
 * system's randomness. */

#ifndef EVH_TICKET_H
#define EVH_TICKET_H

#include "common/rc.h"

#include <stdbool.h>

/* 32 random bytes in base64url (RFC 4648 section 5) without padding, and a NUL. */
#define TICKET_TEXT 44

/* For how long one may be used, seconds. */
#define TICKET_SECONDS 30

/* Makes a new ticket.  EVH_IO if there is no randomness to be had. */
enum evh_rc ticket_make(char out[TICKET_TEXT]);

/* Whether text has the form of a ticket. */
bool ticket_well_formed(const char *text);

#endif
