#include "common/problems.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void
add(struct problems *p, bool note, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

static void
add(struct problems *p, bool note, const char *fmt, va_list ap)
{
	struct problem *items = realloc(p->items, (p->count + 1) * sizeof(*items));

	p->serious += !note;
	if (items == NULL)
		return;
	p->items = items;
	items[p->count] = (struct problem){ .note = note };
	if (vasprintf(&items[p->count].text, fmt, ap) < 0)
		items[p->count].text = NULL;
	/* what others say may have lines of its own */
	for (char *c = items[p->count].text; c != NULL && *c != '\0'; c++)
		if ((unsigned char)*c < 0x20)
			*c = ' ';
	p->count++;
}

void
problems_add(struct problems *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(p, false, fmt, ap);
	va_end(ap);
}

void
problems_note(struct problems *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(p, true, fmt, ap);
	va_end(ap);
}

void
problems_hint(struct problems *p, const char *fmt, ...)
{
	va_list ap;
	struct problem *last = p->count > 0 ? &p->items[p->count - 1] : NULL;

	if (last == NULL)
		return;
	free(last->hint);
	va_start(ap, fmt);
	if (vasprintf(&last->hint, fmt, ap) < 0)
		last->hint = NULL;
	va_end(ap);
}

const struct problem *
problems_first(const struct problems *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (!p->items[i].note)
			return &p->items[i];
	return NULL;
}

void
problems_print(const struct problems *p, FILE *to, const char *program)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct problem *q = &p->items[i];

		(void)fprintf(to, "%s: %s%s\n", program, q->note ? "note: " : "",
			q->text != NULL ? q->text : "out of memory");
		if (q->hint != NULL)
			(void)fprintf(to, "    %s\n", q->hint);
	}
}

void
problems_free(struct problems *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->items[i].text);
		free(p->items[i].hint);
	}
	free(p->items);
	*p = (struct problems)PROBLEMS_INIT;
}
