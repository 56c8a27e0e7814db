/* post - sends POST /unsubscribe for many clients over a few connections, one
 * request at a time on each, and prints rate and latency.
 *
 *   post --to 127.0.0.1:8080 --ids FILE --parallel 32 --type bench
 *
 * FILE has a client id and a key on each line (load --ids). */

#include "tests/bench/hist.h"
#include "tests/bench/http.h"
#include "tests/bench/util.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PARALLEL_MAX 1024
#define IN_BYTES 8192

struct link {
	int fd;
	uint64_t sent; /* µs */
	char in[IN_BYTES];
	size_t in_len;
};

struct post {
	const char *to, *path, *type;
	struct lines ids;
	size_t next, answered, wrong, reconnected;
	unsigned parallel;
	struct hist latency;
	struct link links[PARALLEL_MAX];
};

static const struct option names[] = {
	{ "to", required_argument, NULL, 't' },
	{ "path", required_argument, NULL, 'p' },
	{ "ids", required_argument, NULL, 'i' },
	{ "parallel", required_argument, NULL, 'n' },
	{ "type", required_argument, NULL, 'y' },
	{ NULL, 0, NULL, 0 },
};

/* Sends the next request, if there is one. */
static void
ask(struct post *p, struct link *l)
{
	char body[256], text[1024], id[64], key[520];
	int n;

	l->in_len = 0;
	if (p->next == p->ids.count) {
		(void)close(l->fd);
		l->fd = -1;
		return;
	}
	if (sscanf(p->ids.at[p->next++], "%63s %519s", id, key) != 2)
		die("%s: not an id and a key", p->ids.at[p->next - 1]);
	n = snprintf(
		body, sizeof(body), "{\"client_id\":\"%s\",\"event_types\":[\"%.64s\"]}", id, p->type);
	n = snprintf(text, sizeof(text),
		"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: %s\r\nContent-Type: application/json\r\n"
		"Content-Length: %d\r\n\r\n%s",
		p->path, key, n, body);
	if (n < 0 || (size_t)n >= sizeof(text))
		die("a request is too long");
	l->sent = now_us();
	send_all(l->fd, text, (size_t)n);
}

static void
on_answer(struct post *p, struct link *l, const struct http_answer *a)
{
	p->answered++;
	hist_add(&p->latency, now_us() - l->sent);
	if (a->status != 200 && p->wrong++ == 0)
		fprintf(stderr, "%.*s\n", (int)a->len, l->in);
	if (a->closes) {
		(void)close(l->fd);
		l->fd = dial(p->to);
		p->reconnected++;
	}
	ask(p, l);
}

static void
on_readable(struct post *p, struct link *l)
{
	struct http_answer a;
	ssize_t n = recv(l->fd, l->in + l->in_len, IN_BYTES - l->in_len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		die("the web server hung up");
	l->in_len += (size_t)n;
	if (http_parse(l->in, l->in_len, &a))
		on_answer(p, l, &a);
	else if (l->in_len == IN_BYTES)
		die("an answer is too long");
}

static void
run(struct post *p)
{
	struct pollfd fds[PARALLEL_MAX];

	for (unsigned i = 0; i < p->parallel; i++) {
		p->links[i].fd = dial(p->to);
		ask(p, &p->links[i]);
	}
	while (p->answered < p->ids.count) {
		for (unsigned i = 0; i < p->parallel; i++)
			fds[i] = (struct pollfd){ .fd = p->links[i].fd, .events = POLLIN };
		if (poll(fds, p->parallel, 10000) <= 0)
			die("no answer for 10 seconds");
		for (unsigned i = 0; i < p->parallel; i++)
			if (fds[i].revents != 0)
				on_readable(p, &p->links[i]);
	}
}

static void
set_option(struct post *p, int option)
{
	switch (option) {
	case 't':
		p->to = optarg;
		break;
	case 'p':
		p->path = optarg;
		break;
	case 'i':
		p->ids = read_lines(optarg);
		break;
	case 'n':
		p->parallel = (unsigned)number(optarg, 1, PARALLEL_MAX);
		break;
	case 'y':
		p->type = optarg;
		break;
	default:
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	struct post *p = need(1, sizeof(*p));
	uint64_t start;
	double seconds;
	int option;

	p->path = "/api/v1/ws/unsubscribe";
	p->type = "bench";
	p->parallel = 32;
	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
		set_option(p, option);
	if (p->to == NULL || p->ids.count == 0)
		die("--to and --ids are needed");
	start = now_us();
	run(p);
	seconds = (double)(now_us() - start) / 1e6;
	printf("{\"answered\":%zu,\"wrong\":%zu,\"reconnected\":%zu,\"seconds\":%.6f,\"per_s\":%.0f"
	       ",\"latency_us\":{\"p50\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"max\":%" PRIu64 "}}\n",
		p->answered, p->wrong, p->reconnected, seconds, (double)p->answered / seconds,
		hist_at(&p->latency, 0.5), hist_at(&p->latency, 0.99), p->latency.max);
	return 0;
}
