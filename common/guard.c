#include "common/guard.h"

#include "common/address.h"
#include "common/limiter.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

/* Addresses that are remembered at the same time; 24 bytes each. */
#define SLOTS 16384

struct guard {
	struct limiter *handshakes, *failures;
};

enum evh_rc
guard_new(struct guard **out)
{
	struct guard *g = calloc(1, sizeof(*g));
	uint64_t seed[2] = { 0, 0 };
	enum evh_rc rc;

	*out = NULL;
	if (g == NULL)
		return EVH_NOMEM;
	(void)RAND_bytes((unsigned char *)seed, (int)sizeof(seed));
	rc = limiter_new(&g->handshakes, SLOTS, seed[0]);
	if (rc == EVH_OK)
		rc = limiter_new(&g->failures, SLOTS, seed[1]);
	if (rc != EVH_OK) {
		guard_free(&g);
		return rc;
	}
	*out = g;
	return EVH_OK;
}

void
guard_free(struct guard **guard)
{
	if (*guard == NULL)
		return;
	limiter_free(&(*guard)->handshakes);
	limiter_free(&(*guard)->failures);
	free(*guard);
	*guard = NULL;
}

bool
guard_applies(const char *remote_addr, const struct conf *conf)
{
	uint8_t key[LIMITER_KEY_BYTES];

	return address_key(remote_addr, key) && !address_is_trusted(remote_addr, &conf->trusted_proxies);
}

static struct limiter_rate
failure_rate(const struct conf *conf)
{
	return (struct limiter_rate){ conf->max_auth_failures, conf->auth_failure_period * 1000 };
}

static bool
refuse(struct api_error *e, int64_t wait, const char *error, const char *text)
{
	api_error_fail(e, 429, error, "remote_addr", "%s", text);
	e->retry_after = (int)((wait + 999999) / 1000000);
	return false;
}

bool
guard_handshake(struct guard *guard, const struct conf *conf, const char *remote_addr, int64_t now,
	struct api_error *e)
{
	struct limiter_rate rate = { conf->max_handshakes_per_second, 1000000 };
	uint8_t key[LIMITER_KEY_BYTES];
	int64_t wait;

	if (rate.count == 0 || !guard_applies(remote_addr, conf) || !address_key(remote_addr, key))
		return true;
	wait = limiter_wait(guard->handshakes, key, rate, now);
	if (wait > 0)
		return refuse(e, wait, "too_many_handshakes",
			"the address makes more connections in a second than it may");
	limiter_count(guard->handshakes, key, rate, now);
	return true;
}

bool
guard_may_try(const struct guard *guard, const struct conf *conf, const char *remote_addr, int64_t now,
	struct api_error *e)
{
	uint8_t key[LIMITER_KEY_BYTES];
	int64_t wait;

	if (conf->max_auth_failures == 0 || !guard_applies(remote_addr, conf) ||
		!address_key(remote_addr, key))
		return true;
	wait = limiter_wait(guard->failures, key, failure_rate(conf), now);
	return wait == 0 ||
		refuse(e, wait, "too_many_auth_failures",
			"too many credentials of this address were refused");
}

void
guard_refused(struct guard *guard, const struct conf *conf, const char *remote_addr, int64_t now,
	const struct api_error *e)
{
	uint8_t key[LIMITER_KEY_BYTES];

	if (e->code != 401 || e->error == NULL || strcmp(e->error, "missing_credential") == 0 ||
		strcmp(e->error, "unsupported_scheme") == 0)
		return;
	if (conf->max_auth_failures != 0 && guard_applies(remote_addr, conf) &&
		address_key(remote_addr, key))
		limiter_count(guard->failures, key, failure_rate(conf), now);
}
