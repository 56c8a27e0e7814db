#include "fcgi/counts.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* More kinds than there are; if not, the last place counts what is left. */
#define KINDS 128

struct kind {
	const char *endpoint, *reason;
	int status;
	uint64_t count;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct kind kinds[KINDS];
static size_t used;

/* The place of a kind, a new one if need be. */
static struct kind *
place(const char *endpoint, int status, const char *reason)
{
	for (size_t i = 0; i < used; i++) {
		struct kind *k = &kinds[i];

		if (k->status == status && strcmp(k->endpoint, endpoint) == 0 &&
			strcmp(k->reason, reason) == 0)
			return k;
	}
	if (used == KINDS)
		return &kinds[KINDS - 1];
	kinds[used] = used == KINDS - 1 ? (struct kind){ "other", "", 0, 0 }
					: (struct kind){ endpoint, reason, status, 0 };
	return &kinds[used++];
}

void
counts_add(const char *endpoint, int status, const char *reason)
{
	(void)pthread_mutex_lock(&mutex);
	place(endpoint, status, reason != NULL ? reason : "")->count++;
	(void)pthread_mutex_unlock(&mutex);
}

void
counts_write(struct buf *out)
{
	buf_puts(out,
		"# HELP evhub_http_requests_total Requests that evhub-fcgi has answered, by endpoint, HTTP status "
		"and, if it was an error, reason. Each process counts its own and is told apart by its id; "
		"only the one that answers this request is here.\n"
		"# TYPE evhub_http_requests_total counter\n");
	(void)pthread_mutex_lock(&mutex);
	for (size_t i = 0; i < used; i++)
		buf_printf(out,
			"evhub_http_requests_total{process=\"%d\",endpoint=\"%s\",code=\"%d\",reason=\"%s\"} %llu\n",
			(int)getpid(), kinds[i].endpoint, kinds[i].status, kinds[i].reason,
			(unsigned long long)kinds[i].count);
	(void)pthread_mutex_unlock(&mutex);
}
