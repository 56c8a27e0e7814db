#include "fcgi/merge.h"

#include <stdlib.h>
#include <string.h>

#define HELP "# HELP "
#define HELP_LEN (sizeof(HELP) - 1)

/* The family that this # HELP line begins, a new one if need be; NULL when
 * out of memory.  *is_new tells. */
static struct merge_family *
family(struct merge *m, const char *line, size_t len, int *is_new)
{
	struct merge_family *grown;
	size_t name = HELP_LEN;

	while (name < len && line[name] != ' ')
		name++;
	if (name < len)
		name++; /* with its blank, so that no name is the start of another */
	*is_new = 0;
	for (size_t i = 0; i < m->count; i++)
		if (m->families[i].head.len >= name && memcmp(m->families[i].head.data, line, name) == 0)
			return &m->families[i];
	grown = realloc(m->families, (m->count + 1) * sizeof(*grown));
	if (grown == NULL)
		return NULL;
	m->families = grown;
	memset(&grown[m->count], 0, sizeof(*grown));
	*is_new = 1;
	return &grown[m->count++];
}

void
merge_add(struct merge *m, const char *text, size_t len)
{
	const char *end = text + len;
	struct merge_family *f = NULL;
	int is_new = 0;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t n = newline != NULL ? (size_t)(newline - text) : (size_t)(end - text);

		if (n > HELP_LEN && memcmp(text, HELP, HELP_LEN) == 0) {
			f = family(m, text, n, &is_new);
			m->failed = m->failed || f == NULL;
		}
		if (f != NULL && n > 0 && (text[0] != '#' || is_new)) {
			struct buf *to = text[0] == '#' ? &f->head : &f->samples;

			buf_add(to, text, n);
			buf_add(to, "\n", 1);
		}
		text += n + (newline != NULL);
	}
}

void
merge_write(const struct merge *m, struct buf *out)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct merge_family *f = &m->families[i];

		buf_add(out, f->head.data, f->head.len);
		if (f->samples.len > 0)
			buf_add(out, f->samples.data, f->samples.len);
		out->failed = out->failed || f->head.failed || f->samples.failed;
	}
	out->failed = out->failed || m->failed;
}

void
merge_free(struct merge *m)
{
	for (size_t i = 0; i < m->count; i++) {
		buf_free(&m->families[i].head);
		buf_free(&m->families[i].samples);
	}
	free(m->families);
	*m = (struct merge)MERGE_INIT;
}
