/* gate.h - new connections, until the head of their request is there.
 *
 * What is let through comes with its head, whole and good.  Whoever takes longer
 * than the time for a handshake, byte by byte or not at all, has cost a
 * descriptor and the bytes that came, and is told 408.  Those who wait are counted
 * by their addresses.
 *
 * With TLS the library reads the head as well, so the bytes are looked at where
 * they wait and not taken: decrypted, in the record of TLS that they came in.  A
 * record can be looked at only when those before it have been read.  So the head
 * is passed on record by record, each when all up to its end has been found good.
 * Owned by the service loop. */

#ifndef EVH_WSD_GATE_H
#define EVH_WSD_GATE_H

#include "common/api_error.h"
#include "common/conf.h"
#include "wsd/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gate;
struct gate_place; /* of one that waits */

/* A connection.  Plain: fd is its, and secured NULL.  TLS: secured is what
 * gate_expect was given, and fd is only watched. */
struct gate_guest {
	int fd;
	const char *peer;
	void *secured;
};

/* What has come from a connection: head bytes of a good head, and what is behind
 * them.  All of it is taken from the socket of a plain connection. */
struct gate_bytes {
	const char *at;
	size_t head, len;
};

/* How connections with TLS are looked at. */
struct gate_view {
	/* Looks at what waits, without taking it.  False at the end of the
	 * connection; *len is 0 when there is nothing yet. */
	bool (*peek)(void *secured, char *to, size_t size, size_t *len);
	/* Takes away what was looked at, up to len bytes. */
	void (*skip)(void *secured, size_t len);
	/* Passes all on that was looked at.  False if the connection is lost. */
	bool (*pass)(void *secured);
};

struct gate_setup {
	struct loop *loop;
	const struct conf *conf; /* max_clients_per_address and trusted_proxies */
	size_t max_header;	 /* bytes of a head */
	int64_t timeout_ms;	 /* from the connection to the end of the head */
	struct gate_view view;
	/* The head is good: the guest is the callee's from now on. */
	void (*let_in)(void *arg, const struct gate_guest *guest, const struct gate_bytes *bytes);
	/* It is not, for what e says: the callee answers, and closes. */
	void (*refuse)(void *arg, const struct gate_guest *guest, const struct api_error *e);
	/* There is nobody to be answered: the callee closes. */
	void (*dismiss)(void *arg, const struct gate_guest *guest);
	void *arg;
};

/* EVH_NOMEM when out of memory or descriptors. */
enum evh_rc gate_new(struct gate **out, const struct gate_setup *setup);

/* Takes a connection over; it may be let in or refused at once. */
void gate_take(struct gate *gate, int fd, const char *peer);

/* A connection whose TLS is to be agreed on, by the library; the time runs from now
 * on.  EVH_FULL when as many of its address wait as may, EVH_NOMEM.  *place ends
 * with the call of let_in, refuse or dismiss, or by gate_drop. */
enum evh_rc
gate_expect(struct gate *gate, int fd, const char *peer, void *secured, struct gate_place **place);

/* What EVH_FULL means, as an error to answer or to log. */
void gate_crowded(struct api_error *e);

/* It is agreed on.  Nothing happens before the next turn of the loop.  May be told
 * twice; EVH_NOMEM when out of memory or descriptors. */
enum evh_rc gate_secured(struct gate *gate, struct gate_place *place);

/* Dismisses a connection that has been answered, and to which nothing more is sent,
 * once the peer hangs up or the time for a handshake is over: a close that finds
 * something unread takes the answer away (RFC 9112 section 9.6).  At once when as many
 * of its address wait as may.  *place as above; NULL if that is over already. */
void gate_see_off(struct gate *gate, const struct gate_guest *guest, struct gate_place **place);

/* Forgets one that is gone. */
void gate_drop(struct gate *gate, struct gate_place *place);

/* Closes those that wait.  Nothing may be taken any more. */
void gate_close(struct gate *gate);
void gate_free(struct gate **gate);

#endif
