/* conf_priv.h - what the reader of files and the setter of values share. */

#ifndef EVH_CONF_PRIV_H
#define EVH_CONF_PRIV_H

#include "common/conf.h"
#include "common/conf_table.h"

/* Writes a complaint; always EVH_INVALID. */
enum evh_rc
conf_complain(char why[CONF_WHY_BYTES], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The option of this name, NULL if there is none. */
const struct conf_option *conf_find(const char *key, size_t len);

/* Sets one option from its text form.  On failure it keeps its value. */
enum evh_rc
conf_set(const struct conf_option *o, struct conf *conf, const char *text, char why[CONF_WHY_BYTES]);

/* Replaces the list of a CONF_LIST option. */
enum evh_rc
conf_set_items(const struct conf_option *o, struct conf *conf, const char *const *items, size_t count);

#endif
