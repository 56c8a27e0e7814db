/* The configuration file, read by libconfuse. */

#include "common/buf.h"
#include "common/conf_priv.h"
#include "common/conf_scan.h"

#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INCLUDE_DEPTH_MAX 10

/* Files that are included twice and include others twice would be read a
 * thousand times. */
#define INCLUDES_MAX 100

/* What libconfuse calls the file itself, among sections. */
#define TOP "root"

#define SECTION "jwt"
#define SECTION_MAX 16

/* libconfuse calls plain functions without a pointer of ours, so what they
 * need stands here while a file is being read. */
static struct {
	struct problems *problems;
	const char *path; /* a section does not know it */
	int depth;
	int includes; /* so far */
} reading;

static void
on_parse_error(cfg_t *cfg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void
on_parse_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	const char *path = cfg != NULL && cfg->filename != NULL ? cfg->filename : reading.path;
	char text[CONF_WHY_BYTES];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	if (cfg != NULL && path != NULL && cfg->line > 0)
		problems_add(reading.problems, "%s:%d: %s", path, cfg->line, text);
	else
		problems_add(reading.problems, "%s", text);
	problems_hint(reading.problems,
		"a line is key = value, texts stand in quotes and lists in braces; see evhub.conf(5)");
}

/* The name of an option with that of its section in front, as the table has it. */
static size_t
full_name(const cfg_t *cfg, const cfg_opt_t *opt, char name[64])
{
	bool top = cfg->name == NULL || strcmp(cfg->name, TOP) == 0;
	int n = snprintf(name, 64, "%s%s%s", top ? "" : cfg->name, top ? "" : ".", opt->name);

	return n < 0 ? 0 : (size_t)n;
}

/* … and as libconfuse looks for it. */
static const char *
confuse_path(const struct conf_option *o, char path[64])
{
	char *dot;

	(void)snprintf(path, 64, "%s", o->key);
	dot = strchr(path, '.');
	if (dot != NULL)
		*dot = '|';
	return path;
}

/* Checks each value while the parser still knows its line.  A bad one does
 * not stop it: there may be more. */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	char name[64];
	const struct conf_option *o = conf_find(name, full_name(cfg, opt, name));
	char why[CONF_WHY_BYTES] = "";
	struct conf scratch;
	unsigned int n = cfg_opt_size(opt);
	enum evh_rc rc;

	if (o == NULL || o->kind == CONF_LIST || o->kind == CONF_STRING || n == 0)
		return 0;
	memset(&scratch, 0, sizeof(scratch));
	rc = conf_set(o, &scratch, cfg_opt_getnstr(opt, n - 1), why);
	if (rc != EVH_OK) {
		cfg_error(cfg, "%s", why);
		problems_hint(reading.problems, "the default is %s; see %s in evhub.conf(5)",
			o->fallback[0] != '\0' ? o->fallback : "empty", o->key);
	}
	return 0;
}

/* Opens what can be read as a file; libconfuse ends the process on a directory. */
static FILE *
open_file(const char *path)
{
	FILE *fp = fopen(path, "re");
	struct stat st;
	int saved;

	if (fp == NULL)
		return NULL;
	if (fstat(fileno(fp), &st) == 0 && !S_ISDIR(st.st_mode))
		return fp;
	saved = S_ISDIR(st.st_mode) ? EISDIR : errno;
	(void)fclose(fp);
	errno = saved;
	return NULL;
}

/* Whether a word of the file may begin behind c. */
static bool
between_words(char c)
{
	return strchr(" \t\r\n={}(),+\"'", c) != NULL;
}

/* Overwrites what stands before end with blanks, but for the ends of lines. */
static char *
blank_until(char *p, const char *end)
{
	for (; p < end; p++)
		if (*p != '\n')
			*p = ' ';
	return p;
}

/* libconfuse 3.3 counts the lines of comments more than once and would name
 * the wrong line ever after, so it is not shown any. */
static void
blank_comments(char *text)
{
	char *p = text;

	while (*p != '\0') {
		bool word = p == text || between_words(p[-1]);

		if (*p == '"' || *p == '\'') {
			p = conf_scan_quoted(p);
		} else if (*p == '#' || (word && p[0] == '/' && p[1] == '/')) {
			p = blank_until(p, p + strcspn(p, "\n"));
		} else if (word && p[0] == '/' && p[1] == '*' && strstr(p + 2, "*/") != NULL) {
			p = blank_until(p, strstr(p + 2, "*/") + 2);
		} else {
			p++;
		}
	}
}

/* How many braces are left open at the end: libconfuse does not mind. */
static int
open_braces(char *text)
{
	int open = 0;

	for (char *p = text; *p != '\0';) {
		if (*p == '"' || *p == '\'') {
			p = conf_scan_quoted(p);
			continue;
		}
		open += *p == '{' ? 1 : *p == '}' ? -1 : 0;
		p++;
	}
	return open;
}

/* The file's text without its comments, as a stream over *text. */
static FILE *
without_comments(FILE *fp, const char *path, struct buf *text)
{
	char block[4096];
	size_t n;

	while ((n = fread(block, 1, sizeof(block), fp)) > 0)
		buf_add(text, block, n);
	buf_puts(text, " "); /* a stream must not be empty */
	if (text->failed) {
		errno = ENOMEM;
		return NULL;
	}
	blank_comments(text->data);
	conf_names_check(text->data, path, reading.problems);
	return fmemopen(text->data, text->len, "r");
}

/* Parses one file into cfg, which may be in the middle of another. */
static int
parse_file(cfg_t *cfg, FILE *fp, char *path)
{
	char *outer = cfg->filename;
	int line = cfg->line, rc = CFG_PARSE_ERROR;
	struct buf text = BUF_INIT;
	FILE *stream = without_comments(fp, path, &text);

	cfg->filename = path;
	reading.path = path;
	cfg->line = 1;
	if (stream != NULL) {
		rc = cfg_parse_fp(cfg, stream);
		(void)fclose(stream);
		if (rc == CFG_SUCCESS && open_braces(text.data) != 0) {
			cfg_error(cfg, "premature end of file");
			rc = CFG_PARSE_ERROR;
		}
	} else {
		cfg_error(cfg, "%s", strerror(errno));
	}
	buf_free(&text);
	cfg->filename = outer;
	reading.path = outer;
	cfg->line = line;
	return rc;
}

/* name as seen from the directory of the file that includes it; to be freed. */
static char *
beside(const char *including, const char *name)
{
	const char *slash = including != NULL ? strrchr(including, '/') : NULL;
	size_t dir_len = slash != NULL && name[0] != '/' ? (size_t)(slash - including) + 1 : 0;
	size_t size = dir_len + strlen(name) + 1;
	char *path = malloc(size);

	if (path != NULL)
		(void)snprintf(
			path, size, "%.*s%s", (int)dir_len, including != NULL ? including : "", name);
	return path;
}

/* include("file"): libconfuse's own cfg_include leaves its stack of files
 * behind when an included file is wrong, and looks from the working directory. */
static int
on_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
	char *path;
	FILE *fp = NULL;
	int rc = -1;

	(void)opt;
	if (argc != 1) {
		cfg_error(cfg, "include takes the name of one file");
		return -1;
	}
	if (reading.depth >= INCLUDE_DEPTH_MAX) {
		cfg_error(cfg, "more than %d files include each other", INCLUDE_DEPTH_MAX);
		return -1;
	}
	if (reading.includes >= INCLUDES_MAX) {
		cfg_error(cfg, "more than %d files are included", INCLUDES_MAX);
		return -1;
	}
	reading.includes++;
	path = beside(cfg->filename, argv[0]);
	if (path != NULL)
		fp = open_file(path);
	if (fp == NULL) {
		cfg_error(cfg, "include: %s: %s", path != NULL ? path : argv[0], strerror(errno));
		problems_hint(reading.problems,
			"a name without a slash in front is looked for beside the file that includes it");
		rc = 0; /* there may be more to tell */
	} else {
		reading.depth++;
		rc = parse_file(cfg, fp, path) == CFG_SUCCESS ? 0 : -1;
		reading.depth--;
		(void)fclose(fp);
	}
	free(path);
	return rc;
}

static enum evh_rc
take_list(struct conf *conf, const struct conf_option *o, cfg_opt_t *opt)
{
	unsigned int n = cfg_opt_size(opt);
	const char **items = calloc((size_t)n + 1, sizeof(*items));
	enum evh_rc rc;

	if (items == NULL)
		return EVH_NOMEM;
	for (unsigned int i = 0; i < n; i++)
		items[i] = cfg_opt_getnstr(opt, i);
	rc = conf_set_items(o, conf, items, n);
	free(items);
	return rc;
}

/* Takes what is good; what is not has been told. */
static enum evh_rc
take_values(struct conf *conf, cfg_t *cfg)
{
	char why[CONF_WHY_BYTES];
	enum evh_rc rc = EVH_OK;

	for (const struct conf_option *o = conf_table; rc != EVH_NOMEM && o->key != NULL; o++) {
		char path[64];
		cfg_opt_t *opt = cfg_getopt(cfg, confuse_path(o, path));

		if (opt == NULL || (opt->flags & CFGF_MODIFIED) == 0)
			continue;
		if (o->kind == CONF_LIST)
			rc = take_list(conf, o, opt);
		else if (cfg_opt_size(opt) > 0)
			rc = conf_set(o, conf, cfg_opt_getnstr(opt, 0), why);
	}
	return rc == EVH_NOMEM ? rc : EVH_OK;
}

static cfg_opt_t
confuse_option(const struct conf_option *o, const char *name)
{
	cfg_opt_t one = CFG_STR(name, NULL, CFGF_NODEFAULT),
		  many = CFG_STR_LIST(name, NULL, CFGF_NODEFAULT);

	return o->kind == CONF_LIST ? many : one;
}

/* The one section that there is: its options into section (room for size),
 * those of the file itself into opts; each list with its end. */
static void
fill_options(cfg_opt_t *opts, cfg_opt_t *section, size_t size)
{
	static const cfg_opt_t include = CFG_FUNC("include", on_include), end = CFG_END();
	size_t n = 0, k = 0;

	for (const struct conf_option *o = conf_table; o->key != NULL; o++) {
		if (strncmp(o->key, SECTION ".", sizeof(SECTION)) == 0 && k + 1 < size)
			section[k++] = confuse_option(o, o->key + sizeof(SECTION));
		else
			opts[n++] = confuse_option(o, o->key);
	}
	section[k] = end;
	{
		cfg_opt_t jwt = CFG_SEC(SECTION, section, CFGF_NONE);

		opts[n++] = jwt;
	}
	opts[n++] = include;
	opts[n] = end;
}

static cfg_opt_t *
confuse_options(cfg_opt_t *section, size_t size)
{
	size_t n = 0;
	cfg_opt_t *opts;

	while (conf_table[n].key != NULL)
		n++;
	opts = calloc(n + 3, sizeof(*opts));
	if (opts != NULL)
		fill_options(opts, section, size);
	return opts;
}

static enum evh_rc
read_into(struct conf *conf, cfg_t *cfg, FILE *fp, const char *path)
{
	size_t before = reading.problems->serious;
	char *name = strdup(path);
	int parsed;

	if (name == NULL)
		return EVH_NOMEM;
	reading.depth = reading.includes = 0;
	(void)cfg_set_error_function(cfg, on_parse_error);
	for (const struct conf_option *o = conf_table; o->key != NULL; o++) {
		char key[64];

		(void)cfg_set_validate_func(cfg, confuse_path(o, key), on_value);
	}
	parsed = parse_file(cfg, fp, name);
	free(name);
	if (parsed != CFG_SUCCESS) {
		reading.problems->incomplete = true;
		if (reading.problems->serious == before)
			problems_add(reading.problems, "%s: cannot be understood", path);
	}
	if (parsed == CFG_SUCCESS && take_values(conf, cfg) != EVH_OK)
		return EVH_NOMEM;
	return reading.problems->serious == before ? EVH_OK : EVH_INVALID;
}

enum evh_rc
conf_read(struct conf *conf, const char *path, struct problems *problems)
{
	FILE *fp = open_file(path);
	cfg_opt_t *opts, section[SECTION_MAX];
	cfg_t *cfg;
	enum evh_rc rc = EVH_NOMEM;

	if (fp == NULL) {
		int error = errno;

		problems_add(problems, "%s: cannot be read: %s", path, strerror(error));
		problems_hint(problems,
			error == EACCES
				? "run it as the user that the program runs as, or let that user read the file"
				: "is the path right?  -c names the file");
		problems->incomplete = true;
		return EVH_NOT_FOUND;
	}
	opts = confuse_options(section, SECTION_MAX);
	cfg = opts != NULL ? cfg_init(opts, CFGF_NONE) : NULL;
	if (cfg != NULL) {
		reading.problems = problems;
		rc = read_into(conf, cfg, fp, path);
		(void)cfg_free(cfg);
	}
	free(opts);
	(void)fclose(fp);
	if (rc == EVH_NOMEM)
		problems_add(problems, "%s: out of memory", path);
	return rc;
}
