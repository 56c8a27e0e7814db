/* tickets.h - the use of a ticket, which can happen once.
 *
 * What decides is the row of the ticket: the writer deletes it in the
 * transaction that records the client, and who finds none is no client.  But
 * that is known after the upgrade only, and whoever comes second is to be told
 * 401 before it.  So a ticket is claimed first: in memory against requests to
 * this daemon, and by a lock on one byte of a file beside the database against
 * those to other daemons.  The kernel lets go of a lock however a daemon ends.
 * None of this waits for a disk.
 *
 * Owned by the service loop. */

#ifndef EVH_WSD_TICKETS_H
#define EVH_WSD_TICKETS_H

#include "common/auth.h"
#include "common/rc.h"

#include <sqlite3.h>

struct tickets;

/* Looks tickets up in db; both it and auth must outlive this.  database is the
 * path of the file.  EVH_DENIED with the reason in why (CONF_WHY_BYTES) if the
 * file of locks cannot be made. */
enum evh_rc
tickets_new(struct tickets **out, sqlite3 *db, struct auth *auth, const char *database, char *why);
void tickets_free(struct tickets **tickets);

/* Claims a ticket.  EVH_OK: *who is whom it speaks for, to be released by
 * auth_principal_free, hash names the claim, and the row is still there.
 * EVH_DENIED: it is unknown, expired, used or about to be, or its credential
 * is no longer in force.  Else what the database said. */
enum evh_rc tickets_claim(struct tickets *tickets, const char *ticket, char hash[AUTH_HASH_TEXT],
	struct auth_principal *who);

/* Gives a claim back: the row is gone, or the ticket was not used after all. */
void tickets_release(struct tickets *tickets, const char hash[AUTH_HASH_TEXT]);

#endif
