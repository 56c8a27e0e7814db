#include "wsd/exposure.h"

#include "common/log.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
warn(struct problems *notes, const char *path, mode_t mode, const char *effect)
{
	char octal[8];

	(void)snprintf(octal, sizeof(octal), "%04o", (unsigned)mode & 07777);
	if (notes == NULL) {
		log_warn("database_exposed", "path=%s mode=%s effect=\"%s\"", path, octal, effect);
		return;
	}
	problems_note(notes, "database: %s: %s has mode %s", effect, path, octal);
	problems_hint(notes, "chmod o= %s", path);
}

static enum evh_rc
check_directory(const char *database, struct problems *notes, char why[CONF_WHY_BYTES])
{
	char *copy = strdup(database);
	const char *directory = copy != NULL ? dirname(copy) : NULL;
	enum evh_rc rc = EVH_OK;
	struct stat st;

	if (directory != NULL && stat(directory, &st) == 0 && (st.st_mode & S_IWOTH) != 0) {
		if ((st.st_mode & S_ISVTX) == 0) {
			(void)snprintf(why, CONF_WHY_BYTES,
				"database: everybody may put another file in its place: %s has mode %04o; "
				"chmod o-w it",
				directory, (unsigned)st.st_mode & 07777);
			rc = EVH_DENIED;
		} else {
			warn(notes, directory, st.st_mode,
				"everybody may put files beside the database");
		}
	}
	free(copy);
	return rc;
}

static enum evh_rc
check_file(const char *database, struct problems *notes, char why[CONF_WHY_BYTES])
{
	struct stat st;

	if (stat(database, &st) != 0)
		return EVH_OK; /* it will be made, with a mode that is right */
	if ((st.st_mode & S_IWOTH) != 0) {
		(void)snprintf(why, CONF_WHY_BYTES,
			"database: everybody may write events and credentials: %s has mode %04o; chmod o= it",
			database, (unsigned)st.st_mode & 07777);
		return EVH_DENIED;
	}
	if ((st.st_mode & S_IROTH) != 0)
		warn(notes, database, st.st_mode, "everybody may read events and the hashes of secrets");
	return EVH_OK;
}

static void
warn_of_root(struct problems *notes)
{
	static const char effect[] = "a fault in the daemon is one of the whole machine";

	if (notes == NULL) {
		log_warn("runs_as_root", "effect=\"%s\"", effect);
		return;
	}
	problems_note(notes, "runs_as_root: %s", effect);
	problems_hint(notes, "start it as a user of its own, and let that user run -t too");
}

enum evh_rc
exposure_check(const struct conf *conf, struct problems *notes, char why[CONF_WHY_BYTES])
{
	enum evh_rc rc = check_directory(conf->database, notes, why);

	if (geteuid() == 0)
		warn_of_root(notes);
	return rc == EVH_OK ? check_file(conf->database, notes, why) : rc;
}
