/* tls.h - the daemon's own TLS: certificate, key, and what is negotiated.
 *
 * Reads and checks a certificate and its key as one thing, so that a bad pair
 * is refused before anything has changed.  Knows OpenSSL and no sockets: the
 * library that does the handshakes lends its SSL_CTX, here a void pointer. */

#ifndef EVH_WSD_TLS_H
#define EVH_WSD_TLS_H

#include "common/conf.h"

#include <stdbool.h>

struct tls_pair;

/* Whether the configuration asks for TLS. */
bool tls_wanted(const struct conf *conf);

/* Reads both files.  The certificate is PEM, its chain behind it; the key is
 * PEM without a passphrase, in a file that others than its owner and group may
 * not read.  EVH_INVALID, EVH_NOT_FOUND, EVH_DENIED or EVH_NOMEM with key, file
 * and cause in why. */
enum evh_rc tls_load(struct tls_pair **out, const struct conf *conf, char why[CONF_WHY_BYTES]);
void tls_free(struct tls_pair **pair);

/* Sets what every handshake has in common: TLS 1.2 and 1.3, forward secrecy,
 * no renegotiation, no state kept for sessions. */
enum evh_rc tls_set_up(void *ssl_ctx);

/* Makes the pair that of all handshakes from now on; connections that are open
 * keep theirs. */
enum evh_rc tls_use(void *ssl_ctx, const struct tls_pair *pair);

#endif
