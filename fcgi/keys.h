/* keys.h - the verifier of JWTs that all threads share, and that a signal may
 * replace. */

#ifndef EVH_FCGI_KEYS_H
#define EVH_FCGI_KEYS_H

#include "common/verifier.h"

#include <pthread.h>

struct keys {
	pthread_mutex_t lock;
	struct verifier *verifier; /* NULL: JWTs are not taken */
};

/* Takes over the reference. */
void keys_init(struct keys *keys, struct verifier *verifier);
void keys_free(struct keys *keys);

/* A reference to the verifier of this moment, for verifier_unref. */
struct verifier *keys_get(struct keys *keys);

/* Reads the key file again.  If anything is wrong with it the old key stays in
 * force, and the log says why. */
void keys_reload(struct keys *keys, const struct conf *conf);

#endif
