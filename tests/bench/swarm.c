#include "tests/bench/swarm_priv.h"
#include "tests/bench/ws.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 256
#define OTHER UINT64_MAX

void
swarm_init(struct swarm *s, const struct swarm_setup *setup, size_t count)
{
	memset(s, 0, sizeof(*s));
	s->setup = *setup;
	s->count = count;
	s->conns = need(count, sizeof(*s->conns));
	s->in = need(1, IN_BYTES + REST_MAX);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->other_fd = -1;
	s->first_seq = 1;
	swarm_reset(s);
	for (size_t i = 0; i < count; i++) {
		s->conns[i].fd = -1;
		s->conns[i].reader = setup->other_path == NULL || i % setup->every == 0;
	}
}

void
swarm_reset(struct swarm *s)
{
	s->deliveries = s->skipped = s->repeated = s->unwanted = s->bytes = 0;
	s->first_sent = UINT64_MAX;
	s->last_read = 0;
	memset(&s->latency, 0, sizeof(s->latency));
}

static void
watch(struct swarm *s, struct conn *c, int how, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.u64 = (uint64_t)(c - s->conns) };

	if (epoll_ctl(s->epoll, how, c->fd, &e) != 0)
		die("epoll_ctl: %s", strerror(errno));
}

static void
let_go(struct conn *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	free(c->rest);
	c->rest = NULL;
	c->rest_len = c->rest_size = 0;
	c->fd = -1;
}

void
conn_lost(struct swarm *s, struct conn *c)
{
	if (c->state == CONN_OPEN) {
		s->lost++;
		s->open--;
	} else {
		s->failed++;
		s->connecting--;
	}
	let_go(c);
	c->state = CONN_OVER;
}

void
conn_opened(struct swarm *s, struct conn *c)
{
	c->state = CONN_OPEN;
	s->connecting--;
	s->open++;
}

/* From one of several addresses, for each has only so many ports. */
static int
outgoing(const struct swarm *s, size_t i)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		die("socket: %s", strerror(errno));
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(i % s->setup.sources));
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0)
		die("bind: %s", strerror(errno));
	return fd;
}

static void
begin(struct swarm *s, size_t i)
{
	struct conn *c = &s->conns[i];

	c->fd = outgoing(s, i);
	c->state = CONN_CONNECTING;
	c->next = 0;
	c->resumed = false;
	s->connecting++;
	watch(s, c, EPOLL_CTL_ADD, EPOLLOUT);
	if (connect(c->fd, (const struct sockaddr *)&s->setup.to, sizeof(s->setup.to)) != 0 &&
		errno != EINPROGRESS)
		conn_lost(s, c);
}

static void
shake(struct swarm *s, struct conn *c)
{
	const size_t i = (size_t)(c - s->conns);
	const struct swarm_setup *u = &s->setup;
	const char *key = u->keys.count > 0 ? u->keys.at[i % u->keys.count] : NULL;
	char text[2048], path[1024];
	const char *base = c->reader ? u->path : u->other_path;
	size_t n;

	if (c->last_id[0] != '\0') {
		snprintf(path, sizeof(path), "%s%clast_event_id=%s", base,
			strchr(base, '?') != NULL ? '&' : '?', c->last_id);
		base = path;
	}
	n = ws_request(text, sizeof(text), base, key, u->protocol);
	if (n == 0)
		die("%s: too long", base);
	if (send(c->fd, text, n, MSG_NOSIGNAL) != (ssize_t)n) {
		conn_lost(s, c);
		return;
	}
	c->state = CONN_SHAKING;
	watch(s, c, EPOLL_CTL_MOD, EPOLLIN);
}

void
swarm_turn(struct swarm *s, int timeout_ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(s->epoll, events, EVENTS, timeout_ms);

	for (int i = 0; i < n; i++) {
		struct conn *c;

		if (events[i].data.u64 == OTHER) {
			s->on_other(s->arg);
			continue;
		}
		c = &s->conns[events[i].data.u64];
		if (c->fd < 0)
			continue;
		if (c->state == CONN_CONNECTING) {
			if ((events[i].events & (EPOLLERR | EPOLLHUP)) != 0)
				conn_lost(s, c);
			else
				shake(s, c);
		} else {
			conn_readable(s, c);
		}
	}
}

bool
swarm_open(struct swarm *s, size_t from, size_t to, uint64_t deadline)
{
	const uint64_t failed = s->failed;
	size_t next = from;

	for (;;) {
		while (next < to && s->connecting < s->setup.in_flight)
			begin(s, next++);
		if (next == to && s->connecting == 0)
			return s->failed == failed;
		if (now_us() > deadline)
			return false;
		swarm_turn(s, 100);
	}
}

void
swarm_close(struct swarm *s, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		struct conn *c = &s->conns[i];

		if (c->state == CONN_OPEN)
			s->open--;
		else if (c->state != CONN_NONE && c->state != CONN_OVER)
			s->connecting--;
		let_go(c);
		c->state = CONN_NONE;
	}
}

void
swarm_stop_reading(struct swarm *s, size_t i)
{
	struct conn *c = &s->conns[i];
	int bytes = 1;

	watch(s, c, EPOLL_CTL_MOD, 0);
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

void
swarm_watch(struct swarm *s, int fd, void (*on_other)(void *), void *arg)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = OTHER };

	if (s->other_fd >= 0)
		(void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->other_fd, NULL);
	s->other_fd = fd;
	s->on_other = on_other;
	s->arg = arg;
	if (fd >= 0 && epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
		die("epoll_ctl: %s", strerror(errno));
}
