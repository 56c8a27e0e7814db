/* server.h - the face to the network: listens, reads requests, answers those that
 * are refused, and makes connections of those that are granted.
 *
 * Decides nothing: whether a request is granted is the handler's business. */

#ifndef EVH_WSD_SERVER_H
#define EVH_WSD_SERVER_H

#include "common/api_error.h"
#include "common/conf.h"
#include "wsd/conn.h"
#include "wsd/http_request.h"
#include "wsd/loop.h"

#include <stdbool.h>

struct server;

struct server_handlers {
	/* Grants a request (returns true and sets *user, which comes back with all
	 * that becomes of the connection) or refuses it (false, with e filled). */
	bool (*request)(void *arg, const struct http_request *request, struct api_error *e, void **user);
	/* One that did not get as far as that was refused. */
	void (*refused)(void *arg, const char *peer, const struct api_error *e);
	struct conn_handlers conn; /* arg is that of request too */
};

/* Listens on conf->listen; conf must outlive it.  EVH_INVALID, EVH_EXISTS (in use),
 * EVH_DENIED or EVH_NOMEM with what is at fault in why (CONF_WHY_BYTES). */
enum evh_rc server_new(struct server **out, struct loop *loop, const struct conf *conf,
	const struct server_handlers *handlers, char *why);

/* As conns_reload_tls. */
void server_reload_tls(struct server *server, const struct conf *conf);

/* The addresses it listens on, ports resolved, separated by commas. */
const char *server_addresses(const struct server *server);

/* Accepts no more connections. */
void server_stop_listening(struct server *server);

/* After the loop has ended. */
void server_free(struct server **server);

#endif
