#include "wsd/control.h"

#include "common/log.h"
#include "wsd/control_priv.h"
#include "wsd/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The longest request line. */
#define LINE_MAX_BYTES ((size_t)1 << 20)

/* How much is read before others have their turn. */
#define READ_BYTES (256 * 1024)

/* An asker who does not read his answers is not read either. */
#define OUT_MAX_BYTES ((size_t)1 << 20)
#define WAITING_MAX 10000

/* How many lines of one asker, and of all, are taken in a turn of the loop: events must
 * not wait for those who ask a lot. */
#define LINES_OF_ONE 250
#define LINES_OF_ALL 1000

static void
conn_free(struct control_conn *c)
{
	struct control_conn **at = &c->control->conns;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	while (c->first != NULL) {
		struct control_reply *r = c->first;

		c->first = r->next;
		r->conn = NULL;
		if (r->ready || r->change != 0) { /* else the store still has it */
			buf_free(&r->text);
			free(r);
		}
	}
	loop_unwatch(&c->watched);
	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
}

/* Sends what is ready, in order.  False when the connection is gone. */
static bool
send_ready(struct control_conn *c)
{
	while (c->first != NULL && c->first->ready) {
		struct control_reply *r = c->first;

		c->first = r->next;
		if (c->first == NULL)
			c->last = &c->first;
		c->waiting--;
		c->ready_bytes -= r->text.len;
		buf_add(&c->out, r->text.data, r->text.len);
		c->out.failed = c->out.failed || r->text.failed;
		buf_free(&r->text);
		free(r);
	}
	while (c->out.len > 0 && !c->out.failed) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
			return false;
		if (n < 0) {
			loop_want_write(c->watched);
			break;
		}
		memmove(c->out.data, c->out.data + n, c->out.len - (size_t)n);
		c->out.len -= (size_t)n;
	}
	return !c->out.failed;
}

/* True while there is a reason to keep the connection. */
static bool
is_busy(const struct control_conn *c)
{
	if (c->first != NULL || c->out.len > 0)
		return true;
	return !c->closing && (!c->ended || c->blocked || c->more);
}

/* Whether so many answers wait that no more are made. */
static bool
is_full(const struct control_conn *c)
{
	return c->waiting > WAITING_MAX || c->ready_bytes + c->out.len > OUT_MAX_BYTES;
}

static void
pause_or_go_on(struct control_conn *c)
{
	bool pause = c->closing || c->ended || c->blocked || c->more || is_full(c);

	if (pause != c->paused)
		loop_pause(c->watched, pause);
	c->paused = pause;
}

static void take_lines(struct control_conn *c);

/* Takes what lines there are and sends what answers there are. */
static void
serve(struct control_conn *c)
{
	bool again;

	do {
		c->reading = true;
		take_lines(c);
		c->reading = false;
		if (!send_ready(c) || !is_busy(c)) {
			conn_free(c);
			return;
		}
		again = c->blocked && c->unready == 0;
		if (again)
			c->blocked = false;
	} while (again);
	if (c->in.len == 0)
		buf_free(&c->in);
	pause_or_go_on(c);
}

static void
on_writable(void *arg)
{
	serve(arg);
}

void
control_ready(struct control_reply *r)
{
	r->ready = true;
	if (r->conn != NULL)
		r->conn->unready--;
	buf_add(&r->text, "\n", 1);
	if (r->conn != NULL)
		r->conn->ready_bytes += r->text.len;
	if (r->conn == NULL) {
		buf_free(&r->text);
		free(r);
	} else if (!r->conn->reading) {
		r->conn->answered = r->conn->control->answered = true;
	}
}

void
control_turn_ends(struct control *ctl)
{
	struct control_conn *next;

	ctl->lines = 0;
	if (!ctl->answered)
		return;
	ctl->answered = false;
	for (struct control_conn *c = ctl->conns; c != NULL; c = next) {
		next = c->next;
		if (c->answered) {
			c->answered = false;
			serve(c);
		}
	}
}

/* False if the line has to wait. */
static bool
take_line(struct control_conn *c, const char *line, size_t len)
{
	struct control_reply *r = calloc(1, sizeof(*r)), **at = c->last;

	if (r == NULL) {
		c->closing = true;
		return true;
	}
	r->conn = c;
	*at = r;
	c->last = &r->next;
	c->waiting++;
	c->unready++;
	if (control_answer(c, r, line, len))
		return true;
	*at = NULL;
	c->last = at;
	c->waiting--;
	c->unready--;
	free(r);
	return false;
}

/* Answers the whole lines that have come. */
static void
take_lines(struct control_conn *c)
{
	size_t done = 0;
	int lines = 0;
	char *end;

	c->more = false;
	while (!c->closing && !c->blocked && done < c->in.len &&
		(end = memchr(c->in.data + done, '\n', c->in.len - done)) != NULL) {
		size_t len = (size_t)(end - c->in.data) - done;

		if (len > LINE_MAX_BYTES)
			break;
		c->more = is_full(c) || lines >= LINES_OF_ONE || c->control->lines >= LINES_OF_ALL;
		if (c->more)
			break;
		lines++;
		c->control->lines++;
		c->blocked = !take_line(c, c->in.data + done, len);
		if (!c->blocked)
			done += len + 1;
	}
	if (!c->blocked && !c->more && c->in.len - done > LINE_MAX_BYTES) {
		log_warn("control_line_too_long", "limit=%zu", LINE_MAX_BYTES);
		c->closing = true;
		done = c->in.len;
	}
	if (done > 0) {
		memmove(c->in.data, c->in.data + done, c->in.len - done);
		c->in.len -= done;
	}
	/* it goes on in another turn, when the asker reads, or with the next answer */
	if (c->more && !(is_full(c) && c->unready > 0))
		loop_want_write(c->watched);
}

/* Reads what there is; false at the end. */
static bool
read_some(struct control_conn *c)
{
	ssize_t n;

	if (!buf_reserve(&c->in, READ_BYTES))
		return false;
	do
		n = read(c->fd, c->in.data + c->in.len, READ_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK;
	c->in.len += (size_t)n;
	return n > 0;
}

static void
on_readable(void *arg)
{
	struct control_conn *c = arg;

	if (!loop_is_open(c->watched)) {
		conn_free(c);
		return;
	}
	if (!c->ended && !read_some(c))
		c->ended = true; /* what was asked is still answered */
	serve(c);
}

static enum control_role
role_of(struct control *ctl, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	enum control_role role;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return CONTROL_NOBODY;
	role = control_users_role(ctl->users, cred.uid, cred.gid);
	if (role == CONTROL_NOBODY)
		log_warn("control_denied", "uid=%u gid=%u pid=%d", (unsigned)cred.uid,
			(unsigned)cred.gid, (int)cred.pid);
	return role;
}

static void
adopt(struct control *ctl, int fd, enum control_role role)
{
	struct control_conn *c = calloc(1, sizeof(*c));

	if (c != NULL)
		c->watched = loop_watch(ctl->setup.loop, fd, on_readable, on_writable, c);
	if (c == NULL || c->watched == NULL) {
		(void)close(fd);
		free(c);
		return;
	}
	c->control = ctl;
	c->fd = fd;
	c->role = role;
	c->last = &c->first;
	c->next = ctl->conns;
	ctl->conns = c;
}

static void
on_connection(void *arg)
{
	static const char denied[] =
		"{\"ok\":false,\"error\":\"denied: not in control_users or publish_users\"}\n";
	struct control *ctl = arg;
	char peer[LISTENER_ADDRESS_BYTES];
	int fd;

	while ((fd = listener_accept(ctl->listen_fd, peer)) >= 0) {
		enum control_role role = role_of(ctl, fd);

		if (role != CONTROL_NOBODY) {
			adopt(ctl, fd, role);
			continue;
		}
		(void)send(fd, denied, sizeof(denied) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)close(fd);
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		/* who waits would wake us for nothing again and again */
		log_warn("control_not_accepted", "reason=\"%s\"", strerror(errno));
		loop_pause(ctl->listener, true);
		ctl->accept_paused = true;
	}
}

void
control_accept_again(struct control *ctl)
{
	if (!ctl->accept_paused || ctl->listener == NULL)
		return;
	ctl->accept_paused = false;
	loop_pause(ctl->listener, false);
}

enum evh_rc
control_new(struct control **out, const struct control_setup *setup, char *why)
{
	struct control *ctl = calloc(1, sizeof(*ctl));
	enum evh_rc rc;

	*out = NULL;
	if (ctl == NULL)
		return EVH_NOMEM;
	ctl->setup = *setup;
	ctl->started_us = clock_mono_us();
	rc = control_users_new(
		&ctl->users, &setup->conf->control_users, &setup->conf->publish_users, why);
	if (rc == EVH_OK)
		rc = listener_open_unix(
			setup->conf->control_socket, 0660, &ctl->listen_fd, why, CONF_WHY_BYTES);
	if (rc == EVH_OK) {
		ctl->listener = loop_watch(setup->loop, ctl->listen_fd, on_connection, NULL, ctl);
		if (ctl->listener == NULL) {
			(void)close(ctl->listen_fd);
			(void)unlink(setup->conf->control_socket);
			rc = EVH_NOMEM;
		}
	}
	if (rc != EVH_OK) {
		control_users_free(&ctl->users);
		free(ctl);
		return rc;
	}
	*out = ctl;
	return EVH_OK;
}

void
control_changes_applied(struct control *ctl)
{
	bool all = false, asked = false;
	uint64_t reached = 0;

	for (struct control_conn *c = ctl->conns; c != NULL; c = c->next) {
		for (struct control_reply *r = c->first; r != NULL; r = r->next) {
			if (r->change == 0 || r->ready)
				continue;
			if (!asked)
				reached = ctl->setup.sync(ctl->setup.arg, &all);
			asked = true;
			control_try_sync(r, reached, all);
		}
	}
}

void
control_stop_listening(struct control *ctl)
{
	if (ctl->listener == NULL)
		return;
	loop_unwatch(&ctl->listener);
	(void)unlink(ctl->setup.conf->control_socket);
}

void
control_free(struct control **control)
{
	struct control *ctl = *control;

	if (ctl == NULL)
		return;
	control_stop_listening(ctl);
	while (ctl->conns != NULL)
		conn_free(ctl->conns);
	control_users_free(&ctl->users);
	free(ctl);
	*control = NULL;
}
