/* reload.h - reads the configuration again, and takes over what can change
 * while the daemon runs. */

#ifndef EVH_WSD_RELOAD_H
#define EVH_WSD_RELOAD_H

#include "common/conf.h"

/* Reads the configuration as at the start.  If anything is wrong with it the
 * old one stays in force, and the log says why. */
void reload_conf(struct conf *conf, const struct conf_args *args);

#endif
