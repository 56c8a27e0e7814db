/* request.h - one HTTP request, as a CGI environment tells it.
 *
 * All strings point into the environment, which must outlive the request;
 * only the body is owned (request_free).  Pure: the body comes through a
 * function that the caller gives. */

#ifndef EVH_FCGI_REQUEST_H
#define EVH_FCGI_REQUEST_H

#include "common/api_error.h"
#include "common/buf.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>

/* Longest path that is looked at, with its NUL. */
#define REQUEST_PATH_BYTES 512

struct request_input {
	size_t (*read)(void *arg, char *out, size_t len); /* 0 at the end */
	void *arg;
	bool (*late)(void *arg); /* whether it ended for want of time; may be NULL */
};

/* What the environment lacks is "". */
struct request {
	const char *method;
	const char *uri; /* REQUEST_URI: as the client wrote it */
	const char *document_uri, *script_name, *path_info;
	const char *authorization, *api_key;
	const char *content_type, *content_length;
	const char *remote_addr;
	const char *repeated; /* the name of a credential's header that is there twice, or NULL */
	struct request_input input;
	struct buf body;
};

/* Reads the variables of env, a NULL-terminated list of NAME=value. */
void request_init(struct request *r, char *const *env, struct request_input input);
void request_free(struct request *r);

/* The ways in which web servers tell the path, best first. */
enum request_path {
	REQUEST_PATH_URI,      /* REQUEST_URI without the query, percent-decoded */
	REQUEST_PATH_DOCUMENT, /* DOCUMENT_URI */
	REQUEST_PATH_SCRIPT,   /* SCRIPT_NAME and PATH_INFO */
	REQUEST_PATH_INFO,     /* PATH_INFO alone */
	REQUEST_PATH_COUNT
};

/* Writes the path into out.  False if the request does not tell it in this
 * way, or if it is too long, or holds an escape that would make it another
 * path for us than for the web server (%2F, %00, a control character). */
bool request_path(const struct request *r, enum request_path which, char out[REQUEST_PATH_BYTES]);

/* True if Content-Type is application/json, or application/…+json. */
bool request_is_json(const struct request *r);

/* Reads the body into r->body.  EVH_OK, or with a fault in e: EVH_TOO_LARGE
 * (413), EVH_INVALID (400: Content-Length is no number, or promises more than
 * comes; 408: than comes in time) or EVH_NOMEM (503). */
enum evh_rc request_read_body(struct request *r, size_t limit, struct api_error *e);

/* Reads on to the end of the input, within reason: a web server that cannot
 * get rid of a body may never read the answer. */
void request_drain(struct request *r);

#endif
