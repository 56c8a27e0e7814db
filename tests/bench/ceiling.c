/* ceiling - the least that a server can do: what no server of the kind can beat.
 *
 *   ceiling PORT            one send() per connection and event
 *   ceiling PORT coalesced  one send() per connection for all that a read brought
 *
 * One thread, epoll.  No authentication, no subscriptions, no memory of
 * anything.  A connection that begins with "PUBLISH" brings events, a line
 * each, and gets an empty line for each; every other one is a WebSocket.  A
 * socket that is full is waited for. */

#include "tests/bench/util.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS 65536
#define IN_BYTES (64 * 1024)
#define LINE_MAX_BYTES 4096
#define GREETING "PUBLISH\n"

enum kind { KIND_NONE, KIND_NEW, KIND_CLIENT, KIND_PUBLISHER };

static struct {
	int epoll, listener;
	bool coalesced;
	uint8_t kind[FDS];
	uint32_t place[FDS]; /* in clients */
	int clients[FDS];
	uint32_t client_count;
	char in[IN_BYTES + LINE_MAX_BYTES];
	size_t in_len; /* of the publisher: there is one */
	char out[2 * IN_BYTES];
	size_t out_len;
} c;

static void
wait_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	(void)poll(&p, 1, 1000);
}

static void
drop(int fd)
{
	if (c.kind[fd] == KIND_CLIENT) {
		int last = c.clients[--c.client_count];

		c.clients[c.place[fd]] = last;
		c.place[last] = c.place[fd];
	}
	c.kind[fd] = KIND_NONE;
	(void)close(fd);
}

static void
send_whole(int fd)
{
	size_t at = 0;

	while (at < c.out_len) {
		ssize_t n = send(fd, c.out + at, c.out_len - at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			wait_writable(fd);
		else if (n < 0)
			return; /* gone: reading says so */
		else
			at += (size_t)n;
	}
}

static void
send_to_all(void)
{
	for (uint32_t i = 0; i < c.client_count; i++)
		send_whole(c.clients[i]);
	c.out_len = 0;
}

static void
append_frame(const char *payload, size_t len)
{
	unsigned char *at = (unsigned char *)c.out + c.out_len;

	at[0] = 0x81;
	if (len < 126) {
		at[1] = (unsigned char)len;
		at += 2;
	} else {
		at[1] = 126;
		at[2] = (unsigned char)(len >> 8);
		at[3] = (unsigned char)len;
		at += 4;
	}
	memcpy(at, payload, len);
	c.out_len = (size_t)((char *)at - c.out) + len;
}

static void
acknowledge(int fd, size_t count)
{
	static char answers[IN_BYTES];

	memset(answers, '\n', sizeof(answers));
	send_all(fd, answers, count);
}

static void
on_publisher(int fd)
{
	ssize_t n = recv(fd, c.in + c.in_len, IN_BYTES, MSG_DONTWAIT);
	char *line = c.in, *end, *next;
	size_t count = 0;

	if (n <= 0) {
		c.in_len = 0;
		drop(fd);
		return;
	}
	end = c.in + c.in_len + n;
	while ((next = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		append_frame(line, (size_t)(next - line));
		if (!c.coalesced)
			send_to_all();
		line = next + 1;
		count++;
	}
	if (c.out_len > 0)
		send_to_all();
	acknowledge(fd, count);
	c.in_len = (size_t)(end - line);
	if (c.in_len > LINE_MAX_BYTES)
		die("a line is too long");
	memmove(c.in, line, c.in_len);
}

static void
accept_key(const char *key, char out[32])
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[64];
	unsigned char h[SHA_DIGEST_LENGTH + 1] = { 0 };

	snprintf(text, sizeof(text), "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	SHA1((const unsigned char *)text, strlen(text), h);
	for (int i = 0; i < 7; i++) {
		unsigned v = (unsigned)h[3 * i] << 16 | (unsigned)h[3 * i + 1] << 8 | h[3 * i + 2];

		for (int k = 0; k < 4; k++)
			out[4 * i + k] = base64[v >> (18 - 6 * k) & 63];
	}
	out[27] = '=';
	out[28] = '\0';
}

/* The first bytes tell what it is; they come in one piece on loopback. */
static void
on_new(int fd)
{
	static const char name[] = "Sec-WebSocket-Key: ";
	char text[4096], key[32], answer[256];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_PEEK);
	const char *at;

	if (n >= 8 && memcmp(text, GREETING, 8) == 0) {
		(void)recv(fd, text, 8, MSG_DONTWAIT);
		c.kind[fd] = KIND_PUBLISHER;
		return;
	}
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, name);
	if (at == NULL || strlen(at) < sizeof(name) - 1 + 24) {
		drop(fd);
		return;
	}
	(void)recv(fd, text, (size_t)n, MSG_DONTWAIT);
	accept_key(at + sizeof(name) - 1, key);
	n = snprintf(answer, sizeof(answer),
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\n\r\n",
		key);
	send_all(fd, answer, (size_t)n);
	c.kind[fd] = KIND_CLIENT;
	c.place[fd] = c.client_count;
	c.clients[c.client_count++] = fd;
}

static void
on_listener(void)
{
	int fd, on = 1;

	while ((fd = accept4(c.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

		if (fd >= FDS)
			die("too many connections");
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		c.kind[fd] = KIND_NEW;
		if (epoll_ctl(c.epoll, EPOLL_CTL_ADD, fd, &e) != 0)
			drop(fd);
	}
}

/* What clients say does not matter, but for good-bye. */
static void
on_client(int fd)
{
	char some[4096];

	if (recv(fd, some, sizeof(some), MSG_DONTWAIT) == 0)
		drop(fd);
}

static void
on_ready(int fd)
{
	if (fd == c.listener) {
		on_listener();
		return;
	}
	switch ((enum kind)c.kind[fd]) {
	case KIND_NEW:
		on_new(fd);
		break;
	case KIND_CLIENT:
		on_client(fd);
		break;
	case KIND_PUBLISHER:
		on_publisher(fd);
		break;
	case KIND_NONE:
		break;
	}
}

static void
start_listening(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct epoll_event e = { .events = EPOLLIN };
	int on = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)setsockopt(c.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(c.listener, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(c.listener, 4096) != 0)
		die("port %u: %s", port, strerror(errno));
	c.epoll = epoll_create1(EPOLL_CLOEXEC);
	e.data.fd = c.listener;
	if (epoll_ctl(c.epoll, EPOLL_CTL_ADD, c.listener, &e) != 0)
		die("epoll_ctl: %s", strerror(errno));
}

int
main(int argc, char **argv)
{
	struct rlimit r;

	if (argc < 2)
		die("usage: ceiling PORT [coalesced]");
	c.coalesced = argc > 2;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
	start_listening((uint16_t)number(argv[1], 1, 65535));
	for (;;) {
		struct epoll_event events[256];
		int n = epoll_wait(c.epoll, events, 256, -1);

		for (int i = 0; i < n; i++)
			on_ready(events[i].data.fd);
	}
}
