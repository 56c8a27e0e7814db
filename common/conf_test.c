/* -t: everything that is wrong, at once. */

#include "common/check.h"
#include "common/conf.h"
#include "common/db.h"
#include "common/verifier.h"

#include <stdlib.h>

/* The key that JWTs are checked with. */
static void
check_jwt(const struct conf *conf, struct problems *p)
{
	char why[CONF_WHY_BYTES] = "";
	struct verifier *verifier = NULL;

	if (conf->jwt.key_file[0] != '/')
		return; /* there is none, or it has been told */
	if (verifier_new(&verifier, conf, why) != EVH_OK) {
		problems_add(p, "%s", why);
		problems_hint(p,
			"a PEM file with the public key, or the secret itself for HS256; see jwt in evhub.conf(5)");
	}
	verifier_unref(&verifier);
}

int
conf_test(const struct conf_args *args, const char *program,
	void (*check)(const struct conf *conf, struct problems *problems))
{
	struct problems p = PROBLEMS_INIT;
	struct conf conf;
	int status = EXIT_SUCCESS;

	(void)conf_gather(&conf, args, &p);
	if (p.incomplete) {
		problems_note(&p,
			"the rest of the configuration and the system were not looked at: mend this first");
	} else {
		check_database(&conf, &p);
		check_jwt(&conf, &p);
		check(&conf, &p);
	}
	problems_print(&p, stderr, program);
	if (p.serious > 0) {
		(void)fprintf(
			stderr, "%s: %zu problem%s\n", program, p.serious, p.serious > 1 ? "s" : "");
		status = EXIT_FAILURE;
	} else {
		(void)fprintf(stderr, "%s: in order: database %s, schema version %d\n", program,
			conf.database, db_schema_version());
	}
	problems_free(&p);
	conf_free(&conf);
	return status;
}
