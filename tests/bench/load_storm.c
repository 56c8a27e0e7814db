/* The storm: connections 0 to storm-1 leave, miss events, and come back at
 * once, each resuming.  The others have a type of their own, of which events
 * go on all the time: their latency is what counts. */

#include "tests/bench/load.h"

#include <inttypes.h>
#include <stdio.h>

#define MISSED 100
#define MISSED_TEXT "100"
#define NEXT_TEXT "101"

struct storm {
	uint64_t back_us, caught_up_us;
};

/* What each is to get from now on. */
static void
expect(struct load *l)
{
	for (size_t i = 0; i < l->swarm.count; i++) {
		struct conn *c = &l->swarm.conns[i];

		c->reader = true;
		if (i < l->options.storm)
			c->untimed = true;
		else
			c->next = MISSED + 1;
		c->goal = i < l->options.storm ? MISSED : 0;
	}
	swarm_reset(&l->swarm);
}

/* Events that come in order, all together. */
static uint64_t
expected(const struct load *l)
{
	const uint64_t others = l->swarm.count - l->options.storm;

	return MISSED * l->options.storm + (l->published - MISSED) * others;
}

static void
come_back(struct load *l, struct storm *st)
{
	struct swarm *s = &l->swarm;
	const uint64_t start = now_us(), end = start + (uint64_t)l->options.timeout * 1000000;

	(void)swarm_open(s, 0, l->options.storm, end);
	st->back_us = now_us() - start;
	while (s->reached < l->options.storm && now_us() < end)
		swarm_turn(s, 20);
	st->caught_up_us = now_us() - start;
	s->silent = true;
	while (!l->publisher.done && now_us() < end)
		swarm_turn(s, 50);
	load_published(l);
	while (swarm_progress(s) < expected(l) && now_us() < end)
		swarm_turn(s, 50);
}

static void
print(const struct load *l, const struct storm *st)
{
	const struct swarm *s = &l->swarm;
	const uint64_t all = expected(l), progress = swarm_progress(s);

	printf("{\"storm\":%zu,\"staying\":%zu,\"back_s\":%.6f,\"back_per_s\":%.0f,\"caught_up_s\":%.6f"
	       ",\"caught_up\":%" PRIu64 ",\"not_resumed\":%" PRIu64 ",\"deliveries\":%" PRIu64,
		l->options.storm, s->count - l->options.storm, (double)st->back_us / 1e6,
		st->back_us > 0 ? (double)l->options.storm * 1e6 / (double)st->back_us : 0,
		(double)st->caught_up_us / 1e6, s->reached, s->not_resumed, s->deliveries);
	printf(",\"latency_us\":{\"p50\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"max\":%" PRIu64 "}",
		hist_at(&s->latency, 0.5), hist_at(&s->latency, 0.99), s->latency.max);
	printf(",\"wrong\":{\"failed\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"gaps\":%" PRIu64
	       ",\"repeats\":%" PRIu64 ",\"unwanted\":%" PRIu64 ",\"missing\":%" PRIu64
	       "},\"timed_out\":%s}\n",
		s->failed, s->lost, s->skipped, s->repeated, s->unwanted,
		all > progress ? all - progress : 0, l->timed_out ? "true" : "false");
}

void
load_storm(struct load *l)
{
	const char *const before[] = { "--count", MISSED_TEXT, NULL };
	const char *const during[] = { "--type", l->options.live_type, "--first", NEXT_TEXT, "--rate",
		"20", "--seconds", "6", "--count", "1000", NULL };
	struct storm st = { 0, 0 };

	swarm_close(&l->swarm, 0, l->options.storm);
	load_pass(l, l->options.settle);
	load_publish(l, before);
	while (!l->publisher.done)
		swarm_turn(&l->swarm, 50);
	load_published(l);
	expect(l);
	load_publish(l, during);
	load_pass(l, 200);
	come_back(l, &st);
	print(l, &st);
}
