/* narrow.h - a live client whose credential allows less than before. */

#ifndef EVH_WSD_NARROW_H
#define EVH_WSD_NARROW_H

#include "wsd/hub.h"
#include "wsd/store.h"

/* Unsubscribes the client, which must not be joining, from every type that the
 * patterns (NULL: all are allowed) do not allow, tells it in-band, and has the
 * rows removed, but for those that somebody has inserted since the change that
 * narrowed it (change_seq).  EVH_NOMEM: some of it may be left to do. */
enum evh_rc narrow_client(struct hub *hub, struct store *store, struct client *client,
	const char *patterns, uint64_t change_seq);

/* Whether there is anything to unsubscribe it from. */
bool narrow_needed(struct hub *hub, const struct client *client, const char *patterns);

#endif
