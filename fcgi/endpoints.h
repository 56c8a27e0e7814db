/* endpoints.h - the endpoints, one file each, and what they are given.
 *
 * A handler is called once the method, the credential, its scope and the form
 * of the body are in order.  It either fills response, or leaves its status 0
 * and a fault in error.  It may leave statements and a transaction open: the
 * caller ends both (context_rest). */

#ifndef EVH_FCGI_ENDPOINTS_H
#define EVH_FCGI_ENDPOINTS_H

#include "common/api_error.h"
#include "common/auth.h"
#include "common/json.h"
#include "fcgi/context.h"
#include "fcgi/request.h"
#include "fcgi/response.h"

/* One request on its way through. */
struct call {
	struct request *request;
	struct response *response;
	struct api_error error;
	struct auth_principal who; /* user_id is "" on an open route */
	struct json_object *json;  /* NULL if the route takes no body */
	struct json_slice text;	   /* of json */
};

typedef void endpoint_fn(struct context *ctx, struct call *call);

endpoint_fn endpoint_unsubscribe;
endpoint_fn endpoint_subscriptions;
endpoint_fn endpoint_events;
endpoint_fn endpoint_ticket;
endpoint_fn endpoint_event_types;
endpoint_fn endpoint_clients;
endpoint_fn endpoint_stats;
endpoint_fn endpoint_health;
endpoint_fn endpoint_metrics;

#endif
