/* watch.h - wakes when somebody writes to the database.
 *
 * inotify on the -wal file tells that a commit is near: it can come a moment
 * before the commit is visible, and commits of others can hide behind each
 * other, so after each sign of writing the database is looked at again after
 * 50, 100, 200 … µs until it has been quiet for about 100 ms.  Without inotify the
 * owner's own regular look is all there is. */

#ifndef EVH_WSD_WATCH_H
#define EVH_WSD_WATCH_H

#include "wsd/loop.h"

struct watch;

/* look is called when there may be something new. */
enum evh_rc watch_new(
	struct watch **out, struct loop *loop, const char *database, void (*look)(void *arg), void *arg);
void watch_free(struct watch **watch);

/* Looks for the -wal file if it was not there.  Once a second. */
void watch_check(struct watch *watch);

#endif
