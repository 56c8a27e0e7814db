/* The hub against a model: sockets that take what they like, random
 * subscriptions, a log too small for those who lag, and a database that holds
 * everything.  Whatever happens, every client gets the events of its types in
 * order, once, without gaps. */

#include "wsd/hub_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TYPES 5
#define CLIENTS 40
#define EVENTS_MAX 20000

static const char *const type_names[TYPES] = { "global", "a", "b", "c", "d" };

/* A connection that takes "window" bytes and then no more until opened. */
struct sock {
	struct client *client;
	struct buf got;
	size_t parsed;
	size_t window;
	bool wants_write;
	uint16_t closed;
	uint64_t last_seq;
	uint64_t joined_after;	/* events up to here were before it */
	bool subscribed[TYPES]; /* as the frames that it got say */
	uint64_t since[TYPES];	/* subscribed without a break since this event */
	uint64_t next_expected[TYPES];
};

struct world {
	struct hub *hub;
	struct sock socks[CLIENTS];
	uint8_t type_of[EVENTS_MAX + 1];
	int target_of[EVENTS_MAX + 1]; /* index of a client, or -1 */
	uint64_t head;		       /* what the hub has been told of */
	uint64_t committed;	       /* what is in the database: history may be ahead */
	uint64_t fetch_seq;
	bool fetch_wanted;
};

static struct world *world;

static ptrdiff_t
fake_send(void *conn, const uint8_t *bytes, size_t len)
{
	struct sock *s = conn;
	size_t n = len < s->window ? len : s->window;

	buf_add(&s->got, bytes, n);
	s->window -= n;
	return (ptrdiff_t)n;
}

static bool
fake_queue(void *conn, const uint8_t *bytes, size_t len)
{
	struct sock *s = conn;

	buf_add(&s->got, bytes, len);
	return s->window > 0;
}

static void
fake_want_writable(void *conn)
{
	((struct sock *)conn)->wants_write = true;
}

static void
fake_close(void *conn, uint16_t code, const char *reason)
{
	(void)reason;
	((struct sock *)conn)->closed = code != 0 ? code : 1;
}

static void
fake_fetch(void *arg, uint64_t seq)
{
	struct world *w = arg;

	assert_false(w->fetch_wanted); /* one at a time */
	w->fetch_wanted = true;
	w->fetch_seq = seq;
}

static void
fake_dirty(void *arg, struct client *client)
{
	(void)arg;
	(void)client;
}

static int64_t
fake_now(void)
{
	return INT64_C(1700000000000000);
}

static struct hub_event
event_number(const struct world *w, uint64_t seq, char client_id[EVH_UUID_TEXT])
{
	struct hub_event e = { .seq = seq,
		.event_type = type_names[w->type_of[seq]],
		.timestamp = "2026-01-01T00:00:00.000000Z",
		.message = "m",
		.message_len = 1 };

	if (w->target_of[seq] >= 0) {
		evh_uuid_format(w->socks[w->target_of[seq]].client->id, client_id);
		e.client_id = client_id;
	}
	return e;
}

static void
commit(struct world *w, unsigned type, int target)
{
	w->committed++;
	w->type_of[w->committed] = (uint8_t)type;
	w->target_of[w->committed] = target;
}

/* Tells the hub what has been committed, as the feed does. */
static void
feed(struct world *w)
{
	while (w->head < w->committed) {
		char id[EVH_UUID_TEXT];
		struct hub_event e = event_number(w, ++w->head, id);

		assert_int_equal(hub_append(w->hub, &e, NULL), EVH_OK);
	}
}

static void
publish(struct world *w, unsigned type, int target)
{
	commit(w, type, target);
	feed(w);
}

/* Brings up to 50 events, as the database would. */
static void
bring_history(struct world *w)
{
	struct eventlog log;
	uint64_t after = w->fetch_seq, upto = after + 50 < w->committed ? after + 50 : w->committed;
	char id[EVH_UUID_TEXT];

	w->fetch_wanted = false;
	assert_int_equal(eventlog_init(&log, after, 0), EVH_OK);
	for (uint64_t seq = after + 1; seq <= upto; seq++) {
		struct hub_event e = event_number(w, seq, id);
		struct logentry entry;

		assert_int_equal(hub_entry(w->hub, &e, &entry), EVH_OK);
		assert_int_equal(eventlog_append(&log, &entry), EVH_OK);
	}
	hub_history(w->hub, after, upto, &log, calloc(1, sizeof(struct hub_lost)), 0);
}

static bool
is_for(const struct world *w, const struct sock *s, uint64_t seq)
{
	return w->target_of[seq] < 0 || &w->socks[w->target_of[seq]] == s;
}

/* All events of a type that s has had without a break must have come. */
static void
check_no_gap(const struct world *w, const struct sock *s, unsigned type, uint64_t from, uint64_t to)
{
	for (uint64_t seq = from; seq < to; seq++)
		if (w->type_of[seq] == type && is_for(w, s, seq))
			fail_msg("event %llu of type %s did not come", (unsigned long long)seq,
				type_names[type]);
}

static unsigned
type_number(const char *name, size_t len)
{
	for (unsigned t = 0; t < TYPES; t++)
		if (strlen(type_names[t]) == len && memcmp(type_names[t], name, len) == 0)
			return t;
	return TYPES;
}

static void
on_subscription_frame(const struct world *w, struct sock *s, const char *text, bool subscribed)
{
	const char *p = strstr(text, "\"event_types\":[\"");

	assert_non_null(p);
	p += strlen("\"event_types\":[");
	while (*p == '"') {
		size_t len = strcspn(p + 1, "\"");
		unsigned t = type_number(p + 1, len);

		assert_true(t < TYPES);
		assert_int_equal(s->subscribed[t], !subscribed);
		s->subscribed[t] = subscribed;
		/* what was published before the frame was the old rule's */
		s->next_expected[t] = w->head + 1;
		p += len + 2;
		p += *p == ',';
	}
}

static void
on_event_frame(const struct world *w, struct sock *s, uint64_t seq)
{
	unsigned t = w->type_of[seq];

	assert_true(seq > s->last_seq);
	assert_true(s->subscribed[t]);
	assert_true(is_for(w, s, seq));
	check_no_gap(w, s, t, s->next_expected[t], seq);
	s->next_expected[t] = seq + 1;
	s->last_seq = seq;
}

/* Reads the whole frames that have come. */
static void
read_frames(const struct world *w, struct sock *s)
{
	for (;;) {
		const uint8_t *p = (const uint8_t *)s->got.data + s->parsed;
		size_t left = s->got.len - s->parsed, len, header = 2;
		char text[2048];

		if (left < 2)
			return;
		assert_int_equal(p[0], 0x81);
		len = p[1];
		if (len == 126) {
			header = 4;
			if (left < 4)
				return;
			len = (size_t)p[2] << 8 | p[3];
		}
		assert_true(len < sizeof(text));
		if (left < header + len)
			return;
		memcpy(text, p + header, len);
		text[len] = '\0';
		s->parsed += header + len;
		if (strstr(text, "\"message\":\"unsubscribed\"") != NULL)
			on_subscription_frame(w, s, text, false);
		else if (strstr(text, "\"message\":\"subscribed\"") != NULL)
			on_subscription_frame(w, s, text, true);
		else if (strstr(text, "\"message\":\"m\"") != NULL)
			on_event_frame(w, s, strtoull(strchr(text, '-') + 1, NULL, 10));
	}
}

static void
enter(struct world *w, struct sock *s, unsigned mask, uint64_t start)
{
	static const struct event_types none = EVENT_TYPES_INIT;
	uint32_t numbers[TYPES], count = 0;

	memset(s, 0, sizeof(*s));
	s->client = clients_add(hub_clients(w->hub), "user", NULL, 1);
	assert_non_null(s->client);
	s->client->conn = s;
	s->client->state = CLIENT_JOINING;
	for (unsigned t = 0; t < TYPES; t++) {
		if (t != 0 && (mask >> t & 1) == 0)
			continue;
		numbers[count++] = grouping_type(hub_grouping(w->hub), type_names[t])->number;
		s->subscribed[t] = true;
	}
	for (unsigned t = 0; t < TYPES; t++)
		s->next_expected[t] = start + 1;
	s->last_seq = start;
	s->window = (size_t)rand() % 4000;
	s->client->group = grouping_enter(hub_grouping(w->hub), numbers, count);
	hub_welcome(w->hub, s->client, &none, start, true, NULL);
}

static void
setup_world_at(struct world *w, size_t log_memory, uint64_t head)
{
	struct hub_ops ops = { fake_send, fake_queue, fake_want_writable, fake_close, fake_fetch,
		fake_dirty, fake_now, w };

	memset(w, 0, sizeof(*w));
	world = w;
	assert_int_equal(hub_new(&w->hub, &ops, "abcd", head, log_memory), EVH_OK);
	for (unsigned t = 0; t < TYPES; t++)
		assert_int_equal(
			grouping_set_type(hub_grouping(w->hub), type_names[t], true, t == 0), EVH_OK);
}

static void
setup_world(struct world *w, size_t log_memory)
{
	setup_world_at(w, log_memory, 0);
}

static void
leave(struct world *w, struct sock *s)
{
	(void)w;
	hub_leave(w->hub, &s->client);
	buf_free(&s->got);
}

static void
random_step(struct world *w)
{
	struct sock *s = &w->socks[rand() % CLIENTS];
	uint32_t type;

	switch (rand() % 10) {
	case 0:
	case 1:
	case 2:
	case 3:
		for (int n = rand() % 6; n > 0 && w->committed < EVENTS_MAX; n--)
			commit(w, (unsigned)rand() % TYPES, rand() % 8 == 0 ? rand() % CLIENTS : -1);
		if (rand() % 2 == 0)
			feed(w);
		if (rand() % 2 == 0)
			hub_flush(w->hub);
		break;
	case 4:
		type = grouping_type(hub_grouping(w->hub), type_names[1 + rand() % (TYPES - 1)])->number;
		(void)hub_unsubscribe(w->hub, s->client, &type, 1);
		break;
	case 5:
		type = grouping_type(hub_grouping(w->hub), type_names[1 + rand() % (TYPES - 1)])->number;
		(void)hub_subscribe(w->hub, s->client, &type, 1);
		break;
	case 6:
		if (w->fetch_wanted)
			bring_history(w);
		break;
	default:
		s->window = (size_t)rand() % 3000;
		if (s->wants_write && s->window > 0) {
			s->wants_write = false;
			hub_writable(w->hub, s->client);
		}
	}
}

/* Opens every window and lets everybody catch up. */
static void
settle(struct world *w)
{
	bool busy = true;

	feed(w);
	hub_flush(w->hub);
	while (busy) {
		busy = false;
		if (w->fetch_wanted) {
			bring_history(w);
			busy = true;
		}
		for (int i = 0; i < CLIENTS; i++) {
			struct sock *s = &w->socks[i];

			s->window = SIZE_MAX / 2;
			if (!s->wants_write)
				continue;
			s->wants_write = false;
			hub_writable(w->hub, s->client);
			busy = true;
		}
	}
}

static void
run_model(unsigned seed, size_t log_memory)
{
	static struct world w;

	srand(seed);
	setup_world(&w, log_memory);
	for (int i = 0; i < CLIENTS; i++)
		enter(&w, &w.socks[i], (unsigned)rand(), 0);
	while (w.head < 3000) {
		random_step(&w);
		for (int i = 0; i < CLIENTS; i++)
			read_frames(&w, &w.socks[i]);
	}
	settle(&w);
	for (int i = 0; i < CLIENTS; i++) {
		struct sock *s = &w.socks[i];

		read_frames(&w, s);
		assert_int_equal(s->closed, 0);
		assert_int_equal(s->parsed, s->got.len);
		assert_int_equal(s->client->state, CLIENT_LIVE);
		for (unsigned t = 0; t < TYPES; t++)
			if (s->subscribed[t])
				check_no_gap(&w, s, t, s->next_expected[t], w.head + 1);
		leave(&w, s);
	}
	hub_free(&w.hub);
}

static void
test_random_readers(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 8; seed++)
		run_model(seed, 64 << 20);
}

static void
test_random_readers_with_little_memory(void **state)
{
	(void)state;
	for (unsigned seed = 100; seed <= 108; seed++)
		run_model(seed, 8 << 10);
}

/* A daemon that has just started: its memory is empty, and the database is
 * read by two, of whom the one that brings the past may see more. */
static void
test_history_may_be_ahead_of_the_feed(void **state)
{
	static struct world w;
	struct sock *s = &w.socks[0];

	(void)state;
	setup_world_at(&w, 1 << 20, 100);
	for (int i = 0; i < 110; i++)
		commit(&w, 1, -1);
	w.head = 100;
	enter(&w, s, 2, 70);
	s->window = 100000;
	assert_true(w.fetch_wanted);
	bring_history(&w); /* 71 to 110 */
	feed(&w);	   /* 101 to 110 */
	hub_flush(w.hub);
	commit(&w, 1, -1);
	feed(&w);
	settle(&w);
	read_frames(&w, s); /* fails on a repeat */
	check_no_gap(&w, s, 1, s->next_expected[1], w.head + 1);
	leave(&w, s);
	hub_free(&w.hub);
}

static void
test_slow_reader_is_told_to_come_back(void **state)
{
	static struct world w;

	(void)state;
	setup_world(&w, 1 << 20);
	enter(&w, &w.socks[0], 2, 0);
	w.socks[0].window = 10;
	publish(&w, 1, -1);
	publish(&w, 1, -1);
	hub_flush(w.hub);
	assert_int_equal(w.socks[0].client->state, CLIENT_LAGGING);
	assert_int_equal(hub_behind(w.hub, w.socks[0].client), 1); /* one was cut and queued */
	hub_tick(w.hub, 5, 10);
	assert_int_equal(w.socks[0].closed, 0);
	hub_tick(w.hub, 11, 10);
	assert_int_equal(w.socks[0].closed, CLOSE_TRY_LATER);
	leave(&w, &w.socks[0]);
	hub_free(&w.hub);
}

static uint64_t
history_bytes(const struct world *w)
{
	struct hub_gauges g;

	hub_gauges_read(w->hub, &g);
	return g.history_bytes;
}

/* What was read for one who was far behind stays for as long as others may be
 * reading it, and no longer: it is not counted against log_memory. */
static void
test_history_is_let_go(void **state)
{
	static struct world w;
	struct sock *s = &w.socks[0];

	(void)state;
	setup_world(&w, 4 << 10);
	for (int i = 0; i < 200; i++)
		publish(&w, 1, -1);
	hub_flush(w.hub);
	enter(&w, s, 2, 0);
	assert_int_equal(history_bytes(&w), 0);
	s->window = 200;
	bring_history(&w);
	assert_int_equal(s->client->state, CLIENT_LAGGING);
	assert_true(history_bytes(&w) > 50 * 100);
	for (uint32_t tick = 9; tick < 60; tick += 9) { /* it reads a little in each */
		hub_tick(w.hub, tick, 10);
		assert_true(history_bytes(&w) > 0);
		s->window = 200;
		hub_writable(w.hub, s->client);
		assert_int_equal(s->closed, 0);
	}
	leave(&w, s);
	hub_tick(w.hub, 64, 10);
	assert_true(history_bytes(&w) > 0); /* another may come for it */
	hub_tick(w.hub, 65, 10);
	assert_int_equal(history_bytes(&w), 0);
	hub_free(&w.hub);
}

/* However long the events are. */
static void
test_history_takes_only_so_much(void **state)
{
	static struct world w;
	static char text[6 << 20];

	(void)state;
	setup_world(&w, 4 << 10);
	memset(text, 'x', sizeof(text));
	for (uint64_t seq = 1; seq <= 20; seq++) {
		struct hub_event e = { .seq = seq,
			.event_type = "a",
			.timestamp = "t",
			.message = text,
			.message_len = sizeof(text) };
		struct eventlog log;
		struct logentry entry;

		assert_int_equal(eventlog_init(&log, seq - 1, 0), EVH_OK);
		assert_int_equal(hub_entry(w.hub, &e, &entry), EVH_OK);
		assert_int_equal(eventlog_append(&log, &entry), EVH_OK);
		hub_history(w.hub, seq - 1, seq, &log, calloc(1, sizeof(struct hub_lost)), 0);
		assert_true(history_bytes(&w) > sizeof(text));
		assert_true(history_bytes(&w) <= CHUNKS_BYTES);
	}
	hub_free(&w.hub);
}

static void
test_purged_history_is_never_skipped_silently(void **state)
{
	static struct world w;
	struct hub_lost *lost = calloc(1, sizeof(*lost));
	struct eventlog log;

	(void)state;
	setup_world(&w, 4 << 10);
	for (int i = 0; i < 200; i++)
		publish(&w, 1, -1);
	enter(&w, &w.socks[0], 2, 0);
	assert_true(w.fetch_wanted);
	assert_int_equal(eventlog_init(&log, 0, 0), EVH_OK);
	lost->type = grouping_type(hub_grouping(w.hub), "a")->number;
	lost->seq = 7; /* events up to 7 are gone */
	hub_history(w.hub, 0, 50, &log, lost, 1);
	assert_int_equal(w.socks[0].closed, CLOSE_TRY_LATER);
	leave(&w, &w.socks[0]);
	hub_free(&w.hub);
}

static void
test_who_asks_but_does_not_read_is_closed(void **state)
{
	static struct world w;
	struct message m = { .event_type = "health", .text = "pong", .text_len = 4 };

	(void)state;
	setup_world(&w, 1 << 20);
	enter(&w, &w.socks[0], 2, 0);
	w.socks[0].window = 0;
	publish(&w, 1, -1);
	hub_flush(w.hub);
	for (int i = 0; i < 100 && w.socks[0].closed == 0; i++)
		hub_reply(w.hub, w.socks[0].client, &m);
	assert_int_equal(w.socks[0].closed, CLOSE_POLICY);
	leave(&w, &w.socks[0]);
	hub_free(&w.hub);
}

static void
test_passing_events_reach_the_live_only(void **state)
{
	static struct world w;
	struct hub_event e = { .event_type = "d", .timestamp = "t", .message = "p", .message_len = 1 };
	char id[EVH_ID_TEXT];

	(void)state;
	setup_world(&w, 1 << 20);
	enter(&w, &w.socks[0], 16, 0);
	w.socks[0].window = 100000;
	publish(&w, 4, -1);
	hub_start_numbers(w.hub, 500);
	assert_int_equal(hub_append(w.hub, &e, id), EVH_OK);
	assert_string_equal(id, "abcd-1.500");
	hub_flush(w.hub);
	buf_add(&w.socks[0].got, "", 0);
	assert_non_null(strstr(w.socks[0].got.data + w.socks[0].got.len - 120, "abcd-1.500"));
	leave(&w, &w.socks[0]);
	hub_free(&w.hub);
}

static uint64_t fetched; /* the last one */

static void
note_fetch(void *arg, uint64_t seq)
{
	(void)arg;
	fetched = seq;
}

/* Two that come back to the past each time they were served do not keep a third waiting. */
static void
nobody_waits_for_ever(void **state)
{
	struct client clients[3], *list[3] = { &clients[0], &clients[1], &clients[2] };
	struct hub hub;
	int turns = 0;

	(void)state;
	memset(&hub, 0, sizeof(hub));
	memset(clients, 0, sizeof(clients));
	hub.ops.fetch = note_fetch;
	hub.lagging = list;
	hub.lag_count = 3;
	for (int i = 0; i < 3; i++) {
		clients[i].state = CLIENT_WAITING;
		clients[i].seq = (uint64_t)(i + 1) * 10;
	}
	for (fetched = 0; fetched != 30; turns++) {
		assert_true(turns < 6);
		deliver_fetch_next(&hub);
		hub.fetching = false;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_readers),
		cmocka_unit_test(test_random_readers_with_little_memory),
		cmocka_unit_test(test_history_may_be_ahead_of_the_feed),
		cmocka_unit_test(test_slow_reader_is_told_to_come_back),
		cmocka_unit_test(test_history_is_let_go),
		cmocka_unit_test(test_history_takes_only_so_much),
		cmocka_unit_test(test_purged_history_is_never_skipped_silently),
		cmocka_unit_test(test_who_asks_but_does_not_read_is_closed),
		cmocka_unit_test(test_passing_events_reach_the_live_only),
		cmocka_unit_test(nobody_waits_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
