#include "wsd/conn.h"

#include "common/log.h"
#include "wsd/close_code.h"
#include "wsd/frame.h"
#include "wsd/handover.h"
#include "wsd/hub.h"
#include "wsd/listener.h"
#include "wsd/tcp.h"
#include "wsd/tls.h"

#include <errno.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One write at most; more waits in the log, not in the library. */
#define TX_BYTES (64 * 1024)

/* The receive buffer of each connection: most messages fit, others are put
 * together from pieces. */
#define RX_BYTES 192

/* What one record of TLS holds at most (RFC 8446 section 5.1). */
#define TLS_RECORD_BYTES (16 * 1024)

/* Seconds a peer has to take our close frame and answer it. */
#define CLOSE_SECONDS 5

struct conns {
	struct loop *loop;
	struct lws_vhost *vhost;
	struct lws_vhost *tls_vhost; /* NULL without TLS */
	void *ssl_ctx;		     /* the library's, of tls_vhost */
	struct gate *gate;	     /* not ours; NULL once nobody comes any more */
	struct conn_handlers handlers;
	size_t max_message;
	bool stopped;		/* the end is near */
	struct conn *serving;	/* while the library reads for it; NULL if it is gone */
	struct conn *arriving;	/* while the library is being given it; NULL if it is gone */
	struct buf handed_over; /* the request that the library gets */
};

struct conn {
	struct lws *wsi; /* first what sending needs */
	int fd;
	bool closing;
	bool corked;
	bool tls;
	bool open; /* the handshake is over */
	bool lost; /* the library has closed it, and will say so later */
	struct gate_place *at_gate;
	struct conns *all;
	void *user; /* NULL until its request was granted, and when that is over */
	char *part; /* of a message that comes in pieces */
	uint32_t part_len;
};

/* Holds back the answer to the handshake until the welcome goes with it, in one
 * packet. */
static void
cork(struct conn *conn, bool on)
{
	conn->corked = tcp_cork(conn->fd, on) && on;
}

/* Messages */

static void
violation(struct conn *conn, uint16_t code, const char *reason)
{
	free(conn->part);
	conn->part = NULL;
	conn->all->handlers.violation(conn->all->handlers.arg, conn->user, code, reason);
}

/* A whole message.  It is checked here and not by the library, which would
 * hang up on what it does not like. */
static void
on_message(struct conn *conn, const char *text, size_t len)
{
	if (buf_utf8_valid(text, len) == len)
		conn->all->handlers.message(conn->all->handlers.arg, conn->user, text, len);
	else
		violation(conn, CLOSE_NOT_UTF8, "the message is not UTF-8");
}

static void
on_receive(struct conn *conn, struct lws *wsi, const char *bytes, size_t len)
{
	struct conns *s = conn->all;
	bool last = lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0;
	char *whole;

	if (conn->closing)
		return;
	s->handlers.alive(s->handlers.arg, conn->user, false);
	if (lws_frame_is_binary(wsi)) {
		violation(conn, CLOSE_UNSUPPORTED, "binary messages are not supported");
		return;
	}
	if (conn->part_len + len + lws_remaining_packet_payload(wsi) > s->max_message) {
		violation(conn, CLOSE_TOO_BIG, "message longer than max_message_bytes");
		return;
	}
	if (last && conn->part == NULL) {
		on_message(conn, bytes, len);
		return;
	}
	whole = realloc(conn->part, conn->part_len + len + 1);
	if (whole == NULL) {
		violation(conn, CLOSE_TRY_LATER, "out of memory");
		return;
	}
	if (len > 0)
		memcpy(whole + conn->part_len, bytes, len);
	conn->part = whole;
	conn->part_len += (uint32_t)len;
	if (!last)
		return;
	conn->part = NULL;
	len = conn->part_len;
	conn->part_len = 0;
	on_message(conn, whole, len);
	free(whole);
}

/* Closing */

/* From a safe place, without a word. */
static void
kill_soon(struct conn *conn)
{
	conn->closing = true;
	if (!conn->lost)
		lws_set_timeout(conn->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
}

/* Writes all, past the library's framing, but through its buffer.  A raw write
 * does not change the bytes. */
static void
queue(struct conn *conn, const uint8_t *bytes, size_t len)
{
	if (lws_write(conn->wsi, (unsigned char *)(uintptr_t)bytes, len, LWS_WRITE_RAW) < 0)
		kill_soon(conn);
}

/* Closing.  The frame is written here and not by lws_close_reason, because the
 * library as Debian builds it (4.1.6 with libuv) hangs up instead of sending
 * the frame: it closes a second time on purpose, to test itself.  code 0: a
 * frame without a code. */
static void
write_close(struct conn *conn, uint16_t code, const char *reason)
{
	uint8_t frame[FRAME_HEADER_MAX + 2 + CLOSE_REASON_BYTES];
	size_t len = reason != NULL ? strnlen(reason, CLOSE_REASON_BYTES - 1) : 0,
	       n = frame_header(frame, FRAME_CLOSE, code != 0 ? 2 + len : 0);

	if (code != 0) {
		frame[n++] = (uint8_t)(code >> 8);
		frame[n++] = (uint8_t)code;
		if (len > 0)
			memcpy(frame + n, reason, len);
		n += len;
	}
	queue(conn, frame, n);
}

/* The client closes: it is answered, and then the library hangs up.  What is
 * wrong with its frame decides the code. */
static int
on_peer_close(struct conn *conn, const char *payload, size_t len)
{
	if (!conn->closing) /* else this is the answer to ours */
		write_close(conn, close_code_answer(payload, len), NULL);
	conn->closing = true;
	(void)listener_discard(conn->fd); /* or closing would reset, and take our frame away */
	return -1;
}

/* The library gives a connection up without being asked: the peer is gone, has
 * broken the rules of framing, or the daemon ends.  It would send a close frame
 * for some of that, and forget it if more comes from the peer before it can;
 * behind the end of what we send it cannot. */
static void
on_given_up(struct conn *conn)
{
	char c;

	if (conn->closing || lws_partial_buffered(conn->wsi))
		return;
	if (lws_get_close_length(conn->wsi) == 0 && recv(conn->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		return; /* the library has nothing against the peer, who has hung up */
	if (conn->all->stopped)
		write_close(conn, CLOSE_RESTART, "the server restarts; reconnect and resume");
	else
		write_close(conn, CLOSE_PROTOCOL, "a frame is against RFC 6455");
	conn->closing = true;
	(void)shutdown(conn->fd, SHUT_WR);
	(void)listener_discard(conn->fd);
}

/* What the library tells */

static void
on_gone(struct conn *conn)
{
	void *user = conn->user;

	conn->user = NULL;
	conn->closing = true;
	if (user != NULL)
		conn->all->handlers.closed(conn->all->handlers.arg, user);
}

/* The library has all that it needs and does not answer 101. */
static void
abandon(struct conn *conn)
{
	on_gone(conn);
	kill_soon(conn);
}

/* The library has no word for "opaque" where it takes bytes that were read
 * already, so it is asked for here, while the connection is being made. */
static struct conn *
arrive(struct conns *s, struct lws *wsi)
{
	struct conn *conn = s != NULL ? s->arriving : NULL;

	if (conn != NULL)
		lws_set_opaque_user_data(wsi, conn);
	return conn;
}

/* From here on the end of a connection with TLS is told as WSI_DESTROY. */
static void
created(struct conns *s, struct lws *wsi)
{
	if (s != NULL && s->arriving != NULL && s->arriving->tls)
		s->arriving->wsi = wsi;
}

static int
serve(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct conn *conn = lws_get_opaque_user_data(wsi);

	if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS) {
		struct conns *s = lws_vhost_user(lws_get_vhost(wsi));

		s->ssl_ctx = user; /* so the library passes it */
		return 0;
	}
	if (reason == LWS_CALLBACK_WSI_CREATE) {
		created(lws_vhost_user(lws_get_vhost(wsi)), wsi);
		return 0;
	}
	if (conn == NULL && reason == LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED)
		conn = arrive(lws_vhost_user(lws_get_vhost(wsi)), wsi);
	if (conn == NULL)
		return reason == LWS_CALLBACK_HTTP || reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE ? -1
												  : 0;
	switch (reason) {
	case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
		conn->wsi = wsi;
		return conn->tls && tls_name(lws_get_ssl(wsi), conn) != EVH_OK ? -1 : 0;
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		if (conn->user == NULL)
			return -1; /* nobody has looked at it: it is let in nowhere */
		cork(conn, true);
		return 0;
	case LWS_CALLBACK_HTTP:
		return -1; /* none is granted that is no upgrade */
	case LWS_CALLBACK_ESTABLISHED:
		conn->wsi = wsi;
		conn->open = true;
		lws_set_wsi_user(wsi, conn); /* without, the library does not say that it gives up */
		conn->all->handlers.opened(conn->all->handlers.arg, conn->user, conn);
		return 0;
	case LWS_CALLBACK_RECEIVE:
		on_receive(conn, wsi, in, len);
		return 0;
	case LWS_CALLBACK_RECEIVE_PONG:
		if (!conn->closing)
			conn->all->handlers.alive(conn->all->handlers.arg, conn->user, true);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		if (!conn->closing)
			conn->all->handlers.writable(conn->all->handlers.arg, conn->user);
		return 0;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		return on_peer_close(conn, in, len);
	case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL:
		on_given_up(conn);
		return 0;
	case LWS_CALLBACK_CLOSED:
		on_gone(conn);
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		on_gone(conn);
		if (conn->at_gate != NULL)
			gate_drop(conn->all->gate, conn->at_gate);
		if (conn->all->serving == conn)
			conn->all->serving = NULL;
		if (conn->all->arriving == conn)
			conn->all->arriving = NULL;
		lws_set_opaque_user_data(wsi, NULL);
		free(conn->part);
		free(conn);
		return 0;
	default:
		return 0;
	}
}

static int
on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct conn *conn = lws_get_opaque_user_data(wsi);
	struct conns *s = conn != NULL ? conn->all : NULL;
	int rc = serve(wsi, reason, user, in, len);

	/* behind these the library has nothing half done with the connection */
	if (s != NULL && rc == 0 &&
		(reason == LWS_CALLBACK_ESTABLISHED || reason == LWS_CALLBACK_RECEIVE ||
			reason == LWS_CALLBACK_SERVER_WRITEABLE || reason == LWS_CALLBACK_WSI_DESTROY))
		loop_breathe(s->loop);
	return rc;
}

static const struct lws_protocols ws_protocols[] = {
	{ "evhub.v1", on_event, 0, RX_BYTES, 0, NULL, TX_BYTES },
	{ NULL, NULL, 0, 0, 0, NULL, 0 },
};

/* Plain connections */

void
conn_grant(struct conns *s, int fd, const struct http_request *r, const struct gate_bytes *bytes,
	void *user)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	buf_clear(&s->handed_over);
	handover_write(&s->handed_over, r);
	buf_add(&s->handed_over, bytes->at + bytes->head, bytes->len - bytes->head);
	if (conn == NULL || s->handed_over.failed) {
		free(conn);
		(void)close(fd);
		s->handlers.closed(s->handlers.arg, user);
		return;
	}
	conn->all = s;
	conn->fd = fd;
	conn->user = user;
	s->arriving = conn;
	(void)lws_adopt_socket_vhost_readbuf(s->vhost, fd, s->handed_over.data, s->handed_over.len);
	if (s->arriving == NULL)
		return; /* it has come and gone */
	s->arriving = NULL;
	if (conn->wsi == NULL) { /* it did not get as far as that, and closed the socket */
		on_gone(conn);
		free(conn);
	} else if (!conn->open) {
		abandon(conn);
	}
}

/* Connections with TLS */

enum evh_rc
conn_begin_tls(struct conns *s, int fd, const char *peer)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	lws_adopt_desc_t how;
	enum evh_rc rc;

	if (conn == NULL) {
		(void)close(fd);
		return EVH_NOMEM;
	}
	rc = gate_expect(s->gate, fd, peer, conn, &conn->at_gate);
	if (rc != EVH_OK) {
		free(conn);
		(void)close(fd);
		return rc;
	}
	conn->all = s;
	conn->fd = fd;
	conn->tls = true;
	memset(&how, 0, sizeof(how));
	how.vh = s->tls_vhost;
	how.type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | LWS_ADOPT_ALLOW_SSL;
	how.fd.sockfd = fd;
	how.opaque = conn;
	s->arriving = conn;
	if (lws_adopt_descriptor_vhost_via_info(&how) == NULL && s->arriving != NULL) {
		/* the socket is closed, and if the library had begun it will say so:
		 * with libuv it does later */
		gate_drop(s->gate, conn->at_gate);
		conn->at_gate = NULL;
		conn->lost = conn->closing = true;
		if (conn->wsi == NULL) {
			free(conn);
			rc = EVH_NOMEM;
		}
	}
	s->arriving = NULL;
	return rc;
}

/* The library does the handshake of TLS, and is kept from reading on until the
 * gate has looked at what it would read. */
static void
on_secured(void *arg)
{
	struct conn *conn = arg;
	struct conns *s = conn->all;

	if (conn->at_gate == NULL)
		return; /* TLS 1.3 tells it again */
	(void)lws_rx_flow_control(conn->wsi, 0);
	/* without memory its time runs out at the gate */
	(void)gate_secured(s->gate, conn->at_gate);
}

static bool
peek_secured(void *arg, char *to, size_t size, size_t *len)
{
	struct conn *conn = arg;

	return tls_peek(lws_get_ssl(conn->wsi), to, size, len);
}

static void
skip_secured(void *arg, size_t len)
{
	struct conn *conn = arg;

	tls_skip(lws_get_ssl(conn->wsi), len);
}

/* Lets the library read the record that was looked at, of which the socket, being
 * empty, does not tell it, up to the end of the handshake.  False when that was the
 * end of the connection. */
static bool
serve_record(struct conn *conn)
{
	struct conns *s = conn->all;
	struct lws_pollfd ready = { .fd = conn->fd };
	size_t before, left = tls_pending(lws_get_ssl(conn->wsi));
	int rc;

	do {
		before = left;
		ready.events = ready.revents = LWS_POLLIN;
		s->serving = conn;
		rc = lws_service_fd(loop_context(s->loop), &ready);
		if (s->serving == NULL)
			return false; /* it is gone */
		s->serving = NULL;
		conn->lost = conn->lost || rc != 0;
		left = conn->lost ? 0 : tls_pending(lws_get_ssl(conn->wsi));
	} while (!conn->open && left > 0 && left < before);
	if (!conn->open && (conn->lost || left > 0)) {
		abandon(conn); /* it does not take what it could */
		return false;
	}
	return !conn->lost;
}

static bool
pass_secured(void *arg)
{
	struct conn *conn = arg;

	(void)lws_rx_flow_control(conn->wsi, 1);
	if (!serve_record(conn))
		return false;
	(void)lws_rx_flow_control(conn->wsi, 0);
	lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0); /* the gate has one */
	return true;
}

const struct gate_view conn_view = { peek_secured, skip_secured, pass_secured };

void
conn_grant_tls(struct conn *conn, void *user)
{
	conn->at_gate = NULL;
	conn->user = user;
	(void)lws_rx_flow_control(conn->wsi, 1);
	if (serve_record(conn) && !conn->open)
		abandon(conn);
}

void
conn_answer_tls(const struct gate_guest *guest, const struct buf *answer)
{
	struct conn *conn = guest->secured;

	conn->at_gate = NULL;
	if (conn->lost)
		return;
	(void)lws_write(conn->wsi, (unsigned char *)answer->data, answer->len, LWS_WRITE_HTTP_FINAL);
	if (lws_partial_buffered(conn->wsi)) {
		kill_soon(conn); /* once that is sent */
		return;
	}
	tls_say_goodbye(lws_get_ssl(conn->wsi));
	conn->closing = true;
	gate_see_off(conn->all->gate, guest, &conn->at_gate);
}

void
conn_drop_tls(struct conn *conn)
{
	conn->at_gate = NULL;
	kill_soon(conn);
}

/* All of them */

/* Keepalive is ours: the library would keep a sorted list with an entry for
 * every connection. */
static const lws_retry_bo_t no_keepalive = { .secs_since_valid_ping = 0 };

static struct lws_vhost *
make_vhost(struct conns *s, const struct conf *conf, bool tls)
{
	struct lws_context_creation_info info;

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.vhost_name = tls ? "evhub-tls" : "evhub";
	info.protocols = ws_protocols;
	info.retry_and_idle_policy = &no_keepalive;
	info.timeout_secs_ah_idle = (unsigned)((conf->handshake_timeout + 999) / 1000);
	info.user = s;
	if (tls) {
		info.options =
			LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
		info.alpn = "http/1.1"; /* never h2: frames are written raw */
	}
	return lws_create_vhost(loop_context(s->loop), &info);
}

/* The vhost whose connections begin with a TLS handshake. */
static enum evh_rc
make_tls_vhost(struct conns *s, const struct conf *conf, char *why)
{
	struct tls_pair *pair;
	enum evh_rc rc = tls_load(&pair, conf, why);

	if (rc != EVH_OK)
		return rc;
	s->tls_vhost = make_vhost(s, conf, true);
	if (s->tls_vhost == NULL || s->ssl_ctx == NULL)
		rc = EVH_NOMEM;
	if (rc == EVH_OK)
		rc = tls_set_up(s->ssl_ctx);
	if (rc == EVH_OK)
		rc = tls_use(s->ssl_ctx, pair);
	if (rc == EVH_OK)
		tls_tell_done(s->ssl_ctx, on_secured);
	if (rc != EVH_OK)
		(void)snprintf(why, CONF_WHY_BYTES, "tls_certificate: %s: OpenSSL refuses it",
			conf->tls_certificate);
	tls_free(&pair);
	return rc;
}

enum evh_rc
conns_new(struct conns **out, struct loop *loop, const struct conf *conf,
	const struct conn_handlers *handlers, char *why)
{
	struct conns *s = calloc(1, sizeof(*s));
	enum evh_rc rc = EVH_OK;

	*out = NULL;
	if (s == NULL)
		return EVH_NOMEM;
	s->loop = loop;
	s->handlers = *handlers;
	s->max_message = (size_t)conf->max_message_bytes;
	s->vhost = make_vhost(s, conf, false);
	if (s->vhost == NULL)
		rc = EVH_NOMEM;
	if (rc == EVH_OK && tls_wanted(conf))
		rc = make_tls_vhost(s, conf, why);
	if (rc != EVH_OK) {
		conns_free(&s);
		return rc;
	}
	*out = s;
	return EVH_OK;
}

void
conns_set_gate(struct conns *conns, struct gate *gate)
{
	conns->gate = gate;
}

void
conns_end(struct conns *conns)
{
	conns->stopped = true;
	conns->gate = NULL;
}

bool
conns_have_tls(const struct conns *conns)
{
	return conns->tls_vhost != NULL;
}

void
conns_reload_tls(struct conns *s, const struct conf *conf)
{
	char why[CONF_WHY_BYTES];
	struct tls_pair *pair;

	if (s->tls_vhost == NULL || !tls_wanted(conf))
		return;
	if (tls_load(&pair, conf, why) != EVH_OK) {
		log_error("certificate_refused", "effect=\"the old one stays\" reason=\"%s\"", why);
		return;
	}
	if (tls_use(s->ssl_ctx, pair) == EVH_OK)
		log_info("certificate_loaded", "tls_certificate=%s", conf->tls_certificate);
	else
		log_error("certificate_refused",
			"effect=\"the old one stays\" reason=\"OpenSSL refuses it\"");
	tls_free(&pair);
}

void
conns_free(struct conns **conns)
{
	if (*conns == NULL)
		return;
	buf_free(&(*conns)->handed_over);
	free(*conns);
	*conns = NULL;
}

/* What the hub does to them */

/* Through the library, which encrypts, a record at a time: what the socket
 * does not take of the last one is kept there, encrypted, and nothing more. */
static ptrdiff_t
send_tls(struct conn *conn, const uint8_t *bytes, size_t len)
{
	size_t taken = 0;

	while (taken < len && !lws_partial_buffered(conn->wsi)) {
		size_t n = len - taken < TLS_RECORD_BYTES ? len - taken : TLS_RECORD_BYTES;

		if (lws_write(conn->wsi, (unsigned char *)(uintptr_t)bytes + taken, n, LWS_WRITE_RAW) <
			0)
			return -1;
		taken += n;
	}
	return (ptrdiff_t)taken;
}

ptrdiff_t
conn_send(void *arg, const uint8_t *bytes, size_t len)
{
	struct conn *conn = arg;
	ssize_t n;

	if (conn->closing)
		return -1;
	if (lws_partial_buffered(conn->wsi))
		return 0;
	if (conn->tls)
		return send_tls(conn, bytes, len);
	/* past the library: it would keep a copy of what the socket does not
	 * take, where a position in the log is enough */
	do
		n = send(conn->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	return n;
}

bool
conn_queue(void *arg, const uint8_t *bytes, size_t len)
{
	struct conn *conn = arg;

	if (conn->closing)
		return true;
	queue(conn, bytes, len);
	if (conn->corked && !conn->closing)
		cork(conn, false);
	return conn->closing || !lws_partial_buffered(conn->wsi);
}

void
conn_want_writable(void *arg)
{
	struct conn *conn = arg;

	if (!conn->closing)
		(void)lws_callback_on_writable(conn->wsi);
}

void
conn_close(void *arg, uint16_t code, const char *reason)
{
	struct conn *conn = arg;

	if (conn->closing)
		return;
	if (code == 0) {
		kill_soon(conn);
		return;
	}
	write_close(conn, code, reason);
	if (conn->closing)
		return; /* it is dead */
	conn->closing = true;
	lws_set_timeout(conn->wsi, PENDING_TIMEOUT_CLOSE_ACK, CLOSE_SECONDS);
	(void)lws_rx_flow_control(conn->wsi, 1);
}

void
conn_ping(void *arg)
{
	struct conn *conn = arg;
	/* with a payload: the library does not tell of pongs without one */
	unsigned char buffer[LWS_PRE + 4];

	memcpy(buffer + LWS_PRE, "ping", 4);
	if (!conn->closing && !lws_partial_buffered(conn->wsi))
		(void)lws_write(conn->wsi, buffer + LWS_PRE, 4, LWS_WRITE_PING);
}

uint64_t
conn_received(void *arg)
{
	struct conn *conn = arg;

	return conn->lost ? 0 : tcp_received(conn->fd);
}

void
conn_listen_to(void *arg, bool on)
{
	struct conn *conn = arg;

	(void)lws_rx_flow_control(conn->wsi, on ? 1 : 0);
}
