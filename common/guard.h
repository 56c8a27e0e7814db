/* guard.h - limits on what one address may try: how many handshakes in a
 * second, and how many credentials that are not good.
 *
 * Counts nothing against proxies that are trusted: who stands behind them is
 * not known, and all of them would be shut out for what one did.  The time is
 * an argument.  Not thread-safe. */

#ifndef EVH_GUARD_H
#define EVH_GUARD_H

#include "common/api_error.h"
#include "common/conf.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stdint.h>

struct guard;

enum evh_rc guard_new(struct guard **out);
void guard_free(struct guard **guard);

/* Whether this address is one that limits apply to. */
bool guard_applies(const char *remote_addr, const struct conf *conf);

/* Counts a handshake.  False with a 429 in e when there were too many
 * (max_handshakes_per_second). */
bool guard_handshake(struct guard *guard, const struct conf *conf, const char *remote_addr, int64_t now,
	struct api_error *e);

/* False with a 429 in e when too many credentials of this address were not
 * good (max_auth_failures). */
bool guard_may_try(const struct guard *guard, const struct conf *conf, const char *remote_addr,
	int64_t now, struct api_error *e);

/* Counts the refusal in e, if it is of a credential that was there and not
 * good: to send none is no attempt. */
void guard_refused(struct guard *guard, const struct conf *conf, const char *remote_addr, int64_t now,
	const struct api_error *e);

#endif
