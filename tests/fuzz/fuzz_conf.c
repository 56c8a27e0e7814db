/* The configuration.  Lines that begin with "-o " are overrides, applied after
 * the rest, which is the file.  What is accepted keeps the bounds of the
 * table, and is accepted again when it is written down. */

#include "common/conf_priv.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OVERRIDES_MAX 16

/* libconfuse forgets the arguments of a function when the text behind them is
 * wrong.  The programs end then, or keep what they had. */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfuse";
}

static const void *
value_of(const struct conf *conf, const struct conf_option *o)
{
	return (const char *)conf + o->offset;
}

static void
check_number(const struct conf *conf, const struct conf_option *o)
{
	int64_t v = *(const int64_t *)value_of(conf, o);
	char why[CONF_WHY_BYTES], text[96];
	struct conf again;

	FUZZ_CHECK(v >= o->min && v <= o->max);
	memset(&again, 0, sizeof(again));
	(void)snprintf(
		text, sizeof(text), "%s=%lld%s", o->key, (long long)v, o->kind == CONF_TIME ? "ms" : "");
	FUZZ_CHECK(conf_override(&again, text, why) == EVH_OK);
	FUZZ_CHECK(*(const int64_t *)value_of(&again, o) == v);
}

static void
check_conf(const struct conf *conf)
{
	for (const struct conf_option *o = conf_table; o->key != NULL; o++) {
		const struct conf_list *list;
		int word, words = 0;

		switch (o->kind) {
		case CONF_NUMBER:
		case CONF_SIZE:
		case CONF_TIME:
			check_number(conf, o);
			break;
		case CONF_WORD:
			word = *(const int *)value_of(conf, o);
			while (o->words[words] != NULL)
				words++;
			FUZZ_CHECK(word >= 0 && word < words);
			break;
		case CONF_STRING:
			FUZZ_CHECK(*(char *const *)value_of(conf, o) != NULL);
			break;
		case CONF_LIST:
			list = value_of(conf, o);
			for (size_t i = 0; i < list->count; i++)
				FUZZ_CHECK(list->items[i] != NULL);
			break;
		case CONF_BOOL:
			break;
		}
	}
}

static void
check_result(enum evh_rc rc, const char *why)
{
	FUZZ_CHECK(rc == EVH_OK || rc == EVH_INVALID || rc == EVH_NOT_FOUND);
	FUZZ_CHECK(memchr(why, '\0', CONF_WHY_BYTES) != NULL);
	FUZZ_CHECK(rc == EVH_OK || why[0] != '\0');
}

/* As many as there are are counted, and each is in words. */
static void
check_problems(enum evh_rc rc, struct problems *problems)
{
	size_t serious = 0;

	for (size_t i = 0; i < problems->count; i++) {
		FUZZ_CHECK(problems->items[i].text != NULL && problems->items[i].text[0] != '\0');
		serious += !problems->items[i].note;
	}
	FUZZ_CHECK(serious == problems->serious);
	FUZZ_CHECK((rc == EVH_OK) == (serious == 0));
	FUZZ_CHECK(rc == EVH_OK || rc == EVH_INVALID || rc == EVH_NOT_FOUND);
	problems_free(problems);
}

static void
write_file(const char *path, const struct buf *text)
{
	FILE *f = fopen(path, "we");

	FUZZ_CHECK(f != NULL);
	if (text->len > 0)
		FUZZ_CHECK(fwrite(text->data, 1, text->len, f) == text->len);
	FUZZ_CHECK(fclose(f) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };
	char *overrides[OVERRIDES_MAX], *line, path[300], why[CONF_WHY_BYTES] = "";
	struct problems problems = PROBLEMS_INIT;
	struct buf file = BUF_INIT;
	struct conf conf;
	size_t count = 0;
	enum evh_rc rc;

	while ((line = fuzz_line(&in)) != NULL) {
		if (strncmp(line, "-o ", 3) == 0 && count < OVERRIDES_MAX) {
			overrides[count++] = line;
			continue;
		}
		buf_puts(&file, line);
		buf_puts(&file, "\n");
		free(line);
	}
	(void)snprintf(path, sizeof(path), "%s/evhub.conf", fuzz_directory());
	write_file(path, &file);
	FUZZ_CHECK(conf_init(&conf) == EVH_OK);
	rc = conf_read(&conf, path, &problems);
	check_problems(rc, &problems);
	check_conf(&conf);
	for (size_t i = 0; i < count; i++) {
		why[0] = '\0';
		check_result(conf_override(&conf, overrides[i] + 3, why), why);
		check_conf(&conf);
		free(overrides[i]);
	}
	rc = conf_check(&conf, &problems);
	check_problems(rc, &problems);
	conf_free(&conf);
	buf_free(&file);
	return 0;
}
