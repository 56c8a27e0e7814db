/* session_priv.h - what session.c (messages, rows, the end), admission.c (who comes
 * in), keepalive.c and changes.c (what others change) share. */

#ifndef EVH_WSD_SESSION_PRIV_H
#define EVH_WSD_SESSION_PRIV_H

#include "common/clock.h"
#include "wsd/session.h"
#include "wsd/tickets.h"
#include "wsd/wheel.h"

struct sessions {
	struct session_setup setup;
	struct hub *hub;
	struct clients *clients;
	struct auth *auth;
	struct guard *guard;
	struct tickets *tickets;
	struct wheel wheel;
	int64_t tick_us;
	uint32_t ping_ticks, pong_ticks, stall_ticks;
	struct client **dirty;
	uint32_t dirty_count, dirty_size;
	struct early *early;
	bool draining;
};

/* Seconds since 1970, as clients keep them. */
static inline uint32_t
session_seconds(void)
{
	return (uint32_t)(clock_now_us() / 1000000);
}

/* When the credential ends, as a client keeps it: far times are the farthest. */
static inline uint32_t
session_expiry(const struct auth_principal *who)
{
	return who->expires_at > UINT32_MAX ? UINT32_MAX : (uint32_t)who->expires_at;
}

/* admission.c; these two are server_handlers. */
bool session_on_request(void *sessions, const struct http_request *r, struct api_error *e, void **user);
void session_on_refused(void *sessions, const char *peer, const struct api_error *e);

/* keepalive.c: the ticks of its clock, by the configuration. */
void session_keepalive_init(struct sessions *s);

/* keepalive.c: has the client be looked at when something is next due. */
void session_schedule(struct sessions *s, struct client *c);

/* keepalive.c: how much has come over this connection, KiB; 0 if that is not known. */
uint32_t session_received(void *conn);

/* session.c: answers what came before the client was welcome. */
void session_answer_early(struct sessions *s, struct client *c);

#endif
