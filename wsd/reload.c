#include "wsd/reload.h"

#include <string.h>

#define SWAP(a, b)                         \
	do {                               \
		__typeof__(a) swap_ = (a); \
		(a) = (b);                 \
		(b) = swap_;               \
	} while (0)

static void
stay(const struct conf *conf, const char *why)
{
	log_setup("evhub-wsd", (enum log_level)conf->log_level, conf->log_format == CONF_LOG_JSON,
		(enum log_target)conf->log_target);
	if (why != NULL)
		log_error("configuration_refused", "reason=\"%s\"", why);
	log_error("reload_refused", "effect=\"the configuration in force stays\"");
}

bool
reload_conf(struct conf *conf, const struct conf_args *args, struct verifier **verifier)
{
	char why[CONF_WHY_BYTES] = "out of memory";
	struct conf fresh;

	if (conf_load(&fresh, args, "evhub-wsd") != EVH_OK) {
		stay(conf, NULL);
		return false;
	}
	if (verifier_new(verifier, &fresh, why) != EVH_OK) {
		stay(conf, why);
		conf_free(&fresh);
		return false;
	}
	SWAP(conf->jwt, fresh.jwt);
	/* limits and lists that are looked at whenever they are needed */
	SWAP(conf->log_level, fresh.log_level);
	SWAP(conf->log_format, fresh.log_format);
	SWAP(conf->log_target, fresh.log_target);
	SWAP(conf->max_clients, fresh.max_clients);
	SWAP(conf->max_clients_per_user, fresh.max_clients_per_user);
	SWAP(conf->max_handshakes_per_second, fresh.max_handshakes_per_second);
	SWAP(conf->max_auth_failures, fresh.max_auth_failures);
	SWAP(conf->auth_failure_period, fresh.auth_failure_period);
	SWAP(conf->max_event_types, fresh.max_event_types);
	SWAP(conf->max_messages_per_second, fresh.max_messages_per_second);
	SWAP(conf->unknown_event_types, fresh.unknown_event_types);
	SWAP(conf->query_credentials, fresh.query_credentials);
	SWAP(conf->allowed_origins, fresh.allowed_origins);
	SWAP(conf->trusted_proxies, fresh.trusted_proxies);
	SWAP(conf->drain_timeout, fresh.drain_timeout);
	SWAP(conf->retain_interval, fresh.retain_interval);
	if ((conf->tls_certificate[0] != '\0') == (fresh.tls_certificate[0] != '\0')) {
		SWAP(conf->tls_certificate, fresh.tls_certificate);
		SWAP(conf->tls_key, fresh.tls_key);
	} else {
		log_warn("needs_restart", "keys=\"tls_certificate, tls_key\"");
	}
	if (strcmp(conf->database, fresh.database) != 0 || strcmp(conf->name, fresh.name) != 0 ||
		strcmp(conf->control_socket, fresh.control_socket) != 0)
		log_warn("needs_restart", "keys=\"database, name, control_socket\"");
	conf_free(&fresh);
	log_info("reloaded", "%s", "");
	return true;
}
