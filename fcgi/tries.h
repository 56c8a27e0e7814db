/* tries.h - the guard against guessing of credentials, shared by all threads.
 *
 * It lives as long as the process and is not shared between processes: with N
 * of them an address has N times as many tries, and plain CGI, a process for
 * each request, has no such limit. */

#ifndef EVH_FCGI_TRIES_H
#define EVH_FCGI_TRIES_H

#include "common/api_error.h"
#include "common/conf.h"

#include <stdbool.h>

/* Before there are threads.  False when out of memory. */
bool tries_start(void);

/* False with a 429 in e if the address has had too many. */
bool tries_allowed(const struct conf *conf, const char *remote_addr, struct api_error *e);

/* Counts the refusal in e, if it is of a credential. */
void tries_refused(const struct conf *conf, const char *remote_addr, const struct api_error *e);

#endif
