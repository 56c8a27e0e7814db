#include "wsd/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096
#define UNIX_PREFIX "unix:"

static enum evh_rc
rc_of_errno(int error)
{
	switch (error) {
	case EADDRINUSE:
		return EVH_EXISTS;
	case EACCES:
	case EPERM:
		return EVH_DENIED;
	case ENOMEM:
	case ENFILE:
	case EMFILE:
		return EVH_NOMEM;
	default:
		return EVH_INVALID;
	}
}

static bool
somebody_listens(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool yes;

	if (fd < 0)
		return true; /* better not to take it away */
	yes = connect(fd, (const struct sockaddr *)(const void *)sa, sizeof(*sa)) == 0 ||
		errno == EAGAIN;
	(void)close(fd);
	return yes;
}

enum evh_rc
listener_open_unix(const char *path, unsigned mode, int *out, char *why, size_t why_size)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t mask;
	int fd, failed, error;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		(void)snprintf(why, why_size, "%s: longer than the %zu bytes of a Unix socket's name",
			path, sizeof(sa.sun_path) - 1);
		return EVH_INVALID;
	}
	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode)) {
			(void)snprintf(why, why_size, "%s: exists and is no socket", path);
			return EVH_EXISTS;
		}
		if (somebody_listens(&sa)) {
			(void)snprintf(why, why_size, "%s: another process listens on it", path);
			return EVH_EXISTS;
		}
		(void)unlink(path);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0777 & ~mode);
	failed = fd < 0 || bind(fd, (struct sockaddr *)(void *)&sa, sizeof(sa)) != 0 ||
		listen(fd, BACKLOG) != 0;
	error = errno;
	(void)umask(mask);
	if (failed) {
		(void)snprintf(why, why_size, "%s: %s", path, strerror(error));
		if (fd >= 0)
			(void)close(fd);
		return rc_of_errno(error);
	}
	*out = fd;
	return EVH_OK;
}

/* Splits "addr:port" or "[v6]:port".  False if it is neither. */
static bool
split_address(const char *address, char host[LISTENER_ADDRESS_BYTES], char port[8])
{
	const char *colon = strrchr(address, ':'), *start = address, *end = colon;

	if (colon == NULL || colon[1] == '\0' || strlen(colon + 1) >= 8 ||
		strspn(colon + 1, "0123456789") != strlen(colon + 1) || atoi(colon + 1) > 65535)
		return false;
	if (address[0] == '[') {
		if (colon[-1] != ']')
			return false;
		start = address + 1;
		end = colon - 1;
	} else if (memchr(address, ':', (size_t)(colon - address)) != NULL) {
		return false; /* an IPv6 address without its brackets */
	}
	if (end - start <= 0 || end - start >= LISTENER_ADDRESS_BYTES)
		return false;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	(void)snprintf(port, 8, "%s", colon + 1);
	return true;
}

static void
name_socket(int fd, struct buf *names)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);
	char host[LISTENER_ADDRESS_BYTES], port[8];

	if (getsockname(fd, (struct sockaddr *)(void *)&sa, &len) != 0 ||
		getnameinfo((struct sockaddr *)(void *)&sa, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	buf_printf(names, sa.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static enum evh_rc
open_tcp(const char *address, int *out, struct buf *names, char *why, size_t why_size)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM },
			*ai = NULL;
	char host[LISTENER_ADDRESS_BYTES], port[8];
	int fd, one = 1, error;

	if (!split_address(address, host, port) || getaddrinfo(host, port, &hints, &ai) != 0) {
		(void)snprintf(why, why_size, "listen: \"%s\" is not addr:port, [v6]:port or unix:/path",
			address);
		return EVH_INVALID;
	}
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
		/* connections come with their request: one wake-up for both */
		(void)setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof(one));
		/* what is accepted has it too: Linux copies it */
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (ai->ai_family == AF_INET6)
			(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	}
	if (fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
		error = errno;
		(void)snprintf(why, why_size, "listen: %s: %s", address, strerror(error));
		freeaddrinfo(ai);
		if (fd >= 0)
			(void)close(fd);
		return rc_of_errno(error);
	}
	freeaddrinfo(ai);
	name_socket(fd, names);
	*out = fd;
	return EVH_OK;
}

bool
listener_is_unix(const char *address)
{
	return strncmp(address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
}

enum evh_rc
listener_open(const char *address, int *fd, struct buf *names, char *why, size_t why_size)
{
	enum evh_rc rc;

	if (names->len > 0)
		buf_puts(names, ",");
	if (!listener_is_unix(address))
		return open_tcp(address, fd, names, why, why_size);
	rc = listener_open_unix(address + strlen(UNIX_PREFIX), 0666, fd, why, why_size);
	buf_puts(names, address);
	return rc;
}

static void
name_peer(const struct sockaddr_storage *sa, char peer[LISTENER_ADDRESS_BYTES])
{
	if (sa->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		(void)inet_ntop(AF_INET, &in->sin_addr, peer, LISTENER_ADDRESS_BYTES);
	} else if (sa->ss_family == AF_INET6) { /* without the interface, which is no part of it */
		const struct sockaddr_in6 *in6 = (const void *)sa;

		(void)inet_ntop(AF_INET6, &in6->sin6_addr, peer, LISTENER_ADDRESS_BYTES);
	} else {
		(void)snprintf(peer, LISTENER_ADDRESS_BYTES, "unix");
	}
}

int
listener_accept(int fd, char peer[LISTENER_ADDRESS_BYTES])
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);
	int conn = accept4(fd, (struct sockaddr *)(void *)&sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (conn >= 0)
		name_peer(&sa, peer);
	return conn;
}

bool
listener_discard(int fd)
{
	char scratch[4096];

	for (int i = 0; i < 64; i++) {
		ssize_t n = recv(fd, scratch, sizeof(scratch), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
	}
	return false;
}
