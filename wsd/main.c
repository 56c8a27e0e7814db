/* evhub-wsd: the WebSocket daemon of the events hub. */

#include "wsd/check.h"
#include "wsd/daemon.h"

#include <stdlib.h>
#include <sys/stat.h>

int
main(int argc, char **argv)
{
	struct conf_args args;
	struct conf conf;
	int status = conf_arguments(&args, argc, argv, "evhub-wsd",
		"Serves WebSocket subscriptions from an evhub database, in the foreground.");

	(void)umask(007); /* what we create is no business of others: it holds events and hashes */
	if (status < 0 && args.test) {
		status = conf_test(&args, "evhub-wsd", wsd_check);
	} else if (status < 0 && conf_load(&conf, &args, "evhub-wsd") != EVH_OK) {
		status = EXIT_FAILURE;
	} else if (status < 0) {
		status = daemon_run(&conf, &args);
		conf_free(&conf);
	}
	conf_arguments_free(&args);
	return status;
}
