/* verifier.h - JWTs as bearer tokens: form, signature, claims.
 *
 * One algorithm and one key, both from the configuration; what a token says of
 * its own algorithm is only compared.  libjwt checks the signature, and is
 * given nothing that has not been found to be well-formed before.
 *
 * A verifier never changes, so threads may share one; it goes with its last
 * reference. */

#ifndef EVH_VERIFIER_H
#define EVH_VERIFIER_H

#include "common/api_error.h"
#include "common/auth.h"
#include "common/conf.h"

#include <stdbool.h>
#include <stdint.h>

/* The longest token that is looked at. */
#define VERIFIER_TOKEN_MAX 8192

struct verifier;

/* Makes one from the section jwt, with one reference.  EVH_OK and *out NULL if
 * it is off.  Else why says what is wrong. */
enum evh_rc verifier_new(struct verifier **out, const struct conf *conf, char why[CONF_WHY_BYTES]);

/* Takes another reference (v may be NULL) and returns v. */
struct verifier *verifier_ref(struct verifier *v);

/* Gives one back and sets *v to NULL. */
void verifier_unref(struct verifier **v);

/* Whether the token has the shape of a JWT: three parts, a dot between two. */
bool verifier_shaped(const char *token);

/* Finds whom the token speaks for at this time.  On EVH_OK *who is filled, with
 * credential_id 0.  Else e holds the 401 (EVH_DENIED), with path at fault or the
 * name of a claim, or the 503 (EVH_NOMEM). */
enum evh_rc verifier_check(const struct verifier *v, const char *token, int64_t now_us, const char *path,
	struct auth_principal *who, struct api_error *e);

#endif
