#include "fcgi/arrivals.h"

#include "common/clock.h"
#include "common/log.h"
#include "fcgi/records.h"
#include "fcgi/response.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* A request that is longer, or of more records, is handed out before its end has come:
 * poll(2) tells a web server to stop writing into a Unix socket once that holds some
 * 50 KiB, for which a small record counts as 768 bytes. */
#define LOOK_BYTES ((size_t)16 * 1024)
#define LOOK_RECORDS 16

/* How long the thread that accepts waits for the request itself: most web servers write
 * it right after they have connected. */
#define FIRST_LOOK_MS 5

/* How many may wait; the one that has waited longest makes room. */
#define GUESTS_MAX 500

/* How many that are not whole may wait for those before them. */
#define UNFINISHED_MAX 100

/* Pause when accepting fails for want of descriptors or memory. */
#define ACCEPT_PAUSE_MS 100

/* How much of what is not wanted is read in one go, in pieces of 16 KiB. */
#define DISCARDS 64

struct guest {
	struct guest *prev, *next; /* in the order of their deadlines */
	int fd;
	bool leaving;	  /* it was answered */
	bool whole;	  /* its request is there to the end */
	bool restless;	  /* there is more to discard */
	int64_t deadline; /* µs, monotonic */
	struct records records;
};

/* Linked by next. */
struct queue {
	struct guest *head, **tail;
};

struct arrivals {
	int listener, stop;
	int epoll;
	int ready; /* an eventfd that counts the requests that are there */
	int wake;  /* an eventfd: there is something new for the thread */
	int64_t timeout_us;
	pthread_mutex_t turn; /* held while waiting for whoever is next */
	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* of what follows; guests are removed by the thread alone */
	bool ending;
	struct guest *first, *last;
	int count;
	struct queue there;	 /* requests to be handed out */
	struct queue unfinished; /* those that are not whole, of which only some are at a time */
	int unfinished_waiting, unfinished_served, unfinished_max;
};

enum look { LOOK_NOTHING, LOOK_MORE, LOOK_LONG, LOOK_WHOLE, LOOK_GONE };

/* Whether the request is there, without taking anything of it. */
static enum look
look(int fd, struct records *records)
{
	uint8_t bytes[LOOK_BYTES];
	ssize_t n;

	do {
		n = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? LOOK_NOTHING : LOOK_GONE;
	if (n == 0)
		return LOOK_GONE;
	if (records_whole(records, bytes, (size_t)n))
		return LOOK_WHOLE;
	return (size_t)n == sizeof(bytes) || records->count >= LOOK_RECORDS ? LOOK_LONG : LOOK_MORE;
}

static void
ring(int eventfd)
{
	const uint64_t one = 1;

	(void)!write(eventfd, &one, sizeof(one));
}

static bool
answer_bell(int eventfd)
{
	uint64_t count;

	return read(eventfd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

/* Reading from and writing to fd waits no longer than this at a time. */
static void
limit_waits(int fd, int64_t us)
{
	struct timeval t = { .tv_sec = us / 1000000, .tv_usec = us % 1000000 };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

/* The list, under the lock */

static void
append(struct arrivals *a, struct guest *g)
{
	g->next = NULL;
	g->prev = a->last;
	*(a->last != NULL ? &a->last->next : &a->first) = g;
	a->last = g;
	a->count++;
}

static void
take_out(struct arrivals *a, struct guest *g)
{
	*(g->prev != NULL ? &g->prev->next : &a->first) = g->next;
	*(g->next != NULL ? &g->next->prev : &a->last) = g->prev;
	a->count--;
}

static void
queue_init(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static void
push(struct queue *q, struct guest *g)
{
	g->next = NULL;
	*q->tail = g;
	q->tail = &g->next;
}

static struct guest *
shift(struct queue *q)
{
	struct guest *g = q->head;

	if (g != NULL && (q->head = g->next) == NULL)
		q->tail = &q->head;
	return g;
}

/* The thread */

static void
hang_up(struct arrivals *a, struct guest *g)
{
	(void)pthread_mutex_lock(&a->lock);
	take_out(a, g);
	(void)pthread_mutex_unlock(&a->lock);
	(void)close(g->fd); /* which takes it out of the epoll set */
	free(g);
}

/* Has as many who are not whole served as may be at a time.  Under the lock. */
static void
let_unfinished_in(struct arrivals *a)
{
	struct guest *g;

	while (a->unfinished_served < a->unfinished_max && (g = shift(&a->unfinished)) != NULL) {
		a->unfinished_waiting--;
		a->unfinished_served++;
		push(&a->there, g);
		ring(a->ready);
	}
}

static void
hand_out(struct arrivals *a, struct guest *g, bool whole)
{
	(void)epoll_ctl(a->epoll, EPOLL_CTL_DEL, g->fd, NULL);
	(void)pthread_mutex_lock(&a->lock);
	take_out(a, g);
	g->whole = whole;
	push(whole ? &a->there : &a->unfinished, g);
	if (whole)
		ring(a->ready);
	else
		a->unfinished_waiting++;
	let_unfinished_in(a);
	(void)pthread_mutex_unlock(&a->lock);
}

static bool
may_wait_unfinished(struct arrivals *a)
{
	bool may;

	(void)pthread_mutex_lock(&a->lock);
	may = a->unfinished_waiting < UNFINISHED_MAX;
	(void)pthread_mutex_unlock(&a->lock);
	return may;
}

static void
discard(struct arrivals *a, struct guest *g)
{
	uint8_t bytes[16 * 1024];
	ssize_t n = 1;

	for (int i = 0; i < DISCARDS && n > 0; i++)
		do {
			n = recv(g->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		} while (n < 0 && errno == EINTR);
	g->restless = n > 0;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
		hang_up(a, g);
}

/* The client has not sent it all.  Who is behind the web server is not known here. */
static void
answer_late(const struct arrivals *a, const struct guest *g)
{
	struct response response = RESPONSE_INIT;
	struct api_error e = API_ERROR_INIT;
	struct buf text = BUF_INIT, out = BUF_INIT;

	api_error_fail(
		&e, 408, "request_timeout", "body", "the request did not come to its end in time");
	log_info("unfinished_request", "after_ms=%lld",
		(long long)((clock_mono_us() - g->deadline + a->timeout_us) / 1000));
	response_error(&response, &e);
	response_write(&response, &text);
	records_answer(&out, g->records.id, text.data != NULL ? text.data : "", text.len);
	if (!text.failed && !out.failed)
		(void)!send(g->fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(g->fd, SHUT_WR);
	buf_free(&out);
	buf_free(&text);
	api_error_free(&e);
	response_free(&response);
}

/* Something has come, or it is closed, or it was restless.  It may be gone after this. */
static void
attend(struct arrivals *a, struct guest *g, bool closed)
{
	enum look seen;

	if (g->leaving) {
		discard(a, g);
		return;
	}
	seen = look(g->fd, &g->records);
	if (seen == LOOK_WHOLE)
		hand_out(a, g, true);
	else if (seen == LOOK_LONG && may_wait_unfinished(a))
		hand_out(a, g, false);
	else if (seen == LOOK_LONG || seen == LOOK_GONE || closed) {
		if (seen == LOOK_LONG) /* too many like it */
			answer_late(a, g);
		hang_up(a, g);
	}
}

static void
let_leave(struct arrivals *a, struct guest *g, int64_t now)
{
	(void)pthread_mutex_lock(&a->lock);
	take_out(a, g);
	g->leaving = true;
	g->deadline = now + a->timeout_us;
	append(a, g);
	(void)pthread_mutex_unlock(&a->lock);
	discard(a, g);
}

/* Sees to those whose time has come.  How long to wait for the next, ms; -1 for ever. */
static int
look_after_deadlines(struct arrivals *a)
{
	int64_t now = clock_mono_us(), due = INT64_MAX;
	struct guest *g, *next;
	int count;

	for (;;) {
		(void)pthread_mutex_lock(&a->lock);
		g = a->first;
		count = a->count;
		(void)pthread_mutex_unlock(&a->lock);
		if (g == NULL || (g->deadline > now && count <= GUESTS_MAX))
			break;
		if (!g->leaving)
			answer_late(a, g);
		if (g->leaving || count > GUESTS_MAX)
			hang_up(a, g);
		else
			let_leave(a, g, now);
	}
	(void)pthread_mutex_lock(&a->lock);
	g = a->first;
	(void)pthread_mutex_unlock(&a->lock);
	if (g != NULL)
		due = g->deadline;
	for (; g != NULL; g = next) {
		(void)pthread_mutex_lock(&a->lock);
		next = g->next;
		(void)pthread_mutex_unlock(&a->lock);
		if (g->restless) {
			attend(a, g, false);
			due = now; /* for it may be restless again */
		}
	}
	return due == INT64_MAX ? -1 : (int)((due - now) / 1000) + 1;
}

static bool
is_ending(struct arrivals *a)
{
	bool ending;

	(void)pthread_mutex_lock(&a->lock);
	ending = a->ending;
	(void)pthread_mutex_unlock(&a->lock);
	return ending;
}

static void *
wait_for_all(void *arg)
{
	struct arrivals *a = arg;

	while (!is_ending(a)) {
		struct epoll_event events[64];
		int n = epoll_wait(a->epoll, events, 64, look_after_deadlines(a));

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				(void)answer_bell(a->wake);
			else
				attend(a, events[i].data.ptr,
					(events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
		}
	}
	return NULL;
}

/* Those who call */

/* Takes fd over. */
static void
have_wait(struct arrivals *a, int fd, bool leaving, const struct records *records)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
	struct guest *g = calloc(1, sizeof(*g));
	bool added;

	if (g == NULL) {
		(void)close(fd);
		return;
	}
	g->fd = fd;
	g->leaving = leaving;
	g->deadline = clock_mono_us() + a->timeout_us;
	if (records != NULL)
		g->records = *records;
	event.data.ptr = g;
	/* before the lock is given back, the thread cannot have removed it again */
	(void)pthread_mutex_lock(&a->lock);
	added = epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
	if (added)
		append(a, g);
	(void)pthread_mutex_unlock(&a->lock);
	if (!added) {
		log_error("cannot_wait", "reason=\"%s\"", strerror(errno));
		(void)close(fd);
		free(g);
	}
	ring(a->wake);
}

void
arrivals_answered(struct arrivals *a, const struct arrival *arrival, int fd)
{
	if (!arrival->whole) {
		(void)pthread_mutex_lock(&a->lock);
		a->unfinished_served--;
		let_unfinished_in(a);
		(void)pthread_mutex_unlock(&a->lock);
	}
	if (fd < 0)
		return;
	if (arrival->whole) {
		(void)close(fd);
		return;
	}
	(void)shutdown(fd, SHUT_WR);
	have_wait(a, fd, true, NULL);
}

/* One whose request has come while it waited. */
static bool
take_ready(struct arrivals *a, struct arrival *next)
{
	struct guest *g;

	if (!answer_bell(a->ready))
		return false; /* another thread was faster */
	(void)pthread_mutex_lock(&a->lock);
	g = shift(&a->there);
	(void)pthread_mutex_unlock(&a->lock);
	next->fd = g->fd;
	next->whole = g->whole;
	free(g);
	return true;
}

/* A new connection, if its request comes with it. */
static bool
take_new(struct arrivals *a, struct arrival *next)
{
	struct records records = { 0 };
	int fd = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	enum look seen;

	if (fd < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ECONNABORTED)
			return false; /* another thread was faster */
		log_error("accept_failed", "reason=\"%s\"", strerror(errno));
		(void)poll(NULL, 0, ACCEPT_PAUSE_MS);
		return false;
	}
	limit_waits(fd, a->timeout_us);
	seen = look(fd, &records);
	if (seen == LOOK_NOTHING && poll(&p, 1, FIRST_LOOK_MS) > 0)
		seen = look(fd, &records);
	if (seen == LOOK_WHOLE) {
		next->fd = fd;
		next->whole = true;
		return true;
	}
	if (seen == LOOK_GONE)
		(void)close(fd);
	else
		have_wait(a, fd, false, &records);
	return false;
}

bool
arrivals_next(struct arrivals *a, bool finish_backlog, struct arrival *next)
{
	for (;;) {
		struct pollfd p[3] = { { .fd = a->ready, .events = POLLIN },
			{ .fd = a->listener, .events = POLLIN }, { .fd = a->stop, .events = POLLIN } };
		int n;

		(void)pthread_mutex_lock(&a->turn);
		do {
			n = poll(p, 3, -1);
		} while (n < 0 && errno == EINTR);
		(void)pthread_mutex_unlock(&a->turn);
		if ((p[0].revents & POLLIN) != 0 && take_ready(a, next))
			return true;
		if (p[2].revents != 0 && !(finish_backlog && (p[1].revents & POLLIN) != 0))
			return false;
		if ((p[1].revents & POLLIN) != 0 && take_new(a, next))
			return true;
	}
}

enum evh_rc
arrivals_new(struct arrivals **out, int listener, int stop, int64_t timeout_us, int threads)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
	struct arrivals *a = calloc(1, sizeof(*a));

	*out = a;
	if (a == NULL)
		return EVH_NOMEM;
	a->listener = listener;
	a->stop = stop;
	a->timeout_us = timeout_us;
	a->unfinished_max = threads > 1 ? threads / 2 : 1;
	queue_init(&a->there);
	queue_init(&a->unfinished);
	(void)pthread_mutex_init(&a->turn, NULL);
	(void)pthread_mutex_init(&a->lock, NULL);
	a->epoll = epoll_create1(EPOLL_CLOEXEC);
	a->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->started = a->epoll >= 0 && a->ready >= 0 && a->wake >= 0 &&
		epoll_ctl(a->epoll, EPOLL_CTL_ADD, a->wake, &event) == 0 &&
		pthread_create(&a->thread, NULL, wait_for_all, a) == 0;
	if (a->started)
		return EVH_OK;
	arrivals_free(out);
	return EVH_IO;
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

static void
end_all(struct guest *g)
{
	while (g != NULL) {
		struct guest *next = g->next;

		(void)close(g->fd);
		free(g);
		g = next;
	}
}

void
arrivals_free(struct arrivals **arrivals)
{
	struct arrivals *a = *arrivals;

	if (a == NULL)
		return;
	if (a->started) {
		(void)pthread_mutex_lock(&a->lock);
		a->ending = true;
		(void)pthread_mutex_unlock(&a->lock);
		ring(a->wake);
		(void)pthread_join(a->thread, NULL);
	}
	end_all(a->first);
	end_all(a->there.head);
	end_all(a->unfinished.head);
	close_fd(a->epoll);
	close_fd(a->ready);
	close_fd(a->wake);
	(void)pthread_mutex_destroy(&a->turn);
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
	*arrivals = NULL;
}
