#include "common/conf_table.h"

#include "common/conf.h"

#define AT(field) offsetof(struct conf, field)
#define STRING(key, fallback)                                    \
	{                                                        \
#key, CONF_STRING, AT(key), fallback, 0, 0, NULL \
	}
#define LIST(key, fallback)                                    \
	{                                                      \
#key, CONF_LIST, AT(key), fallback, 0, 0, NULL \
	}
#define NUMBER(key, fallback, min, max)                              \
	{                                                            \
#key, CONF_NUMBER, AT(key), fallback, min, max, NULL \
	}
#define SIZE(key, fallback, min, max)                              \
	{                                                          \
#key, CONF_SIZE, AT(key), fallback, min, max, NULL \
	}
#define TIME(key, fallback, min, max)                              \
	{                                                          \
#key, CONF_TIME, AT(key), fallback, min, max, NULL \
	}
#define BOOL(key, fallback)                                    \
	{                                                      \
#key, CONF_BOOL, AT(key), fallback, 0, 0, NULL \
	}
#define WORD(key, fallback, words)                              \
	{                                                       \
#key, CONF_WORD, AT(key), fallback, 0, 0, words \
	}

#define DAY INT64_C(86400000) /* ms */

static const char *const words_synchronous[] = { "normal", "full", NULL };
static const char *const words_event_loop[] = { "auto", "uv", "ev", "poll", NULL };
static const char *const words_unknown[] = { "reject", "ignore", NULL };
static const char *const words_level[] = { "error", "warn", "info", "debug", NULL };
static const char *const words_jwt[] = { "off", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
	"ES256", "ES384", "ES512", "EdDSA", NULL };
static const char *const words_format[] = { "text", "json", NULL };
static const char *const words_target[] = { "auto", "stderr", "syslog", "journald", NULL };

const struct conf_option conf_table[] = {
	STRING(database, "/var/lib/evhub/evhub.db"),
	WORD(synchronous, "normal", words_synchronous),
	STRING(control_socket, "/run/evhub/wsd.sock"),
	STRING(name, "wsd"),
	LIST(listen, "127.0.0.1:8090"),
	STRING(fcgi_listen, "/run/evhub/fcgi.sock"),
	NUMBER(fcgi_threads, "16", 1, 256),
	STRING(base_path, "/api/v1/ws"),
	WORD(event_loop, "auto", words_event_loop),
	NUMBER(max_clients, "100000", 1, 10000000),
	NUMBER(max_clients_per_user, "1000", 0, 10000000),
	NUMBER(max_clients_per_address, "0", 0, 10000000),
	NUMBER(max_handshakes_per_second, "0", 0, 1000000),
	TIME(handshake_timeout, "10", 1000, 300000),
	SIZE(max_header_bytes, "16K", 1 << 10, 48 << 10),
	SIZE(max_message_bytes, "4K", 125, 16 << 20),
	NUMBER(max_messages_per_second, "50", 1, 50000),
	SIZE(max_body_bytes, "64K", 256, 64 << 20),
	NUMBER(max_event_types, "256", 1, 256),
	NUMBER(max_auth_failures, "100", 0, 1000000),
	TIME(auth_failure_period, "1m", 1000, DAY),
	SIZE(max_event_bytes, "256K", 256, 16 << 20),
	TIME(ping_interval, "30", 100, DAY),
	TIME(pong_timeout, "45", 200, DAY),
	TIME(stall_timeout, "30", 100, DAY),
	TIME(drain_timeout, "10", 100, DAY),
	TIME(confirm_timeout, "5", 10, DAY),
	LIST(metrics_users, ""),
	TIME(retain_interval, "30", 100, DAY),
	SIZE(log_memory, "64M", 64 << 10, INT64_C(1) << 40),
	WORD(unknown_event_types, "reject", words_unknown),
	BOOL(query_credentials, "no"),
	LIST(allowed_origins, ""),
	LIST(trusted_proxies, ""),
	LIST(control_users, ""),
	LIST(publish_users, ""),
	{ "jwt.algorithm", CONF_WORD, AT(jwt.algorithm), "off", 0, 0, words_jwt },
	{ "jwt.key_file", CONF_STRING, AT(jwt.key_file), "", 0, 0, NULL },
	{ "jwt.issuer", CONF_STRING, AT(jwt.issuer), "", 0, 0, NULL },
	{ "jwt.audience", CONF_STRING, AT(jwt.audience), "", 0, 0, NULL },
	{ "jwt.leeway", CONF_TIME, AT(jwt.leeway), "10", 0, 300000, NULL },
	{ "jwt.user_claim", CONF_STRING, AT(jwt.user_claim), "sub", 0, 0, NULL },
	{ "jwt.scopes_claim", CONF_STRING, AT(jwt.scopes_claim), "scope", 0, 0, NULL },
	{ "jwt.event_types_claim", CONF_STRING, AT(jwt.event_types_claim), "event_types", 0, 0, NULL },
	STRING(tls_certificate, ""),
	STRING(tls_key, ""),
	WORD(log_level, "info", words_level),
	WORD(log_format, "text", words_format),
	WORD(log_target, "auto", words_target),
	{ NULL, CONF_STRING, 0, NULL, 0, 0, NULL },
};
