#include "wsd/http_request.h"

#include <string.h>
#include <strings.h>

/* Where text goes.  It has room for all: a NUL takes no more than what separates a
 * text from the next in the head. */
struct out {
	char *at;
};

/* A line without its end, or a part of one. */
struct part {
	const char *at;
	size_t len;
};

/* A header that matters, and what is known of it. */
struct known {
	const char *name;
	const char **value;
	struct part first;
	bool repeated;
};

static void
put(struct out *out, struct part p)
{
	memcpy(out->at, p.at, p.len);
	out->at += p.len;
}

static const char *
finish(struct out *out, const char *start)
{
	*out->at++ = '\0';
	return start;
}

static const char *
copy(struct out *out, struct part p)
{
	const char *start = out->at;

	put(out, p);
	return finish(out, start);
}

/* Percent-encoding, and "+" for a blank where that is the custom. */
static const char *
decode(struct out *out, struct part p, bool plus)
{
	const char *start = out->at;

	for (size_t i = 0, step; i < p.len; i += step) {
		int c = http_uri_char(p.at + i, p.len - i, &step);

		if (c < 0) { /* a character that is let pass though it should be encoded */
			c = (unsigned char)p.at[i];
			step = 1;
		}
		*out->at++ = (char)(plus && step == 1 && c == '+' ? ' ' : c);
	}
	return finish(out, start);
}

/* The part of p in front of the first of these characters; p begins behind it. */
static struct part
cut(struct part *p, const char *any)
{
	struct part first = { p->at, 0 };

	while (first.len < p->len && strchr(any, p->at[first.len]) == NULL)
		first.len++;
	p->at += first.len;
	p->len -= first.len;
	if (p->len > 0) {
		p->at++;
		p->len--;
	}
	return first;
}

static void
read_query(struct http_request *r, struct out *out, struct part query)
{
	while (query.len > 0 && r->arg_count < HTTP_HEAD_ARGS_MAX) {
		struct part value = cut(&query, "&;"), name = cut(&value, "=");
		struct http_arg *arg = &r->args[r->arg_count];

		if (name.len == 0 && value.len == 0)
			continue;
		arg->name = decode(out, name, true);
		arg->value = value.len > 0 ? decode(out, value, true) : "";
		r->arg_count++;
	}
}

static void
read_request_line(struct http_request *r, struct out *out, struct part line)
{
	struct part target, path;

	r->method = copy(out, cut(&line, " "));
	target = cut(&line, " ");
	path = cut(&target, "?");
	r->path = decode(out, path, false);
	read_query(r, out, target);
}

/* The next line of what is left of a head. */
static struct part
next_line(struct part *rest)
{
	const char *end = memchr(rest->at, '\n', rest->len);
	struct part line = { rest->at, (size_t)(end - rest->at) };

	rest->at += line.len + 1;
	rest->len -= line.len + 1;
	line.len--; /* its CR */
	return line;
}

/* The value of a header line, without the blanks around it. */
static struct part
value_of(struct part line, size_t name_len)
{
	struct part v = { line.at + name_len + 1, line.len - name_len - 1 };

	while (v.len > 0 && (*v.at == ' ' || *v.at == '\t')) {
		v.at++;
		v.len--;
	}
	while (v.len > 0 && (v.at[v.len - 1] == ' ' || v.at[v.len - 1] == '\t'))
		v.len--;
	return v;
}

static bool
is_header(struct part line, const char *name, size_t name_len)
{
	return line.len > name_len && line.at[name_len] == ':' &&
		strncasecmp(line.at, name, name_len) == 0;
}

/* One list of all the lines with this header. */
static const char *
gather(struct out *out, struct part lines, const char *name)
{
	const char *start = out->at;
	size_t name_len = strlen(name);

	while (lines.len > 2) {
		struct part line = next_line(&lines);

		if (!is_header(line, name, name_len))
			continue;
		if (out->at > start)
			*out->at++ = ',';
		put(out, value_of(line, name_len));
	}
	return finish(out, start);
}

/* Finds the headers that matter; lines end with the empty one. */
static void
read_headers(struct known *known, size_t count, struct out *out, struct part lines)
{
	struct part rest = lines;

	while (rest.len > 2) {
		struct part line = next_line(&rest);

		for (size_t i = 0; i < count; i++) {
			struct known *k = &known[i];
			size_t name_len = strlen(k->name);

			if (!is_header(line, k->name, name_len))
				continue;
			if (k->first.at != NULL)
				k->repeated = true;
			else
				k->first = value_of(line, name_len);
			break;
		}
	}
	for (size_t i = 0; i < count; i++) {
		const char *value;

		if (known[i].first.at == NULL)
			continue;
		value = known[i].repeated ? gather(out, lines, known[i].name)
					  : copy(out, known[i].first);
		*known[i].value = value[0] != '\0' ? value : NULL;
	}
}

/* Whether a comma-separated list holds this word. */
static bool
list_has(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (list != NULL && *list != '\0') {
		size_t n;

		list += strspn(list, " \t,");
		n = strcspn(list, " \t,");
		if (n == len && strncasecmp(list, word, len) == 0)
			return true;
		list += n;
	}
	return false;
}

/* Sixteen bytes in base64. */
static bool
is_key(const char *key)
{
	return strlen(key) == 24 &&
		strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") == 22 &&
		strcmp(key + 22, "==") == 0;
}

/* RFC 6455 section 4.2.1 */
static const char *
upgrade_fault(const struct http_request *r, const char *version)
{
	if (!list_has(r->connection, "upgrade"))
		return "the Connection header does not have the word Upgrade";
	if (r->key == NULL || !is_key(r->key))
		return "Sec-WebSocket-Key is missing or is not 16 bytes in base64";
	if (version == NULL || strcmp(version, "13") != 0)
		return "Sec-WebSocket-Version must be 13";
	return NULL;
}

bool
http_request_read(struct http_request *r, struct buf *text, const char *head, size_t len)
{
	const char *upgrade = NULL, *version = NULL;
	struct known known[] = {
		{ .name = "authorization", .value = &r->authorization },
		{ .name = "x-api-key", .value = &r->api_key },
		{ .name = "origin", .value = &r->origin },
		{ .name = "host", .value = &r->host },
		{ .name = "user-agent", .value = &r->user_agent },
		{ .name = "x-forwarded-for", .value = &r->forwarded_for },
		{ .name = "x-forwarded-host", .value = &r->forwarded_host },
		{ .name = "x-forwarded-proto", .value = &r->forwarded_proto },
		{ .name = "connection", .value = &r->connection },
		{ .name = "upgrade", .value = &upgrade },
		{ .name = "sec-websocket-key", .value = &r->key },
		{ .name = "sec-websocket-protocol", .value = &r->protocols },
		{ .name = "sec-websocket-version", .value = &version },
	};
	struct part rest = { head, len };
	struct out out;

	memset(r, 0, sizeof(*r));
	buf_clear(text);
	if (!buf_reserve(text, len))
		return false;
	out.at = text->data;
	read_request_line(r, &out, next_line(&rest));
	read_headers(known, sizeof(known) / sizeof(known[0]), &out, rest);
	if (upgrade != NULL && strcasecmp(upgrade, "websocket") == 0) {
		r->bad = upgrade_fault(r, version);
		r->upgrade = r->bad == NULL;
	}
	return true;
}

const char *
http_request_arg(const struct http_request *r, const char *name, bool *twice)
{
	const char *value = NULL;

	for (size_t i = 0; i < r->arg_count; i++) {
		if (strcmp(r->args[i].name, name) != 0)
			continue;
		if (value != NULL)
			*twice = true;
		value = r->args[i].value;
	}
	return value;
}
