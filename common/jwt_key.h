/* jwt_key.h - the key that the signatures of JWTs are checked with.
 *
 * Read once and held as it is.  What is too weak, is not what the algorithm
 * takes, or could have been read or written by everybody is refused: a public
 * key can never be taken for a secret. */

#ifndef EVH_JWT_KEY_H
#define EVH_JWT_KEY_H

#include "common/conf.h"
#include "common/rc.h"

#include <stddef.h>

struct jwt_key {
	unsigned char *bytes; /* the secret, or a public key in PEM */
	size_t len;
};

/* Reads the key of this algorithm, which is not CONF_JWT_OFF.  On failure why
 * says what is wrong: EVH_NOT_FOUND, EVH_DENIED (its mode), EVH_INVALID or
 * EVH_NOMEM. */
enum evh_rc jwt_key_load(struct jwt_key *key, enum conf_jwt_algorithm algorithm, const char *path,
	char why[CONF_WHY_BYTES]);

/* Wipes and frees it. */
void jwt_key_free(struct jwt_key *key);

#endif
