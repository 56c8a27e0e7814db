/* A window of requests on one connection: as many as are answered follow, in
 * one write. */

#include "tests/bench/payload.h"
#include "tests/bench/pub.h"
#include "tests/bench/util.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_BYTES (256 * 1024)
#define PATIENCE_MS 20000

struct stream {
	const struct pub_way *way;
	const struct pub_options *o;
	int fd;
	uint64_t sent, good, bad;
	char *out; /* room for a window */
	char *in;
	size_t in_len;
};

static void
send_some(struct stream *s, uint64_t count)
{
	char payload[PAYLOAD_BYTES];
	size_t len = 0;

	while (count-- > 0) {
		payload_write(payload, s->o->first + s->sent++, now_us());
		len += s->way->request(s->out + len, s->o, payload);
	}
	send_all(s->fd, s->out, len);
}

static void
read_answers(struct stream *s)
{
	ssize_t n = recv(s->fd, s->in + s->in_len, IN_BYTES - s->in_len, 0);
	size_t used;

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0)
		die("the server hung up on its publisher");
	s->in_len += (size_t)n;
	used = s->way->answers(s->in, s->in_len, &s->good, &s->bad);
	memmove(s->in, s->in + used, s->in_len - used);
	s->in_len -= used;
}

static bool
wait_readable(const struct stream *s, int ms)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

static void
run_paced(struct stream *s)
{
	const uint64_t start = now_us();

	while (s->sent < s->o->count &&
		(s->o->seconds == 0 || now_us() - start < s->o->seconds * 1000000U)) {
		pub_pace(s->o, start, s->sent);
		send_some(s, 1);
		while (wait_readable(s, 0))
			read_answers(s);
	}
}

static void
run_fast(struct stream *s)
{
	const uint64_t start = now_us(), end = start + s->o->seconds * 1000000U;

	while (s->sent < s->o->count && (s->o->seconds == 0 || now_us() < end)) {
		uint64_t room = s->o->window - (s->sent - s->good - s->bad),
			 left = s->o->count - s->sent;

		if (room > 0)
			send_some(s, room < left ? room : left);
		if (!wait_readable(s, PATIENCE_MS))
			die("the server does not answer its publisher");
		read_answers(s);
	}
}

/* A connection for each event, one at a time. */
static void
run_single(struct stream *s)
{
	const uint64_t start = now_us(), end = start + s->o->seconds * 1000000U;

	while (s->sent < s->o->count && (s->o->seconds == 0 || now_us() < end)) {
		uint64_t answered = s->good + s->bad;

		if (s->o->rate > 0)
			pub_pace(s->o, start, s->sent);
		send_some(s, 1);
		while (s->good + s->bad == answered)
			read_answers(s);
		(void)close(s->fd);
		s->fd = dial(s->o->to);
		s->in_len = 0;
	}
}

struct pub_result
pub_stream(const struct pub_way *way, const struct pub_options *o)
{
	struct stream s = { .way = way, .o = o, .fd = dial(o->to) };

	s.out = need(o->window, PUB_REQUEST_MAX);
	s.in = need(1, IN_BYTES);
	if (way->greet != NULL)
		way->greet(s.fd, o);
	if (way->hangs_up)
		run_single(&s);
	else if (o->rate > 0)
		run_paced(&s);
	else
		run_fast(&s);
	while (s.good + s.bad < s.sent && wait_readable(&s, PATIENCE_MS))
		read_answers(&s);
	(void)close(s.fd);
	return (struct pub_result){ s.sent, s.bad + (s.sent - s.good - s.bad) };
}
