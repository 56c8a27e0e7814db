#include "fcgi/listener.h"

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

static enum evh_rc
complain(char why[LISTENER_WHY_BYTES], enum evh_rc rc, const char *spec, const char *text)
{
	(void)snprintf(why, LISTENER_WHY_BYTES, "fcgi_listen = \"%.120s\": %.160s", spec, text);
	return rc;
}

/* Removes a socket that nobody listens on.  EVH_EXISTS if something else is
 * there. */
static enum evh_rc
clear_path(const struct sockaddr_un *sa, const char *spec, char why[LISTENER_WHY_BYTES])
{
	struct stat st;
	int fd, refused;

	if (lstat(sa->sun_path, &st) != 0)
		return EVH_OK;
	if (!S_ISSOCK(st.st_mode))
		return complain(why, EVH_EXISTS, spec, "there is a file that is not a socket");
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0)
		return complain(why, EVH_IO, spec, strerror(errno));
	refused = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0 && errno == ECONNREFUSED;
	(void)close(fd);
	if (!refused)
		return complain(why, EVH_EXISTS, spec, "another program listens there");
	if (unlink(sa->sun_path) != 0 && errno != ENOENT)
		return complain(why, EVH_IO, spec, strerror(errno));
	return EVH_OK;
}

static enum evh_rc
open_unix(struct listener *l, const char *path, const char *spec, char why[LISTENER_WHY_BYTES])
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t old;
	enum evh_rc rc;
	int bound;

	if (path[0] != '/' || strlen(path) >= sizeof(sa.sun_path))
		return complain(
			why, EVH_INVALID, spec, "a socket's path is absolute and at most 107 bytes");
	memcpy(sa.sun_path, path, strlen(path) + 1);
	rc = clear_path(&sa, spec, why);
	if (rc != EVH_OK)
		return rc;
	l->path = strdup(path);
	l->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (l->path == NULL || l->fd < 0)
		return complain(why, EVH_NOMEM, spec, strerror(errno));
	old = umask(0117);
	bound = bind(l->fd, (const struct sockaddr *)&sa, sizeof(sa));
	(void)umask(old);
	if (bound != 0 || listen(l->fd, BACKLOG) != 0 || lstat(path, &st) != 0)
		return complain(why, EVH_IO, spec, strerror(errno));
	l->device = st.st_dev;
	l->inode = st.st_ino;
	return EVH_OK;
}

/* Splits "addr:port" or "[v6]:port"; an empty address or "*" is every one. */
static bool
split(const char *spec, char host[256], const char **port)
{
	const char *colon = strrchr(spec, ':');
	size_t len;

	if (colon == NULL)
		return false;
	*port = colon + 1;
	len = strlen(*port);
	if (len == 0 || len > 5 || strspn(*port, "0123456789") != len || atoi(*port) > 65535)
		return false; /* getaddrinfo would take 65537 for 1 */
	len = (size_t)(colon - spec);
	if (len >= 2 && spec[0] == '[' && spec[len - 1] == ']') {
		spec++;
		len -= 2;
	}
	if (len >= 256)
		return false;
	memcpy(host, spec, len);
	host[len] = '\0';
	if (strcmp(host, "*") == 0)
		host[0] = '\0';
	return true;
}

/* Port 0 lets the system choose: say what it chose. */
static void
tell_port(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char host[128], port[16];

	if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
		getnameinfo((struct sockaddr *)&sa, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		log_info("listening", "address=%s port=%s", host, port);
}

static enum evh_rc
open_tcp(struct listener *l, const char *spec, char why[LISTENER_WHY_BYTES])
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	const char *port;
	char host[256];
	const int one = 1;
	int error;
	enum evh_rc rc = EVH_OK;

	if (!split(spec, host, &port))
		return complain(why, EVH_INVALID, spec,
			"must be /path, unix:/path, address:port or [v6 address]:port");
	error = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &list);
	if (error != 0)
		return complain(why, EVH_INVALID, spec, gai_strerror(error));
	l->fd = socket(list->ai_family, list->ai_socktype, list->ai_protocol);
	if (l->fd < 0 || setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
		bind(l->fd, list->ai_addr, list->ai_addrlen) != 0 || listen(l->fd, BACKLOG) != 0)
		rc = complain(why, errno == EADDRINUSE ? EVH_EXISTS : EVH_IO, spec, strerror(errno));
	freeaddrinfo(list);
	if (rc == EVH_OK)
		tell_port(l->fd);
	return rc;
}

enum evh_rc
listener_open(struct listener *l, const char *spec, char why[LISTENER_WHY_BYTES])
{
	enum evh_rc rc;

	memset(l, 0, sizeof(*l));
	l->fd = -1;
	if (strncmp(spec, "unix:", 5) == 0)
		rc = open_unix(l, spec + 5, spec, why);
	else if (spec[0] == '/')
		rc = open_unix(l, spec, spec, why);
	else
		rc = open_tcp(l, spec, why);
	if (rc == EVH_OK && fcntl(l->fd, F_SETFD, FD_CLOEXEC) != 0)
		rc = complain(why, EVH_IO, spec, strerror(errno));
	if (rc != EVH_OK)
		listener_close(l);
	return rc;
}

void
listener_inherit(struct listener *l, int fd)
{
	memset(l, 0, sizeof(*l));
	l->fd = fd;
}

void
listener_hide(struct listener *l)
{
	struct stat st;

	/* a successor may have put its own socket there */
	if (l->path != NULL && lstat(l->path, &st) == 0 && st.st_dev == l->device &&
		st.st_ino == l->inode)
		(void)unlink(l->path);
	free(l->path);
	l->path = NULL;
}

void
listener_close(struct listener *l)
{
	listener_hide(l);
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
}
