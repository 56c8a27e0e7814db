/* live.h - what the daemons know at this moment, asked over their control
 * sockets, where the rows of the database are up to a second old. */

#ifndef EVH_FCGI_LIVE_H
#define EVH_FCGI_LIVE_H

#include "common/ids.h"
#include "fcgi/daemons.h"

#include <stdint.h>

/* The connections that were asked for, sorted by id; all others are not behind. */
struct live_depth {
	char id[EVH_UUID_TEXT];
	int64_t depth;
};

struct live_depths {
	struct live_depth *items;
	size_t count;
	struct daemons asked; /* those that answered */
};

#define LIVE_DEPTHS_INIT      \
	{                     \
		.items = NULL \
	}

/* Asks every daemon: for those that are behind, or, if user_id is not NULL, for all
 * connections of that user.  Those that do not answer are named in note, separated
 * by commas, which stays empty when all have.  EVH_NOMEM, or the error of the
 * database. */
enum evh_rc
live_depths_read(struct context *ctx, const char *user_id, struct live_depths *depths, struct buf *note);

/* Appends the ids as a JSON array. */
void live_depths_ids(const struct live_depths *depths, struct buf *out);

/* How far behind a client of this daemon is; fallback if that daemon did not
 * answer. */
int64_t
live_depth(const struct live_depths *depths, const char *daemon, const char *id, int64_t fallback);

void live_depths_free(struct live_depths *depths);

/* Makes a sentence of the names of those who did not answer; nothing of none. */
void live_note(const struct buf *away, struct buf *note);

/* Sums of all daemons. */
struct live_stats {
	int64_t clients, subscriptions, lagging, messages_sent;
	struct json_object *types; /* name: how many */
};

/* As live_depths_read.  Only complete when note stays empty. */
enum evh_rc live_stats_read(struct context *ctx, struct live_stats *stats, struct buf *note);
void live_stats_free(struct live_stats *stats);

#endif
