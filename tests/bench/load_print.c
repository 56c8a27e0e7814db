#include "tests/bench/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

static double
share(uint64_t a, uint64_t b)
{
	return b > 0 ? (double)a / (double)b : 0;
}

static void
print_events(const struct load *l)
{
	const struct swarm *s = &l->swarm;
	const uint64_t us = s->last_read > s->first_sent ? s->last_read - s->first_sent : 0;

	printf(",\"published\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"deliveries\":%" PRIu64
	       ",\"seconds\":%.6f,\"deliveries_per_s\":%.0f,\"bytes\":%" PRIu64
	       ",\"cpu_s\":%.6f,\"cpu_us_per_delivery\":%.4f,\"cpu_us_per_event\":%.3f"
	       ",\"cpu_percent\":%.2f,\"client_cpu_percent\":%.2f",
		l->published, l->errors, s->deliveries, (double)us / 1e6, share(s->deliveries, us) * 1e6,
		s->bytes, (double)l->cpu_us / 1e6, share(l->cpu_us, s->deliveries),
		share(l->cpu_us, l->published), 100 * share(l->cpu_us, l->wall_us),
		100 * share(l->own_us, l->wall_us));
	printf(",\"latency_us\":{\"p50\":%" PRIu64 ",\"p90\":%" PRIu64 ",\"p99\":%" PRIu64
	       ",\"max\":%" PRIu64 "}",
		hist_at(&s->latency, 0.5), hist_at(&s->latency, 0.9), hist_at(&s->latency, 0.99),
		s->latency.max);
}

void
load_print_wrong(const struct swarm *s, uint64_t missing)
{
	printf(",\"wrong\":{\"failed\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"gaps\":%" PRIu64
	       ",\"repeats\":%" PRIu64 ",\"unwanted\":%" PRIu64 ",\"missing\":%" PRIu64 "}",
		s->failed, s->lost, s->skipped, s->repeated, s->unwanted, missing);
}

void
load_print(const struct load *l)
{
	const struct swarm *s = &l->swarm;
	const struct proc_memory end = procs_memory(&l->options.server);
	const uint64_t grown = l->after.pss > l->before.pss ? l->after.pss - l->before.pss : 0;
	size_t readers = 0;
	uint64_t progress = swarm_progress(s), expected;

	for (size_t i = 0; i < s->count; i++)
		readers += s->conns[i].reader;
	expected = l->published * readers;
	printf("{\"conns\":%zu,\"open\":%zu,\"readers\":%zu,\"connect_s\":%.6f,\"connects_per_s\":%.0f"
	       ",\"cpu_us_per_connect\":%.1f",
		s->count, s->open, readers, (double)l->connect_us / 1e6,
		share(s->open, l->connect_us) * 1e6, share(l->connect_cpu_us, s->open));
	printf(",\"memory\":{\"rss_before\":%" PRIu64 ",\"pss_before\":%" PRIu64 ",\"rss\":%" PRIu64
	       ",\"pss\":%" PRIu64 ",\"pss_per_conn\":%.0f,\"pss_end\":%" PRIu64 "}",
		l->before.rss, l->before.pss, l->after.rss, l->after.pss, share(grown, s->open),
		end.pss);
	if (l->options.publish != NULL)
		print_events(l);
	load_print_wrong(s, expected > progress ? expected - progress : 0);
	printf(",\"notices\":%" PRIu64 ",\"timed_out\":%s}\n", s->notices,
		l->timed_out ? "true" : "false");
}
