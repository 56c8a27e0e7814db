/* rc.h - the result codes that every module shares.
 *
 * A function that can fail for what the world does returns one of these;
 * our own bugs are asserts. */

#ifndef EVH_RC_H
#define EVH_RC_H

enum evh_rc {
	EVH_OK = 0,
	EVH_NOMEM,     /* out of memory */
	EVH_INVALID,   /* the input breaks a rule */
	EVH_TOO_LARGE, /* the input is over a limit */
	EVH_NOT_FOUND, /* nothing has this name */
	EVH_EXISTS,    /* something has this name already */
	EVH_DENIED,    /* known, but not allowed */
	EVH_BUSY,      /* another holds it; the same call may succeed later */
	EVH_FULL,      /* disk, table or queue is full */
	EVH_READ_ONLY, /* the database cannot be written */
	EVH_FOREIGN,   /* not ours: no database, or somebody else's */
	EVH_NEWER,     /* written by a newer version than this one */
	EVH_OLDER,     /* written by an older one, and not brought up to date yet */
	EVH_IO,	       /* the system failed a read or a write */
	EVH_TIMEOUT,   /* no answer in time */
	EVH_CLOSED,    /* the other side is gone */
};

/* A constant word for rc, for logs and messages. */
const char *evh_rc_name(enum evh_rc rc);

#endif
