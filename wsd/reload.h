/* reload.h - reads the configuration again, and takes over what can change
 * while the daemon runs. */

#ifndef EVH_WSD_RELOAD_H
#define EVH_WSD_RELOAD_H

#include "common/conf.h"
#include "common/verifier.h"

/* Reads the configuration and the key of JWTs as at the start.  If anything is
 * wrong with them the old ones stay in force, and the log says why.  On true
 * *verifier is the new one (NULL: none) with a reference for the caller. */
bool reload_conf(struct conf *conf, const struct conf_args *args, struct verifier **verifier);

#endif
