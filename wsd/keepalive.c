#include "wsd/session_priv.h"

#include <malloc.h>

/* With more clients than this, giving memory back would hold up deliveries: 1 ms
 * here, 40 ms with 100,000, whose own memory is a hundred times as much. */
#define TRIM_CLIENTS 2000

/* What a message costs on the wire beside its text: the head of its frame, and of
 * a TLS record. */
#define FRAME_OVERHEAD 64

static uint32_t
ticks(const struct sessions *s, int64_t ms)
{
	int64_t n = (ms * 1000 + s->tick_us - 1) / s->tick_us;

	return n > INT32_MAX ? INT32_MAX : n < 1 ? 1 : (uint32_t)n;
}

void
session_keepalive_init(struct sessions *s)
{
	const struct conf *conf = s->setup.conf;
	int64_t shortest = conf->ping_interval;

	if (conf->pong_timeout - conf->ping_interval < shortest)
		shortest = conf->pong_timeout - conf->ping_interval;
	if (conf->stall_timeout < shortest)
		shortest = conf->stall_timeout;
	s->tick_us = shortest * 1000 / 8;
	if (s->tick_us > 1000000)
		s->tick_us = 1000000;
	if (s->tick_us < 10000)
		s->tick_us = 10000;
	s->ping_ticks = ticks(s, conf->ping_interval);
	s->pong_ticks = ticks(s, conf->pong_timeout);
	s->stall_ticks = ticks(s, conf->stall_timeout);
	wheel_init(&s->wheel);
}

void
session_schedule(struct sessions *s, struct client *c)
{
	uint32_t now = s->wheel.now, ping = c->last_ping + s->ping_ticks,
		 dead = c->last_rx + s->pong_ticks;
	uint32_t due = (int32_t)(ping - dead) < 0 ? ping : dead;
	int32_t after = (int32_t)(due - now);

	if (c->expires != 0) {
		int64_t left =
			((int64_t)c->expires - (int64_t)session_seconds()) * 1000000 / s->tick_us + 1;

		if (left < after)
			after = (int32_t)(left < 1 ? 1 : left);
	}
	wheel_set(&s->wheel, &c->timer, after < 1 ? 1 : (uint32_t)after);
}

uint32_t
session_received(void *conn)
{
	return (uint32_t)(conn_received(conn) / 1024);
}

/* True if more has come since the last ping than all messages that the client may
 * send: pings, pongs and empty fragments are no messages, but cost as much.  The
 * library answers and drops them without a word, so their bytes are counted. */
static bool
floods_bytes(struct sessions *s, struct client *c)
{
	const struct conf *conf = s->setup.conf;
	int64_t ticks = (int64_t)(s->wheel.now - c->last_ping);
	int64_t allowed = (ticks * s->tick_us / 1000000 + 1) * conf->max_messages_per_second *
		((int64_t)conf->max_message_bytes + FRAME_OVERHEAD);
	uint32_t received = session_received(c->conn), grown = received - c->received;

	c->received = received;
	return received != 0 && (int64_t)grown * 1024 > allowed;
}

static void
keep_alive(struct sessions *s, struct client *c)
{
	uint32_t now = s->wheel.now;

	if (c->expires != 0 && c->expires <= session_seconds()) {
		hub_close(s->hub, c, CLOSE_POLICY, "credential expired");
		return;
	}
	/* a reader that takes what it is sent is alive, though it lags */
	if (c->state != CLIENT_LIVE && (int32_t)(c->last_progress - c->last_rx) > 0)
		c->last_rx = c->last_progress;
	if (now - c->last_rx >= s->pong_ticks) {
		hub_close(s->hub, c, CLOSE_POLICY, "no sign of life");
		return;
	}
	if (now - c->last_ping >= s->ping_ticks) {
		if (floods_bytes(s, c)) {
			hub_close(s->hub, c, CLOSE_POLICY, "too many bytes");
			return;
		}
		c->last_ping = now;
		c->ping_at = session_seconds();
		conn_ping(c->conn);
		sessions_dirty(s, c);
	}
	session_schedule(s, c);
}

int64_t
sessions_tick_us(const struct sessions *sessions)
{
	return sessions->tick_us;
}

void
sessions_tick(struct sessions *s)
{
	struct wheel_entry *e;

	wheel_tick(&s->wheel);
	while ((e = wheel_due(&s->wheel)) != NULL)
		keep_alive(s, (struct client *)(void *)((char *)e - offsetof(struct client, timer)));
	/* glibc keeps what lies between other things, 4096 events to a piece */
	if (hub_tick(s->hub, s->wheel.now, s->stall_ticks) && s->clients->count < TRIM_CLIENTS)
		(void)malloc_trim(0);
}
