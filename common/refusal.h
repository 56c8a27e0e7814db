/* refusal.h - the log line of a request that was refused, the same in both
 * programs and stable, for fail2ban and the like:
 *
 *   refused status=401 remote_addr=203.0.113.9 user=- error=invalid_credential
 *     path=/api/v1/ws/subscribe reason="the credential is unknown, …"
 *
 * Written by log_line, so no value can look like another field. */

#ifndef EVH_REFUSAL_H
#define EVH_REFUSAL_H

#include "common/api_error.h"

struct refusal {
	const char *remote_addr; /* "" or NULL: unknown */
	const char *user;	 /* "" or NULL: unknown */
	const char *path;	 /* without the query, which may hold secrets */
};

/* Logs it.  What is no address is told as "-", and so is the user of a request
 * that did not prove who it comes from. */
void refusal_log(const struct refusal *r, const struct api_error *e);

#endif
