#include "wsd/watch.h"

#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* After a sign of writing: 50 µs, 100 µs, … 51 ms.  The timers of the loop
 * count milliseconds, which is longer than most commits take, so this one is
 * a timerfd. */
#define FIRST_LOOK_US 50
#define LAST_LOOK_US 52000

/* A busy writer must not keep us reading what it causes. */
#define READS_MAX 8

struct watch {
	char *wal;
	int fd; /* inotify, owned by the loop */
	int descriptor;
	struct loop_fd *watched;
	int timer; /* timerfd, owned by the loop */
	struct loop_fd *timed;
	long next_us;
	void (*look)(void *arg);
	void *arg;
};

static void
set_timer(struct watch *w)
{
	struct itimerspec t = { .it_value = { 0, w->next_us * 1000 } };

	(void)timerfd_settime(w->timer, 0, &t, NULL);
}

static void
look_soon(struct watch *w)
{
	w->next_us = FIRST_LOOK_US;
	set_timer(w);
}

static void
on_timer(void *arg)
{
	struct watch *w = arg;
	uint64_t count;

	if (read(w->timer, &count, sizeof(count)) < 0)
		return; /* it was set again meanwhile */
	w->look(w->arg);
	w->next_us *= 2;
	if (w->next_us <= LAST_LOOK_US)
		set_timer(w);
}

static void
attach(struct watch *w)
{
	w->descriptor = inotify_add_watch(w->fd, w->wal, IN_MODIFY | IN_MOVE_SELF | IN_DELETE_SELF);
	if (w->descriptor < 0)
		log_debug("watch_waits", "file=%s reason=\"%s\"", w->wal, strerror(errno));
}

static void
on_readable(void *arg)
{
	struct watch *w = arg;
	_Alignas(struct inotify_event) char events[4096];
	ssize_t n;
	bool gone = false;

	for (int i = 0; i < READS_MAX && (n = read(w->fd, events, sizeof(events))) > 0; i++) {
		for (char *p = events; p < events + n;) {
			const struct inotify_event *e = (const struct inotify_event *)(void *)p;

			if ((e->mask & (IN_IGNORED | IN_MOVE_SELF | IN_DELETE_SELF)) != 0)
				gone = true;
			p += sizeof(*e) + e->len;
		}
	}
	if (gone)
		attach(w);
	w->look(w->arg);
	look_soon(w);
}

enum evh_rc
watch_new(struct watch **out, struct loop *loop, const char *database, void (*look)(void *), void *arg)
{
	struct watch *w = calloc(1, sizeof(*w));
	size_t len = strlen(database) + sizeof("-wal");

	*out = NULL;
	if (w == NULL)
		return EVH_NOMEM;
	w->look = look;
	w->arg = arg;
	w->descriptor = -1;
	w->wal = malloc(len);
	if (w->wal == NULL) {
		watch_free(&w);
		return EVH_NOMEM;
	}
	(void)snprintf(w->wal, len, "%s-wal", database);
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (w->fd < 0 || w->timer < 0) {
		log_warn("no_inotify", "reason=\"%s\" effect=\"changes are seen within one second\"",
			strerror(errno));
	} else {
		w->watched = loop_watch(loop, w->fd, on_readable, NULL, w);
		w->timed = loop_watch(loop, w->timer, on_timer, NULL, w);
	}
	if (w->watched == NULL && w->fd >= 0)
		(void)close(w->fd);
	if (w->timed == NULL && w->timer >= 0)
		(void)close(w->timer);
	if ((w->watched == NULL) != (w->timed == NULL)) {
		watch_free(&w);
		return EVH_NOMEM;
	}
	if (w->watched != NULL)
		attach(w);
	*out = w;
	return EVH_OK;
}

void
watch_check(struct watch *w)
{
	if (w->watched != NULL && w->descriptor < 0)
		attach(w);
}

void
watch_free(struct watch **watch)
{
	struct watch *w = *watch;

	if (w == NULL)
		return;
	loop_unwatch(&w->watched);
	loop_unwatch(&w->timed);
	free(w->wal);
	free(w);
	*watch = NULL;
}
