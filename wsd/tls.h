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

/* Calls done(conn) for each connection that was named to tls_name, once its
 * handshake is over, which may be at once, or twice; OpenSSL may be at work then, so
 * nothing may be read or written. */
void tls_tell_done(void *ssl_ctx, void (*done)(void *conn));
enum evh_rc tls_name(void *ssl, void *conn);

/* Looks at the decrypted bytes of the record that waits, without taking them.
 * False at the end of the connection; *len is 0 when there is none yet. */
bool tls_peek(void *ssl, char *to, size_t size, size_t *len);

/* Takes len bytes of what was looked at. */
void tls_skip(void *ssl, size_t len);

/* How many bytes of the record are left. */
size_t tls_pending(const void *ssl);

/* Tells the other side that nothing more comes. */
void tls_say_goodbye(void *ssl);

#endif
