#include "tests/unit/unit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int
unit_dir_setup(void **state)
{
	const char *base = getenv("TMPDIR");
	struct buf b = BUF_INIT;

	buf_printf(&b, "%s/evhub-unit-XXXXXX", base != NULL ? base : "/tmp");
	*state = buf_take(&b);
	return *state != NULL && mkdtemp(*state) != NULL ? 0 : -1;
}

static int
remove_entry(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	(void)st;
	(void)flag;
	(void)where;
	return remove(path);
}

int
unit_dir_teardown(void **state)
{
	int rc = nftw(*state, remove_entry, 16, FTW_DEPTH | FTW_PHYS);

	free(*state);
	*state = NULL;
	return rc;
}

const char *
unit_path(const char *dir, const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	assert_true(snprintf(path, sizeof(paths[0]), "%s/%s", dir, name) < (int)sizeof(paths[0]));
	return path;
}

const char *
unit_source(const char *name)
{
	const char *dir = getenv("srcdir");

	return unit_path(dir != NULL ? dir : ".", name);
}

void
unit_write(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

void
unit_read(struct buf *out, const char *path)
{
	FILE *f = fopen(path, "r");
	char block[4096];
	size_t n;

	if (f == NULL)
		fail_msg("%s cannot be read", path);
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(out, block, n);
	buf_add(out, "", 0);
	assert_int_equal(fclose(f), 0);
}

void
unit_replace(struct buf *b, const char *from, const char *to)
{
	struct buf out = BUF_INIT;
	const char *p = b->data, *hit;

	while ((hit = strstr(p, from)) != NULL) {
		buf_add(&out, p, (size_t)(hit - p));
		buf_puts(&out, to);
		p = hit + strlen(from);
	}
	buf_puts(&out, p);
	buf_free(b);
	*b = out;
}

int
unit_run(struct buf *out, const char *fmt, ...)
{
	struct buf command = BUF_INIT;
	char block[4096], text[3072];
	va_list ap;
	FILE *f;
	size_t n;
	int status;

	va_start(ap, fmt);
	assert_true(vsnprintf(text, sizeof(text), fmt, ap) < (int)sizeof(text));
	va_end(ap);
	buf_printf(&command, "{ %s\n} 2>&1", text);
	f = popen(command.data, "r");
	assert_non_null(f);
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(out, block, n);
	buf_add(out, "", 0);
	status = pclose(f);
	buf_free(&command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
unit_sqlite(struct buf *out, const char *db, const char *sql)
{
	struct buf script = BUF_INIT;
	int status;

	buf_printf(&script, "%s.sql", db);
	unit_write(script.data, sql, strlen(sql));
	status = unit_run(out, "sqlite3 -batch -bail -init /dev/null '%s' < '%s'", db, script.data);
	(void)unlink(script.data);
	buf_free(&script);
	return status;
}

void
unit_need(const char *program)
{
	struct buf out = BUF_INIT;
	int status = unit_run(&out, "command -v %s", program);

	buf_free(&out);
	if (status != 0) {
		(void)fprintf(stderr, "%s is not installed: skipped\n", program);
		exit(77);
	}
}
