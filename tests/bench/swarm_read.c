/* From bytes to frames, and from frames to what is wrong with them. */

#include "tests/bench/mqtt.h"
#include "tests/bench/payload.h"
#include "tests/bench/swarm_priv.h"
#include "tests/bench/ws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void
record(struct swarm *s, struct conn *c, uint64_t seq, uint64_t sent, uint64_t now)
{
	s->deliveries++;
	if (sent < s->first_sent)
		s->first_sent = sent;
	s->last_read = now;
	hist_add(&s->latency, now > sent ? now - sent : 0);
	if (!c->reader) {
		s->unwanted++;
		return;
	}
	if (c->next == 0)
		c->next = s->first_seq;
	if (seq < c->next) {
		s->repeated++;
		return;
	}
	s->skipped += seq - c->next;
	c->next = seq + 1;
	if (seq == c->goal)
		s->reached++;
}

/* Copies what stands between a name and the next quote. */
static void
quoted(const char *text, size_t len, const char *name, char *out, size_t size)
{
	const char *at = memmem(text, len, name, strlen(name));
	size_t n = 0;

	if (at == NULL)
		return;
	at += strlen(name);
	while (n + 1 < size && at + n < text + len && at[n] != '"')
		n++;
	memcpy(out, at, n);
	out[n] = '\0';
}

static void
on_first(struct swarm *s, struct conn *c, const uint8_t *text, size_t len)
{
	static const char resumed[] = "\"resumed\":true";
	const bool asked = c->last_id[0] != '\0';

	quoted((const char *)text, len, "\"client_id\":\"", c->client_id, sizeof(c->client_id));
	quoted((const char *)text, len, "{\"id\":\"", c->last_id, sizeof(c->last_id));
	c->resumed = memmem(text, len, resumed, sizeof(resumed) - 1) != NULL;
	s->not_resumed += asked && !c->resumed;
	conn_opened(s, c);
}

static void
on_data(struct swarm *s, struct conn *c, const uint8_t *at, size_t len, uint64_t now)
{
	uint64_t seq, sent;

	if (c->state == CONN_OPENING) {
		if (s->setup.topic == NULL)
			on_first(s, c, at, len);
		else if (mqtt_is_suback(at, len))
			conn_opened(s, c);
		return;
	}
	if (payload_read(at, len, &s->tail, &seq, &sent))
		record(s, c, seq, sent, now);
	else
		s->notices++;
}

static void
pong(struct conn *c, const uint8_t *at, size_t len)
{
	uint8_t frame[125 + WS_OVERHEAD];

	if (len <= 125)
		(void)!send(
			c->fd, frame, ws_frame(frame, WS_PONG, at, len), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Returns how many bytes were whole frames; SIZE_MAX: it was closed. */
static size_t
frames(struct swarm *s, struct conn *c, const uint8_t *at, size_t len, uint64_t now)
{
	size_t done = 0;
	struct ws_head h;

	while (ws_parse(at + done, len - done, &h)) {
		const uint8_t *payload = at + done + h.head;

		if (h.opcode == WS_TEXT || h.opcode == WS_BINARY)
			on_data(s, c, payload, h.len, now);
		else if (h.opcode == WS_PING)
			pong(c, payload, h.len);
		else if (h.opcode == WS_CLOSE) {
			conn_lost(s, c);
			return SIZE_MAX;
		}
		done += h.head + h.len;
	}
	return done;
}

static void
subscribe_mqtt(struct swarm *s, struct conn *c)
{
	uint8_t packets[256], frame[256 + WS_OVERHEAD];
	size_t n;

	n = mqtt_connect(packets, (unsigned)(c - s->conns));
	n += mqtt_subscribe(packets + n, s->setup.topic);
	(void)!send(c->fd, frame, ws_frame(frame, WS_BINARY, packets, n), MSG_NOSIGNAL);
}

/* Returns the length of the answer to the request to upgrade; 0: there is
 * more to come, SIZE_MAX: it was refused. */
static size_t
upgraded(struct swarm *s, struct conn *c, const uint8_t *at, size_t len)
{
	const uint8_t *end = memmem(at, len, "\r\n\r\n", 4);

	if (end == NULL)
		return 0;
	if (len < 12 || memcmp(at, "HTTP/1.1 101", 12) != 0) {
		if (s->refused++ == 0)
			fprintf(stderr, "refused: %.*s\n", (int)(len < 400 ? len : 400),
				(const char *)at);
		conn_lost(s, c);
		return SIZE_MAX;
	}
	c->state = CONN_OPENING;
	if (s->setup.topic != NULL)
		subscribe_mqtt(s, c);
	else if (!s->setup.welcome)
		conn_opened(s, c);
	return (size_t)(end - at) + 4;
}

static void
keep_rest(struct conn *c, const uint8_t *at, size_t len)
{
	if (len > c->rest_size) {
		free(c->rest);
		c->rest = need(1, len + 512);
		c->rest_size = (uint32_t)len + 512;
	}
	if (len > 0)
		memcpy(c->rest, at, len);
	c->rest_len = (uint32_t)len;
}

void
conn_readable(struct swarm *s, struct conn *c)
{
	const size_t before = c->rest_len;
	size_t len, done = 0;
	ssize_t n;

	if (before > REST_MAX)
		die("a frame is longer than any that was published");
	if (before > 0)
		memcpy(s->in, c->rest, before);
	n = recv(c->fd, s->in + before, IN_BYTES, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_lost(s, c);
		return;
	}
	s->bytes += (size_t)n;
	len = before + (size_t)n;
	if (c->state == CONN_SHAKING) {
		done = upgraded(s, c, s->in, len);
		if (done == SIZE_MAX)
			return;
	}
	if (c->state >= CONN_OPENING) {
		size_t more = frames(s, c, s->in + done, len - done, now_us());

		if (more == SIZE_MAX)
			return;
		done += more;
	}
	keep_rest(c, s->in + done, len - done);
}
