/* lineage.h - no id ever names two events.
 *
 * An id is the epoch and a sequence number that the database counts.  When
 * the database goes back in time it would count the same numbers again, and a
 * client that resumes from the first event of such a number would miss the
 * others without being told.  There are two ways back:
 *
 *   A power cut, after which the last commits may be gone (unless every
 *   writer uses synchronous = full).  At the first start after a boot the
 *   numbers jump ahead of all that can have been given: who resumes has what
 *   was lost, and gets everything since.
 *
 *   A backup that was put in place.  The newest event of this daemon, and of
 *   the histories that were here before, is written into its lock file; when
 *   the database knows less, the epoch changes, and who resumes is told
 *   "unknown" and reloads. */

#ifndef EVH_WSD_LINEAGE_H
#define EVH_WSD_LINEAGE_H

#include "common/ids.h"
#include "common/rc.h"

#include <sqlite3.h>
#include <stdint.h>

/* Names this boot of the machine; "" where the system does not. */
#define LINEAGE_BOOT_BYTES 40
void lineage_boot(char boot[LINEAGE_BOOT_BYTES]);

/* Makes sure that the next event's id is new.  Inside a transaction of the
 * caller, before anybody is let in; fd is the lock file.  The rc of the
 * database. */
enum evh_rc lineage_continue(sqlite3 *db, int fd, const char *boot);

/* Remembers the newest event of this history. */
void lineage_remember(int fd, const char *epoch, uint64_t head);

#endif
