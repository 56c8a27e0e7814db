#include "fcgi/auth_gate.h"

#include "fcgi/tries.h"

bool
auth_gate_enter(struct context *ctx, struct call *call)
{
	const struct request *r = call->request;
	struct verifier *v;
	enum evh_rc rc;

	if (!tries_allowed(ctx->conf, r->remote_addr, &call->error))
		return false;
	v = ctx->keys != NULL ? keys_get(ctx->keys) : NULL;
	auth_set_verifier(ctx->auth, v);
	verifier_unref(&v);
	rc = auth_check(ctx->auth, r->authorization, r->api_key, &call->who, &call->error);
	if (rc == EVH_DENIED)
		tries_refused(ctx->conf, r->remote_addr, &call->error);
	else if (rc != EVH_OK)
		context_suspect(ctx, rc);
	return rc == EVH_OK;
}

/* The scopes in words; there are not many sets. */
static const char *
scope_names(unsigned scopes)
{
	switch (scopes) {
	case AUTH_SUBSCRIBE:
		return "subscribe";
	case AUTH_PUBLISH:
		return "publish";
	case AUTH_ADMIN:
		return "admin";
	default:
		return "subscribe or admin";
	}
}

bool
auth_gate_scope(struct call *call, unsigned scopes)
{
	if (scopes == 0 || (call->who.scopes & scopes) != 0)
		return true;
	api_error_fail(&call->error, 403, "insufficient_scope", "authorization",
		"the credential does not have the scope %s", scope_names(scopes));
	return false;
}
