/* The storm: all connections leave, miss events, and come back at once, each
 * resuming. */

#include "tests/bench/load.h"

#include <inttypes.h>
#include <stdio.h>

#define MISSED 100
#define MISSED_TEXT "100"

struct storm {
	uint64_t back_us, caught_up_us;
};

static void
miss_events(struct load *l)
{
	const char *const some[] = { "--count", MISSED_TEXT, NULL };
	struct swarm *s = &l->swarm;

	swarm_close(s, 0, s->count);
	load_pass(l, l->options.settle);
	load_publish(l, some);
	while (!l->publisher.done)
		swarm_turn(s, 50);
	load_published(l);
	for (size_t i = 0; i < s->count; i++) {
		s->conns[i].reader = true;
		s->conns[i].goal = MISSED;
	}
	swarm_reset(s);
}

static void
come_back(struct load *l, struct storm *st)
{
	struct swarm *s = &l->swarm;
	const uint64_t start = now_us(), end = start + (uint64_t)l->options.timeout * 1000000;

	(void)swarm_open(s, 0, s->count, end);
	st->back_us = now_us() - start;
	while (s->reached < s->count && now_us() < end)
		swarm_turn(s, 20);
	st->caught_up_us = now_us() - start;
}

static void
print(const struct load *l, const struct storm *st)
{
	const struct swarm *s = &l->swarm;
	const uint64_t all = (uint64_t)MISSED * s->count, progress = swarm_progress(s);

	printf("{\"storm\":%zu,\"back_s\":%.6f,\"back_per_s\":%.0f,\"caught_up_s\":%.6f"
	       ",\"caught_up\":%" PRIu64 ",\"not_resumed\":%" PRIu64 ",\"deliveries\":%" PRIu64,
		s->count, (double)st->back_us / 1e6,
		st->back_us > 0 ? (double)s->count * 1e6 / (double)st->back_us : 0,
		(double)st->caught_up_us / 1e6, s->reached, s->not_resumed, s->deliveries);
	load_print_wrong(s, all > progress ? all - progress : 0);
	printf(",\"timed_out\":%s}\n", l->timed_out ? "true" : "false");
}

void
load_storm(struct load *l)
{
	struct storm st = { 0, 0 };

	miss_events(l);
	load_ready(l, true);
	come_back(l, &st);
	print(l, &st);
}
