/* unit.h - what the unit tests share: cmocka, a directory of one's own, and
 * programs run as a user runs them. */

#ifndef EVH_UNIT_H
#define EVH_UNIT_H

#include "common/buf.h"

/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Setup and teardown of a test: *state becomes the path of a new directory
 * (a char *), which is removed with all that is in it. */
int unit_dir_setup(void **state);
int unit_dir_teardown(void **state);

/* dir/name, in memory that lives until the eighth call from now. */
const char *unit_path(const char *dir, const char *name);

/* The path of a file of the source tree. */
const char *unit_source(const char *name);

void unit_write(const char *path, const void *data, size_t len);

/* Appends a file's content; fails the test if it cannot be read. */
void unit_read(struct buf *out, const char *path);

/* Replaces each from in b by to. */
void unit_replace(struct buf *b, const char *from, const char *to);

/* Runs a command line; appends what it prints, errors included, and returns
 * its exit status (-1: killed). */
int unit_run(struct buf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Runs SQL in the sqlite3 shell, as an operator with default settings. */
int unit_sqlite(struct buf *out, const char *db, const char *sql);

/* Ends the test program as skipped (77) if there is no such program. */
void unit_need(const char *program);

#endif
