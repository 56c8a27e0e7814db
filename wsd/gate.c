#include "wsd/gate.h"

#include "common/clock.h"
#include "wsd/http_head.h"
#include "wsd/listener.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* How many are looked at before others have their turn. */
#define EVENTS_MAX 64

/* Empty lines before a request that are overlooked (RFC 9112 section 2.2). */
#define EMPTY_LINES_MAX 4

struct gate_place {
	struct gate_place *next, *prev;
	int64_t deadline; /* monotonic */
	int fd;
	void *secured;
	char *passed; /* of the head; TLS */
	size_t passed_len;
	char peer[LISTENER_ADDRESS_BYTES];
};

/* One epoll for all that wait, itself watched by the loop, because it can tell
 * of an edge: bytes that are left in a socket must not wake us again. */
struct gate {
	struct gate_setup setup;
	int epoll;
	struct loop_fd *watched; /* closes the epoll */
	struct loop_timer *timer;
	struct gate_place *first, *last; /* in the order of their deadlines */
	char *head;			 /* max_header bytes */
	/* those that are being looked at, of which one may go because of another */
	struct epoll_event events[EVENTS_MAX];
	int event_count;
};

static void
forget(struct gate *g, struct gate_place *w)
{
	*(w->prev != NULL ? &w->prev->next : &g->first) = w->next;
	*(w->next != NULL ? &w->next->prev : &g->last) = w->prev;
	(void)epoll_ctl(g->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	for (int i = 0; i < g->event_count; i++)
		if (g->events[i].data.ptr == w)
			g->events[i].data.ptr = NULL;
	free(w->passed);
	free(w);
}

/* Looks without taking.  False at the end of the connection. */
static bool
peek(struct gate *g, int fd, size_t *len)
{
	for (int i = 0; i <= EMPTY_LINES_MAX; i++) {
		ssize_t n;

		do
			n = recv(fd, g->head, g->setup.max_header, MSG_PEEK | MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		*len = n > 0 ? (size_t)n : 0;
		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
		if (i == EMPTY_LINES_MAX || n < 2 || memcmp(g->head, "\r\n", 2) != 0)
			break;
		(void)recv(fd, g->head, 2, MSG_DONTWAIT);
	}
	return true;
}

/* What has become of a connection. */
enum outcome { WAITS, ENTERS, REFUSED, ENDED };

static enum outcome
judge_head(struct gate *g, size_t len, struct api_error *e)
{
	switch (http_head_check(g->head, len, g->setup.max_header, e)) {
	case HTTP_HEAD_GOOD:
		return ENTERS;
	case HTTP_HEAD_BAD:
		return REFUSED;
	case HTTP_HEAD_PART:
		break;
	}
	return WAITS;
}

static enum outcome
judge(struct gate *g, int fd, struct api_error *e)
{
	size_t len;

	if (!peek(g, fd, &len))
		return ENDED;
	return len > 0 ? judge_head(g, len, e) : WAITS;
}

/* Looks at the record behind what was passed on: *len is all of it together. */
static bool
peek_secured(struct gate *g, const struct gate_place *w, size_t *len)
{
	const struct gate_view *view = &g->setup.view;
	size_t had = w->passed_len, n = 0;

	if (had > 0)
		memcpy(g->head, w->passed, had);
	for (int i = 0; i <= EMPTY_LINES_MAX; i++) {
		if (!view->peek(w->secured, g->head + had, g->setup.max_header - had, &n))
			return false;
		if (i == EMPTY_LINES_MAX || had > 0 || n < 2 || memcmp(g->head, "\r\n", 2) != 0)
			break;
		view->skip(w->secured, 2);
	}
	*len = n > 0 ? had + n : 0;
	return true;
}

/* A part of a head, with which nothing is wrong, goes on to the library. */
static bool
pass(struct gate *g, struct gate_place *w, size_t len)
{
	char *more = realloc(w->passed, len);

	if (more == NULL)
		return false;
	memcpy(more + w->passed_len, g->head + w->passed_len, len - w->passed_len);
	w->passed = more;
	w->passed_len = len;
	return g->setup.view.pass(w->secured);
}

/* The i-th event has no place any more if it is forgotten meanwhile. */
static enum outcome
judge_secured(struct gate *g, int i, struct api_error *e)
{
	struct gate_place *w = g->events[i].data.ptr;

	for (;;) {
		enum outcome outcome;
		size_t len;

		if (!peek_secured(g, w, &len))
			return ENDED;
		if (len == 0)
			return WAITS;
		outcome = judge_head(g, len, e);
		if (outcome != WAITS)
			return outcome;
		if (!pass(g, w, len) || g->events[i].data.ptr == NULL)
			return ENDED;
	}
}

/* Hands it on; it is not ours any more. */
static void
settle(struct gate *g, const struct gate_guest *guest, enum outcome outcome, const struct api_error *e)
{
	if (outcome == ENTERS)
		g->setup.let_in(g->setup.arg, guest);
	else if (outcome == REFUSED)
		g->setup.refuse(g->setup.arg, guest, e);
	else
		g->setup.dismiss(g->setup.arg, guest);
}

/* The same for one that has waited. */
static void
release(struct gate *g, struct gate_place *w, enum outcome outcome, const struct api_error *e)
{
	struct gate_place copy = *w;
	struct gate_guest guest = { copy.fd, copy.peer, copy.secured };

	forget(g, w); /* first: the library is going to watch the descriptor */
	settle(g, &guest, outcome, e);
}

static void
on_timer(void *arg)
{
	struct gate *g = arg;
	int64_t now = clock_mono_us();

	while (g->first != NULL && g->first->deadline <= now) {
		struct api_error e = API_ERROR_INIT;

		api_error_fail(
			&e, 408, "handshake_timeout", "request", "the request has not come in time");
		release(g, g->first, REFUSED, &e);
		api_error_free(&e);
	}
	if (g->first != NULL)
		loop_timer_set(g->timer, g->first->deadline - now);
}

static void
look_at(struct gate *g, int i)
{
	struct gate_place *w = g->events[i].data.ptr;
	struct api_error e = API_ERROR_INIT;
	enum outcome outcome = w->secured != NULL ? judge_secured(g, i, &e) : judge(g, w->fd, &e);

	if (outcome == WAITS && (g->events[i].events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0)
		outcome = ENDED; /* nothing more will come */
	if (outcome != WAITS && g->events[i].data.ptr != NULL)
		release(g, w, outcome, &e);
	api_error_free(&e);
}

static void
on_readable(void *arg)
{
	struct gate *g = arg;

	g->event_count = epoll_wait(g->epoll, g->events, EVENTS_MAX, 0);
	for (int i = 0; i < g->event_count; i++)
		if (g->events[i].data.ptr != NULL)
			look_at(g, i);
	g->event_count = 0;
}

static struct gate_place *
wait_for(struct gate *g, int fd, const char *peer, void *secured)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
	struct gate_place *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->fd = fd;
	w->secured = secured;
	memcpy(w->peer, peer, strnlen(peer, sizeof(w->peer) - 1));
	w->deadline = clock_mono_us() + g->setup.timeout_ms * 1000;
	event.data.ptr = w;
	if (epoll_ctl(g->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
		free(w);
		return NULL;
	}
	if (g->first == NULL)
		loop_timer_set(g->timer, g->setup.timeout_ms * 1000);
	w->prev = g->last;
	*(g->last != NULL ? &g->last->next : &g->first) = w;
	g->last = w;
	return w;
}

void
gate_take(struct gate *g, int fd, const char *peer)
{
	struct gate_guest guest = { fd, peer, NULL };
	struct api_error e = API_ERROR_INIT;
	enum outcome outcome = judge(g, fd, &e);

	if (outcome != WAITS || wait_for(g, fd, peer, NULL) == NULL)
		settle(g, &guest, outcome, &e);
	api_error_free(&e);
}

struct gate_place *
gate_take_secured(struct gate *g, int fd, const char *peer, void *secured)
{
	return wait_for(g, fd, peer, secured);
}

void
gate_drop(struct gate *g, struct gate_place *place)
{
	forget(g, place);
}

void
gate_close(struct gate *g)
{
	while (g->first != NULL)
		release(g, g->first, ENDED, NULL);
	loop_unwatch(&g->watched);
	loop_timer_free(&g->timer);
}

void
gate_free(struct gate **gate)
{
	struct gate *g = *gate;

	if (g == NULL)
		return;
	gate_close(g);
	free(g->head);
	free(g);
	*gate = NULL;
}

enum evh_rc
gate_new(struct gate **out, const struct gate_setup *setup)
{
	struct gate *g = calloc(1, sizeof(*g));

	*out = NULL;
	if (g == NULL)
		return EVH_NOMEM;
	g->setup = *setup;
	g->head = malloc(setup->max_header);
	g->epoll = epoll_create1(EPOLL_CLOEXEC);
	g->timer = loop_timer_new(setup->loop, on_timer, g);
	if (g->epoll >= 0)
		g->watched = loop_watch(setup->loop, g->epoll, on_readable, NULL, g);
	if (g->watched != NULL)
		loop_brings_work(g->watched);
	else if (g->epoll >= 0)
		(void)close(g->epoll);
	if (g->head == NULL || g->timer == NULL || g->watched == NULL) {
		gate_free(&g);
		return EVH_NOMEM;
	}
	*out = g;
	return EVH_OK;
}
