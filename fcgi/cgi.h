/* cgi.h - evhub-fcgi as a plain CGI program: one request from the environment
 * and standard input, one answer to standard output (RFC 3875). */

#ifndef EVH_FCGI_CGI_H
#define EVH_FCGI_CGI_H

#include "common/conf.h"
#include "fcgi/keys.h"

#include <stdbool.h>

/* True if a web server started this process for one request. */
bool cgi_started(void);

/* Serves the request.  False if the answer could not be written. */
bool cgi_serve(const struct conf *conf, struct keys *keys);

/* Answers 503 to a request that nothing can be done about. */
bool cgi_refuse(const char *error, const char *message);

#endif
