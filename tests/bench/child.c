#include "tests/bench/child.h"

#include "tests/bench/util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 64

void
child_start(struct child *c, char *const *argv, const char *const *more)
{
	const char *args[ARGS_MAX];
	size_t n = 0;
	int ends[2];

	while (*argv != NULL && n < ARGS_MAX - 1)
		args[n++] = *argv++;
	while (*more != NULL && n < ARGS_MAX - 1)
		args[n++] = *more++;
	args[n] = NULL;
	memset(c, 0, sizeof(*c));
	if (pipe(ends) != 0)
		die("pipe: %s", strerror(errno));
	c->pid = fork();
	if (c->pid < 0)
		die("fork: %s", strerror(errno));
	if (c->pid == 0) {
		(void)dup2(ends[1], STDOUT_FILENO);
		(void)close(ends[0]);
		(void)close(ends[1]);
		execv(args[0], (char *const *)args);
		_exit(127);
	}
	(void)close(ends[1]);
	c->out = ends[0];
}

static long long
field(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at != NULL ? strtoll(at + strlen(name), NULL, 10) : -1;
}

void
child_read(struct child *c)
{
	ssize_t n = read(c->out, c->text + c->len, sizeof(c->text) - 1 - c->len);

	if (n > 0) {
		c->len += (size_t)n;
		return;
	}
	(void)close(c->out);
	(void)waitpid(c->pid, NULL, 0);
	c->pid = 0;
	c->done = true;
	c->published = field(c->text, "\"published\":");
	c->errors = field(c->text, "\"errors\":");
	if (c->published < 0 || c->errors < 0)
		die("the publisher failed");
}

void
child_end(struct child *c)
{
	if (c->pid == 0)
		return;
	(void)kill(c->pid, SIGTERM);
	(void)waitpid(c->pid, NULL, 0);
	c->pid = 0;
}
