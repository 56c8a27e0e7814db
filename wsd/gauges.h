/* gauges.h - what the system knows of this process and of the database's
 * files, read at the moment of asking.  A figure that cannot be had is -1. */

#ifndef EVH_WSD_GAUGES_H
#define EVH_WSD_GAUGES_H

#include <stdint.h>

struct gauges {
	int64_t resident_bytes, virtual_bytes;
	int64_t allocated_bytes; /* by malloc, and not freed */
	int64_t sqlite_bytes;	 /* … by SQLite */
	int64_t cpu_us;
	int64_t threads;
	int64_t open_fds, max_fds;
	int64_t started_us; /* wall clock */
	int64_t database_bytes, wal_bytes;
	int64_t disk_free_bytes; /* of the file system that the database is on */
};

/* few: whether counting descriptors and free pieces of memory one by one is cheap enough. */
void gauges_read(struct gauges *g, const char *database, int few);

#endif
