#include "wsd/store.h"

#include "common/db.h"
#include "common/log.h"
#include "wsd/checkpoint.h"
#include "wsd/store_sql.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* How much shares a transaction at most.  A client that joins or leaves is
 * several rows in several tables and indexes; an event is one. */
#define BATCH_WEIGHT 2000
#define WEIGHT_OF_ROWS 16

/* … of which events, which go first, may take so much. */
#define BATCH_EVENTS 1500

/* How many clients are told in one turn of the loop that they have joined, each
 * of whom may be owed a hundred events. */
#define TELL_MAX 64

/* After a failed transaction, how long to wait before the next, ms. */
#define RETRY_MS 200

struct queue {
	struct store_op *head, **tail;
};

struct store {
	sqlite3 *db;
	struct store_sql *sql;
	struct checkpoint *checkpoint;
	pthread_t thread;
	int fd;		      /* eventfd: something has completed */
	struct queue pending; /* submitted, not yet handed to the thread */
	size_t outstanding;   /* submitted and not told */
	struct queue told;    /* completed, the next to be told */

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t wake;
	struct queue events, waiting, completed; /* events wait in a queue of their own */
	int64_t waiting_since;			 /* monotonic µs, 0: nothing waits */
	enum evh_rc health;
	struct store_figures figures;
	bool stopping;
	int64_t stop_at; /* monotonic µs: give up */
};

struct store_op *
store_op_new(enum store_kind kind)
{
	struct store_op *op = calloc(1, sizeof(*op));

	if (op != NULL)
		op->kind = kind;
	return op;
}

void
store_op_free(struct store_op *op)
{
	if (op == NULL)
		return;
	switch (op->kind) {
	case STORE_JOIN:
		free(op->u.join.user_id);
		free(op->u.join.username);
		free(op->u.join.remote_addr);
		free(op->u.join.user_agent);
		free(op->u.join.ticket);
		free(op->u.join.allowed);
		event_types_free(&op->u.join.types);
		break;
	case STORE_PUBLISH:
		free(op->u.publish.event_type);
		free(op->u.publish.message);
		free(op->u.publish.body);
		free(op->u.publish.client_id);
		free(op->u.publish.user_id);
		free(op->u.publish.dedup_id);
		break;
	case STORE_UNSUBSCRIBE:
		event_types_free(&op->u.unsubscribe.types);
		break;
	case STORE_LEAVE:
	case STORE_TOUCH:
	case STORE_STATUS:
	case STORE_PURGE:
		break;
	}
	free(op);
}

static void
queue_init(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static void
queue_push(struct queue *q, struct store_op *op)
{
	op->next = NULL;
	*q->tail = op;
	q->tail = &op->next;
}

static struct store_op *
queue_pop(struct queue *q)
{
	struct store_op *op = q->head;

	q->head = op->next;
	if (q->head == NULL)
		q->tail = &q->head;
	return op;
}

/* Moves everything from one queue to the end of another. */
static void
queue_append(struct queue *to, struct queue *from)
{
	if (from->head == NULL)
		return;
	*to->tail = from->head;
	to->tail = from->tail;
	queue_init(from);
}

/* Moves what one transaction takes; returns how many that are.  Events do not
 * wait behind thousands of clients that come back at once. */
static size_t
take_batch(struct store *s, struct queue *to)
{
	size_t count = 0;
	int weight = 0;

	for (; s->events.head != NULL && weight < BATCH_EVENTS; weight++, count++)
		queue_push(to, queue_pop(&s->events));
	for (; s->waiting.head != NULL && weight < BATCH_WEIGHT; weight += WEIGHT_OF_ROWS, count++)
		queue_push(to, queue_pop(&s->waiting));
	return count;
}

/* Moves everything to the ends of the two queues that it belongs to. */
static void
sort(struct queue *from, struct queue *events, struct queue *others)
{
	while (from->head != NULL) {
		struct store_op *op = queue_pop(from);

		queue_push(op->kind == STORE_PUBLISH ? events : others, op);
	}
}

/* The batch is to be tried again, before all that has come since. */
static void
put_back(struct store *s, struct queue *batch)
{
	struct queue events, others;

	queue_init(&events);
	queue_init(&others);
	sort(batch, &events, &others);
	queue_append(&events, &s->events);
	queue_append(&s->events, &events);
	queue_append(&others, &s->waiting);
	queue_append(&s->waiting, &others);
}

static bool
has_work(const struct store *s)
{
	return s->events.head != NULL || s->waiting.head != NULL;
}

/* Another writer has the lock: ask again soon, whoever it is. */
static int
on_busy(void *arg, int count)
{
	struct timespec nap = { 0, count < 10 ? 200000 : 2000000 };

	(void)arg;
	(void)nanosleep(&nap, NULL);
	return count < 200;
}

static bool
transient(enum evh_rc rc)
{
	return rc == EVH_BUSY;
}

/* One transaction with all of these.  On failure everything is undone and
 * the rc returned is that of the database. */
static enum evh_rc
run_batch(struct store *s, struct queue *batch)
{
	enum evh_rc rc = store_sql_begin(s->sql);

	if (rc != EVH_OK)
		return rc;
	for (struct store_op *op = batch->head; rc == EVH_OK && op != NULL; op = op->next)
		rc = store_sql_run(s->sql, op);
	if (rc == EVH_OK)
		rc = store_sql_commit(s->sql);
	if (rc == EVH_OK && db_moved(s->db))
		rc = EVH_NOT_FOUND; /* it went into a file that is no longer there */
	if (rc != EVH_OK)
		store_sql_rollback(s->sql);
	return rc;
}

/* What must come true in the end is not given up when the disk is full: the
 * rows of clients that have gone, and of what others may no longer have. */
static bool
must_happen(const struct store_op *op)
{
	return op->kind == STORE_LEAVE || op->kind == STORE_UNSUBSCRIBE;
}

/* The batch could not be written: answers those that wait for an answer and
 * keeps the rest for the next time. */
static void
fail_batch(struct store *s, struct queue *batch, enum evh_rc rc)
{
	struct queue kept;

	queue_init(&kept);
	while (batch->head != NULL) {
		struct store_op *op = queue_pop(batch);

		op->rc = rc;
		queue_push(must_happen(op) ? &kept : &s->completed, op);
	}
	queue_append(&kept, &s->waiting);
	queue_append(&s->waiting, &kept);
}

static void
signal_completions(struct store *s)
{
	uint64_t one = 1;

	while (write(s->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void
set_health(struct store *s, enum evh_rc rc)
{
	if (rc == s->health)
		return;
	if (rc == EVH_OK)
		log_info("database_writable", "was=\"%s\"", evh_rc_name(s->health));
	else
		log_error("database_not_writable", "reason=\"%s\" detail=\"%s\"", evh_rc_name(rc),
			sqlite3_errmsg(s->db));
	s->health = rc;
}

/* Counts one transaction.  Called with the lock. */
static void
count_batch(struct store *s, size_t operations, int64_t took, enum evh_rc rc)
{
	if (rc == EVH_OK) {
		histogram_observe(&s->figures.commit, &histogram_time, took > 0 ? (uint64_t)took : 0, 1);
		histogram_observe(&s->figures.batch, &histogram_size, operations, 1);
	} else {
		s->figures.failures++;
	}
}

/* Waits for work.  False when it is time to end.  Called with the lock. */
static bool
wait_for_work(struct store *s)
{
	while (!has_work(s) && !s->stopping)
		(void)pthread_cond_wait(&s->wake, &s->lock);
	if (s->stopping && (!has_work(s) || clock_mono_us() > s->stop_at))
		return false;
	return true;
}

static void
nap(struct store *s, int ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)ms * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	(void)pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

static void *
writer(void *arg)
{
	struct store *s = arg;
	struct queue batch;

	queue_init(&batch);
	(void)pthread_mutex_lock(&s->lock);
	while (wait_for_work(s)) {
		size_t taken;
		int64_t begun;
		enum evh_rc rc;

		taken = take_batch(s, &batch);
		(void)pthread_mutex_unlock(&s->lock);
		begun = clock_mono_us();
		rc = run_batch(s, &batch);
		begun = clock_mono_us() - begun;
		(void)pthread_mutex_lock(&s->lock);
		count_batch(s, taken, begun, rc);
		set_health(s, rc);
		if (rc == EVH_OK) {
			queue_append(&s->completed, &batch);
		} else if (transient(rc)) {
			put_back(s, &batch);
		} else {
			fail_batch(s, &batch, rc);
		}
		if (s->completed.head != NULL)
			signal_completions(s);
		if (rc == EVH_OK)
			s->waiting_since = has_work(s) ? clock_mono_us() : 0;
		else if (!transient(rc))
			nap(s, RETRY_MS);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

static enum evh_rc
start_thread(struct store *s)
{
	sigset_t all, before;
	int failed;

	/* signals are for the service loop */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&s->thread, NULL, writer, s);
	if (failed == 0)
		(void)pthread_setname_np(s->thread, "evhub-writer");
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed != 0 ? EVH_NOMEM : EVH_OK;
}

static void
queue_free(struct queue *q)
{
	while (q->head != NULL)
		store_op_free(queue_pop(q));
}

static void
destroy(struct store *s)
{
	checkpoint_stop(&s->checkpoint);
	store_sql_free(&s->sql);
	db_close(&s->db);
	if (s->fd >= 0)
		(void)close(s->fd);
	queue_free(&s->pending);
	queue_free(&s->told);
	queue_free(&s->events);
	queue_free(&s->waiting);
	queue_free(&s->completed);
	(void)pthread_cond_destroy(&s->wake);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

enum evh_rc
store_start(struct store **out, const struct conf *conf, char *why)
{
	struct db_options options = { .path = conf->database,
		.mode = DB_READ_WRITE,
		.full_sync = conf->synchronous == CONF_SYNC_FULL,
		.triggers = false,
		.busy_ms = 10000 };
	struct store *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	enum evh_rc rc;

	*out = NULL;
	if (s == NULL)
		return EVH_NOMEM;
	queue_init(&s->pending);
	queue_init(&s->told);
	queue_init(&s->events);
	queue_init(&s->waiting);
	queue_init(&s->completed);
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = s->fd < 0 ? EVH_IO : db_open(&options, &s->db, why);
	if (rc == EVH_OK) {
		(void)sqlite3_busy_handler(s->db, on_busy, NULL);
		rc = store_sql_new(&s->sql, s->db, conf);
	}
	if (rc == EVH_OK)
		rc = checkpoint_start(&s->checkpoint, conf, s->db, why);
	if (rc == EVH_OK)
		rc = start_thread(s);
	if (rc != EVH_OK) {
		destroy(s);
		return rc;
	}
	*out = s;
	return EVH_OK;
}

int
store_fd(const struct store *store)
{
	return store->fd;
}

void
store_submit(struct store *s, struct store_op *op)
{
	queue_push(&s->pending, op);
	s->outstanding++;
}

void
store_kick(struct store *s)
{
	if (s->pending.head == NULL)
		return;
	(void)pthread_mutex_lock(&s->lock);
	if (s->waiting_since == 0)
		s->waiting_since = clock_mono_us();
	sort(&s->pending, &s->events, &s->waiting);
	(void)pthread_cond_signal(&s->wake);
	(void)pthread_mutex_unlock(&s->lock);
}

static void
tell(struct store *s, struct store_op *op)
{
	s->outstanding--;
	if (op->done != NULL)
		op->done(op->arg, op);
	else
		store_op_free(op);
}

/* Tells of all events, and of at most so many of the rest. */
static void
tell_some(struct store *s, size_t max)
{
	struct queue done;
	struct queue events;
	uint64_t count;

	(void)!read(s->fd, &count, sizeof(count));
	queue_init(&done);
	queue_init(&events);
	(void)pthread_mutex_lock(&s->lock);
	queue_append(&done, &s->completed);
	(void)pthread_mutex_unlock(&s->lock);
	sort(&done, &events, &s->told);
	while (events.head != NULL)
		tell(s, queue_pop(&events));
	for (size_t i = 0; s->told.head != NULL && i < max; i++)
		tell(s, queue_pop(&s->told));
	if (s->told.head != NULL)
		signal_completions(s); /* in the next turn */
}

void
store_completions(struct store *s)
{
	tell_some(s, TELL_MAX);
}

int64_t
store_waiting_us(struct store *s)
{
	int64_t since;

	(void)pthread_mutex_lock(&s->lock);
	since = s->waiting_since;
	(void)pthread_mutex_unlock(&s->lock);
	return since == 0 ? 0 : clock_mono_us() - since;
}

enum evh_rc
store_health(struct store *s)
{
	enum evh_rc health;

	(void)pthread_mutex_lock(&s->lock);
	health = s->health;
	(void)pthread_mutex_unlock(&s->lock);
	return transient(health) ? EVH_OK : health;
}

void
store_figures(struct store *s, struct store_figures *out)
{
	(void)pthread_mutex_lock(&s->lock);
	*out = s->figures;
	out->outstanding = s->outstanding;
	(void)pthread_mutex_unlock(&s->lock);
}

bool
store_busy(const struct store *s)
{
	return s->outstanding > 0;
}

void
store_stop(struct store **store, int grace_ms)
{
	struct store *s = *store;

	if (s == NULL)
		return;
	store_kick(s);
	(void)pthread_mutex_lock(&s->lock);
	s->stopping = true;
	s->stop_at = clock_mono_us() + (int64_t)grace_ms * 1000;
	(void)pthread_cond_signal(&s->wake);
	(void)pthread_mutex_unlock(&s->lock);
	(void)pthread_join(s->thread, NULL);
	tell_some(s, SIZE_MAX);
	destroy(s);
	*store = NULL;
}
