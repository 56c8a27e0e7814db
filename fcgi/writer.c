#include "fcgi/writer.h"

struct writer_job {
	struct writer_job *next;
	bool (*work)(void *arg, struct context *ctx);
	void *arg;
	struct api_error *error;
	bool kept; /* it wants to be committed; in the end: it is */
	bool done;
	pthread_cond_t wake;
};

void
writer_init(struct writer *w, const struct conf *conf)
{
	context_init(&w->ctx, conf, NULL);
	(void)pthread_mutex_init(&w->mutex, NULL);
	w->head = NULL;
	w->tail = &w->head;
	w->busy = false;
}

void
writer_free(struct writer *w)
{
	context_free(&w->ctx);
	(void)pthread_mutex_destroy(&w->mutex);
}

/* Nothing of what these jobs did is stored.  Those that had come to another
 * end by themselves keep it. */
static void
fail(struct context *ctx, struct writer_job *jobs, enum evh_rc rc)
{
	for (struct writer_job *j = jobs; j != NULL; j = j->next) {
		if (j->error->code != 0)
			continue;
		api_error_free(j->error); /* what it had to say of a success in part */
		context_fault(ctx, rc, j->error);
		j->kept = false;
	}
}

/* Does one job.  What it did is taken back alone if it does not want to keep it. */
static enum evh_rc
do_job(struct context *ctx, struct writer_job *job)
{
	enum evh_rc rc = context_run(ctx, STATEMENT_SAVEPOINT);

	if (rc != EVH_OK)
		return rc;
	job->kept = job->work(job->arg, ctx);
	if (sqlite3_get_autocommit(ctx->db) != 0) {
		/* SQLite has undone the whole transaction, as it does when the disk is full */
		rc = db_rc(sqlite3_errcode(ctx->db));
		return rc != EVH_OK ? rc : EVH_IO;
	}
	if (!job->kept) {
		context_reset(ctx); /* statements that stand on a row would be in the way */
		rc = context_run(ctx, STATEMENT_TAKE_BACK);
	}
	return rc == EVH_OK ? context_run(ctx, STATEMENT_RELEASE) : rc;
}

static void
commit_together(struct context *ctx, struct writer_job *jobs)
{
	enum evh_rc rc = context_run(ctx, STATEMENT_BEGIN);
	bool any = false;

	for (struct writer_job *j = jobs; rc == EVH_OK && j != NULL; j = j->next) {
		rc = do_job(ctx, j);
		any = any || j->kept;
	}
	if (rc == EVH_OK && any)
		rc = context_run(ctx, STATEMENT_COMMIT);
	if (rc == EVH_OK && any && db_moved(ctx->db))
		rc = EVH_NOT_FOUND; /* it went into a file that is no longer there */
	if (rc != EVH_OK)
		fail(ctx, jobs, rc);
	context_rest(ctx); /* rolls back what was not committed */
}

static void
work_off(struct context *ctx, struct writer_job *jobs)
{
	enum evh_rc rc = context_ready(ctx);

	if (rc == EVH_OK)
		commit_together(ctx, jobs);
	else
		fail(ctx, jobs, rc);
}

/* Called and returns with the mutex; gives it away while at work. */
static void
lead(struct writer *w)
{
	struct writer_job *jobs = w->head, *next;

	w->busy = true;
	w->head = NULL;
	w->tail = &w->head;
	(void)pthread_mutex_unlock(&w->mutex);
	work_off(&w->ctx, jobs);
	(void)pthread_mutex_lock(&w->mutex);
	w->busy = false;
	for (struct writer_job *j = jobs; j != NULL; j = next) {
		next = j->next; /* the job is gone when its thread goes on */
		j->done = true;
		(void)pthread_cond_signal(&j->wake);
	}
	if (w->head != NULL) /* one of those that came meanwhile leads the next */
		(void)pthread_cond_signal(&w->head->wake);
}

bool
writer_run(struct writer *w, bool (*work)(void *, struct context *), void *arg, struct api_error *e)
{
	struct writer_job job = {
		.work = work, .arg = arg, .error = e, .wake = PTHREAD_COND_INITIALIZER
	};

	(void)pthread_mutex_lock(&w->mutex);
	*w->tail = &job;
	/* it has left the list when it is done, and stays here until then */
	/* cppcheck-suppress autoVariables */
	w->tail = &job.next;
	while (!job.done) {
		if (w->busy)
			(void)pthread_cond_wait(&job.wake, &w->mutex);
		else
			lead(w);
	}
	(void)pthread_mutex_unlock(&w->mutex);
	(void)pthread_cond_destroy(&job.wake);
	return job.kept;
}
