#include "fcgi/daemon_link.h"

#include "common/clock.h"
#include "common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Between two attempts to connect while the daemon's queue is full. */
#define CONNECT_PAUSE_MS 10

void
daemon_links_init(struct daemon_links *links)
{
	memset(links, 0, sizeof(*links));
	for (size_t i = 0; i < DAEMON_LINKS; i++)
		links->links[i].fd = -1;
}

static void
disconnect(struct daemon_link *l)
{
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
}

void
daemon_links_close(struct daemon_links *links)
{
	for (size_t i = 0; i < DAEMON_LINKS; i++)
		disconnect(&links->links[i]);
}

/* Milliseconds until the deadline, rounded up; 0 when it has passed. */
static int
remaining_ms(int64_t deadline)
{
	int64_t us = deadline - clock_mono_us();

	if (us <= 0)
		return 0;
	return us / 1000 >= INT32_MAX ? INT32_MAX : (int)((us + 999) / 1000);
}

/* Waits until fd is ready for events, or has hung up. */
static enum evh_rc
wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do {
		n = poll(&p, 1, remaining_ms(deadline));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return EVH_IO;
	return n == 0 ? EVH_TIMEOUT : EVH_OK;
}

/* One attempt.  EVH_BUSY if the daemon's queue of connections is full. */
static enum evh_rc
try_connect(struct daemon_link *l)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	memcpy(sa.sun_path, l->path, strlen(l->path) + 1);
	l->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (l->fd < 0)
		return EVH_IO;
	if (fcntl(l->fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(l->fd, F_SETFL, O_NONBLOCK) == 0 &&
		connect(l->fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
		return EVH_OK;
	switch (errno) {
	case EINPROGRESS:
		return EVH_OK; /* send will tell */
	case EAGAIN:
	case EINTR:
		disconnect(l);
		return EVH_BUSY;
	case EACCES:
	case EPERM:
		disconnect(l);
		return EVH_DENIED;
	case ENOENT:
	case ENOTDIR:
	case ECONNREFUSED:
	case ECONNRESET:
		disconnect(l);
		return EVH_CLOSED;
	default:
		disconnect(l);
		return EVH_IO;
	}
}

/* A stopped daemon accepts nothing, so its queue may fill up: try again until
 * the deadline. */
static enum evh_rc
connect_link(struct daemon_link *l, int64_t deadline)
{
	enum evh_rc rc;

	while ((rc = try_connect(l)) == EVH_BUSY) {
		int ms = remaining_ms(deadline);

		if (ms == 0)
			return EVH_TIMEOUT;
		(void)poll(NULL, 0, ms < CONNECT_PAUSE_MS ? ms : CONNECT_PAUSE_MS);
	}
	return rc;
}

static enum evh_rc
send_all(int fd, const struct buf *line, int64_t deadline)
{
	size_t done = 0;
	enum evh_rc rc = EVH_OK;

	while (rc == EVH_OK && done < line->len) {
		ssize_t n = send(fd, line->data + done, line->len - done, MSG_NOSIGNAL);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			rc = wait_for(fd, POLLOUT, deadline);
		else if (n < 0 && errno != EINTR)
			rc = errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN ? EVH_CLOSED
											: EVH_IO;
	}
	return rc;
}

/* Reads up to the first newline.  What follows it was not asked for. */
static enum evh_rc
receive_line(int fd, struct buf *in, int64_t deadline, size_t *len)
{
	enum evh_rc rc = EVH_OK;

	while (rc == EVH_OK) {
		const char *newline;
		size_t old = in->len;
		ssize_t n;

		if (in->len > DAEMON_ANSWER_MAX)
			return EVH_TOO_LARGE;
		if (!buf_reserve(in, 4096))
			return EVH_NOMEM;
		n = recv(fd, in->data + in->len, 4096, 0);
		if (n == 0)
			return EVH_CLOSED;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			rc = wait_for(fd, POLLIN, deadline);
		else if (n < 0 && errno != EINTR)
			rc = errno == ECONNRESET ? EVH_CLOSED : EVH_IO;
		if (n <= 0)
			continue;
		in->len += (size_t)n;
		newline = memchr(in->data + old, '\n', (size_t)n);
		if (newline != NULL) {
			*len = (size_t)(newline - in->data);
			return *len + 1 == in->len ? EVH_OK : EVH_INVALID;
		}
	}
	return rc;
}

/* Reads the answer.  What it says is for the caller to judge. */
static enum evh_rc
parse_answer(const char *text, size_t len, struct json_object **answer)
{
	char why[JSON_WHY_BYTES];
	enum evh_rc rc = json_parse(text, len, answer, why);

	if (rc == EVH_OK && !json_object_is_type(*answer, json_type_object)) {
		json_object_put(*answer);
		*answer = NULL;
		rc = EVH_INVALID;
	}
	return rc;
}

static enum evh_rc
exchange(struct daemon_link *l, const struct buf *line, int64_t deadline, struct json_object **answer)
{
	struct buf in = BUF_INIT;
	size_t len = 0;
	enum evh_rc rc = send_all(l->fd, line, deadline);

	if (rc == EVH_OK)
		rc = receive_line(l->fd, &in, deadline, &len);
	if (rc == EVH_OK)
		rc = parse_answer(in.data, len, answer);
	buf_free(&in);
	return rc;
}

/* The link to path; a free one, or the one whose turn it is, if there is none. */
static struct daemon_link *
choose(struct daemon_links *links, const char *path)
{
	struct daemon_link *l = NULL;

	for (size_t i = 0; i < DAEMON_LINKS; i++) {
		if (links->links[i].fd < 0)
			l = &links->links[i];
		else if (strcmp(links->links[i].path, path) == 0)
			return &links->links[i];
	}
	if (l == NULL) {
		l = &links->links[links->next];
		links->next = (links->next + 1) % DAEMON_LINKS;
		disconnect(l);
	}
	memcpy(l->path, path, strlen(path) + 1);
	return l;
}

/* An idle connection has nothing to read; if there is, it is the end. */
static bool
went_stale(const struct daemon_link *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

enum evh_rc
daemon_links_ask(struct daemon_links *links, const char *path, const struct buf *line, int64_t deadline,
	struct json_object **answer)
{
	struct daemon_link *l;
	bool reused;
	enum evh_rc rc = EVH_OK;

	*answer = NULL;
	if (line->failed)
		return EVH_NOMEM;
	if (path[0] == '\0' || strlen(path) >= DAEMON_PATH_BYTES)
		return EVH_CLOSED; /* no socket can have this name */
	l = choose(links, path);
	if (l->fd >= 0 && went_stale(l))
		disconnect(l);
	reused = l->fd >= 0;
	if (!reused)
		rc = connect_link(l, deadline);
	if (rc == EVH_OK)
		rc = exchange(l, line, deadline, answer);
	if (rc == EVH_CLOSED && reused) {
		/* the daemon was restarted since the last question */
		disconnect(l);
		rc = connect_link(l, deadline);
		if (rc == EVH_OK)
			rc = exchange(l, line, deadline, answer);
	}
	if (rc != EVH_OK)
		disconnect(l);
	return rc;
}
