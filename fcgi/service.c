#include "fcgi/service.h"

#include "common/log.h"
#include "common/refusal.h"
#include "fcgi/auth_gate.h"
#include "fcgi/counts.h"
#include "fcgi/endpoints.h"
#include "fcgi/routes.h"

#include <string.h>

static bool
take_body(struct context *ctx, struct call *call)
{
	struct request *r = call->request;
	char why[JSON_WHY_BYTES];
	enum evh_rc rc;

	if (!request_is_json(r)) {
		api_error_fail(&call->error, 415, "unsupported_media_type", "content-type",
			"send the body as Content-Type: application/json");
		return false;
	}
	if (request_read_body(r, (size_t)ctx->conf->max_body_bytes, &call->error) != EVH_OK)
		return false;
	rc = json_parse(r->body.data != NULL ? r->body.data : "", r->body.len, &call->json, why);
	if (rc == EVH_NOMEM)
		api_error_fail(&call->error, 503, "out_of_memory", "body", "out of memory");
	else if (rc != EVH_OK)
		api_error_fail(&call->error, 400, "malformed_json", "body",
			"the body is not well-formed JSON: %s", why);
	call->text = (struct json_slice){ r->body.data, r->body.len };
	return rc == EVH_OK;
}

static bool
admit(struct context *ctx, const struct route *route, struct call *call)
{
	if (!route->open && (!context_open(ctx, &call->error) || !auth_gate_enter(ctx, call)))
		return false;
	if (route->body && !take_body(ctx, call))
		return false;
	return auth_gate_scope(call, route->scopes);
}

/* The line for those who watch the log. */
static void
tell(const struct call *call)
{
	char path[REQUEST_PATH_BYTES] = "";
	const struct refusal refusal = { call->request->remote_addr, call->who.user_id, path };

	for (int i = 0; i < REQUEST_PATH_COUNT && path[0] == '\0'; i++)
		if (!request_path(call->request, (enum request_path)i, path))
			path[0] = '\0';
	refusal_log(&refusal, &call->error);
}

void
service_handle(struct context *ctx, struct request *request, struct response *response)
{
	struct call call = { .request = request, .response = response };
	const struct route *route = route_find(request, ctx->conf->base_path);

	if (route == NULL) {
		api_error_fail(&call.error, 404, "unknown_endpoint", "path", "no such endpoint");
	} else if (strcmp(request->method, route->method) != 0) {
		response->allow = route->method;
		api_error_fail(&call.error, 405, "method_not_allowed", "method", "%s takes %s only",
			route->name, route->method);
	} else if (request->repeated != NULL) {
		api_error_fail(&call.error, 400, "repeated_header", request->repeated,
			"the header %s is there twice", request->repeated);
	} else if (admit(ctx, route, &call)) {
		route->handler(ctx, &call);
	}
	if (response->status == 0) {
		response_error(response, &call.error);
		tell(&call);
	}
	counts_add(route != NULL ? route->name : "unknown", response->status,
		response->status >= 400 ? call.error.error : NULL);
	log_debug("request", "method=%s endpoint=%s status=%d remote_addr=%s user_id=%s",
		request->method, route != NULL ? route->name : "-", response->status,
		request->remote_addr, call.who.user_id);
	context_rest(ctx);
	json_object_put(call.json);
	auth_principal_free(&call.who);
	api_error_free(&call.error);
}
