/* jwt_claims.h - what the claims of a JWT (RFC 7519) say to us: whether the
 * token is for us, now, and whom it speaks for.
 *
 * The signature has been checked before.  Pure: the time comes in. */

#ifndef EVH_JWT_CLAIMS_H
#define EVH_JWT_CLAIMS_H

#include "common/api_error.h"
#include "common/auth.h"

#include <json-c/json.h>
#include <stdint.h>

/* What is asked of a token; "" asks nothing. */
struct jwt_rules {
	const char *issuer, *audience;
	const char *user_claim;
	const char *scopes_claim;      /* "": every token may subscribe */
	const char *event_types_claim; /* "": every type */
	int64_t leeway_us;
};

/* Judges the claims.  On EVH_OK *who is filled, and released by
 * auth_principal_free.  Else e holds the 401 (EVH_DENIED), or the 503
 * (EVH_NOMEM); path is the name of the claim. */
enum evh_rc jwt_claims_check(struct json_object *claims, const struct jwt_rules *rules, int64_t now_us,
	struct auth_principal *who, struct api_error *e);

#endif
