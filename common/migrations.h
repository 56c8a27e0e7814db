/* migrations.h - the scripts of sql/migrations/, in order, built in.  A new
 * database runs all of them; an older one runs those it lacks. */

#ifndef EVH_MIGRATIONS_H
#define EVH_MIGRATIONS_H

#include <stddef.h>

extern const char *const db_migrations[];
extern const size_t db_migration_count;

#endif
