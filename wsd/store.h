/* store.h - the daemon's one writer.
 *
 * All writes of the daemon go through one thread, which commits whatever has
 * gathered as one transaction (group commit): the service loop never waits
 * for a disk.  An operation is submitted, carried out, and comes back with
 * its result in store_completions; events in the order of their submission, and
 * the rest in that of theirs.
 *
 * The writer's connection fires no triggers, so the daemon does not hear its
 * own echo; what the triggers would check is checked here. */

#ifndef EVH_WSD_STORE_H
#define EVH_WSD_STORE_H

#include "common/clock.h"
#include "common/conf.h"
#include "common/event_types.h"
#include "common/ids.h"
#include "common/rc.h"
#include "wsd/histogram.h"

#include <stdbool.h>
#include <stdint.h>

enum store_kind {
	STORE_JOIN,	   /* a client and its subscriptions */
	STORE_LEAVE,	   /* remove them */
	STORE_UNSUBSCRIBE, /* remove some subscriptions of a client */
	STORE_PUBLISH,	   /* one persistent event */
	STORE_TOUCH,	   /* pings, pongs and queue depth of a client */
	STORE_STATUS,	   /* the daemon's own row */
	STORE_PURGE,	   /* retention: one bounded step */
};

enum store_resume { RESUME_NONE, RESUME_OK, RESUME_EXPIRED, RESUME_UNKNOWN };

struct store_op {
	struct store_op *next;
	enum store_kind kind;
	enum evh_rc rc; /* result */

	/* called by store_completions; frees the op with store_op_free */
	void (*done)(void *arg, struct store_op *op);
	void *arg;

	uint8_t client[EVH_UUID_BYTES]; /* JOIN, LEAVE, UNSUBSCRIBE, TOUCH */
	union {
		struct {
			char *user_id, *username, *remote_addr, *user_agent;
			char *ticket;  /* hash of one to be used up, or NULL; EVH_NOT_FOUND if it is gone
					*/
			char *allowed; /* patterns, where there is no credential to say it; or NULL */
			int64_t credential_id, connected_at; /* credential_id 0: none */
			struct event_types types;
			bool resume; /* asked for, with an id of this epoch */
			uint64_t resume_seq;
			uint64_t start_seq;	   /* result: where to read on from */
			enum store_resume resumed; /* result, where it is asked for */
		} join;
		struct {
			char *event_type, *message, *body; /* body: NULL for none */
			size_t message_len, body_len;
			char *client_id, *user_id, *dedup_id; /* NULL: not given */
			uint64_t seq;			      /* result */
			bool duplicate; /* result: dedup_id was there; seq is the first */
		} publish;
		struct {
			struct event_types types;
			uint64_t change_seq; /* of later changes, rows stay */
		} unsubscribe;
		struct {
			uint32_t ping_at, pong_at, queue_depth;
		} touch;
		struct {
			uint64_t messages_sent, change_seq; /* sent, and applied */
		} status;
		struct {
			bool more; /* result: call again */
		} purge;
	} u;
};

struct store;

/* A zeroed operation; NULL when out of memory. */
struct store_op *store_op_new(enum store_kind kind);
void store_op_free(struct store_op *op);

/* Opens the database for writing (creating it) and starts the thread.  name
 * is the daemon's.  why as in db_open. */
enum evh_rc store_start(struct store **out, const struct conf *conf, char *why);

/* Becomes readable when operations have completed. */
int store_fd(const struct store *store);

/* Takes over op.  It reaches the thread with the next store_kick: what one turn
 * of the loop submits is carried out together. */
void store_submit(struct store *store, struct store_op *op);

/* Hands what has been submitted to the thread. */
void store_kick(struct store *store);

/* Calls done for operations that have completed: every event, and a bounded
 * number of the rest; the others follow when store_fd is readable again. */
void store_completions(struct store *store);

/* For how long the oldest operation has been waiting, µs; 0 if none is. */
int64_t store_waiting_us(struct store *store);

/* The last result of writing: EVH_OK while the database takes writes. */
enum evh_rc store_health(struct store *store);

/* What the writer has done so far. */
struct store_figures {
	struct histogram commit; /* transactions: how long they took, µs */
	struct histogram batch;	 /* … and how many operations shared one */
	uint64_t failures;	 /* transactions that failed */
	uint64_t outstanding;	 /* operations submitted and not told of */
};
void store_figures(struct store *store, struct store_figures *out);

/* True while operations wait or have not been told. */
bool store_busy(const struct store *store);

/* Carries out what is waiting (for at most grace_ms), ends the thread and
 * frees everything.  Operations that were not carried out are dropped. */
void store_stop(struct store **store, int grace_ms);

#endif
