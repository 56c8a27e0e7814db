#include "tests/fuzz/fuzz.h"

#include "common/json.h"
#include "common/json_text.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[256];

_Noreturn void
fuzz_failed(const char *condition, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}

static char *
copy(const char *text, size_t len)
{
	char *c = malloc(len + 1);

	FUZZ_CHECK(c != NULL);
	memcpy(c, text, len);
	c[len] = '\0';
	return c;
}

char *
fuzz_line(struct fuzz_input *in)
{
	const char *end;
	size_t len;
	char *text, *line;

	if (in->left == 0)
		return NULL;
	end = memchr(in->at, '\n', in->left);
	len = end != NULL ? (size_t)(end - in->at) : in->left;
	text = copy(in->at, len);
	in->at += len + (end != NULL);
	in->left -= len + (end != NULL);
	line = copy(text, strlen(text));
	free(text);
	return line;
}

char *
fuzz_rest(struct fuzz_input *in, size_t *len)
{
	char *c = malloc(in->left > 0 ? in->left : 1);

	FUZZ_CHECK(c != NULL);
	if (in->left > 0)
		memcpy(c, in->at, in->left);
	*len = in->left;
	in->at += in->left;
	in->left = 0;
	return c;
}

void
fuzz_check_json(const char *text, size_t len)
{
	char why[JSON_WHY_BYTES];
	enum evh_rc rc = json_text_check(text, len, why);

	FUZZ_CHECK(buf_utf8_valid(text, len) == len);
	if (rc != EVH_OK && rc != EVH_TOO_LARGE)
		(void)fprintf(stderr, "%s: %.*s\n", why, (int)len, text);
	FUZZ_CHECK(rc == EVH_OK || rc == EVH_TOO_LARGE);
}

static int
remove_entry(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	(void)st;
	(void)flag;
	(void)where;
	return remove(path);
}

static void
remove_directory(void)
{
	(void)nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *
fuzz_directory(void)
{
	const char *base = getenv("TMPDIR");

	if (directory[0] != '\0')
		return directory;
	(void)snprintf(
		directory, sizeof(directory), "%s/evhub-fuzz-XXXXXX", base != NULL ? base : "/tmp");
	FUZZ_CHECK(mkdtemp(directory) != NULL);
	(void)atexit(remove_directory);
	return directory;
}
