/* server.h - the face to the network: HTTP upgrade requests and WebSockets.
 *
 * Translates between libwebsockets and plain structs, and hands on; decides
 * nothing.  What a connection means is the handlers' business. */

#ifndef EVH_WSD_SERVER_H
#define EVH_WSD_SERVER_H

#include "common/api_error.h"
#include "common/conf.h"
#include "wsd/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;
struct server_conn;

#define SERVER_ARGS_MAX 32

/* A request as it came.  Header values are NULL when absent; all text lives
 * until the handler returns. */
struct server_request {
	const char *method, *path;
	const char *args[SERVER_ARGS_MAX]; /* "name=value", decoded */
	size_t arg_count;
	bool upgrade;	 /* asks for a WebSocket, in a form that can be met */
	const char *bad; /* what is wrong with the request itself, or NULL */
	bool too_large;	 /* bad: its header is over the limit */
	const char *authorization, *api_key, *origin, *host, *user_agent, *forwarded_for;
	const char *forwarded_host, *forwarded_proto; /* of X-Forwarded-… */
	bool tls;				      /* to this daemon */
	const char *protocols;			      /* Sec-WebSocket-Protocol, as the client sent it */
	const char *peer;			      /* address, "unix" for a Unix socket */
};

/* The value of a query parameter: NULL if absent; *twice if it is repeated. */
const char *server_request_arg(const struct server_request *request, const char *name, bool *twice);

struct server_handlers {
	/* Accepts (returns true and sets *user, which comes back in all that
	 * follows) or refuses (false, with e filled). */
	bool (*request)(
		void *arg, const struct server_request *request, struct api_error *e, void **user);
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
