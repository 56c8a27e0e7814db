#include "wsd/server.h"

#include "common/log.h"
#include "wsd/gate.h"
#include "wsd/handover.h"
#include "wsd/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How many connections are accepted before others have their turn. */
#define ACCEPT_MAX 64

struct listening {
	struct server *server;
	int fd;
	bool tls;
};

struct server {
	struct loop *loop;
	struct conns *conns;
	struct gate *gate;
	struct server_handlers handlers;
	struct loop_fd **listeners;
	struct listening **listening;
	size_t listener_count;
	struct buf addresses;
	int spare_fd;	 /* given up to refuse somebody when there are no descriptors left */
	struct buf text; /* of the request that is being looked at */
};

/* Refusing */

static void
write_refusal(struct buf *out, const struct api_error *e)
{
	struct buf body = BUF_INIT;
	int code = e->code != 0 ? e->code : 500;

	api_error_json(e, &body);
	buf_printf(out,
		"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
		"Cache-Control: no-store\r\nConnection: close\r\n",
		code, api_status_text(code), body.len);
	if (code == 400)
		buf_puts(out, "Sec-WebSocket-Version: 13\r\n"); /* RFC 6455 section 4.2.2 */
	if (code == 401)
		buf_puts(out, "WWW-Authenticate: Bearer\r\n");
	if (code == 405)
		buf_puts(out, "Allow: GET\r\n");
	if (api_error_retry_after(e) > 0)
		buf_printf(out, "Retry-After: %d\r\n", api_error_retry_after(e));
	buf_puts(out, "\r\n");
	buf_add(out, body.data, body.len);
	out->failed = out->failed || body.failed;
	buf_free(&body);
}

static void
dismiss(void *arg, const struct gate_guest *guest)
{
	(void)arg;
	if (guest->secured != NULL)
		conn_drop_tls(guest->secured);
	else
		(void)close(guest->fd);
}

/* The library has not seen its request, or not all of it. */
static void
refuse(struct server *s, const struct gate_guest *guest, const struct api_error *e)
{
	struct buf out = BUF_INIT;
	struct gate_place *place;

	write_refusal(&out, e);
	if (out.failed) {
		dismiss(s, guest);
	} else if (guest->secured != NULL) {
		conn_answer_tls(guest, &out);
	} else {
		(void)send(guest->fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		gate_see_off(s->gate, guest, &place);
	}
	buf_free(&out);
}

static void
tell_refusal(struct server *s, const char *peer, const struct api_error *e)
{
	s->handlers.refused(s->handlers.conn.arg, peer, e);
}

static void
refuse_at_gate(void *arg, const struct gate_guest *guest, const struct api_error *e)
{
	struct server *s = arg;

	tell_refusal(s, guest->peer, e);
	refuse(s, guest, e);
}

/* Granting */

/* The head is there: whether it becomes a WebSocket is for the handler to say. */
static void
let_in(void *arg, const struct gate_guest *guest, const struct gate_bytes *bytes)
{
	struct server *s = arg;
	struct api_error e = API_ERROR_INIT;
	struct http_request r;
	void *user = NULL;

	if (!http_request_read(&r, &s->text, bytes->at, bytes->head))
		api_error_fail(&e, 503, "out_of_memory", "daemon", "out of memory");
	r.peer = guest->peer;
	r.tls = guest->secured != NULL;
	if (r.tls && r.upgrade) {
		r.bad = handover_fault(&r, bytes->at, bytes->head);
		r.upgrade = r.bad == NULL;
	}
	if (e.code != 0)
		refuse_at_gate(s, guest, &e);
	else if (!s->handlers.request(s->handlers.conn.arg, &r, &e, &user))
		refuse(s, guest, &e);
	else if (guest->secured != NULL)
		conn_grant_tls(guest->secured, user);
	else
		conn_grant(s->conns, guest->fd, &r, bytes, user);
	api_error_free(&e);
}

/* Accepting */

static void
begin_tls(struct server *s, int fd, const char *peer)
{
	struct api_error e = API_ERROR_INIT;
	enum evh_rc rc = conn_begin_tls(s->conns, fd, peer);

	if (rc == EVH_OK)
		return;
	/* before TLS is agreed on nothing can be said but to the log */
	if (rc == EVH_FULL)
		gate_crowded(&e);
	else
		api_error_fail(&e, 503, "out_of_memory", "daemon", "out of memory");
	tell_refusal(s, peer, &e);
	api_error_free(&e);
}

/* Refuses a connection that there is no place for. */
static void
turn_away(const struct listening *l, int fd, const char *peer)
{
	struct api_error e = API_ERROR_INIT;
	struct buf answer = BUF_INIT;

	api_error_fail(&e, 503, "full", "daemon", "the daemon has no file descriptors left");
	tell_refusal(l->server, peer, &e);
	write_refusal(&answer, &e);
	if (!l->tls && !answer.failed)
		(void)send(fd, answer.data, answer.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fd);
	buf_free(&answer);
	api_error_free(&e);
}

/* No descriptor is left: takes the spare one to tell the next in line, so
 * that it does not wait for nothing and the loop does not spin. */
static void
refuse_for_lack(struct server *s, const struct listening *l)
{
	char peer[LISTENER_ADDRESS_BYTES];
	int fd;

	log_warn("no_descriptors", "limit=RLIMIT_NOFILE");
	(void)close(s->spare_fd);
	fd = listener_accept(l->fd, peer);
	if (fd >= 0)
		turn_away(l, fd, peer);
	s->spare_fd = dup(STDERR_FILENO);
}

static void
on_connection(void *arg)
{
	struct listening *l = arg;

	for (int i = 0; i < ACCEPT_MAX; i++) {
		char peer[LISTENER_ADDRESS_BYTES];
		int fd = listener_accept(l->fd, peer);

		if (fd >= loop_max_fds(l->server->loop)) {
			turn_away(l, fd, peer);
		} else if (fd >= 0 && l->tls) {
			begin_tls(l->server, fd, peer);
		} else if (fd >= 0) {
			gate_take(l->server->gate, fd, peer);
		} else if (errno == EMFILE || errno == ENFILE) {
			refuse_for_lack(l->server, l);
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}

static enum evh_rc
listen_on(struct server *s, const char *address, char *why)
{
	struct listening *l = calloc(1, sizeof(*l));
	enum evh_rc rc;
	int fd;

	if (l == NULL)
		return EVH_NOMEM;
	rc = listener_open(address, &fd, &s->addresses, why, CONF_WHY_BYTES);
	if (rc != EVH_OK) {
		free(l);
		return rc;
	}
	l->server = s;
	l->fd = fd;
	l->tls = conns_have_tls(s->conns) && !listener_is_unix(address);
	s->listeners[s->listener_count] = loop_watch(s->loop, fd, on_connection, NULL, l);
	if (s->listeners[s->listener_count] == NULL) {
		(void)close(fd);
		free(l);
		return EVH_NOMEM;
	}
	loop_brings_work(s->listeners[s->listener_count]);
	s->listening[s->listener_count++] = l;
	return EVH_OK;
}

/* The whole */

static enum evh_rc
make_gate(struct server *s, const struct conf *conf)
{
	const struct gate_setup setup = { .loop = s->loop,
		.conf = conf,
		.max_header = (size_t)conf->max_header_bytes,
		.timeout_ms = conf->handshake_timeout,
		.view = conn_view,
		.let_in = let_in,
		.refuse = refuse_at_gate,
		.dismiss = dismiss,
		.arg = s };

	enum evh_rc rc = gate_new(&s->gate, &setup);

	conns_set_gate(s->conns, s->gate);
	return rc;
}

enum evh_rc
server_new(struct server **out, struct loop *loop, const struct conf *conf,
	const struct server_handlers *handlers, char *why)
{
	struct server *s = calloc(1, sizeof(*s));
	enum evh_rc rc;

	*out = NULL;
	if (s == NULL)
		return EVH_NOMEM;
	s->loop = loop;
	s->handlers = *handlers;
	s->spare_fd = dup(STDERR_FILENO);
	s->listeners = calloc(conf->listen.count, sizeof(struct loop_fd *));
	s->listening = calloc(conf->listen.count, sizeof(struct listening *));
	rc = s->listeners == NULL || s->listening == NULL ? EVH_NOMEM : EVH_OK;
	if (rc == EVH_OK)
		rc = conns_new(&s->conns, loop, conf, &handlers->conn, why);
	if (rc == EVH_OK)
		rc = make_gate(s, conf);
	for (size_t i = 0; rc == EVH_OK && i < conf->listen.count; i++)
		rc = listen_on(s, conf->listen.items[i], why);
	if (rc != EVH_OK) {
		server_stop_listening(s);
		server_free(&s);
		return rc;
	}
	*out = s;
	return EVH_OK;
}

void
server_reload_tls(struct server *server, const struct conf *conf)
{
	conns_reload_tls(server->conns, conf);
}

const char *
server_addresses(const struct server *server)
{
	return server->addresses.data != NULL ? server->addresses.data : "";
}

void
server_stop_listening(struct server *s)
{
	gate_free(&s->gate);
	if (s->conns != NULL)
		conns_end(s->conns);
	for (size_t i = 0; i < s->listener_count; i++) {
		loop_unwatch(&s->listeners[i]);
		free(s->listening[i]);
	}
	s->listener_count = 0;
}

void
server_free(struct server **server)
{
	struct server *s = *server;

	if (s == NULL)
		return;
	free(s->listeners);
	free(s->listening);
	buf_free(&s->addresses);
	buf_free(&s->text);
	conns_free(&s->conns);
	if (s->spare_fd >= 0)
		(void)close(s->spare_fd);
	free(s);
	*server = NULL;
}
