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

struct waiting {
	struct waiting *next, *prev;
	int64_t deadline; /* monotonic */
	int fd;
	char peer[LISTENER_ADDRESS_BYTES];
};

/* One epoll for all that wait, itself watched by the loop, because it can tell
 * of an edge: bytes that are left in a socket must not wake us again. */
struct gate {
	struct gate_setup setup;
	int epoll;
	struct loop_fd *watched; /* closes the epoll */
	struct loop_timer *timer;
	struct waiting *first, *last; /* in the order of their deadlines */
	char *head;		      /* max_header bytes */
};

static void
forget(struct gate *g, struct waiting *w)
{
	*(w->prev != NULL ? &w->prev->next : &g->first) = w->next;
	*(w->next != NULL ? &w->next->prev : &g->last) = w->prev;
	(void)epoll_ctl(g->epoll, EPOLL_CTL_DEL, w->fd, NULL);
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
judge(struct gate *g, int fd, struct api_error *e)
{
	size_t len;

	if (!peek(g, fd, &len))
		return ENDED;
	if (len == 0)
		return WAITS;
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

/* Hands the descriptor on; it is not ours any more. */
static void
settle(struct gate *g, int fd, const char *peer, enum outcome outcome, const struct api_error *e)
{
	if (outcome == ENTERS)
		g->setup.let_in(g->setup.arg, fd, peer);
	else if (outcome == REFUSED)
		g->setup.refuse(g->setup.arg, fd, peer, e);
	else
		(void)close(fd);
}

/* The same for one that has waited. */
static void
release(struct gate *g, struct waiting *w, enum outcome outcome, const struct api_error *e)
{
	struct waiting copy = *w;

	forget(g, w); /* first: the library is going to watch the descriptor */
	settle(g, copy.fd, copy.peer, outcome, e);
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
on_readable(void *arg)
{
	struct gate *g = arg;
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(g->epoll, events, EVENTS_MAX, 0);

	for (int i = 0; i < n; i++) {
		struct waiting *w = events[i].data.ptr;
		struct api_error e = API_ERROR_INIT;
		enum outcome outcome = judge(g, w->fd, &e);

		if (outcome == WAITS && (events[i].events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0)
			outcome = ENDED; /* nothing more will come */
		if (outcome != WAITS)
			release(g, w, outcome, &e);
		api_error_free(&e);
	}
}

static bool
wait_for(struct gate *g, int fd, const char *peer)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
	struct waiting *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return false;
	w->fd = fd;
	memcpy(w->peer, peer, strnlen(peer, sizeof(w->peer) - 1));
	w->deadline = clock_mono_us() + g->setup.timeout_ms * 1000;
	event.data.ptr = w;
	if (epoll_ctl(g->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
		free(w);
		return false;
	}
	if (g->first == NULL)
		loop_timer_set(g->timer, g->setup.timeout_ms * 1000);
	w->prev = g->last;
	*(g->last != NULL ? &g->last->next : &g->first) = w;
	g->last = w;
	return true;
}

void
gate_take(struct gate *g, int fd, const char *peer)
{
	struct api_error e = API_ERROR_INIT;
	enum outcome outcome = judge(g, fd, &e);

	if (outcome != WAITS || !wait_for(g, fd, peer))
		settle(g, fd, peer, outcome, &e);
	api_error_free(&e);
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
