/* evhub-wsd: the WebSocket daemon of the events hub. */

#include "common/db.h"
#include "wsd/daemon.h"

#include <stdio.h>
#include <stdlib.h>

/* -t: says what is wrong with the configuration or the database. */
static int
test(const struct conf *conf)
{
	struct db_options options = { .path = conf->database, .mode = DB_READ_ONLY, .busy_ms = 1000 };
	char why[DB_WHY_BYTES];
	sqlite3 *db = NULL;
	enum evh_rc rc = db_open(&options, &db, why);

	db_close(&db);
	if (rc == EVH_NOT_FOUND) {
		(void)printf("configuration ok; database %s is not there yet and will be created\n",
			conf->database);
		return EXIT_SUCCESS;
	}
	if (rc != EVH_OK) {
		(void)fprintf(stderr, "evhub-wsd: %s\n", why);
		return EXIT_FAILURE;
	}
	(void)printf("configuration ok; database %s ok, schema version %d\n", conf->database,
		db_schema_version());
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	struct conf_args args;
	struct conf conf;
	int status = conf_arguments(&args, argc, argv, "evhub-wsd",
		"Serves WebSocket subscriptions from an evhub database, in the foreground.");

	if (status < 0 && conf_load(&conf, &args, "evhub-wsd") != EVH_OK)
		status = EXIT_FAILURE;
	if (status < 0) {
		status = args.test ? test(&conf) : daemon_run(&conf, &args);
		conf_free(&conf);
	}
	conf_arguments_free(&args);
	return status;
}
