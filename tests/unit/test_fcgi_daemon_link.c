#include "common/clock.h"
#include "fcgi/daemon_link.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A daemon that answers each line by the next of its answers.  NULL hangs up
 * without one; two of them end it. */
struct fake {
	const char *path;
	const char *const *answers;
	int listener;
	int connections;
	pthread_t thread;
};

/* Reads one line; false at the end. */
static bool
read_line(int fd)
{
	char c = '\0';

	while (c != '\n')
		if (read(fd, &c, 1) != 1)
			return false;
	return true;
}

static void *
answer_all(void *arg)
{
	struct fake *f = arg;
	int fd = -1;

	while (f->answers[0] != NULL || f->answers[1] != NULL) {
		bool hang_up = f->answers[0] == NULL;

		if (fd < 0) {
			fd = accept(f->listener, NULL, NULL);
			f->connections++;
		}
		if (!read_line(fd)) {
			(void)close(fd);
			fd = -1;
			continue;
		}
		if (hang_up || write(fd, f->answers[0], strlen(f->answers[0])) < 0) {
			(void)close(fd);
			fd = -1;
		}
		f->answers++;
	}
	if (fd >= 0)
		(void)close(fd);
	return NULL;
}

static int
listen_at(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(sa.sun_path, path, strlen(path) + 1);
	(void)unlink(path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void
start(struct fake *f, const char *dir, const char *const *answers)
{
	f->path = unit_path(dir, "wsd.sock");
	f->answers = answers;
	f->connections = 0;
	f->listener = listen_at(f->path);
	assert_int_equal(pthread_create(&f->thread, NULL, answer_all, f), 0);
}

static void
finish(struct fake *f)
{
	assert_int_equal(pthread_join(f->thread, NULL), 0);
	(void)close(f->listener);
}

static enum evh_rc
ask(struct daemon_links *links, const char *path, int ms, struct json_object **answer)
{
	struct buf line = BUF_INIT;
	enum evh_rc rc;

	buf_puts(&line, "{\"op\":\"hello\"}\n");
	rc = daemon_links_ask(links, path, &line, clock_mono_us() + ms * 1000, answer);
	assert_true((rc == EVH_OK) == (*answer != NULL));
	buf_free(&line);
	return rc;
}

static void
expect(struct daemon_links *links, const char *path, enum evh_rc rc)
{
	struct json_object *answer = NULL;

	assert_int_equal(ask(links, path, 10000, &answer), rc);
	json_object_put(answer);
}

static void
test_kept_connection(void **state)
{
	static const char *const answers[] = { "{\"ok\":true}\n", "{\"ok\":true}\n", "{\"ok\":true}\n",
		NULL, NULL };
	struct daemon_links links;
	struct fake f;

	start(&f, *state, answers);
	daemon_links_init(&links);
	for (int i = 0; i < 3; i++)
		expect(&links, f.path, EVH_OK);
	finish(&f);
	assert_int_equal(f.connections, 1);
	daemon_links_close(&links);
}

/* It hangs up instead of the second answer: once more on a new connection. */
static void
test_restarted_daemon(void **state)
{
	static const char *const answers[] = { "{\"ok\":true}\n", NULL, "{\"ok\":false}\n", NULL, NULL };
	struct daemon_links links;
	struct fake f;

	start(&f, *state, answers);
	daemon_links_init(&links);
	expect(&links, f.path, EVH_OK);
	expect(&links, f.path, EVH_OK);
	finish(&f);
	assert_int_equal(f.connections, 2);
	daemon_links_close(&links);
}

static void
test_bad_answers(void **state)
{
	static const char *const answers[] = { "[]\n", "nonsense\n", "{}\n{}\n", "\n", "{}\n", NULL,
		NULL };
	struct daemon_links links;
	struct fake f;

	start(&f, *state, answers);
	daemon_links_init(&links);
	for (int i = 0; i < 4; i++)
		expect(&links, f.path, EVH_INVALID);
	daemon_links_close(&links);
	expect(&links, f.path, EVH_OK);
	finish(&f);
	daemon_links_close(&links);
}

static void
test_nobody(void **state)
{
	char path[200];
	struct daemon_links links;

	daemon_links_init(&links);
	expect(&links, unit_path(*state, "none.sock"), EVH_CLOSED);
	expect(&links, "", EVH_CLOSED);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	expect(&links, path, EVH_CLOSED);
	daemon_links_close(&links);
}

/* It listens and does nothing, at last with a full queue. */
static void
test_silent_daemon(void **state)
{
	const char *path = unit_path(*state, "wsd.sock");
	struct json_object *answer = NULL;
	int fd = listen_at(path);

	for (int i = 0; i < 8; i++) {
		struct daemon_links links;

		daemon_links_init(&links);
		assert_int_equal(ask(&links, path, 20, &answer), EVH_TIMEOUT);
		assert_int_equal(links.links[0].fd, -1);
		daemon_links_close(&links);
	}
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept_connection, unit_dir_setup, unit_dir_teardown),
		cmocka_unit_test_setup_teardown(
			test_restarted_daemon, unit_dir_setup, unit_dir_teardown),
		cmocka_unit_test_setup_teardown(test_bad_answers, unit_dir_setup, unit_dir_teardown),
		cmocka_unit_test_setup_teardown(test_nobody, unit_dir_setup, unit_dir_teardown),
		cmocka_unit_test_setup_teardown(test_silent_daemon, unit_dir_setup, unit_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
