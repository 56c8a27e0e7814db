/* instance.h - one daemon of this name, and its row.
 *
 * A lock file beside the database is held while the daemon runs; the kernel
 * lets go of it however the daemon ends.  So whoever gets the lock knows that
 * what the database says of that name is left over from one that was killed. */

#ifndef EVH_WSD_INSTANCE_H
#define EVH_WSD_INSTANCE_H

#include "common/conf.h"

#include <stdint.h>

struct instance;

/* Takes the lock for conf->name.  EVH_EXISTS if another daemon has it; why
 * (CONF_WHY_BYTES) says so. */
enum evh_rc instance_lock(struct instance **out, const struct conf *conf, char *why);

/* Removes the clients of this name and of others that nobody holds the lock
 * of, and writes our own row.  Once, before anybody is let in. */
enum evh_rc instance_register(struct instance *instance, const struct conf *conf, char *why);

/* Remembers the newest event that this daemon knows; see lineage.h. */
void instance_remember(struct instance *instance, const char *epoch, uint64_t head);

/* Removes our row, if registered, and gives up the lock. */
void instance_release(struct instance **instance, const struct conf *conf);

#endif
