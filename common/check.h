/* check.h - whether the system is as the configuration says: files, sockets,
 * the database.  For -t.  Nothing is created, bound to for long, or changed. */

#ifndef EVH_CHECK_H
#define EVH_CHECK_H

#include "common/conf.h"
#include "common/problems.h"

#include <stdbool.h>

/* The database, or the place where it is to be made. */
void check_database(const struct conf *conf, struct problems *p);

/* A file that must be readable. */
void check_readable(const char *key, const char *path, struct problems *p);

/* A Unix socket that is to be made at path.  ours: the program itself may be
 * running and listening there, which is no problem. */
void check_unix_socket(const char *key, const char *path, bool ours, struct problems *p);

/* An address to listen on: "address:port" or "[v6 address]:port"; shared: with
 * SO_REUSEPORT, and numeric. */
void check_tcp_socket(const char *key, const char *spec, bool shared, bool ours, struct problems *p);

#endif
