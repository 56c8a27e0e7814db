/* service.h - one request from its path to its answer.
 *
 * The order of the checks is that of the contract: route (404), method (405),
 * credential (401), content type (415), size (413), JSON (400), scope (403),
 * and then what the endpoint itself finds. */

#ifndef EVH_FCGI_SERVICE_H
#define EVH_FCGI_SERVICE_H

#include "fcgi/context.h"
#include "fcgi/request.h"
#include "fcgi/response.h"

/* Answers request into response, which is always filled.  ctx is left ready
 * for the next request. */
void service_handle(struct context *ctx, struct request *request, struct response *response);

#endif
