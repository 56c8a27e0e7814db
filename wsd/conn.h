/* conn.h - a connection in the hands of libwebsockets: frames, messages, closing,
 * and the reading of TLS for the gate.
 *
 * Knows bytes and messages, not what they mean.  Nothing but conn.c and loop.c
 * knows the library. */

#ifndef EVH_WSD_CONN_H
#define EVH_WSD_CONN_H

#include "common/conf.h"
#include "wsd/gate.h"
#include "wsd/http_request.h"
#include "wsd/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conns; /* all of them */
struct conn;

/* user is what came with the request when it was granted. */
struct conn_handlers {
	/* The handshake is over; conn is what conn_* take. */
	void (*opened)(void *arg, void *user, struct conn *conn);
	/* A whole text message. */
	void (*message)(void *arg, void *user, const char *text, size_t len);
	/* What does not fit: CLOSE_* code to close with. */
	void (*violation)(void *arg, void *user, uint16_t code, const char *reason);
	/* Any sign of life; pong says that it was one. */
	void (*alive)(void *arg, void *user, bool pong);
	void (*writable)(void *arg, void *user);
	/* The connection is gone, or never came to be though it was granted. */
	void (*closed)(void *arg, void *user);
	void *arg;
};

/* EVH_NOMEM, or EVH_INVALID with the certificate at fault in why (CONF_WHY_BYTES). */
enum evh_rc conns_new(struct conns **out, struct loop *loop, const struct conf *conf,
	const struct conn_handlers *handlers, char *why);

/* Where connections with TLS wait for their requests; it outlives them there. */
void conns_set_gate(struct conns *conns, struct gate *gate);

bool conns_have_tls(const struct conns *conns);

/* Reads certificate and key again: connections from now on have the new ones.
 * A pair that cannot be used is told in the log, and the old one stays. */
void conns_reload_tls(struct conns *conns, const struct conf *conf);

/* No more will come, and the gate is gone: whoever is closed by the end of the loop
 * is told to come back. */
void conns_end(struct conns *conns);

/* After the loop has ended. */
void conns_free(struct conns **conns);

/* A plain connection whose request r was granted to user: it is opened, or closed,
 * before this returns.  fd is taken over. */
void conn_grant(struct conns *conns, int fd, const struct http_request *r,
	const struct gate_bytes *bytes, void *user);

/* A connection that begins with the handshake of TLS; the gate lets it in, refuses
 * or dismisses it later.  fd is taken over.  As gate_expect. */
enum evh_rc conn_begin_tls(struct conns *conns, int fd, const char *peer);

/* How the gate looks at these. */
extern const struct gate_view conn_view;

/* What becomes of one that was at the gate: its request was granted (it is opened
 * or closed before this returns), or refused with this answer, after which the gate
 * sees it off, or never came. */
void conn_grant_tls(struct conn *conn, void *user);
void conn_answer_tls(const struct gate_guest *guest, const struct buf *answer);
void conn_drop_tls(struct conn *conn);

/* These are hub_ops; see there. */
ptrdiff_t conn_send(void *conn, const uint8_t *bytes, size_t len);
bool conn_queue(void *conn, const uint8_t *bytes, size_t len);
void conn_want_writable(void *conn);
void conn_close(void *conn, uint16_t code, const char *reason);

/* Sends a WebSocket ping. */
void conn_ping(void *conn);

/* How many bytes the peer has sent, 0 if that is not known (not over TCP). */
uint64_t conn_received(void *conn);

/* Whether the client's messages are read. */
void conn_listen_to(void *conn, bool on);

#endif
