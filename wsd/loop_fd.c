#include "wsd/loop_fd.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* How many are called before the connections have their turn. */
#define EVENTS_MAX 64

struct loop_fd {
	struct loop_fds *fds;
	struct loop_fd *next; /* once it is not watched any more */
	void (*readable)(void *arg);
	void (*writable)(void *arg);
	void *arg;
	int fd;
	bool watched; /* not unwatched yet */
	bool open;
	bool paused, wants_write;
	bool brings_work;
};

struct loop_fds {
	int epoll;
	bool dispatching;
	struct loop_fd *ended; /* the events at hand may still point to them */
};

struct loop_fds *
loop_fds_new(void)
{
	struct loop_fds *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0) {
		free(s);
		return NULL;
	}
	return s;
}

static void
free_ended(struct loop_fds *s)
{
	while (s->ended != NULL) {
		struct loop_fd *w = s->ended;

		s->ended = w->next;
		free(w);
	}
}

void
loop_fds_free(struct loop_fds **fds)
{
	struct loop_fds *s = *fds;

	if (s == NULL)
		return;
	free_ended(s);
	(void)close(s->epoll);
	free(s);
	*fds = NULL;
}

int
loop_fds_epoll(const struct loop_fds *fds)
{
	return fds->epoll;
}

static int
tell(const struct loop_fd *w, int what)
{
	struct epoll_event event = { .data.ptr = (void *)(uintptr_t)w };

	if (!w->paused)
		event.events |= EPOLLIN;
	if (w->wants_write)
		event.events |= EPOLLOUT;
	return epoll_ctl(w->fds->epoll, what, w->fd, &event);
}

struct loop_fd *
loop_fds_add(struct loop_fds *fds, int fd, void (*readable)(void *), void (*writable)(void *), void *arg)
{
	struct loop_fd *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->fds = fds;
	w->fd = fd;
	w->readable = readable;
	w->writable = writable;
	w->arg = arg;
	w->watched = w->open = true;
	if (tell(w, EPOLL_CTL_ADD) != 0) {
		free(w);
		return NULL;
	}
	return w;
}

void
loop_brings_work(struct loop_fd *watched)
{
	watched->brings_work = true;
}

void
loop_want_write(struct loop_fd *watched)
{
	if (!watched->open || watched->wants_write)
		return;
	watched->wants_write = true;
	(void)tell(watched, EPOLL_CTL_MOD);
}

bool
loop_is_open(const struct loop_fd *watched)
{
	return watched->open;
}

void
loop_pause(struct loop_fd *watched, bool paused)
{
	if (!watched->open || watched->paused == paused)
		return;
	watched->paused = paused;
	(void)tell(watched, EPOLL_CTL_MOD);
}

/* The kernel goes on telling that nobody is there, whatever it is asked about:
 * it is asked no more. */
static void
lose(struct loop_fd *w)
{
	w->open = false;
	(void)epoll_ctl(w->fds->epoll, EPOLL_CTL_DEL, w->fd, NULL);
}

void
loop_unwatch(struct loop_fd **watched)
{
	struct loop_fd *w = *watched;
	struct loop_fds *s;

	if (w == NULL)
		return;
	*watched = NULL;
	s = w->fds;
	if (w->open)
		lose(w);
	(void)close(w->fd);
	w->watched = false;
	w->next = s->ended;
	s->ended = w;
	if (!s->dispatching)
		free_ended(s);
}

static void
call(struct loop_fd *w, uint32_t events)
{
	if (w->watched && w->wants_write && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
		w->wants_write = false;
		(void)tell(w, EPOLL_CTL_MOD);
		if (w->writable != NULL)
			w->writable(w->arg);
	}
	if (!w->watched || !w->open)
		return;
	if (w->paused && !w->wants_write && (events & (EPOLLHUP | EPOLLERR)) != 0)
		lose(w); /* reading says so */
	else if (w->paused || (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
		return;
	w->readable(w->arg);
}

bool
loop_fds_dispatching(const struct loop_fds *fds)
{
	return fds->dispatching;
}

void
loop_fds_dispatch(struct loop_fds *s, bool all)
{
	struct epoll_event events[EVENTS_MAX];
	int n;

	if (s->dispatching)
		return;
	s->dispatching = true;
	n = epoll_wait(s->epoll, events, EVENTS_MAX, 0);
	for (int work = 0; work <= (int)all; work++) {
		for (int i = 0; i < n; i++) {
			struct loop_fd *w = events[i].data.ptr;

			if ((int)w->brings_work == work)
				call(w, events[i].events);
		}
	}
	s->dispatching = false;
	free_ended(s);
}
