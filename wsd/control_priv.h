/* control_priv.h - control.c moves lines, control_ops.c answers them. */

#ifndef EVH_WSD_CONTROL_PRIV_H
#define EVH_WSD_CONTROL_PRIV_H

#include "common/json.h"
#include "wsd/control.h"
#include "wsd/control_users.h"

struct control_conn;

/* The answer to one line; those before it go out first. */
struct control_reply {
	struct control_reply *next;
	struct control_conn *conn; /* NULL: the asker is gone */
	bool ready;
	uint64_t change; /* sync: waits for this one */
	struct buf text;
};

struct control_conn {
	struct control *control;
	struct control_conn *next;
	struct loop_fd *watched;
	int fd;
	enum control_role role;
	bool closing;	    /* nothing more is taken; ends when all is answered */
	bool paused;	    /* not read from */
	bool ended;	    /* the asker has said all */
	bool reading;	    /* what is ready is sent when its lines have been read */
	bool answered;	    /* something became ready in this turn of the loop */
	bool blocked;	    /* the next line waits until all before it are answered */
	bool more;	    /* the next line waits for another turn of the loop */
	uint64_t published; /* the last event published here */
	struct buf in, out;
	struct control_reply *first, **last; /* not sent yet, in order */
	size_t waiting;			     /* replies not sent */
	size_t unready;			     /* … because they are not known yet */
	size_t ready_bytes;		     /* of those that are */
};

struct control {
	struct control_setup setup;
	struct control_users *users;
	struct loop_fd *listener;
	int listen_fd;
	bool accept_paused;
	struct control_conn *conns;
	bool answered;	    /* some of them have been */
	int lines;	    /* taken in this turn of the loop */
	int64_t started_us; /* monotonic */
};

/* Answers one line: fills reply->text and sets ready, at once or later.
 * False: nothing was done; ask again when all that was asked before is
 * answered. */
bool
control_answer(struct control_conn *conn, struct control_reply *reply, const char *line, size_t len);

/* Ends the line; it is sent at the end of this turn of the loop. */
void control_ready(struct control_reply *reply);

/* Answers a sync if its change is in force, or cannot be: all says that
 * everything there is has been applied. */
void control_try_sync(struct control_reply *reply, uint64_t reached, bool all);

#endif
