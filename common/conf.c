#include "common/conf.h"

#include "common/conf_table.h"

#include <confuse.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define KEY(conf, option, type) ((type *)(void *)((char *)(conf) + (option)->offset))

static enum evh_rc
complain(char why[CONF_WHY_BYTES], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, CONF_WHY_BYTES, fmt, ap);
	va_end(ap);
	return EVH_INVALID;
}

/* A whole number at *text, which moves behind it.  False on none or overflow. */
static bool
whole_number(const char **text, int64_t *value)
{
	int64_t v = 0;
	const char *start = *text;

	for (; isdigit((unsigned char)**text); (*text)++) {
		int d = **text - '0';

		if (v > (INT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*value = v;
	return *text != start;
}

struct unit {
	const char *suffix;
	int64_t factor;
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "K", INT64_C(1) << 10 },
	{ "M", INT64_C(1) << 20 },
	{ "G", INT64_C(1) << 30 },
	{ NULL, 0 },
};
static const struct unit time_units[] = {
	{ "", 1000 },
	{ "ms", 1 },
	{ "s", 1000 },
	{ "m", 60000 },
	{ "h", 3600000 },
	{ "d", 86400000 },
	{ NULL, 0 },
};
static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

static enum evh_rc
set_number(const struct conf_option *o, struct conf *conf, const char *text, char why[CONF_WHY_BYTES])
{
	const struct unit *units = o->kind == CONF_SIZE ? size_units
		: o->kind == CONF_TIME			? time_units
							: no_units;
	const char *p = text,
		   *hint = o->kind == CONF_SIZE ? " of bytes, with K, M or G if you like"
		: o->kind == CONF_TIME		? " of seconds, or with ms, s, m, h or d"
						: "";
	int64_t v;

	if (!whole_number(&p, &v))
		return complain(why, "%s: \"%s\" is not a whole number%s", o->key, text, hint);
	for (; units->suffix != NULL; units++)
		if (strcmp(units->suffix, p) == 0)
			break;
	if (units->suffix == NULL)
		return complain(why, "%s: \"%s\" is not a whole number%s", o->key, text, hint);
	if (v > INT64_MAX / units->factor || v * units->factor < o->min || v * units->factor > o->max) {
		int64_t base = o->kind == CONF_TIME ? 1000 : 1;

		if (o->kind == CONF_TIME && o->min % 1000 != 0)
			return complain(why, "%s: %s is out of bounds (%lldms to %llds)", o->key, text,
				(long long)o->min, (long long)(o->max / 1000));
		return complain(why, "%s: %s is out of bounds (%lld to %lld)", o->key, text,
			(long long)(o->min / base), (long long)(o->max / base));
	}
	*KEY(conf, o, int64_t) = v * units->factor;
	return EVH_OK;
}

static enum evh_rc
set_bool(const struct conf_option *o, struct conf *conf, const char *text, char why[CONF_WHY_BYTES])
{
	static const char *const yes[] = { "yes", "true", "on" }, *const no[] = { "no", "false", "off" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*KEY(conf, o, bool) = strcasecmp(text, yes[i]) == 0;
			return EVH_OK;
		}
	}
	return complain(why, "%s: \"%s\" is neither yes nor no", o->key, text);
}

static enum evh_rc
set_word(const struct conf_option *o, struct conf *conf, const char *text, char why[CONF_WHY_BYTES])
{
	for (int i = 0; o->words[i] != NULL; i++) {
		if (strcmp(text, o->words[i]) == 0) {
			*KEY(conf, o, int) = i;
			return EVH_OK;
		}
	}
	(void)complain(why, "%s: \"%s\" is not one of", o->key, text);
	for (int i = 0; o->words[i] != NULL; i++) {
		size_t len = strlen(why);

		(void)snprintf(why + len, CONF_WHY_BYTES - len, "%s %s", i == 0 ? "" : ",", o->words[i]);
	}
	return EVH_INVALID;
}

static enum evh_rc
set_string(const struct conf_option *o, struct conf *conf, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return EVH_NOMEM;
	free(*KEY(conf, o, char *));
	*KEY(conf, o, char *) = copy;
	return EVH_OK;
}

static void
list_clear(struct conf_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	list->items = NULL;
	list->count = 0;
}

static enum evh_rc
list_add(struct conf_list *list, const char *text, size_t len)
{
	char **items = realloc(list->items, (list->count + 1) * sizeof(*items));

	if (items == NULL)
		return EVH_NOMEM;
	list->items = items;
	items[list->count] = strndup(text, len);
	if (items[list->count] == NULL)
		return EVH_NOMEM;
	list->count++;
	return EVH_OK;
}

/* Comma-separated items; blanks and one pair of quotes around each are dropped. */
static enum evh_rc
set_list(const struct conf_option *o, struct conf *conf, const char *text)
{
	struct conf_list *list = KEY(conf, o, struct conf_list);
	enum evh_rc rc = EVH_OK;

	list_clear(list);
	text += strspn(text, " {");
	while (rc == EVH_OK && *text != '\0' && *text != '}') {
		size_t len = strcspn(text, ",}"), start = strspn(text, " \""), end = len;

		while (end > start && (text[end - 1] == ' ' || text[end - 1] == '"'))
			end--;
		if (end > start)
			rc = list_add(list, text + start, end - start);
		text += len + (text[len] == ',');
	}
	return rc;
}

static enum evh_rc
set_value(const struct conf_option *o, struct conf *conf, const char *text, char why[CONF_WHY_BYTES])
{
	enum evh_rc rc = EVH_INVALID;

	switch (o->kind) {
	case CONF_STRING:
		rc = set_string(o, conf, text);
		break;
	case CONF_LIST:
		rc = set_list(o, conf, text);
		break;
	case CONF_NUMBER:
	case CONF_SIZE:
	case CONF_TIME:
		return set_number(o, conf, text, why);
	case CONF_BOOL:
		return set_bool(o, conf, text, why);
	case CONF_WORD:
		return set_word(o, conf, text, why);
	}
	if (rc == EVH_NOMEM)
		(void)complain(why, "%s: out of memory", o->key);
	return rc;
}

enum evh_rc
conf_init(struct conf *conf)
{
	char why[CONF_WHY_BYTES];

	memset(conf, 0, sizeof(*conf));
	for (const struct conf_option *o = conf_table; o->key != NULL; o++) {
		enum evh_rc rc = set_value(o, conf, o->fallback, why);

		if (rc != EVH_OK)
			return rc;
	}
	return EVH_OK;
}

void
conf_free(struct conf *conf)
{
	for (const struct conf_option *o = conf_table; o->key != NULL; o++) {
		if (o->kind == CONF_STRING) {
			free(*KEY(conf, o, char *));
			*KEY(conf, o, char *) = NULL;
		} else if (o->kind == CONF_LIST) {
			list_clear(KEY(conf, o, struct conf_list));
		}
	}
}

static const struct conf_option *
find_option(const char *key, size_t len)
{
	for (const struct conf_option *o = conf_table; o->key != NULL; o++)
		if (strlen(o->key) == len && memcmp(o->key, key, len) == 0)
			return o;
	return NULL;
}

enum evh_rc
conf_override(struct conf *conf, const char *assignment, char why[CONF_WHY_BYTES])
{
	size_t len = strcspn(assignment, "="), key_len = len;
	const struct conf_option *o;
	char detail[CONF_WHY_BYTES - 16];
	const char *value;

	if (assignment[len] == '\0')
		return complain(why, "-o %s: write key=value", assignment);
	while (key_len > 0 && assignment[key_len - 1] == ' ')
		key_len--;
	o = find_option(assignment, key_len);
	if (o == NULL)
		return complain(
			why, "-o %s: there is no key \"%.*s\"", assignment, (int)key_len, assignment);
	value = assignment + len + 1;
	value += strspn(value, " ");
	if (set_value(o, conf, value, why) == EVH_OK)
		return EVH_OK;
	(void)snprintf(detail, sizeof(detail), "%s", why);
	return complain(why, "-o %s", detail);
}

/* libconfuse hands its complaints to a plain function, so where they go is
 * kept here while a file is being read. */
static char *parse_why;

static void
on_parse_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	int n;

	if (parse_why[0] != '\0')
		return; /* the first one is the cause */
	if (cfg != NULL && cfg->filename != NULL && cfg->line > 0)
		n = snprintf(parse_why, CONF_WHY_BYTES, "%s:%d: ", cfg->filename, cfg->line);
	else
		n = 0;
	if (n >= 0 && n < CONF_WHY_BYTES)
		(void)vsnprintf(parse_why + n, CONF_WHY_BYTES - (size_t)n, fmt, ap);
}

/* Checks each value while the parser still knows its line. */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	const struct conf_option *o = find_option(opt->name, strlen(opt->name));
	char why[CONF_WHY_BYTES] = "";
	struct conf scratch;
	unsigned int n = cfg_opt_size(opt);
	enum evh_rc rc;

	if (o == NULL || o->kind == CONF_LIST || o->kind == CONF_STRING || n == 0)
		return 0;
	memset(&scratch, 0, sizeof(scratch));
	rc = set_value(o, &scratch, cfg_opt_getnstr(opt, n - 1), why);
	if (rc != EVH_OK)
		cfg_error(cfg, "%s", why);
	return rc == EVH_OK ? 0 : -1;
}

static enum evh_rc
take_values(struct conf *conf, cfg_t *cfg, char why[CONF_WHY_BYTES])
{
	enum evh_rc rc = EVH_OK;

	for (const struct conf_option *o = conf_table; rc == EVH_OK && o->key != NULL; o++) {
		cfg_opt_t *opt = cfg_getopt(cfg, o->key);
		unsigned int n =
			opt != NULL && (opt->flags & CFGF_MODIFIED) != 0 ? cfg_opt_size(opt) : 0;

		if (opt == NULL || (opt->flags & CFGF_MODIFIED) == 0)
			continue;
		if (o->kind != CONF_LIST) {
			if (n > 0)
				rc = set_value(o, conf, cfg_opt_getnstr(opt, 0), why);
			continue;
		}
		list_clear(KEY(conf, o, struct conf_list));
		for (unsigned int i = 0; rc == EVH_OK && i < n; i++) {
			const char *item = cfg_opt_getnstr(opt, i);

			rc = list_add(KEY(conf, o, struct conf_list), item, strlen(item));
		}
	}
	return rc;
}

static cfg_opt_t *
confuse_options(void)
{
	static const cfg_opt_t end = CFG_END();
	cfg_opt_t *opts;
	size_t n = 0;

	while (conf_table[n].key != NULL)
		n++;
	opts = calloc(n + 1, sizeof(*opts));
	if (opts == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		cfg_opt_t one = CFG_STR(conf_table[i].key, NULL, CFGF_NODEFAULT);
		cfg_opt_t many = CFG_STR_LIST(conf_table[i].key, NULL, CFGF_NODEFAULT);

		opts[i] = conf_table[i].kind == CONF_LIST ? many : one;
	}
	opts[n] = end;
	return opts;
}

enum evh_rc
conf_read(struct conf *conf, const char *path, char why[CONF_WHY_BYTES])
{
	cfg_opt_t *opts = confuse_options();
	cfg_t *cfg = opts != NULL ? cfg_init(opts, CFGF_NONE) : NULL;
	enum evh_rc rc = EVH_NOMEM;

	why[0] = '\0';
	if (cfg == NULL)
		goto out;
	parse_why = why;
	(void)cfg_set_error_function(cfg, on_parse_error);
	for (const struct conf_option *o = conf_table; o->key != NULL; o++)
		(void)cfg_set_validate_func(cfg, o->key, on_value);
	switch (cfg_parse(cfg, path)) {
	case CFG_SUCCESS:
		rc = take_values(conf, cfg, why);
		break;
	case CFG_FILE_ERROR:
		(void)complain(why, "%s: cannot be read", path);
		rc = EVH_NOT_FOUND;
		break;
	default:
		if (why[0] == '\0')
			(void)complain(why, "%s: cannot be understood", path);
		rc = EVH_INVALID;
	}
out:
	if (cfg != NULL)
		(void)cfg_free(cfg);
	free(opts);
	return rc;
}

enum evh_rc
conf_check(const struct conf *conf, char why[CONF_WHY_BYTES])
{
	if (conf->database[0] == '\0')
		return complain(why, "database: must not be empty");
	if (conf->control_socket[0] != '/')
		return complain(why, "control_socket: must be an absolute path");
	if (conf->name[0] == '\0' || strspn(conf->name, CONF_NAME_CHARS) != strlen(conf->name) ||
		strlen(conf->name) > 64)
		return complain(why, "name: 1 to 64 letters, digits, '_', '.' or '-'");
	if (conf->base_path[0] != '/' || conf->base_path[strlen(conf->base_path) - 1] == '/')
		return complain(why, "base_path: must begin with '/' and not end with it");
	if (conf->listen.count == 0)
		return complain(why, "listen: must have at least one address");
	if (conf->pong_timeout <= conf->ping_interval)
		return complain(why, "pong_timeout: must be longer than ping_interval");
	if (conf->tls_certificate[0] != '\0' || conf->tls_key[0] != '\0')
		return complain(why,
			"tls_certificate: this version has no TLS of its own; let the web server do it");
	return EVH_OK;
}
