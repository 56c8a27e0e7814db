#include "wsd/check.h"

#include "common/check.h"
#include "common/json.h"
#include "wsd/control_users.h"
#include "wsd/exposure.h"
#include "wsd/tls.h"

#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* How long a daemon may take to say who it is. */
#define HELLO_MS 1000

/* Whether the answer is that of a daemon of this name. */
static bool
is_namesake(const char *answer, size_t len, const char *name)
{
	struct json_object *o = NULL, *v = NULL;
	char why[JSON_WHY_BYTES];
	const char *daemon = NULL;
	bool yes;

	if (json_parse(answer, len, &o, why) != EVH_OK)
		return false;
	if (json_object_object_get_ex(o, "daemon", &v))
		daemon = json_plain_string(v);
	yes = daemon != NULL && strcmp(daemon, name) == 0;
	/* a daemon that does not let us in is taken for the one: it is at its place */
	yes = yes || (json_object_object_get_ex(o, "ok", &v) && !json_object_get_boolean(v));
	json_object_put(o);
	return yes;
}

/* Whether this very daemon runs: then its sockets are in use, and should be. */
static bool
is_running(const struct conf *conf)
{
	static const char hello[] = "{\"op\":\"hello\"}\n";
	const struct timeval patience = { .tv_sec = HELLO_MS / 1000 }; /* if it hangs */
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char answer[1024];
	struct pollfd fd = { .events = POLLIN };
	ssize_t n = -1;

	if (strlen(conf->control_socket) >= sizeof(sa.sun_path))
		return false;
	memcpy(sa.sun_path, conf->control_socket, strlen(conf->control_socket) + 1);
	fd.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd.fd < 0)
		return false;
	(void)setsockopt(fd.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd.fd, (const struct sockaddr *)(const void *)&sa, sizeof(sa)) == 0 &&
		send(fd.fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL) > 0 && poll(&fd, 1, HELLO_MS) > 0)
		n = recv(fd.fd, answer, sizeof(answer), 0);
	(void)close(fd.fd);
	return n > 0 && is_namesake(answer, (size_t)n, conf->name);
}

static void
check_listen(const struct conf *conf, bool running, struct problems *p)
{
	for (size_t i = 0; i < conf->listen.count; i++) {
		const char *address = conf->listen.items[i];

		if (strncmp(address, "unix:", 5) == 0)
			check_unix_socket("listen", address + 5, running, p);
		else
			check_tcp_socket("listen", address, true, running, p);
		for (size_t k = 0; k < i; k++) {
			if (strcmp(conf->listen.items[k], address) != 0 || strstr(address, ":0") != NULL)
				continue;
			problems_add(p, "listen: %s is there twice", address);
			problems_hint(p, "take one of them away");
		}
	}
}

static void
check_users(const struct conf *conf, struct problems *p)
{
	struct control_users *users = NULL;
	char why[CONF_WHY_BYTES] = "";

	if (control_users_new(&users, &conf->control_users, &conf->publish_users, why) != EVH_OK) {
		problems_add(p, "%s", why);
		problems_hint(p, "getent passwd lists the users; a number is taken as it is");
	}
	control_users_free(&users);
}

/* The modes of files, and the certificate with its key. */
static void
check_files(const struct conf *conf, struct problems *p)
{
	struct tls_pair *pair = NULL;
	char why[CONF_WHY_BYTES] = "";

	if (exposure_check(conf, p, why) != EVH_OK) {
		problems_add(p, "%s", why);
		problems_hint(p, "the database is for its owner and group alone");
	}
	if (tls_wanted(conf) && tls_load(&pair, conf, why) != EVH_OK) {
		problems_add(p, "%s", why);
		problems_hint(p, "see tls_certificate and tls_key in evhub.conf(5)");
	}
	tls_free(&pair);
}

static void
check_limits(const struct conf *conf, struct problems *p)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max == RLIM_INFINITY ||
		limit.rlim_max >= (rlim_t)conf->max_clients + 256)
		return;
	problems_note(p, "max_clients: %lld, but this process may open %llu files at most",
		(long long)conf->max_clients, (unsigned long long)limit.rlim_max);
	problems_hint(p, "raise LimitNOFILE= in the unit (ulimit -Hn in a shell), or lower max_clients");
}

void
wsd_check(const struct conf *conf, struct problems *p)
{
	bool running = is_running(conf);

	if (conf->control_socket[0] == '/' &&
		strlen(conf->control_socket) < sizeof(((struct sockaddr_un *)NULL)->sun_path))
		check_unix_socket("control_socket", conf->control_socket, running, p);
	check_listen(conf, running, p);
	check_users(conf, p);
	check_limits(conf, p);
	check_files(conf, p);
}
