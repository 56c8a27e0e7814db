/* conf.h - the configuration that both programs read.
 *
 * One table in conf_table.c names every key with its kind, default and bounds; the
 * file (libconfuse syntax) and -o key=value go through the same checks.
 * Sizes are bytes, times are milliseconds. */

#ifndef EVH_CONF_H
#define EVH_CONF_H

#include "common/log.h"
#include "common/problems.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONF_DEFAULT_PATH "/etc/evhub/evhub.conf"

struct conf_list {
	char **items;
	size_t count;
};

enum conf_event_loop { CONF_LOOP_AUTO, CONF_LOOP_UV, CONF_LOOP_EV, CONF_LOOP_POLL };
enum conf_synchronous { CONF_SYNC_NORMAL, CONF_SYNC_FULL };
enum conf_unknown_types { CONF_UNKNOWN_REJECT, CONF_UNKNOWN_IGNORE };
enum conf_log_format { CONF_LOG_TEXT, CONF_LOG_JSON };

enum conf_jwt_algorithm {
	CONF_JWT_OFF,
	CONF_JWT_HS256,
	CONF_JWT_HS384,
	CONF_JWT_HS512,
	CONF_JWT_RS256,
	CONF_JWT_RS384,
	CONF_JWT_RS512,
	CONF_JWT_ES256,
	CONF_JWT_ES384,
	CONF_JWT_ES512,
	CONF_JWT_EDDSA,
};

/* The section jwt. */
struct conf_jwt {
	int algorithm; /* enum conf_jwt_algorithm */
	char *key_file, *issuer, *audience;
	int64_t leeway; /* ms */
	char *user_claim, *scopes_claim, *event_types_claim;
};

struct conf {
	/* both programs */
	char *database;
	int synchronous; /* enum conf_synchronous */
	char *control_socket;
	char *base_path;
	int log_level;	/* enum log_level */
	int log_format; /* enum conf_log_format */
	int log_target; /* enum log_target */
	int64_t max_event_bytes;
	struct conf_jwt jwt;

	/* evhub-wsd */
	char *name;
	struct conf_list listen;
	int event_loop;							    /* enum conf_event_loop */
	int64_t max_clients, max_clients_per_user, max_clients_per_address; /* 0: no limit */
	int64_t max_message_bytes;
	int64_t max_messages_per_second;
	int64_t ping_interval, pong_timeout, stall_timeout, drain_timeout; /* ms */
	int64_t log_memory;
	int unknown_event_types; /* enum conf_unknown_types */
	bool query_credentials;
	struct conf_list allowed_origins;
	struct conf_list trusted_proxies;
	struct conf_list control_users, publish_users;
	int64_t retain_interval; /* ms between two purges */

	/* evhub-fcgi */
	char *fcgi_listen;
	int64_t fcgi_threads;
	int64_t max_body_bytes;
	int64_t confirm_timeout; /* ms to wait for the daemon's word */
	struct conf_list metrics_users;

	/* for versions to come; refused until then */
	char *tls_certificate, *tls_key;
};

/* Room for a complaint. */
#define CONF_WHY_BYTES 512

/* Fills conf with the defaults; conf_free releases it. */
enum evh_rc conf_init(struct conf *conf);

/* Reads the file over what conf holds.  include("other") reads another file,
 * found beside the one that names it.  EVH_NOT_FOUND if path cannot be read,
 * or EVH_INVALID; problems tells what is wrong, with file, line and key, and
 * what is right has been taken all the same.  One thread at a time. */
enum evh_rc conf_read(struct conf *conf, const char *path, struct problems *problems);

/* Applies one "key=value".  Lists: comma-separated, in braces or not. */
enum evh_rc conf_override(struct conf *conf, const char *assignment, char why[CONF_WHY_BYTES]);

/* Checks that keys fit together; for after the last change.  EVH_INVALID if
 * there are problems. */
enum evh_rc conf_check(const struct conf *conf, struct problems *problems);

void conf_free(struct conf *conf);

/* The command line that both programs share. */
struct conf_args {
	const char *path; /* -c */
	char **overrides; /* -o, in order */
	size_t override_count;
	bool test;    /* -t */
	bool verbose; /* -v */
};

/* Reads the arguments.  Returns -1 to go on, else the exit status to end
 * with (-h, -V, or a usage error, which has been told).  path is NULL when -c
 * was not given. */
int
conf_arguments(struct conf_args *args, int argc, char **argv, const char *program, const char *summary);

/* Defaults, file (args->path, or CONF_DEFAULT_PATH if that exists), overrides,
 * checks, and log_setup.  Anything wrong has been told on standard error. */
enum evh_rc conf_load(struct conf *conf, const struct conf_args *args, const char *program);

void conf_arguments_free(struct conf_args *args);

/* What -t does: reads the configuration, looks with check (and by itself at
 * the database) whether the system is as it says, tells everything that is
 * wrong, and returns the exit status.  Nothing is changed. */
int conf_test(const struct conf_args *args, const char *program,
	void (*check)(const struct conf *conf, struct problems *problems));

/* The steps of conf_load up to conf_check, with all their problems. */
enum evh_rc conf_gather(struct conf *conf, const struct conf_args *args, struct problems *problems);

#endif
