/* auth_gate.h - who may pass: the credential of a request, and its scope. */

#ifndef EVH_FCGI_AUTH_GATE_H
#define EVH_FCGI_AUTH_GATE_H

#include "fcgi/context.h"
#include "fcgi/endpoints.h"

#include <stdbool.h>

/* Finds out who asks and fills call->who.  False with a 401 or 503 in
 * call->error; a refusal is also logged, for fail2ban. */
bool auth_gate_enter(struct context *ctx, struct call *call);

/* True if the credential has one of these scopes, or if scopes is 0.  Else
 * false with a 403 in call->error. */
bool auth_gate_scope(struct call *call, unsigned scopes);

#endif
