#include "fcgi/tries.h"

#include "common/clock.h"
#include "common/guard.h"

#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct guard *guard; /* under mutex; NULL: nothing is limited */

bool
tries_start(void)
{
	return guard_new(&guard) == EVH_OK;
}

bool
tries_allowed(const struct conf *conf, const char *remote_addr, struct api_error *e)
{
	bool allowed;

	(void)pthread_mutex_lock(&mutex);
	allowed = guard == NULL || guard_may_try(guard, conf, remote_addr, clock_mono_us(), e);
	(void)pthread_mutex_unlock(&mutex);
	return allowed;
}

void
tries_refused(const struct conf *conf, const char *remote_addr, const struct api_error *e)
{
	(void)pthread_mutex_lock(&mutex);
	if (guard != NULL)
		guard_refused(guard, conf, remote_addr, clock_mono_us(), e);
	(void)pthread_mutex_unlock(&mutex);
}
