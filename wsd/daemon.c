#include "wsd/daemon.h"

#include "common/db.h"
#include "common/log.h"
#include "wsd/catalog.h"
#include "wsd/control.h"
#include "wsd/exposure.h"
#include "wsd/feed.h"
#include "wsd/history.h"
#include "wsd/hub.h"
#include "wsd/instance.h"
#include "wsd/loop.h"
#include "wsd/metrics.h"
#include "wsd/notify.h"
#include "wsd/pace.h"
#include "wsd/place.h"
#include "wsd/reload.h"
#include "wsd/server.h"
#include "wsd/session.h"
#include "wsd/store.h"
#include "wsd/watch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* How many events are taken before others have their turn. */
#define POLL_EVENTS 512

/* How many clients are told to go at once when draining, and how often. */
#define DRAIN_CLIENTS 2000
#define DRAIN_STEP_US 20000

/* How often the daemon's row is refreshed though nothing has happened, s. */
#define STATUS_SECONDS 30

/* While writes wait longer than this, µs, what can wait does. */
#define STORE_SLOW_US INT64_C(1000000)

/* With fewer descriptors libuv aborts and libwebsockets hangs: better to say so. */
#define FDS_MIN 64

/* What writing may take at the end, ms. */
#define STORE_GRACE_MS 5000

struct daemon {
	struct conf *conf;
	const struct conf_args *args;
	struct instance *instance;
	struct loop *loop;
	sqlite3 *db;	  /* the service loop's, for reading */
	sqlite3 *auth_db; /* the same for credentials: its snapshots last a turn */
	struct store *store;
	struct history *history;
	struct hub *hub;
	struct sessions *sessions;
	struct verifier *verifier; /* of the start; a reload gives another */
	struct feed *feed;
	struct watch *watch;
	struct server *server;
	struct control *control;
	struct loop_fd *signals, *store_done, *history_done;
	int signal_fd;
	struct loop_timer *tick, *again, *drain_step;
	bool feed_blocked, feed_failed, draining;
	bool gone, again_from_start; /* the database: taken away; another one is there */
	bool told_to_end;
	int64_t drain_until; /* monotonic µs */
	struct pace pace;
	int flush_fd; /* timerfd, owned by the loop */
	struct loop_fd *flush_due;
	int64_t next_purge;
	bool purging;
	struct metrics metrics;
	uint64_t batch;			      /* events of this step of the feed */
	int64_t batch_at;		      /* created_at of the first, µs */
	uint64_t told_messages, told_changes; /* what the row of this daemon says */
	int64_t since_second;		      /* µs */
	unsigned seconds;
};

/* The feed */

static enum evh_rc
on_feed_event(void *arg, const struct hub_event *event)
{
	struct daemon *d = arg;
	enum evh_rc rc = hub_append(d->hub, event, NULL);

	if (d->batch++ == 0 && !clock_parse(event->timestamp, &d->batch_at))
		d->batch_at = clock_now_us();
	if (rc == EVH_NOMEM)
		return rc; /* none is skipped: it is tried again */
	if (rc != EVH_OK)
		log_error("event_dropped", "seq=%llu event_type=%.64s reason=\"%s\"",
			(unsigned long long)event->seq, event->event_type, evh_rc_name(rc));
	return EVH_OK;
}

static bool
on_feed_change(void *arg, const struct feed_change *change)
{
	struct daemon *d = arg;
	bool applied = sessions_change(d->sessions, change);

	d->feed_blocked = !applied;
	return applied;
}

/* How long it took from the INSERT until the events of this step were read. */
static void
count_pickup(struct daemon *d)
{
	int64_t took = clock_now_us() - d->batch_at;

	histogram_observe(&d->metrics.pickup, &histogram_time, took > 0 ? (uint64_t)took : 0, d->batch);
}

/* One bounded step; true if there is nothing left that could be handed on. */
static bool
poll_feed(struct daemon *d)
{
	bool more = false;
	enum evh_rc rc;

	d->feed_blocked = false;
	d->batch = 0;
	rc = feed_poll(d->feed, POLL_EVENTS, &more);
	if (d->batch > 0)
		count_pickup(d);
	if (rc != EVH_OK && !d->feed_failed)
		log_error("database_unreadable", "reason=\"%s\" detail=\"%s\"", evh_rc_name(rc),
			sqlite3_errmsg(d->db));
	if (rc == EVH_OK && d->feed_failed)
		log_info("database_readable", "%s", "");
	d->feed_failed = rc != EVH_OK;
	if (more)
		loop_timer_set(d->again, 1);
	return !more && rc == EVH_OK && !d->feed_blocked;
}

static void
poll_and_tell(struct daemon *d)
{
	(void)poll_feed(d);
	if (d->control != NULL)
		control_changes_applied(d->control);
}

static void
on_again(void *arg)
{
	poll_and_tell(arg);
}

static void
look(void *arg)
{
	struct daemon *d = arg;

	if (feed_changed(d->feed) || d->feed_failed || d->feed_blocked)
		poll_and_tell(d);
}

static void
catch_up(void *arg, uint64_t seq)
{
	struct daemon *d = arg;

	while (feed_event_seq(d->feed) < seq) {
		uint64_t before = feed_event_seq(d->feed);

		(void)poll_feed(d);
		if (feed_event_seq(d->feed) == before)
			return; /* purged already, or unreadable: there is nothing to wait for */
	}
}

static void
feed_again(void *arg)
{
	struct daemon *d = arg;

	if (d->feed_blocked && d->again != NULL)
		loop_timer_set(d->again, 1);
}

static uint64_t
sync_changes(void *arg, bool *all)
{
	struct daemon *d = arg;

	*all = poll_feed(d);
	return feed_change_seq(d->feed);
}

static uint64_t
changes_in_force(void *arg)
{
	const struct daemon *d = arg;

	return feed_change_seq(d->feed);
}

static void
fetch(void *arg, uint64_t seq)
{
	struct daemon *d = arg;

	d->metrics.history_reads++;
	history_fetch(d->history, seq);
}

static void
mark_dirty(void *arg, struct client *client)
{
	struct daemon *d = arg;

	sessions_dirty(d->sessions, client);
}

static void begin_drain(void *arg);

/* Time */

static void
submit_plain(struct daemon *d, enum store_kind kind)
{
	struct store_op *op = store_op_new(kind);

	if (op == NULL)
		return;
	if (kind == STORE_STATUS) {
		op->u.status.messages_sent = d->told_messages;
		op->u.status.change_seq = d->told_changes;
	}
	store_submit(d->store, op);
}

static void on_purged(void *arg, struct store_op *op);

static void
submit_purge(struct daemon *d)
{
	struct store_op *op = store_op_new(STORE_PURGE);

	if (op == NULL)
		return;
	d->purging = true;
	op->done = on_purged;
	op->arg = d;
	store_submit(d->store, op);
}

static void
on_purged(void *arg, struct store_op *op)
{
	struct daemon *d = arg;

	d->purging = false;
	if (op->rc == EVH_OK && op->u.purge.more && !d->draining)
		submit_purge(d); /* a step at a time: others are served in between */
	store_op_free(op);
}

static void
purge_when_due(struct daemon *d)
{
	if (d->purging || clock_mono_us() < d->next_purge)
		return;
	d->next_purge = clock_mono_us() + d->conf->retain_interval * 1000;
	submit_purge(d);
}

/* The database was replaced: what this daemon knows is not true any more.
 * Everybody is sent away, to come back to what is there now. */
static void
start_over(struct daemon *d, const char *how)
{
	log_error("database_replaced", "how=\"%s\" effect=\"clients are told to reconnect\"", how);
	d->again_from_start = true;
	begin_drain(d);
}

static void
look_after_place(struct daemon *d)
{
	enum place place;

	if (d->draining)
		return;
	place = place_look(d->db, d->conf->database, hub_epoch(d->hub), feed_event_seq(d->feed),
		feed_change_seq(d->feed));
	if (place == PLACE_OTHER)
		start_over(d, "another file");
	else if (place == PLACE_TURNED)
		start_over(d, "another history in the same file");
	else if (place == PLACE_SAME)
		instance_remember(d->instance, hub_epoch(d->hub), feed_event_seq(d->feed));
	else if (!d->gone)
		log_error("database_gone", "effect=\"nothing is accepted until a file is there again\"");
	if (place == PLACE_SAME && d->gone)
		log_info("database_back", "%s", "");
	d->gone = place == PLACE_GONE;
}

static void
each_second(struct daemon *d)
{
	uint64_t sent = hub_stats(d->hub)->messages_sent, changes;

	look_after_place(d);
	watch_check(d->watch);
	control_accept_again(d->control);
	look(d);
	sessions_write_dirty(d->sessions);
	changes = feed_change_seq(d->feed);
	if (store_waiting_us(d->store) < STORE_SLOW_US) { /* nothing piles up behind a lock */
		if (sent != d->told_messages || changes != d->told_changes ||
			d->seconds % STATUS_SECONDS == 0 || store_health(d->store) != EVH_OK) {
			d->told_messages = sent;
			d->told_changes = changes;
			submit_plain(d, STORE_STATUS);
		}
		purge_when_due(d);
	}
	notify_alive();
	log_flush(false);
	d->seconds++;
}

/* One timer for all: an idle daemon wakes once a second. */
static void
on_tick(void *arg)
{
	struct daemon *d = arg;
	int64_t step = sessions_tick_us(d->sessions);

	sessions_tick(d->sessions);
	d->since_second += step;
	if (d->since_second >= 1000000) {
		d->since_second -= 1000000;
		each_second(d);
	}
	loop_timer_set(d->tick, step);
}

/* The end */

static void
on_drain_step(void *arg)
{
	struct daemon *d = arg;
	size_t left = sessions_drain(d->sessions, DRAIN_CLIENTS);

	if ((left == 0 && !store_busy(d->store)) || clock_mono_us() > d->drain_until) {
		if (left > 0)
			log_warn("drain_timeout", "clients_left=%zu", left);
		loop_stop(d->loop);
		return;
	}
	loop_timer_set(d->drain_step, DRAIN_STEP_US);
}

static void
begin_drain(void *arg)
{
	struct daemon *d = arg;

	if (d->draining)
		return;
	d->draining = true;
	log_info("draining", "clients=%zu", hub_clients(d->hub)->count);
	d->drain_until = clock_mono_us() + d->conf->drain_timeout * 1000;
	server_stop_listening(d->server);
	(void)poll_feed(d); /* what is committed by now is delivered */
	hub_flush(d->hub);
	loop_timer_set(d->drain_step, 1);
}

static void
told_to_end(void *arg)
{
	struct daemon *d = arg;

	d->told_to_end = true; /* whatever else is going on */
	notify_stopping(d->conf->drain_timeout + 2 * STORE_GRACE_MS);
	begin_drain(d);
}

static void
reload(struct daemon *d)
{
	struct verifier *verifier;

	if (!reload_conf(d->conf, d->args, &verifier))
		return;
	sessions_set_verifier(d->sessions, verifier);
	verifier_unref(&verifier);
	server_reload_tls(d->server, d->conf);
}

static void
on_signal(void *arg)
{
	struct daemon *d = arg;
	struct signalfd_siginfo info;

	while (read(d->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			notify_reloading();
			reload(d);
			notify_ready();
		} else {
			told_to_end(d);
		}
	}
}

/* The end of a turn of the loop: what it gathered goes to the writer as one
 * transaction, and to the clients as one flush. */
static void
on_turn_end(void *arg)
{
	struct daemon *d = arg;
	size_t backlog;
	int64_t now, wait;

	sessions_turn_ends(d->sessions);
	if (d->control != NULL)
		control_turn_ends(d->control); /* before a flush, which may take a while */
	store_kick(d->store);
	backlog = hub_backlog(d->hub);
	if (backlog == 0)
		return;
	now = clock_mono_us();
	wait = pace_wait(&d->pace, now, backlog);
	if (wait > 0) {
		struct itimerspec t = { .it_value = { 0, wait * 1000 } };

		(void)timerfd_settime(d->flush_fd, 0, &t, NULL);
		return;
	}
	hub_flush(d->hub);
	pace_flushed(&d->pace, now, clock_mono_us());
}

/* The turn that this wakes the loop for ends with the flush. */
static void
on_flush_due(void *arg)
{
	struct daemon *d = arg;
	uint64_t count;

	(void)!read(d->flush_fd, &count, sizeof(count));
}

static void
on_store_done(void *arg)
{
	struct daemon *d = arg;

	store_completions(d->store);
}

static void
on_history_done(void *arg)
{
	struct daemon *d = arg;

	history_completions(d->history, d->hub);
}

/* The beginning */

static void
raise_descriptor_limit(const struct conf *conf, unsigned *fds)
{
	struct rlimit limit;
	rlim_t want = (rlim_t)conf->max_clients + 256;

	*fds = 1024;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (want > limit.rlim_max) {
		log_warn("few_descriptors", "max_clients=%lld limit=%llu effect=\"fewer connections\"",
			(long long)conf->max_clients, (unsigned long long)limit.rlim_max);
		want = limit.rlim_max;
	}
	limit.rlim_cur = want;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		*fds = (unsigned)want;
}

static void
block_signals(int *fd)
{
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	*fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static enum evh_rc
open_readers(struct daemon *d, char *why)
{
	struct db_options options = {
		.path = d->conf->database, .mode = DB_READ_ONLY, .triggers = false, .busy_ms = 1000
	};
	enum evh_rc rc = db_open(&options, &d->db, why);

	/* the second: place_look, by the first, finds out if it is another file */
	if (rc == EVH_OK)
		rc = db_open(&options, &d->auth_db, why);
	return rc;
}

static enum evh_rc
make_hub(struct daemon *d)
{
	struct hub_ops ops = { conn_send, conn_queue, conn_want_writable, conn_close, fetch, mark_dirty,
		clock_now_us, d };
	struct feed_sink sink = { on_feed_event, on_feed_change, d };
	char epoch[EVH_EPOCH_TEXT];
	uint64_t head;
	enum evh_rc rc = db_epoch(d->db, epoch);

	if (rc == EVH_OK)
		rc = feed_new(&d->feed, d->db, &sink, &head);
	if (rc == EVH_OK)
		rc = hub_new(&d->hub, &ops, epoch, head, (size_t)d->conf->log_memory);
	if (rc == EVH_OK)
		rc = catalog_load(d->db, hub_grouping(d->hub));
	if (rc == EVH_OK) /* above all that an earlier run can have used */
		hub_start_numbers(d->hub, (uint64_t)clock_now_us());
	return rc;
}

static enum evh_rc
make_sessions(struct daemon *d, char *why)
{
	struct session_setup setup = { d->conf, d->hub, d->store, &d->metrics, d->db, d->auth_db,
		catch_up, look, feed_again, d };
	enum evh_rc rc = sessions_new(&d->sessions, &setup, why);

	if (rc == EVH_OK)
		sessions_set_verifier(d->sessions, d->verifier);
	return rc;
}

static enum evh_rc
make_timers(struct daemon *d)
{
	d->tick = loop_timer_new(d->loop, on_tick, d);
	d->again = loop_timer_new(d->loop, on_again, d);
	d->drain_step = loop_timer_new(d->loop, on_drain_step, d);
	if (d->tick == NULL || d->again == NULL || d->drain_step == NULL)
		return EVH_NOMEM;
	loop_timer_set(d->tick, sessions_tick_us(d->sessions));
	return EVH_OK;
}

static enum evh_rc
make_watches(struct daemon *d)
{
	char *real = realpath(d->conf->database, NULL);
	enum evh_rc rc;

	d->signals = loop_watch(d->loop, d->signal_fd, on_signal, NULL, d);
	d->store_done = loop_watch(d->loop, dup(store_fd(d->store)), on_store_done, NULL, d);
	d->history_done = loop_watch(d->loop, dup(history_fd(d->history)), on_history_done, NULL, d);
	d->flush_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	d->flush_due = loop_watch(d->loop, d->flush_fd, on_flush_due, NULL, d);
	loop_before_sleep(d->loop, on_turn_end, d);
	if (d->signals == NULL || d->store_done == NULL || d->history_done == NULL ||
		d->flush_due == NULL) {
		free(real);
		return EVH_NOMEM;
	}
	rc = watch_new(&d->watch, d->loop, real != NULL ? real : d->conf->database, look, d);
	free(real);
	return rc;
}

static enum evh_rc
make_doors(struct daemon *d, char *why)
{
	struct server_handlers handlers = sessions_handlers(d->sessions);
	struct control_setup setup = { d->conf, d->loop, d->hub, d->store, &d->metrics, sync_changes,
		changes_in_force, told_to_end, &d->draining, d };
	enum evh_rc rc = control_new(&d->control, &setup, why);

	if (rc == EVH_OK)
		rc = server_new(&d->server, d->loop, d->conf, &handlers, why);
	return rc;
}

static enum evh_rc
start(struct daemon *d, char *why)
{
	unsigned fds;
	enum evh_rc rc;

	raise_descriptor_limit(d->conf, &fds);
	if (fds < FDS_MIN) {
		(void)snprintf(why, CONF_WHY_BYTES,
			"the limit of open files (RLIMIT_NOFILE) is %u, and %d are needed to begin with",
			fds, FDS_MIN);
		return EVH_FULL;
	}
	rc = verifier_new(&d->verifier, d->conf, why); /* before anything is made */
	if (rc == EVH_OK)
		rc = exposure_check(d->conf, NULL, why);
	if (rc == EVH_OK)
		rc = store_start(&d->store, d->conf, why); /* creates the database */
	if (rc == EVH_OK)
		rc = instance_lock(&d->instance, d->conf, why);
	if (rc == EVH_OK)
		rc = instance_register(d->instance, d->conf, why);
	if (rc == EVH_OK)
		rc = history_start(&d->history, d->conf->database, why);
	if (rc == EVH_OK)
		rc = open_readers(d, why);
	if (rc == EVH_OK)
		rc = make_hub(d);
	if (rc == EVH_OK)
		rc = make_sessions(d, why);
	if (rc == EVH_OK)
		rc = loop_new(&d->loop, (enum conf_event_loop)d->conf->event_loop, fds,
			d->conf->handshake_timeout);
	if (rc == EVH_OK)
		rc = make_timers(d);
	if (rc == EVH_OK)
		rc = make_watches(d);
	if (rc == EVH_OK)
		rc = make_doors(d, why);
	return rc;
}

static void
finish(struct daemon *d)
{
	if (d->server != NULL)
		server_stop_listening(d->server);
	if (d->control != NULL)
		control_stop_listening(d->control);
	if (d->loop != NULL)
		loop_before_sleep(d->loop, NULL, NULL);
	if (d->sessions != NULL)
		sessions_turn_ends(d->sessions);
	store_stop(&d->store, STORE_GRACE_MS);
	if (d->sessions != NULL)
		sessions_forget_store(d->sessions);
	control_free(&d->control);
	watch_free(&d->watch);
	loop_unwatch(&d->signals);
	loop_unwatch(&d->store_done);
	loop_unwatch(&d->history_done);
	loop_unwatch(&d->flush_due);
	history_stop(&d->history);
	loop_timer_free(&d->tick);
	loop_timer_free(&d->again);
	loop_timer_free(&d->drain_step);
	loop_free(&d->loop); /* ends what connections are left */
	server_free(&d->server);
	sessions_free(&d->sessions);
	verifier_unref(&d->verifier);
	if (d->feed != NULL && d->hub != NULL)
		instance_remember(d->instance, hub_epoch(d->hub), feed_event_seq(d->feed));
	feed_free(&d->feed);
	hub_free(&d->hub);
	db_close(&d->auth_db);
	db_close(&d->db);
	instance_release(&d->instance, d->conf);
}

/* One life: until a signal, or until another database is there. */
static enum evh_rc
live(struct daemon *d)
{
	char why[CONF_WHY_BYTES] = "";
	enum evh_rc rc;

	block_signals(&d->signal_fd);
	rc = start(d, why);
	if (rc == EVH_OK) {
		log_info("ready", "name=%s listen=%s control_socket=%s pid=%d", d->conf->name,
			server_addresses(d->server), d->conf->control_socket, (int)getpid());
		notify_ready();
		loop_run(d->loop);
	} else {
		log_error("start_failed", "%s", why[0] != '\0' ? why : evh_rc_name(rc));
	}
	finish(d);
	return rc;
}

int
daemon_run(struct conf *conf, const struct conf_args *args)
{
	enum evh_rc rc;
	bool again;

	do {
		struct daemon d = { .conf = conf, .args = args };

		rc = live(&d);
		again = rc == EVH_OK && d.again_from_start && !d.told_to_end;
	} while (again);
	if (rc == EVH_OK)
		log_info("stopped", "name=%s", conf->name);
	log_flush(true);
	return rc == EVH_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
