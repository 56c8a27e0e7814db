/* replay_NAME: runs a harness on each file of its corpus, corpus/NAME beside
 * the source, or on the files given as arguments.  For builds without
 * libFuzzer: what was found once is looked at again in every make check. */

#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
replay(const char *path)
{
	struct buf content = BUF_INIT;
	FILE *f = fopen(path, "re");
	char block[4096];
	uint8_t *exact;
	size_t n;

	if (f == NULL) {
		(void)fprintf(stderr, "%s cannot be read\n", path);
		return 1;
	}
	while ((n = fread(block, 1, sizeof(block), f)) > 0)
		buf_add(&content, block, n);
	(void)fclose(f);
	(void)printf("%s\n", path);
	(void)fflush(stdout);
	exact = malloc(content.len > 0 ? content.len : 1);
	FUZZ_CHECK(exact != NULL && !content.failed);
	if (content.len > 0)
		memcpy(exact, content.data, content.len);
	(void)LLVMFuzzerTestOneInput(exact, content.len);
	free(exact);
	buf_free(&content);
	return 0;
}

static int
replay_directory(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	int status = 0, count = 0;

	if (d == NULL) {
		(void)fprintf(stderr, "there is no corpus %s\n", path);
		return 1;
	}
	while ((entry = readdir(d)) != NULL) {
		struct buf name = BUF_INIT;

		if (entry->d_name[0] == '.')
			continue;
		buf_printf(&name, "%s/%s", path, entry->d_name);
		status |= replay(name.data);
		buf_free(&name);
		count++;
	}
	(void)closedir(d);
	(void)printf("%d inputs\n", count);
	return count > 0 ? status : 1;
}

int
main(int argc, char **argv)
{
	const char *source = getenv("srcdir"), *name = strstr(argv[0], "replay_");
	struct buf corpus = BUF_INIT;
	int status = 0;

	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			status |= replay(argv[i]);
		return status;
	}
	for (const char *next = name; next != NULL; next = strstr(next + 1, "replay_"))
		name = next;
	buf_printf(&corpus, "%s/tests/fuzz/corpus/%s", source != NULL ? source : ".",
		name != NULL ? name + strlen("replay_") : "");
	status = replay_directory(corpus.data);
	buf_free(&corpus);
	return status;
}
