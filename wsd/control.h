/* control.h - the control socket: programs on this machine talk to the daemon.
 *
 * One JSON object per line each way; answers come in the order of the
 * requests.  Who may ask what is decided by the peer's uid and gid. */

#ifndef EVH_WSD_CONTROL_H
#define EVH_WSD_CONTROL_H

#include "common/conf.h"
#include "wsd/hub.h"
#include "wsd/loop.h"
#include "wsd/metrics.h"
#include "wsd/store.h"

#include <stdint.h>

struct control;

struct control_setup {
	const struct conf *conf;
	struct loop *loop;
	struct hub *hub;
	struct store *store;
	const struct metrics *metrics;
	/* Applies what others have changed, as far as possible now; *all says
	 * whether that was everything.  Returns the last change in force. */
	uint64_t (*sync)(void *arg, bool *all);
	/* The last change in force, as it is. */
	uint64_t (*in_force)(void *arg);
	/* Begins to shut down. */
	void (*drain)(void *arg);
	const bool *draining;
	void *arg;
};

/* Listens on conf->control_socket.  why (CONF_WHY_BYTES) on failure. */
enum evh_rc control_new(struct control **out, const struct control_setup *setup, char *why);

/* Changes have been applied: answers those who wait for them. */
void control_changes_applied(struct control *control);

/* The end of a turn of the loop: sends the answers that it brought. */
void control_turn_ends(struct control *control);

/* Accepts again after descriptors had run out.  Once a second. */
void control_accept_again(struct control *control);

/* Accepts nothing more; what is being answered goes on. */
void control_stop_listening(struct control *control);

/* Before the loop ends. */
void control_free(struct control **control);

#endif
