/* routes.h - which endpoint answers a request, from one table.  Pure. */

#ifndef EVH_FCGI_ROUTES_H
#define EVH_FCGI_ROUTES_H

#include "fcgi/endpoints.h"
#include "fcgi/request.h"

#include <stdbool.h>

struct route {
	const char *name; /* behind the base path */
	const char *method;
	endpoint_fn *handler;
	bool open;	 /* anybody may ask: no credential, and no database needed */
	bool body;	 /* takes a JSON body */
	unsigned scopes; /* of enum auth_scope: the credential must have one; 0: any */
};

/* The route that the request's path names, under base_path or its short form
 * "/v1/ws".  NULL if there is none. */
const struct route *route_find(const struct request *r, const char *base_path);

#endif
