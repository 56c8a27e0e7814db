/* listener.h - the socket on which web servers reach evhub-fcgi.
 *
 * A Unix socket gets mode 0660 from the moment it exists.  One that nobody
 * listens on any more is replaced; anything else at its path is left alone. */

#ifndef EVH_FCGI_LISTENER_H
#define EVH_FCGI_LISTENER_H

#include "common/rc.h"

#include <sys/stat.h>

struct listener {
	int fd;
	char *path; /* of the Unix socket that is ours to remove, else NULL */
	dev_t device;
	ino_t inode;
};

#define LISTENER_WHY_BYTES 320

/* Opens what spec names: "/path", "unix:/path", "addr:port", "[v6]:port" or
 * ":port".  Changes the umask for a moment: call it before there are threads.
 * EVH_OK, or with why in words: EVH_INVALID, EVH_EXISTS (another listens
 * there), EVH_IO or EVH_NOMEM. */
enum evh_rc listener_open(struct listener *l, const char *spec, char why[LISTENER_WHY_BYTES]);

/* Takes over a listening socket that was inherited; never removed. */
void listener_inherit(struct listener *l, int fd);

/* Removes the path of our own Unix socket, so that nobody new finds it.  What
 * has connected can still be accepted. */
void listener_hide(struct listener *l);

void listener_close(struct listener *l);

#endif
