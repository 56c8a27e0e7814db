#include "common/check.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <netdb.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Who is looking, in words. */
static const char *
myself(void)
{
	const struct passwd *pw = getpwuid(geteuid());

	return pw != NULL ? pw->pw_name : "this user";
}

void
check_readable(const char *key, const char *path, struct problems *p)
{
	struct stat st;

	if (access(path, R_OK) != 0) {
		int error = errno;

		problems_add(p, "%s: %s cannot be read: %s", key, path, strerror(error));
		if (error == EACCES)
			problems_hint(p, "let the user %s read it and enter its directories", myself());
		else
			problems_hint(p, "is the path right?");
	} else if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		problems_add(p, "%s: %s is no file", key, path);
		problems_hint(p, "name a file");
	}
}

/* The directory of a socket.  False if it has been told. */
static bool
check_directory(const char *key, const char *path, struct problems *p)
{
	char *copy = strdup(path);
	const char *dir = copy != NULL ? dirname(copy) : "/";
	struct stat st;
	bool good = false;

	if (stat(dir, &st) != 0) {
		int error = errno;

		problems_add(p, "%s: the directory %s: %s", key, dir, strerror(error));
		problems_hint(p, "make it: install -d -o %s %s", myself(), dir);
	} else if (!S_ISDIR(st.st_mode)) {
		problems_add(p, "%s: %s is no directory", key, dir);
		problems_hint(p, "name a place in a directory");
	} else if (access(dir, W_OK | X_OK) != 0) {
		int error = errno;

		problems_add(
			p, "%s: nothing can be made in the directory %s: %s", key, dir, strerror(error));
		problems_hint(p, "run this as the user that the program runs as, or give %s to %s", dir,
			myself());
	} else {
		good = true;
	}
	free(copy);
	return good;
}

static bool
somebody_listens(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool yes = fd >= 0 &&
		(connect(fd, (const struct sockaddr *)(const void *)sa, sizeof(*sa)) == 0 ||
			errno == EAGAIN || errno == EACCES);

	if (fd >= 0)
		(void)close(fd);
	return yes;
}

void
check_unix_socket(const char *key, const char *path, bool ours, struct problems *p)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;

	if (path[0] != '/' || strlen(path) >= sizeof(sa.sun_path)) {
		problems_add(p, "%s: %s: a socket's path is absolute and at most %zu bytes long", key,
			path, sizeof(sa.sun_path) - 1);
		problems_hint(p, "take a shorter one, such as /run/evhub/ws.sock");
		return;
	}
	if (!check_directory(key, path, p) || lstat(path, &st) != 0)
		return;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (!S_ISSOCK(st.st_mode)) {
		problems_add(p, "%s: %s exists and is no socket", key, path);
		problems_hint(p, "remove it, or name another path");
	} else if (somebody_listens(&sa) && ours) {
		problems_note(p, "%s: %s is in use, by the running program itself", key, path);
	} else if (somebody_listens(&sa)) {
		problems_add(p, "%s: %s is in use by another program", key, path);
		problems_hint(p, "find it with: fuser -v %s", path);
	}
}

static bool
split(const char *spec, char host[256], const char **port)
{
	const char *colon = strrchr(spec, ':');
	size_t len = colon != NULL ? (size_t)(colon - spec) : 0;

	if (colon == NULL || len >= 256)
		return false;
	*port = colon + 1;
	if (strlen(*port) == 0 || strlen(*port) > 5 || strspn(*port, "0123456789") != strlen(*port) ||
		atoi(*port) > 65535)
		return false;
	if (len >= 2 && spec[0] == '[' && spec[len - 1] == ']') {
		spec++;
		len -= 2;
	} else if (memchr(spec, ':', len) != NULL) {
		return false;
	}
	memcpy(host, spec, len);
	host[len] = '\0';
	if (strcmp(host, "*") == 0)
		host[0] = '\0';
	return true;
}

static void
hint_bind(int error, const char *port, struct problems *p)
{
	switch (error) {
	case EADDRINUSE:
		problems_hint(
			p, "find the program with: ss -ltnp 'sport = :%s'; or take another port", port);
		break;
	case EACCES:
		problems_hint(p,
			"ports below 1024 are for root: take a higher one, with the web server in front");
		break;
	case EADDRNOTAVAIL:
		problems_hint(p, "this machine has no such address; ip addr lists those it has");
		break;
	default:
		break;
	}
}

void
check_tcp_socket(const char *key, const char *spec, bool shared, bool ours, struct problems *p)
{
	struct addrinfo want = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV | (shared ? AI_NUMERICHOST : 0),
		.ai_socktype = SOCK_STREAM },
			*ai = NULL;
	const int one = 1;
	const char *port = "";
	char host[256];
	int fd, error;

	if (!split(spec, host, &port) || (shared && host[0] == '\0') ||
		getaddrinfo(host[0] != '\0' ? host : NULL, port, &want, &ai) != 0) {
		problems_add(p, "%s: \"%s\" is no address", key, spec);
		problems_hint(p,
			"write address:port, [v6 address]:port or unix:/path, such as 127.0.0.1:8090");
		return;
	}
	fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, ai->ai_protocol);
	error = fd < 0 ? errno : 0;
	if (fd >= 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (shared)
			(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
		error = bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 ? errno : 0;
		(void)close(fd);
	}
	freeaddrinfo(ai);
	if (error == EADDRINUSE && ours) {
		problems_note(
			p, "%s: %s is in use, by the running program itself as it seems", key, spec);
	} else if (error != 0) {
		problems_add(p, "%s: %s: %s", key, spec, strerror(error));
		hint_bind(error, port, p);
	}
}
