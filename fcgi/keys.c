#include "fcgi/keys.h"

#include "common/log.h"

void
keys_init(struct keys *keys, struct verifier *verifier)
{
	(void)pthread_mutex_init(&keys->lock, NULL);
	keys->verifier = verifier;
}

void
keys_free(struct keys *keys)
{
	verifier_unref(&keys->verifier);
	(void)pthread_mutex_destroy(&keys->lock);
}

struct verifier *
keys_get(struct keys *keys)
{
	struct verifier *v;

	(void)pthread_mutex_lock(&keys->lock);
	v = verifier_ref(keys->verifier);
	(void)pthread_mutex_unlock(&keys->lock);
	return v;
}

void
keys_reload(struct keys *keys, const struct conf *conf)
{
	char why[CONF_WHY_BYTES] = "out of memory";
	struct verifier *fresh, *old;

	if (verifier_new(&fresh, conf, why) != EVH_OK) {
		log_error("reload_refused", "reason=\"%s\" effect=\"the key in force stays\"", why);
		return;
	}
	(void)pthread_mutex_lock(&keys->lock);
	old = keys->verifier;
	keys->verifier = fresh;
	(void)pthread_mutex_unlock(&keys->lock);
	verifier_unref(&old);
	log_info("reloaded", "what=jwt.key_file");
}
