#include "fcgi/check.h"

#include "common/check.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Whether the daemon can be reached; that it does not run is none of this
 * program's problems. */
static void
check_daemon(const struct conf *conf, struct problems *p)
{
	const struct timeval patience = { .tv_sec = 1 }; /* if it hangs */
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, error;

	if (conf->control_socket[0] != '/' || strlen(conf->control_socket) >= sizeof(sa.sun_path))
		return; /* told already */
	memcpy(sa.sun_path, conf->control_socket, strlen(conf->control_socket) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	error = connect(fd, (const struct sockaddr *)(const void *)&sa, sizeof(sa)) != 0 ? errno : 0;
	if (fd >= 0)
		(void)close(fd);
	if (error == EACCES || error == EPERM) {
		problems_add(p, "control_socket: %s: %s", conf->control_socket, strerror(error));
		problems_hint(p,
			"run evhub-fcgi as a user of the daemon's group, and name it in control_users");
	} else if (error != 0) {
		problems_note(p, "control_socket: %s: %s: evhub-wsd does not run, or has another socket",
			conf->control_socket, strerror(error));
	}
}

void
fcgi_check(const struct conf *conf, struct problems *p)
{
	const char *spec = conf->fcgi_listen;

	/* nobody can be asked whether it is another evhub-fcgi that listens there */
	if (strncmp(spec, "unix:", 5) == 0)
		check_unix_socket("fcgi_listen", spec + 5, true, p);
	else if (spec[0] == '/')
		check_unix_socket("fcgi_listen", spec, true, p);
	else
		check_tcp_socket("fcgi_listen", spec, false, true, p);
	check_daemon(conf, p);
}
