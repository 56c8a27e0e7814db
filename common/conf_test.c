/* -t: is the database one that the programs can use? */

#include "common/conf.h"
#include "common/db.h"
#include "common/verifier.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* True if there is no such file, but a directory for it. */
static bool
may_be_made(const char *path)
{
	bool made = access(path, F_OK) != 0 && errno == ENOENT;
	char *copy = strdup(path);

	if (made && copy != NULL)
		made = access(dirname(copy), F_OK) == 0;
	free(copy);
	return made;
}

int
conf_test(const struct conf *conf)
{
	const struct db_options options = {
		.path = conf->database, .mode = DB_READ_ONLY, .busy_ms = 1000
	};
	char why[CONF_WHY_BYTES] = "";
	struct verifier *verifier;
	sqlite3 *db = NULL;

	if (verifier_new(&verifier, conf, why) != EVH_OK) {
		log_error("configuration_refused", "reason=\"%s\"", why);
		return EXIT_FAILURE;
	}
	verifier_unref(&verifier);
	if (may_be_made(conf->database)) {
		log_info("configuration_ok", "database %s does not exist yet and will be created",
			conf->database);
		return EXIT_SUCCESS;
	}
	if (db_open(&options, &db, why) != EVH_OK) {
		log_error("database_unavailable", "%s", why);
		return EXIT_FAILURE;
	}
	db_close(&db);
	log_info("configuration_ok", "database=%s schema_version=%d", conf->database,
		db_schema_version());
	return EXIT_SUCCESS;
}
