/* server.h - the face to the network: HTTP upgrade requests and WebSockets.
 *
 * Translates between libwebsockets and plain structs, and hands on; decides
 * nothing.  What a connection means is the handlers' business. */

#ifndef EVH_WSD_SERVER_H
#define EVH_WSD_SERVER_H

#include "common/api_error.h"
#include "common/conf.h"
#include "wsd/http_request.h"
#include "wsd/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;
struct server_conn;

struct server_handlers {
	/* Accepts (returns true and sets *user, which comes back in all that
	 * follows) or refuses (false, with e filled). */
	bool (*request)(void *arg, const struct http_request *request, struct api_error *e, void **user);
	/* The handshake is over; conn is what server_* take. */
	void (*opened)(void *arg, void *user, struct server_conn *conn);
	/* A whole text message. */
	void (*message)(void *arg, void *user, const char *text, size_t len);
	/* What does not fit: CLOSE_* code to close with. */
	void (*violation)(void *arg, void *user, uint16_t code, const char *reason);
	/* Any sign of life; pong says that it was one. */
	void (*alive)(void *arg, void *user, bool pong);
	void (*writable)(void *arg, void *user);
	/* The connection is gone, or never came to be after an accepted request. */
	void (*closed)(void *arg, void *user);
	void *arg;
};

/* Listens on conf->listen.  EVH_INVALID, EVH_EXISTS (in use), EVH_DENIED or
 * EVH_NOMEM with the address at fault in why (CONF_WHY_BYTES). */
enum evh_rc server_new(struct server **out, struct loop *loop, const struct conf *conf,
	const struct server_handlers *handlers, char *why);

/* Reads certificate and key again: connections from now on have the new ones.
 * A pair that cannot be used is told in the log, and the old one stays. */
void server_reload_tls(struct server *server, const struct conf *conf);

/* The addresses it listens on, ports resolved, separated by commas. */
const char *server_addresses(const struct server *server);

/* Accepts no more connections. */
void server_stop_listening(struct server *server);

/* After the loop has ended. */
void server_free(struct server **server);

/* These are hub_ops; see there. */
ptrdiff_t server_send(void *conn, const uint8_t *bytes, size_t len);
void server_queue(void *conn, const uint8_t *bytes, size_t len);
void server_want_writable(void *conn);
void server_close(void *conn, uint16_t code, const char *reason);

/* Sends a WebSocket ping. */
void server_ping(void *conn);

/* Whether the client's messages are read. */
void server_listen_to(void *conn, bool on);

#endif
