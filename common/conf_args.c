/* The command line, which both programs share. */

#include "common/conf_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
usage(FILE *to, const char *program, const char *summary)
{
	(void)fprintf(to,
		"usage: %s [-c FILE] [-o key=value]... [-t] [-v] [-V] [-h]\n"
		"%s\n\n"
		"  -c FILE       read this configuration (default %s, if it exists)\n"
		"  -o key=value  override one key; may be repeated\n"
		"  -t            check the configuration and the database, then exit\n"
		"  -v            tell more (log_level = debug)\n"
		"  -V            print the version\n"
		"  -h            print this\n",
		program, summary, CONF_DEFAULT_PATH);
}

int
conf_arguments(struct conf_args *args, int argc, char **argv, const char *program, const char *summary)
{
	int c;

	memset(args, 0, sizeof(*args));
	args->overrides = calloc((size_t)argc, sizeof(*args->overrides));
	if (args->overrides == NULL)
		return EXIT_FAILURE;
	while ((c = getopt(argc, argv, "c:o:tvVh")) != -1) {
		switch (c) {
		case 'c':
			args->path = optarg;
			break;
		case 'o':
			args->overrides[args->override_count++] = optarg;
			break;
		case 't':
			args->test = true;
			break;
		case 'v':
			args->verbose = true;
			break;
		case 'V':
			(void)printf("%s %s\n", program, PACKAGE_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			usage(stdout, program, summary);
			return EXIT_SUCCESS;
		default:
			usage(stderr, program, summary);
			return 2;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "%s: unexpected argument \"%s\"\n", program, argv[optind]);
		usage(stderr, program, summary);
		return 2;
	}
	return -1;
}

void
conf_arguments_free(struct conf_args *args)
{
	free(args->overrides);
	args->overrides = NULL;
	args->override_count = 0;
}

enum evh_rc
conf_gather(struct conf *conf, const struct conf_args *args, struct problems *problems)
{
	char why[CONF_WHY_BYTES];
	enum evh_rc rc = conf_init(conf), one;

	if (rc != EVH_OK) {
		problems_add(problems, "out of memory");
		return rc;
	}
	if (args->path != NULL)
		rc = conf_read(conf, args->path, problems);
	else if (access(CONF_DEFAULT_PATH, F_OK) == 0)
		rc = conf_read(conf, CONF_DEFAULT_PATH, problems);
	for (size_t i = 0; i < args->override_count; i++) {
		one = conf_override(conf, args->overrides[i], why);
		if (one == EVH_OK)
			continue;
		problems_add(problems, "%s", why);
		if (conf_find(args->overrides[i], strcspn(args->overrides[i], " =")) == NULL)
			conf_hint_key(problems, args->overrides[i], strcspn(args->overrides[i], " ="));
		else
			problems_hint(problems, "evhub.conf(5) tells what the key takes");
		rc = rc == EVH_OK ? one : rc;
	}
	one = problems->incomplete ? EVH_OK : conf_check(conf, problems);
	return rc == EVH_OK ? one : rc;
}

static void
tell(const struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *p = &problems->items[i];

		if (p->text != NULL && p->hint != NULL)
			log_error("configuration_refused", "%s (%s)", p->text, p->hint);
		else
			log_error("configuration_refused", "%s",
				p->text != NULL ? p->text : "out of memory");
	}
}

enum evh_rc
conf_load(struct conf *conf, const struct conf_args *args, const char *program)
{
	struct problems problems = PROBLEMS_INIT;
	enum evh_rc rc = conf_gather(conf, args, &problems);

	if (rc != EVH_OK) {
		log_setup(program, LOG_LEVEL_ERROR, false, LOG_TARGET_AUTO);
		tell(&problems);
		conf_free(conf);
	} else {
		log_setup(program, args->verbose ? LOG_LEVEL_DEBUG : (enum log_level)conf->log_level,
			conf->log_format == CONF_LOG_JSON, (enum log_target)conf->log_target);
	}
	problems_free(&problems);
	return rc;
}
