/* catalog.h - the table event_type, as the hub knows it. */

#ifndef EVH_WSD_CATALOG_H
#define EVH_WSD_CATALOG_H

#include "wsd/group.h"

#include <sqlite3.h>

/* Reads all types. */
enum evh_rc catalog_load(sqlite3 *db, struct grouping *types);

/* Reads one again; it may be new, changed, or gone. */
enum evh_rc catalog_reload(sqlite3 *db, struct grouping *types, const char *name);

#endif
