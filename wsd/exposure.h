/* exposure.h - whether others on this machine get at what they should not. */

#ifndef EVH_WSD_EXPOSURE_H
#define EVH_WSD_EXPOSURE_H

#include "common/conf.h"
#include "common/problems.h"

/* Looks at who runs this, and at the modes of the database and its directory.
 * EVH_DENIED, with words in why, when everybody could write events and
 * credentials or put another file in the place of the database; what is only
 * unwise becomes a note, or a line in the log where notes is NULL. */
enum evh_rc exposure_check(const struct conf *conf, struct problems *notes, char why[CONF_WHY_BYTES]);

#endif
