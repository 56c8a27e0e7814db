/* client.h - one live connection, and the tables to find it by id and user.
 *
 * There may be a hundred thousand of these, so the struct is small and the id
 * table is open-addressed: 16 bytes a client instead of a hash handle's 56.
 * Pure. */

#ifndef EVH_WSD_CLIENT_H
#define EVH_WSD_CLIENT_H

#include "common/ids.h"
#include "common/rc.h"
#include "wsd/hash.h"
#include "wsd/wheel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct group;

enum client_state {
	CLIENT_NEW,	/* accepted, not yet handed to the writer */
	CLIENT_JOINING, /* its rows are not committed yet */
	CLIENT_LIVE,	/* has been sent everything */
	CLIENT_LAGGING, /* its socket took less than there was; has a position */
	CLIENT_WAITING, /* behind what is in memory: waits for the database */
	CLIENT_CLOSING, /* is sent nothing any more */
};

#define CLIENT_NOT_LIVE UINT32_MAX /* in no list; for the other indexes too */

/* A user with at least one connection. */
struct user {
	struct client **clients;
	uint32_t count, size;
	UT_hash_handle hh;
	char user_id[];
};

/* The address of connections, when their number is limited. */
struct address {
	uint32_t count;
	UT_hash_handle hh;
	char text[];
};

struct client {
	uint8_t id[EVH_UUID_BYTES];
	void *conn; /* the server's handle */
	struct user *user;
	struct address *address; /* NULL unless limited */
	struct group *group;	 /* its subscriptions */
	uint64_t pos, seq;	 /* where it stands when it is not live: the next
				    position in memory, and the last event it has */
	int64_t credential_id;
	int64_t connected_at;	  /* µs, wall clock */
	struct wheel_entry timer; /* keepalive */
	uint64_t stamp;		  /* scratch of delivery */
	uint32_t live_index;	  /* in group->live, or CLIENT_NOT_LIVE */
	uint32_t user_index;	  /* in user->clients */
	uint32_t lag_index;	  /* in the hub's list of those not live */
	uint32_t last_rx;	  /* ticks of keepalive */
	uint32_t last_ping;
	uint32_t last_progress;
	uint32_t expires;	   /* seconds since 1970, 0: never */
	uint32_t ping_at, pong_at; /* seconds since 1970, 0: not yet */
	uint32_t received;	   /* KiB, at the last ping */
	uint32_t window;	   /* the second in which messages are counted */
	uint16_t window_count;
	uint8_t state;		/* enum client_state */
	uint8_t unread_replies; /* answered since it has read all that it was sent */
	uint32_t queue_depth;	/* as last written to its row */
	uint32_t dirty_index;	/* in the list of those whose row is to be updated */
};

struct clients {
	struct client **slots; /* open addressing, linear probing */
	size_t size, count;
	struct user *users;
	struct address *addresses;
};

/* The number of connections of a user or an address. */
uint32_t clients_of_user(const struct clients *all, const char *user_id);
uint32_t clients_of_address(const struct clients *all, const char *address);

/* A new client with a new id, in state CLIENT_NEW, in the tables; NULL when
 * out of memory.  address may be NULL; now_us is the wall clock. */
struct client *
clients_add(struct clients *all, const char *user_id, const char *address, int64_t now_us);

/* Takes it out of the tables and frees it; *client becomes NULL. */
void clients_remove(struct clients *all, struct client **client);

struct client *clients_find(const struct clients *all, const uint8_t id[EVH_UUID_BYTES]);
struct user *clients_user(const struct clients *all, const char *user_id);

/* Frees the tables; there must be no clients. */
void clients_free(struct clients *all);

#endif
