/* daemons.h - the daemons of the database, and what one may ask of them. */

#ifndef EVH_FCGI_DAEMONS_H
#define EVH_FCGI_DAEMONS_H

#include "common/ids.h"
#include "fcgi/context.h"

#include <stddef.h>
#include <stdint.h>

/* Names that are longer are cut; socket paths that are longer are no paths. */
#define DAEMON_NAME_BYTES 65

struct daemon_ref {
	char name[DAEMON_NAME_BYTES];
	char socket[DAEMON_PATH_BYTES];
};

struct daemons {
	struct daemon_ref *items;
	size_t count;
};

#define DAEMONS_INIT          \
	{                     \
		.items = NULL \
	}

/* Room for what went wrong, in words. */
#define DAEMON_WHY_BYTES 160

/* Reads the table daemon.  daemons_free releases the list, also on failure. */
enum evh_rc daemons_read(struct context *ctx, struct daemons *list);
void daemons_free(struct daemons *list);

/* Each asks the daemon whose control socket is given.  EVH_OK, or an error
 * with why in words: those of daemon_links_ask, and EVH_INVALID too when the
 * daemon says no. */

/* Sends line, a whole request, and gives the answer, which the caller owns. */
enum evh_rc daemons_ask(struct context *ctx, const char *socket, const char *line, int64_t deadline,
	struct json_object **answer, char why[DAEMON_WHY_BYTES]);

/* Returns once every change up to this one is in force. */
enum evh_rc daemons_sync(struct context *ctx, const char *socket, int64_t change, int64_t deadline,
	char why[DAEMON_WHY_BYTES]);

enum evh_rc
daemons_hello(struct context *ctx, const char *socket, int64_t deadline, char why[DAEMON_WHY_BYTES]);

/* Sends line, a request to publish, and writes the id of the event. */
enum evh_rc daemons_publish(struct context *ctx, const char *socket, const struct buf *line,
	int64_t deadline, char id[EVH_ID_TEXT], char why[DAEMON_WHY_BYTES]);

#endif
