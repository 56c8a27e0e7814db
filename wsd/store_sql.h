/* store_sql.h - the statements behind store.h: each carries out one operation
 * inside the transaction that store.c has begun. */

#ifndef EVH_WSD_STORE_SQL_H
#define EVH_WSD_STORE_SQL_H

#include "wsd/store.h"

#include <sqlite3.h>

struct store_sql;

/* Of conf, the name and the control socket tell the daemon's row. */
enum evh_rc store_sql_new(struct store_sql **out, sqlite3 *db, const struct conf *conf);
void store_sql_free(struct store_sql **sql);

enum evh_rc store_sql_begin(struct store_sql *sql);
enum evh_rc store_sql_commit(struct store_sql *sql);
void store_sql_rollback(struct store_sql *sql);

/* Sets op->rc and the results.  An operation that fails leaves no trace of
 * its own; an error of the whole database is returned besides. */
enum evh_rc store_sql_run(struct store_sql *sql, struct store_op *op);

#endif
