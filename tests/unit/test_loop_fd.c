/* The descriptors beside the connections: who is called, when, and when not. */

#include "tests/unit/unit.h"
#include "wsd/loop_fd.h"

#include <sys/socket.h>
#include <unistd.h>

/* One end is watched, the test holds the other. */
struct end {
	struct loop_fds *fds;
	struct loop_fd *watched;
	int here, there;
	int read, written;
	bool ends_at_once;	/* stops watching when it is called */
	struct end *ends_other; /* … or this one */
	bool asks_again;	/* dispatches from inside */
	bool found_closed;
};

static void
on_readable(void *arg)
{
	struct end *e = arg;
	char c;

	e->read++;
	e->found_closed = !loop_is_open(e->watched);
	if (!e->found_closed)
		(void)!recv(e->here, &c, 1, MSG_DONTWAIT);
	if (e->asks_again)
		loop_fds_dispatch(e->fds, true);
	if (e->ends_at_once)
		loop_unwatch(&e->watched);
	if (e->ends_other != NULL)
		loop_unwatch(&e->ends_other->watched);
}

static void
on_writable(void *arg)
{
	((struct end *)arg)->written++;
}

static struct end
begin(struct loop_fds *fds)
{
	struct end e = { .fds = fds };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	e.here = pair[0];
	e.there = pair[1];
	return e;
}

static void
watch(struct end *e)
{
	e->watched = loop_fds_add(e->fds, e->here, on_readable, on_writable, e);
	assert_non_null(e->watched);
}

static void
poke(const struct end *e)
{
	assert_int_equal(write(e->there, "x", 1), 1);
}

static void
finish(struct end *e)
{
	loop_unwatch(&e->watched);
	if (e->there >= 0)
		(void)close(e->there);
}

static void
calls_who_is_ready_and_nobody_else(void **state)
{
	struct loop_fds *fds = loop_fds_new();
	struct end a = begin(fds), b = begin(fds);

	(void)state;
	watch(&a);
	watch(&b);
	poke(&a);
	loop_fds_dispatch(fds, true);
	assert_int_equal(a.read, 1);
	loop_fds_dispatch(fds, true); /* it has been read */
	assert_int_equal(a.read, 1);
	assert_int_equal(b.read, 0);
	assert_int_equal(a.written + b.written, 0);
	finish(&a);
	finish(&b);
	loop_fds_free(&fds);
}

static void
leaves_out_those_that_bring_work(void **state)
{
	struct loop_fds *fds = loop_fds_new();
	struct end a = begin(fds), listener = begin(fds);

	(void)state;
	watch(&listener);
	watch(&a);
	loop_brings_work(listener.watched);
	poke(&listener);
	poke(&a);
	loop_fds_dispatch(fds, false);
	assert_int_equal(listener.read, 0);
	assert_int_equal(a.read, 1);
	loop_fds_dispatch(fds, true);
	assert_int_equal(listener.read, 1);
	finish(&a);
	finish(&listener);
	loop_fds_free(&fds);
}

static void
calls_the_writer_once_for_each_wish(void **state)
{
	struct loop_fds *fds = loop_fds_new();
	struct end a = begin(fds);

	(void)state;
	watch(&a);
	loop_want_write(a.watched);
	loop_want_write(a.watched);
	loop_fds_dispatch(fds, true);
	loop_fds_dispatch(fds, true);
	assert_int_equal(a.written, 1);
	assert_int_equal(a.read, 0);
	finish(&a);
	loop_fds_free(&fds);
}

static void
a_pause_holds_back_the_reader(void **state)
{
	struct loop_fds *fds = loop_fds_new();
	struct end a = begin(fds);

	(void)state;
	watch(&a);
	poke(&a);
	loop_pause(a.watched, true);
	loop_fds_dispatch(fds, true);
	assert_int_equal(a.read, 0);
	loop_pause(a.watched, false);
	loop_fds_dispatch(fds, true);
	assert_int_equal(a.read, 1);
	finish(&a);
	loop_fds_free(&fds);
}

/* The kernel tells of that whether it is asked or not: the loop must not spin. */
static void
one_that_is_paused_learns_once_that_the_other_side_is_gone(void **state)
{
	struct loop_fds *fds = loop_fds_new();
	struct end a = begin(fds);

	(void)state;
	watch(&a);
	loop_pause(a.watched, true);
	(void)close(a.there);
	a.there = -1;
	loop_fds_dispatch(fds, true);
	assert_int_equal(a.read, 1);
	assert_true(a.found_closed);
	loop_fds_dispatch(fds, true);
	assert_int_equal(a.read, 1);
	finish(&a);
	loop_fds_free(&fds);
}

static void
may_end_itself_and_others_inside_a_call(void **state)
{
	struct loop_fds *fds = loop_fds_new();
	struct end a = begin(fds), b = begin(fds);

	(void)state;
	watch(&a);
	watch(&b);
	a.ends_at_once = b.ends_at_once = true;
	a.ends_other = &b;
	b.ends_other = &a;
	poke(&a);
	poke(&b);
	loop_fds_dispatch(fds, true);
	assert_int_equal(a.read + b.read, 1); /* the first, whichever, ended both */
	assert_null(a.watched);
	assert_null(b.watched);
	finish(&a);
	finish(&b);
	loop_fds_free(&fds);
}

static void
does_nothing_from_inside_a_call(void **state)
{
	struct loop_fds *fds = loop_fds_new();
	struct end a = begin(fds), b = begin(fds);

	(void)state;
	watch(&a);
	watch(&b);
	a.asks_again = b.asks_again = true;
	poke(&a);
	poke(&b);
	loop_fds_dispatch(fds, true);
	assert_int_equal(a.read, 1);
	assert_int_equal(b.read, 1);
	finish(&a);
	finish(&b);
	loop_fds_free(&fds);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_who_is_ready_and_nobody_else),
		cmocka_unit_test(leaves_out_those_that_bring_work),
		cmocka_unit_test(calls_the_writer_once_for_each_wish),
		cmocka_unit_test(a_pause_holds_back_the_reader),
		cmocka_unit_test(one_that_is_paused_learns_once_that_the_other_side_is_gone),
		cmocka_unit_test(may_end_itself_and_others_inside_a_call),
		cmocka_unit_test(does_nothing_from_inside_a_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
