/* api_error.h - the one error body of every HTTP endpoint:
 *
 *   {"code":404,"message":"client not found","stack":[{"code":404,
 *    "description":"…","error":"client_not_found","path":"client_id"}]}
 *
 * One stack entry per fault found.  Pure. */

#ifndef EVH_API_ERROR_H
#define EVH_API_ERROR_H

#include "common/buf.h"

/* How many faults one body tells of; more are counted in the last entry. */
#define API_ERROR_STACK_MAX 32

struct api_error {
	int code;	   /* HTTP status, 0 while nothing is wrong */
	char message[200]; /* for people */
	const char *error; /* the word of the first fault, a constant; NULL if none */
	int retry_after;   /* seconds, for 429 and 503; 0: the usual */
	struct buf stack;  /* the entries, comma-separated JSON */
	unsigned count;
};

#define API_ERROR_INIT    \
	{                 \
		.code = 0 \
	}

/* Sets the status and message.  The first call wins: later faults of the same
 * request add to the stack only. */
void
api_error_set(struct api_error *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Adds one entry.  error is a stable word and a constant, path the field at
 * fault. */
void api_error_push(struct api_error *e, int code, const char *error, const char *path, const char *fmt,
	...) __attribute__((format(printf, 5, 6)));

/* Both at once: one fault, described in the message too. */
void api_error_fail(struct api_error *e, int code, const char *error, const char *path, const char *fmt,
	...) __attribute__((format(printf, 5, 6)));

/* Appends "stack":[…] (with the key) for answers that succeed in part. */
void api_error_stack_json(const struct api_error *e, struct buf *out);

/* Appends the whole body. */
void api_error_json(const struct api_error *e, struct buf *out);

/* Seconds for Retry-After; 0 if the status has none. */
int api_error_retry_after(const struct api_error *e);

/* The reason phrase of an HTTP status (RFC 9110 section 15). */
const char *api_status_text(int code);

void api_error_free(struct api_error *e);

#endif
