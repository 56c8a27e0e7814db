/* conf_priv.h - what the reader of files and the setter of values share. */

#ifndef EVH_CONF_PRIV_H
#define EVH_CONF_PRIV_H

#include "common/conf.h"
#include "common/conf_table.h"
#include "common/problems.h"

/* Writes a complaint; always EVH_INVALID. */
enum evh_rc
conf_complain(char why[CONF_WHY_BYTES], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The option of this name, NULL if there is none. */
const struct conf_option *conf_find(const char *key, size_t len);

/* Gives the last problem a hint which key may have been meant by name. */
void conf_hint_key(struct problems *problems, const char *name, size_t len);

/* Tells of the unknown and the repeated keys in the text of a file, and blanks
 * the unknown ones out, so that the parser goes on behind them. */
void conf_names_check(char *text, const char *file, struct problems *problems);

/* Sets one option from its text form.  On failure it keeps its value. */
enum evh_rc
conf_set(const struct conf_option *o, struct conf *conf, const char *text, char why[CONF_WHY_BYTES]);

/* Replaces the list of a CONF_LIST option. */
enum evh_rc
conf_set_items(const struct conf_option *o, struct conf *conf, const char *const *items, size_t count);

#endif
