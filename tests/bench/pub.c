/* pub - publishes the events of the benchmark, in the way of each server.
 *
 *   pub --via control --to /run/evhub/wsd.sock --type bench --count 1000 --window 32
 *
 * Prints {"published":N,"errors":N,"seconds":S}. */

#include "tests/bench/pub.h"

#include "tests/bench/payload.h"
#include "tests/bench/util.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct option names[] = {
	{ "via", required_argument, NULL, 'v' },
	{ "to", required_argument, NULL, 't' },
	{ "type", required_argument, NULL, 'y' },
	{ "path", required_argument, NULL, 'p' },
	{ "first", required_argument, NULL, 'f' },
	{ "count", required_argument, NULL, 'n' },
	{ "seconds", required_argument, NULL, 's' },
	{ "rate", required_argument, NULL, 'r' },
	{ "window", required_argument, NULL, 'w' },
	{ "batch", required_argument, NULL, 'b' },
	{ NULL, 0, NULL, 0 },
};

static const struct pub_way *const ways[] = { &pub_control, &pub_http, &pub_pushpin, &pub_ws, &pub_mqtt,
	&pub_line };

void
pub_pace(const struct pub_options *o, uint64_t start, uint64_t i)
{
	const uint64_t due = start + i * 1000000 / o->rate;
	const struct timespec t = { (time_t)(due / 1000000), (long)(due % 1000000 * 1000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
		;
}

static void
set_option(struct pub_options *o, const char **via, int option)
{
	switch (option) {
	case 'v':
		*via = optarg;
		break;
	case 't':
		o->to = optarg;
		break;
	case 'y':
		o->type = optarg;
		break;
	case 'p':
		o->path = optarg;
		break;
	case 'f':
		o->first = (uint64_t)number(optarg, 1, PAYLOAD_SEQ_MAX);
		break;
	case 'n':
		o->count = (uint64_t)number(optarg, 1, PAYLOAD_SEQ_MAX);
		break;
	case 's':
		o->seconds = (unsigned)number(optarg, 0, 3600);
		break;
	case 'r':
		o->rate = (unsigned)number(optarg, 0, 1000000);
		break;
	case 'w':
		o->window = (unsigned)number(optarg, 1, 65535);
		break;
	case 'b':
		o->batch = (unsigned)number(optarg, 1, 1000000);
		break;
	default:
		exit(2);
	}
}

static struct pub_result
publish(const char *via, const struct pub_options *o)
{
	if (strcmp(via, "sql") == 0)
		return pub_sql(o);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(ways[i]->name, via) == 0)
			return pub_stream(ways[i], o);
	die("%s: no such way", via);
}

int
main(int argc, char **argv)
{
	struct pub_options o = { .type = "bench",
		.path = "/",
		.first = 1,
		.count = PAYLOAD_SEQ_MAX / 2,
		.window = 1,
		.batch = 1 };
	const char *via = "";
	struct pub_result result;
	uint64_t start;
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
		set_option(&o, &via, option);
	if (o.to == NULL)
		die("--to is needed");
	start = now_us();
	result = publish(via, &o);
	printf("{\"published\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"seconds\":%.6f}\n", result.published,
		result.errors, (double)(now_us() - start) / 1e6);
	return 0;
}
