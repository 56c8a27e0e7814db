/* writer.h - all writes of the process, on one connection of its own.
 *
 * SQLite has one writer at a time, so threads that write each for themselves
 * wait for each other, and each finds that what it had read is out of date.
 * Here a thread hands over what it wants to do; whoever finds nobody at work
 * does all that has gathered as one transaction (group commit), and the others
 * wait for the result.  Thread-safe. */

#ifndef EVH_FCGI_WRITER_H
#define EVH_FCGI_WRITER_H

#include "common/api_error.h"
#include "fcgi/context.h"

#include <pthread.h>
#include <stdbool.h>

struct writer_job;

struct writer {
	struct context ctx; /* of whoever is at work */
	pthread_mutex_t mutex;
	struct writer_job *head, **tail; /* guarded, as is busy */
	bool busy;
};

/* Opens nothing yet.  conf must outlive the writer. */
void writer_init(struct writer *writer, const struct conf *conf);
void writer_free(struct writer *writer);

/* Calls work in a transaction, perhaps in another thread, with a context whose
 * statements it may use.  If work returns false, all that it did is taken back
 * and it has put a fault into e.
 * True: what it did is committed.  False: nothing is, and e has a fault. */
bool writer_run(struct writer *writer, bool (*work)(void *arg, struct context *ctx), void *arg,
	struct api_error *e);

#endif
