#include "wsd/gate.h"

#include "common/address.h"
#include "common/clock.h"
#include "common/guard.h"
#include "wsd/headcount.h"
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
	char *had; /* of the head */
	size_t had_len;
	struct http_head_seen seen; /* of that */
	bool watched;
	bool leaves;		   /* it has been answered */
	struct headcount *counted; /* NULL: its address has no limit */
	char peer[LISTENER_ADDRESS_BYTES];
};

/* One epoll for all that wait, itself watched by the loop, because it can tell
 * of an edge: bytes that are left in a record of TLS must not wake us again. */
struct gate {
	struct gate_setup setup;
	int epoll;
	struct loop_fd *watched; /* closes the epoll */
	struct loop_timer *timer;
	struct gate_place *first, *last; /* in the order of their deadlines */
	char *head;			 /* max_header bytes */
	struct headcount *counts;	 /* of those that wait */
	/* those that are being looked at, of which one may go because of another */
	struct epoll_event events[EVENTS_MAX];
	int event_count;
};

static void
forget(struct gate *g, struct gate_place *w)
{
	*(w->prev != NULL ? &w->prev->next : &g->first) = w->next;
	*(w->next != NULL ? &w->next->prev : &g->last) = w->prev;
	if (w->watched)
		(void)epoll_ctl(g->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	headcount_leave(&g->counts, w->counted);
	for (int i = 0; i < g->event_count; i++)
		if (g->events[i].data.ptr == w)
			g->events[i].data.ptr = NULL;
	free(w->had);
	free(w);
}

/* Takes what has come behind the first had bytes of g->head.  False at the end of
 * the connection; *len is 0 when nothing has. */
static bool
take(struct gate *g, int fd, size_t had, size_t *len)
{
	ssize_t n;

	do
		n = recv(fd, g->head + had, g->setup.max_header - had, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	*len = n > 0 ? (size_t)n : 0;
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
	for (int i = 0; i < EMPTY_LINES_MAX && had == 0 && *len >= 2 && memcmp(g->head, "\r\n", 2) == 0;
		i++) {
		*len -= 2;
		memmove(g->head, g->head + 2, *len);
	}
	return true;
}

/* The same for TLS, but only looks. */
static bool
peek_secured(struct gate *g, void *secured, size_t had, size_t *len)
{
	const struct gate_view *view = &g->setup.view;

	for (int i = 0; i <= EMPTY_LINES_MAX; i++) {
		if (!view->peek(secured, g->head + had, g->setup.max_header - had, len))
			return false;
		if (i == EMPTY_LINES_MAX || had > 0 || *len < 2 || memcmp(g->head, "\r\n", 2) != 0)
			break;
		view->skip(secured, 2);
	}
	return true;
}

/* Keeps the first len bytes of g->head for w. */
static bool
keep(struct gate *g, struct gate_place *w, size_t len)
{
	char *more = realloc(w->had, len);

	if (more == NULL)
		return false;
	memcpy(more + w->had_len, g->head + w->had_len, len - w->had_len);
	w->had = more;
	w->had_len = len;
	return true;
}

/* What has become of a connection. */
enum outcome { WAITS, ENTERS, REFUSED, ENDED };

/* bytes->len bytes are in g->head. */
static enum outcome
judge(struct gate *g, struct gate_bytes *bytes, struct http_head_seen *seen, struct api_error *e)
{
	bytes->at = g->head;
	switch (http_head_check(g->head, bytes->len, g->setup.max_header, seen, e)) {
	case HTTP_HEAD_GOOD:
		bytes->head = seen->len;
		return ENTERS;
	case HTTP_HEAD_BAD:
		return REFUSED;
	case HTTP_HEAD_PART:
		break;
	}
	return WAITS;
}

/* A part of a head, with which nothing is wrong, is kept, and with TLS goes on to
 * the library.  The i-th event has no place any more if it is forgotten meanwhile. */
static enum outcome
judge_more(struct gate *g, int i, struct gate_bytes *bytes, struct api_error *e)
{
	struct gate_place *w = g->events[i].data.ptr;

	for (;;) {
		enum outcome outcome;
		size_t more;

		if (w->had_len > 0)
			memcpy(g->head, w->had, w->had_len);
		if (!(w->secured != NULL ? peek_secured(g, w->secured, w->had_len, &more)
					 : take(g, w->fd, w->had_len, &more)))
			return ENDED;
		if (more == 0)
			return WAITS;
		bytes->len = w->had_len + more;
		outcome = judge(g, bytes, &w->seen, e);
		if (outcome != WAITS)
			return outcome;
		if (!keep(g, w, bytes->len) || (w->secured != NULL && !g->setup.view.pass(w->secured)) ||
			g->events[i].data.ptr == NULL)
			return ENDED;
	}
}

/* Hands it on; it is not ours any more. */
static void
settle(struct gate *g, const struct gate_guest *guest, enum outcome outcome,
	const struct gate_bytes *bytes, const struct api_error *e)
{
	if (outcome == ENTERS)
		g->setup.let_in(g->setup.arg, guest, bytes);
	else if (outcome == REFUSED)
		g->setup.refuse(g->setup.arg, guest, e);
	else
		g->setup.dismiss(g->setup.arg, guest);
}

/* The same for one that has waited. */
static void
release(struct gate *g, struct gate_place *w, enum outcome outcome, const struct gate_bytes *bytes,
	const struct api_error *e)
{
	struct gate_place copy = *w;
	struct gate_guest guest = { copy.fd, copy.peer, copy.secured };

	forget(g, w); /* first: the library is going to watch the descriptor */
	settle(g, &guest, outcome, bytes, e);
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
		release(g, g->first, g->first->leaves || !g->first->watched ? ENDED : REFUSED, NULL, &e);
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
	struct gate_bytes bytes;
	enum outcome outcome;

	if (w->leaves)
		outcome = listener_discard(w->fd) ? WAITS : ENDED;
	else
		outcome = judge_more(g, i, &bytes, &e);
	if (outcome == WAITS && (g->events[i].events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0)
		outcome = ENDED; /* nothing more will come */
	if (outcome != WAITS && g->events[i].data.ptr != NULL)
		release(g, w, outcome, &bytes, &e);
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

/* False when as many of its address wait as may be there. */
static bool
count_in(struct gate *g, struct gate_place *w)
{
	const struct conf *conf = g->setup.conf;
	uint8_t key[HEADCOUNT_KEY_BYTES];

	if (conf->max_clients_per_address == 0 || !guard_applies(w->peer, conf) ||
		!address_key(w->peer, key))
		return true;
	w->counted = headcount_enter(&g->counts, key, (size_t)conf->max_clients_per_address);
	return w->counted != NULL;
}

static struct gate_place *
add(struct gate *g, int fd, const char *peer, void *secured)
{
	struct gate_place *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->fd = fd;
	w->secured = secured;
	memcpy(w->peer, peer, strnlen(peer, sizeof(w->peer) - 1));
	w->deadline = clock_mono_us() + g->setup.timeout_ms * 1000;
	if (g->first == NULL)
		loop_timer_set(g->timer, g->setup.timeout_ms * 1000);
	w->prev = g->last;
	*(g->last != NULL ? &g->last->next : &g->first) = w;
	g->last = w;
	return w;
}

enum evh_rc
gate_expect(struct gate *g, int fd, const char *peer, void *secured, struct gate_place **place)
{
	*place = add(g, fd, peer, secured);
	if (*place == NULL)
		return EVH_NOMEM;
	if (count_in(g, *place))
		return EVH_OK;
	forget(g, *place);
	*place = NULL;
	return EVH_FULL;
}

static enum evh_rc
watch(struct gate *g, struct gate_place *w)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };

	event.data.ptr = w;
	if (!w->watched && epoll_ctl(g->epoll, EPOLL_CTL_ADD, w->fd, &event) != 0)
		return EVH_NOMEM;
	w->watched = true;
	return EVH_OK;
}

enum evh_rc
gate_secured(struct gate *g, struct gate_place *place)
{
	return watch(g, place);
}

/* Waits for more from a plain connection, of which len bytes have come. */
static enum evh_rc
wait_for(struct gate *g, int fd, const char *peer, size_t len, const struct http_head_seen *seen)
{
	struct gate_place *w;
	enum evh_rc rc = gate_expect(g, fd, peer, NULL, &w);

	if (rc != EVH_OK)
		return rc;
	w->seen = *seen;
	if (len > 0 && !keep(g, w, len))
		rc = EVH_NOMEM;
	if (rc == EVH_OK)
		rc = watch(g, w);
	if (rc != EVH_OK)
		forget(g, w);
	return rc;
}

void
gate_crowded(struct api_error *e)
{
	api_error_fail(e, 409, "too_many_connections", "remote_addr",
		"the address has too many connections that have sent no request");
}

void
gate_take(struct gate *g, int fd, const char *peer)
{
	struct gate_guest guest = { fd, peer, NULL };
	struct api_error e = API_ERROR_INIT;
	struct gate_bytes bytes;
	struct http_head_seen seen = { 0, false, 0 };
	enum outcome outcome = WAITS;

	if (!take(g, fd, 0, &bytes.len))
		outcome = ENDED;
	else if (bytes.len > 0)
		outcome = judge(g, &bytes, &seen, &e);
	if (outcome == WAITS) {
		switch (wait_for(g, fd, peer, bytes.len, &seen)) {
		case EVH_OK:
			return;
		case EVH_FULL:
			gate_crowded(&e);
			outcome = REFUSED;
			break;
		default:
			outcome = ENDED;
		}
	}
	settle(g, &guest, outcome, &bytes, &e);
	api_error_free(&e);
}

void
gate_see_off(struct gate *g, const struct gate_guest *guest, struct gate_place **place)
{
	struct gate_place *w = NULL;

	(void)shutdown(guest->fd, SHUT_WR);
	if (listener_discard(guest->fd))
		w = add(g, guest->fd, guest->peer, guest->secured);
	*place = NULL;
	if (w != NULL && count_in(g, w) && watch(g, w) == EVH_OK) {
		w->leaves = true;
		*place = w;
		return;
	}
	if (w != NULL)
		forget(g, w);
	g->setup.dismiss(g->setup.arg, guest);
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
		release(g, g->first, ENDED, NULL, NULL);
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
