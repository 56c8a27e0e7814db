#include "common/conf.h"

#include "common/conf_priv.h"
#include "common/origin.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define KEY(conf, option, type) ((type *)(void *)((char *)(conf) + (option)->offset))

enum evh_rc
conf_complain(char why[CONF_WHY_BYTES], const char *fmt, ...)
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
		return conf_complain(why, "%s: \"%s\" is not a whole number%s", o->key, text, hint);
	for (; units->suffix != NULL; units++)
		if (strcmp(units->suffix, p) == 0)
			break;
	if (units->suffix == NULL)
		return conf_complain(why, "%s: \"%s\" is not a whole number%s", o->key, text, hint);
	if (v > INT64_MAX / units->factor || v * units->factor < o->min || v * units->factor > o->max) {
		int64_t base = o->kind == CONF_TIME ? 1000 : 1;

		if (o->kind == CONF_TIME && o->min % 1000 != 0)
			return conf_complain(why, "%s: %s is out of bounds (%lldms to %llds)", o->key,
				text, (long long)o->min, (long long)(o->max / 1000));
		return conf_complain(why, "%s: %s is out of bounds (%lld to %lld)", o->key, text,
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
	return conf_complain(why, "%s: \"%s\" is neither yes nor no", o->key, text);
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
	(void)conf_complain(why, "%s: \"%s\" is not one of", o->key, text);
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

/* Adds the item at *text, in quotes or not, and moves behind it. */
static enum evh_rc
take_item(struct conf_list *list, const char **text)
{
	const char *start = *text;
	bool quoted = *start == '"';
	size_t len;

	if (quoted)
		start++;
	len = strcspn(start, quoted ? "\"" : ",}");
	*text = start + len;
	if (quoted) {
		if (**text == '\0')
			return EVH_INVALID;
		(*text)++;
	}
	while (!quoted && len > 0 && start[len - 1] == ' ')
		len--;
	return len > 0 ? list_add(list, start, len) : EVH_OK;
}

/* a, b or {"a", "b"} */
static enum evh_rc
parse_list(struct conf_list *list, const char *text)
{
	enum evh_rc rc = EVH_OK;
	bool braces;

	text += strspn(text, " ");
	braces = *text == '{';
	if (braces)
		text++;
	for (text += strspn(text, " "); *text != '\0' && *text != '}'; text += strspn(text, " ")) {
		rc = take_item(list, &text);
		text += strspn(text, " ");
		if (rc != EVH_OK || *text != ',')
			break;
		text++;
	}
	if (rc == EVH_OK && braces && *text++ != '}')
		return EVH_INVALID;
	return rc == EVH_OK && text[strspn(text, " ")] != '\0' ? EVH_INVALID : rc;
}

static enum evh_rc
set_list(const struct conf_option *o, struct conf *conf, const char *text, char why[CONF_WHY_BYTES])
{
	struct conf_list list = { NULL, 0 };
	enum evh_rc rc = parse_list(&list, text);

	if (rc != EVH_OK) {
		list_clear(&list);
		(void)conf_complain(
			why, "%s: \"%s\" is no list; write a,b or {\"a\", \"b\"}", o->key, text);
		return rc;
	}
	list_clear(KEY(conf, o, struct conf_list));
	*KEY(conf, o, struct conf_list) = list;
	return EVH_OK;
}

enum evh_rc
conf_set_items(const struct conf_option *o, struct conf *conf, const char *const *items, size_t count)
{
	struct conf_list list = { NULL, 0 };

	for (size_t i = 0; i < count; i++) {
		if (list_add(&list, items[i], strlen(items[i])) != EVH_OK) {
			list_clear(&list);
			return EVH_NOMEM;
		}
	}
	list_clear(KEY(conf, o, struct conf_list));
	*KEY(conf, o, struct conf_list) = list;
	return EVH_OK;
}

enum evh_rc
conf_set(const struct conf_option *o, struct conf *conf, const char *text, char why[CONF_WHY_BYTES])
{
	enum evh_rc rc = EVH_INVALID;

	switch (o->kind) {
	case CONF_STRING:
		rc = set_string(o, conf, text);
		break;
	case CONF_LIST:
		rc = set_list(o, conf, text, why);
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
		(void)conf_complain(why, "%s: out of memory", o->key);
	return rc;
}

enum evh_rc
conf_init(struct conf *conf)
{
	char why[CONF_WHY_BYTES];

	memset(conf, 0, sizeof(*conf));
	for (const struct conf_option *o = conf_table; o->key != NULL; o++) {
		enum evh_rc rc = conf_set(o, conf, o->fallback, why);

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

const struct conf_option *
conf_find(const char *key, size_t len)
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
		return conf_complain(why, "-o %s: write key=value", assignment);
	while (key_len > 0 && assignment[key_len - 1] == ' ')
		key_len--;
	o = conf_find(assignment, key_len);
	if (o == NULL)
		return conf_complain(
			why, "-o %s: there is no key \"%.*s\"", assignment, (int)key_len, assignment);
	value = assignment + len + 1;
	value += strspn(value, " ");
	if (conf_set(o, conf, value, why) == EVH_OK)
		return EVH_OK;
	(void)snprintf(detail, sizeof(detail), "%s", why);
	return conf_complain(why, "-o %s", detail);
}

/* An absolute path that fits a socket's address. */
static void
check_socket_path(const char *key, const char *path, struct problems *p)
{
	size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	if (path[0] != '/') {
		problems_add(p, "%s: must be an absolute path", key);
		problems_hint(p, "begin it with a slash: /run/evhub/wsd.sock");
	} else if (strlen(path) > most) {
		problems_add(p, "%s: the path is longer than a socket's may be (%zu)", key, most);
		problems_hint(p,
			"the system allows no more: put the socket into a directory with a shorter name");
	}
}

static void
check_name(const char *name, struct problems *p)
{
	if (name[0] != '\0' && strspn(name, CONF_NAME_CHARS) == strlen(name) && strlen(name) <= 64)
		return;
	problems_add(p, "name: 1 to 64 letters, digits, '_', '.' or '-'");
	problems_hint(p, "the name \"%.80s\" stands in the database and in file names", name);
}

static void
check_jwt(const struct conf_jwt *jwt, struct problems *p)
{
	if (jwt->algorithm == CONF_JWT_OFF && jwt->key_file[0] != '\0') {
		problems_add(p, "jwt.algorithm: must be there when jwt.key_file is");
		problems_hint(p, "name the one algorithm that tokens are signed with, such as RS256");
	}
	if (jwt->algorithm != CONF_JWT_OFF && jwt->key_file[0] != '/') {
		problems_add(p, "jwt.key_file: must be an absolute path");
		problems_hint(p, "such as /etc/evhub/jwt.pem");
	}
	if (jwt->user_claim[0] == '\0') {
		problems_add(p, "jwt.user_claim: must not be empty");
		problems_hint(p, "the default is sub");
	}
}

static void
check_origins(const struct conf_list *origins, struct problems *p)
{
	for (size_t i = 0; i < origins->count; i++) {
		const char *fault = NULL;

		if (origin_pattern_valid(origins->items[i], &fault))
			continue;
		problems_add(p, "allowed_origins: \"%s\": %s", origins->items[i], fault);
		problems_hint(p, "write it as browsers send it: https://app.example.org, without a path");
	}
}

enum evh_rc
conf_check(const struct conf *conf, struct problems *p)
{
	size_t before = p->serious;

	if (conf->database[0] == '\0') {
		problems_add(p, "database: must not be empty");
		problems_hint(p, "name the file, such as /var/lib/evhub/evhub.db");
	}
	check_socket_path("control_socket", conf->control_socket, p);
	check_name(conf->name, p);
	if (conf->base_path[0] != '/' || conf->base_path[strlen(conf->base_path) - 1] == '/') {
		problems_add(p, "base_path: must begin with '/' and not end with it");
		problems_hint(p, "such as /api/v1/ws");
	}
	if (conf->listen.count == 0) {
		problems_add(p, "listen: must have at least one address");
		problems_hint(p, "such as listen = {\"127.0.0.1:8090\"}");
	}
	if (conf->pong_timeout <= conf->ping_interval) {
		problems_add(p, "pong_timeout: must be longer than ping_interval");
		problems_hint(
			p, "a client must have the time to answer a ping: half as long again is usual");
	}
	check_origins(&conf->allowed_origins, p);
	check_jwt(&conf->jwt, p);
	if (conf->tls_certificate[0] != '\0' || conf->tls_key[0] != '\0') {
		problems_add(p,
			"tls_certificate: this version has no TLS of its own; let the web server do it");
		problems_hint(p, "take tls_certificate and tls_key out of the file");
	}
	return p->serious == before ? EVH_OK : EVH_INVALID;
}
