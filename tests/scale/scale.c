/* The hub with many clients, for counting instructions.
 *
 *   scale IDLE MATCHING
 *
 * IDLE clients that are subscribed to another type, MATCHING to the one that is
 * published.  publish(), turn_over() and find() are what tests/scale/run counts;
 * the sockets take everything and cost nothing. */

#include "wsd/hub.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 100
#define LOG_BYTES ((size_t)4 << 20)

void publish(struct hub *hub);
void turn_over(struct hub *hub, struct client *client, uint32_t type);
void find(const struct clients *all, struct client *const *wanted);

static uint64_t frames;

static ptrdiff_t
take(void *conn, const uint8_t *bytes, size_t len)
{
	(void)conn;
	(void)bytes;
	frames++;
	return (ptrdiff_t)len;
}

static bool
queue(void *conn, const uint8_t *bytes, size_t len)
{
	(void)conn;
	(void)bytes;
	(void)len;
	return true;
}

static void
want_writable(void *conn)
{
	(void)conn;
}

static void
close_it(void *conn, uint16_t code, const char *reason)
{
	(void)conn;
	(void)code;
	(void)reason;
	abort(); /* nobody has a reason to */
}

static void
fetch(void *arg, uint64_t seq)
{
	(void)arg;
	(void)seq;
	abort(); /* all is in memory */
}

static void
dirty(void *arg, struct client *client)
{
	(void)arg;
	(void)client;
}

static int64_t
now_us(void)
{
	return INT64_C(1700000000000000);
}

static struct client *
join(struct hub *hub, const char *type)
{
	static const struct event_types none = EVENT_TYPES_INIT;
	static char conn;
	struct client *c = clients_add(hub_clients(hub), "user", NULL, now_us());
	uint32_t number = grouping_type(hub_grouping(hub), type)->number;

	if (c == NULL)
		abort();
	c->conn = (void *)&conn;
	c->state = CLIENT_JOINING;
	c->group = grouping_enter(hub_grouping(hub), &number, 1);
	hub_welcome(hub, c, &none, hub_head(hub), false, NULL);
	return c;
}

/* A hundred events, each a flush of its own. */
__attribute__((noinline)) void
publish(struct hub *hub)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct hub_event e = { .seq = hub_head(hub) + 1,
			.event_type = "wanted",
			.timestamp = "2026-01-01T00:00:00.000000Z",
			.message = "m",
			.message_len = 1,
			.body = "{\"a\":1}",
			.body_len = 7 };

		if (hub_append(hub, &e, NULL) != EVH_OK)
			abort();
		hub_flush(hub);
	}
}

/* One client among the others subscribes and unsubscribes a hundred times. */
__attribute__((noinline)) void
turn_over(struct hub *hub, struct client *client, uint32_t type)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (hub_subscribe(hub, client, &type, 1) != EVH_OK ||
			hub_unsubscribe(hub, client, &type, 1) != EVH_OK)
			abort();
		hub_flush(hub);
	}
}

/* A hundred clients are looked up by their ids. */
__attribute__((noinline)) void
find(const struct clients *all, struct client *const *wanted)
{
	for (int i = 0; i < ROUNDS; i++)
		if (clients_find(all, wanted[i]->id) != wanted[i])
			abort();
}

int
main(int argc, char **argv)
{
	const struct hub_ops ops = { take, queue, want_writable, close_it, fetch, dirty, now_us, NULL };
	struct hub *hub = NULL;
	struct client *last = NULL, *wanted[ROUNDS] = { NULL };
	long idle, matching;
	struct clients *all;

	if (argc != 3) {
		fprintf(stderr, "usage: scale IDLE MATCHING\n");
		return EXIT_FAILURE;
	}
	idle = strtol(argv[1], NULL, 10);
	matching = strtol(argv[2], NULL, 10);
	if (hub_new(&hub, &ops, "abcd", 0, LOG_BYTES) != EVH_OK ||
		grouping_set_type(hub_grouping(hub), "wanted", true, false) != EVH_OK ||
		grouping_set_type(hub_grouping(hub), "other", true, false) != EVH_OK)
		abort();
	for (long i = 0; i < idle; i++)
		wanted[i % ROUNDS] = last = join(hub, "other");
	for (long i = 0; i < matching; i++)
		(void)join(hub, "wanted");
	frames = 0;
	publish(hub);
	printf("%llu\n", (unsigned long long)frames);
	if (last != NULL)
		turn_over(hub, last, grouping_type(hub_grouping(hub), "wanted")->number);
	all = hub_clients(hub);
	if (idle >= ROUNDS)
		find(all, wanted);
	for (size_t i = 0; i < all->size; i++) {
		struct client *c = all->slots[i];

		if (c != NULL) {
			hub_leave(hub, &c);
			i--; /* another may have taken its place */
		}
	}
	hub_free(&hub);
	return EXIT_SUCCESS;
}
