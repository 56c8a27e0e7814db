/* load - tens of thousands of WebSocket clients, for measuring a server.
 *
 *   load --to 127.0.0.1:8090 --conns 1000 --path '/…' --server-pids 12,13 \
 *     -- pub --via control --to /run/… --seconds 3
 *
 * Opens the connections, runs the publisher, checks each event on each
 * connection, and prints one JSON object.  --help lists the options. */

#include "tests/bench/load.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const struct option names[] = {
	{ "to", required_argument, NULL, 't' },
	{ "conns", required_argument, NULL, 'n' },
	{ "path", required_argument, NULL, 'p' },
	{ "other-path", required_argument, NULL, 'o' },
	{ "every", required_argument, NULL, 'e' },
	{ "protocol", required_argument, NULL, 'P' },
	{ "keys", required_argument, NULL, 'k' },
	{ "welcome", no_argument, NULL, 'w' },
	{ "mqtt", required_argument, NULL, 'm' },
	{ "in-flight", required_argument, NULL, 'f' },
	{ "sources", required_argument, NULL, 's' },
	{ "server-pids", required_argument, NULL, 'S' },
	{ "settle", required_argument, NULL, 'x' },
	{ "timeout", required_argument, NULL, 'T' },
	{ "slow", required_argument, NULL, 'l' },
	{ "storm", no_argument, NULL, 'r' },
	{ "announce", no_argument, NULL, 'a' },
	{ "ids", required_argument, NULL, 'i' },
	{ "hold", no_argument, NULL, 'h' },
	{ "help", no_argument, NULL, '?' },
	{ NULL, 0, NULL, 0 },
};

static void
usage(void)
{
	fputs("usage: load --to ADDR:PORT --conns N --path PATH [option]... [-- publisher [argument]...]\n",
		stdout);
	for (const struct option *o = names; o->name != NULL; o++)
		printf("  --%s%s\n", o->name, o->has_arg == required_argument ? " VALUE" : "");
	exit(0);
}

static void
set_option(struct load_options *o, int option)
{
	struct swarm_setup *u = &o->swarm;

	switch (option) {
	case 't':
		u->to = address(optarg);
		break;
	case 'n':
		o->conns = (size_t)number(optarg, 1, 1000000);
		break;
	case 'p':
		u->path = optarg;
		break;
	case 'o':
		u->other_path = optarg;
		break;
	case 'e':
		u->every = (unsigned)number(optarg, 1, 1000000);
		break;
	case 'P':
		u->protocol = optarg;
		break;
	case 'k':
		u->keys = read_lines(optarg);
		break;
	case 'w':
		u->welcome = true;
		break;
	case 'm':
		u->topic = optarg;
		break;
	case 'f':
		u->in_flight = (unsigned)number(optarg, 1, 100000);
		break;
	case 's':
		u->sources = (unsigned)number(optarg, 1, 250);
		break;
	case 'S':
		o->server = procs_parse(optarg);
		break;
	case 'x':
		o->settle = (unsigned)number(optarg, 0, 60000);
		break;
	case 'T':
		o->timeout = (unsigned)number(optarg, 1, 600);
		break;
	case 'l':
		o->slow = (size_t)number(optarg, 0, 1000000);
		break;
	case 'r':
		o->storm = true;
		break;
	case 'a':
		o->announce = true;
		break;
	case 'i':
		o->ids = optarg;
		break;
	case 'h':
		o->hold = true;
		break;
	default:
		usage();
	}
}

static void
options_read(struct load_options *o, int argc, char **argv)
{
	int option;

	*o = (struct load_options){
		.swarm = { .sources = 16, .in_flight = 256, .every = 1 }, .timeout = 30, .settle = 300
	};
	while ((option = getopt_long(argc, argv, "+", names, NULL)) != -1)
		set_option(o, option);
	if (optind < argc)
		o->publish = argv + optind;
	if (o->conns == 0 || o->swarm.path == NULL || o->swarm.to.sin_port == 0)
		die("--to, --conns and --path are needed");
	if (o->slow > o->conns)
		die("more than there are");
	if (o->storm && o->publish == NULL)
		die("--storm needs a publisher");
}

static void
on_publisher(void *arg)
{
	struct load *l = arg;

	child_read(&l->publisher);
	if (l->publisher.done)
		swarm_watch(&l->swarm, -1, NULL, NULL);
}

void
load_pass(struct load *l, unsigned ms)
{
	const uint64_t end = now_us() + (uint64_t)ms * 1000;

	for (uint64_t now; (now = now_us()) < end;)
		swarm_turn(&l->swarm, (int)((end - now) / 1000) + 1);
}

void
load_publish(struct load *l, const char *const *more)
{
	child_start(&l->publisher, l->options.publish, more);
	swarm_watch(&l->swarm, l->publisher.out, on_publisher, l);
}

void
load_published(struct load *l)
{
	if (!l->publisher.done) {
		swarm_watch(&l->swarm, -1, NULL, NULL);
		child_end(&l->publisher);
		l->timed_out = true;
	}
	l->published += (uint64_t)l->publisher.published;
	l->errors += (uint64_t)l->publisher.errors;
}

static size_t
readers(const struct swarm *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		n += s->conns[i].state == CONN_OPEN && s->conns[i].reader;
	return n;
}

void
load_receive(struct load *l, const char *const *more)
{
	struct swarm *s = &l->swarm;
	const uint64_t cpu = procs_cpu_us(&l->options.server), own = own_cpu_us(), start = now_us();
	const uint64_t end = start + (uint64_t)l->options.timeout * 1000000;
	const size_t all = readers(s);

	load_publish(l, more);
	while (!l->publisher.done || swarm_progress(s) < (uint64_t)l->publisher.published * all) {
		if (now_us() > end) {
			l->timed_out = true;
			break;
		}
		swarm_turn(s, 50);
	}
	l->cpu_us = procs_cpu_us(&l->options.server) - cpu;
	l->own_us = own_cpu_us() - own;
	l->wall_us = now_us() - start;
	load_published(l);
}

static void
connect_all(struct load *l)
{
	struct swarm *s = &l->swarm;
	const uint64_t cpu = procs_cpu_us(&l->options.server), start = now_us();

	if (!swarm_open(s, 0, s->count, start + (uint64_t)l->options.timeout * 1000000))
		l->timed_out = s->connecting > 0;
	l->connect_us = now_us() - start;
	l->connect_cpu_us = procs_cpu_us(&l->options.server) - cpu;
	load_pass(l, l->options.settle);
	l->after = procs_memory(&l->options.server);
}

/* One line for each connection: its id, and the key that it came with. */
static void
write_ids(const struct load *l)
{
	const struct swarm *s = &l->swarm;
	const struct lines *keys = &l->options.swarm.keys;
	FILE *f = fopen(l->options.ids, "w");

	if (f == NULL)
		die("%s: cannot be written", l->options.ids);
	for (size_t i = 0; i < s->count; i++)
		fprintf(f, "%s %s\n", s->conns[i].client_id,
			keys->count > 0 ? keys->at[i % keys->count] : "-");
	if (fclose(f) != 0)
		die("%s: cannot be written", l->options.ids);
}

static void
on_input(void *arg)
{
	char some[64];

	(void)!read(STDIN_FILENO, some, sizeof(some)); /* a word, or the end */
	*(bool *)arg = true;
}

void
load_ready(struct load *l, bool wait)
{
	const uint64_t end = now_us() + (uint64_t)l->options.timeout * 1000000;
	bool over = !wait;

	puts("ready");
	fflush(stdout);
	swarm_watch(&l->swarm, STDIN_FILENO, on_input, &over);
	while (!over && now_us() < end)
		swarm_turn(&l->swarm, 100);
	swarm_watch(&l->swarm, -1, NULL, NULL);
}

static void
raise_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

int
main(int argc, char **argv)
{
	static const char *const nothing[] = { NULL };
	struct load *l = need(1, sizeof(*l));

	raise_limit();
	options_read(&l->options, argc, argv);
	l->before = procs_memory(&l->options.server);
	swarm_init(&l->swarm, &l->options.swarm, l->options.conns);
	connect_all(l);
	for (size_t i = 0; i < l->options.slow; i++) {
		swarm_stop_reading(&l->swarm, i);
		l->swarm.conns[i].reader = false;
	}
	if (l->options.ids != NULL)
		write_ids(l);
	if (l->options.hold) {
		load_ready(l, true);
		load_pass(l, l->options.settle);
	}
	if (l->options.storm) {
		load_storm(l);
		return 0;
	}
	if (l->options.announce)
		load_ready(l, false);
	if (l->options.publish != NULL)
		load_receive(l, nothing);
	load_print(l);
	return 0;
}
