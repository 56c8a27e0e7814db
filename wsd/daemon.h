/* daemon.h - the whole of evhub-wsd: its parts made, joined and ended. */

#ifndef EVH_WSD_DAEMON_H
#define EVH_WSD_DAEMON_H

#include "common/conf.h"

/* Runs until told to end by a signal or the control socket.  Returns the exit
 * status: 0 after a drain.  args are read again on SIGHUP. */
int daemon_run(struct conf *conf, const struct conf_args *args);

#endif
