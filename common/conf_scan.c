#include "common/conf_scan.h"

#include <string.h>

#define BLANKS " \t\r\n"
#define DELIMITERS BLANKS "={}(),+\"'"

char *
conf_scan_quoted(char *p)
{
	char quote = *p;

	for (p++; *p != '\0' && *p != quote; p++)
		if (*p == '\\' && p[1] != '\0')
			p++;
	return *p != '\0' ? p + 1 : p;
}

/* p at an opening brace or parenthesis; returns behind the one that closes it. */
static char *
skip_group(char *p)
{
	char open = *p, close = open == '{' ? '}' : ')';
	int depth = 0;

	while (*p != '\0') {
		if (*p == '"' || *p == '\'') {
			p = conf_scan_quoted(p);
			continue;
		}
		depth += (*p == open) - (*p == close);
		p++;
		if (depth == 0)
			break;
	}
	return p;
}

static char *
skip_value(char *p)
{
	p += strspn(p, BLANKS);
	if (*p == '{')
		return skip_group(p);
	if (*p == '"' || *p == '\'')
		return conf_scan_quoted(p);
	return p + strcspn(p, DELIMITERS);
}

/* What stands behind a name; returns the end of the entry, NULL if it is none. */
static char *
entry(char *p, enum conf_scan_kind *kind)
{
	p += strspn(p, BLANKS);
	switch (*p) {
	case '=':
		*kind = CONF_SCAN_SET;
		return skip_value(p + 1);
	case '+':
		*kind = CONF_SCAN_ADD;
		return p[1] == '=' ? skip_value(p + 2) : NULL;
	case '{':
		*kind = CONF_SCAN_SECTION;
		return skip_group(p);
	case '(':
		*kind = CONF_SCAN_FUNCTION;
		return skip_group(p);
	default:
		return NULL;
	}
}

static int
lines_between(const char *p, const char *end)
{
	int n = 0;

	for (; p < end; p++)
		n += *p == '\n';
	return n;
}

struct scan {
	bool (*see)(void *arg, const struct conf_scan_name *name);
	void *arg;
	const char *counted; /* up to where lines have been counted */
	int line;
};

static void
count_to(struct scan *s, const char *p)
{
	s->line += lines_between(s->counted, p);
	s->counted = p;
}

/* The entries from p up to end, those of a section or (NULL) of the file. */
static void
scan_level(struct scan *s, char *p, const char *end, const struct conf_scan_name *section)
{
	while (p < end) {
		struct conf_scan_name n = { .section = section != NULL ? section->name : NULL,
			.section_len = section != NULL ? section->len : 0 };
		char *behind;

		p += strspn(p, BLANKS);
		n.name = p;
		n.len = strcspn(p, DELIMITERS);
		if (p >= end)
			return;
		if (n.len == 0) {
			p = *p == '"' || *p == '\'' ? conf_scan_quoted(p) : p + 1;
			continue;
		}
		count_to(s, p);
		n.line = s->line;
		behind = entry(p + n.len, &n.kind);
		if (behind == NULL) {
			p += n.len;
			continue;
		}
		if (!s->see(s->arg, &n)) {
			for (; p < behind; p++)
				if (*p != '\n')
					*p = ' ';
		} else if (n.kind == CONF_SCAN_SECTION && section == NULL) {
			scan_level(s, p + n.len + strspn(p + n.len, BLANKS) + 1, behind, &n);
		}
		p = behind;
	}
}

void
conf_scan(char *text, bool (*see)(void *arg, const struct conf_scan_name *name), void *arg)
{
	struct scan s = { see, arg, text, 1 };

	scan_level(&s, text, text + strlen(text), NULL);
}
