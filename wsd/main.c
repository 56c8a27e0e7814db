/* evhub-wsd: the WebSocket daemon of the events hub. */

#include "wsd/daemon.h"
#include "wsd/exposure.h"
#include "wsd/tls.h"

#include <stdlib.h>
#include <sys/stat.h>

/* -t: what conf_test looks at, the modes of files, and the certificate. */
static int
test_all(const struct conf *conf)
{
	struct tls_pair *pair = NULL;
	char why[CONF_WHY_BYTES];

	if (exposure_check(conf, why) != EVH_OK ||
		(tls_wanted(conf) && tls_load(&pair, conf, why) != EVH_OK)) {
		log_error("configuration_refused", "%s", why);
		return EXIT_FAILURE;
	}
	tls_free(&pair);
	return conf_test(conf);
}

int
main(int argc, char **argv)
{
	struct conf_args args;
	struct conf conf;
	int status = conf_arguments(&args, argc, argv, "evhub-wsd",
		"Serves WebSocket subscriptions from an evhub database, in the foreground.");

	(void)umask(007); /* what we create is no business of others: it holds events and hashes */
	if (status < 0 && conf_load(&conf, &args, "evhub-wsd") != EVH_OK)
		status = EXIT_FAILURE;
	if (status < 0) {
		status = args.test ? test_all(&conf) : daemon_run(&conf, &args);
		conf_free(&conf);
	}
	conf_arguments_free(&args);
	return status;
}
