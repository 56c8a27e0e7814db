#include "wsd/exposition.h"

#include <stdarg.h>

#define US_PER_SECOND 1000000U

void
exposition_family(struct exposition *x, const char *name, const char *type, const char *help)
{
	x->name = name;
	buf_printf(x->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
add_label(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "%s=\"", name);
	for (; *value != '\0'; value++) {
		if (*value == '\\' || *value == '"')
			buf_printf(out, "\\%c", *value);
		else if (*value == '\n')
			buf_puts(out, "\\n");
		else
			buf_add(out, value, 1);
	}
	buf_puts(out, "\"");
}

/* name suffix{daemon="…" up to where more labels go. */
static void
begin(struct exposition *x, const char *suffix)
{
	buf_printf(x->out, "%s%s{", x->name, suffix);
	add_label(x->out, "daemon", x->daemon);
}

static void
add_seconds(struct buf *out, uint64_t us)
{
	buf_printf(out, "%llu.%06llu", (unsigned long long)(us / US_PER_SECOND),
		(unsigned long long)(us % US_PER_SECOND));
}

void
exposition_number(struct exposition *x, uint64_t value)
{
	begin(x, "");
	buf_printf(x->out, "} %llu\n", (unsigned long long)value);
}

void
exposition_seconds(struct exposition *x, uint64_t us)
{
	begin(x, "");
	buf_puts(x->out, "} ");
	add_seconds(x->out, us);
	buf_puts(x->out, "\n");
}

void
exposition_labelled(struct exposition *x, uint64_t value, ...)
{
	const char *name;
	va_list ap;

	begin(x, "");
	va_start(ap, value);
	while ((name = va_arg(ap, const char *)) != NULL) {
		buf_puts(x->out, ",");
		add_label(x->out, name, va_arg(ap, const char *));
	}
	va_end(ap);
	buf_printf(x->out, "} %llu\n", (unsigned long long)value);
}

void
exposition_histogram(struct exposition *x, const struct histogram *h,
	const struct histogram_scale *scale, int seconds)
{
	uint64_t total = 0;

	for (size_t i = 0; i <= scale->count; i++) {
		total += h->buckets[i];
		begin(x, "_bucket");
		buf_puts(x->out, ",le=\"");
		if (i == scale->count)
			buf_puts(x->out, "+Inf");
		else if (seconds)
			add_seconds(x->out, scale->bounds[i]);
		else
			buf_printf(x->out, "%llu", (unsigned long long)scale->bounds[i]);
		buf_printf(x->out, "\"} %llu\n", (unsigned long long)total);
	}
	begin(x, "_sum");
	buf_puts(x->out, "} ");
	if (seconds)
		add_seconds(x->out, h->sum);
	else
		buf_printf(x->out, "%llu", (unsigned long long)h->sum);
	buf_puts(x->out, "\n");
	begin(x, "_count");
	buf_printf(x->out, "} %llu\n", (unsigned long long)total);
}
