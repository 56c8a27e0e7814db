/* Names of event types, lists of them and patterns; client ids and message
 * ids.  What is accepted has the documented form, and is accepted again. */

#include "common/event_types.h"
#include "common/ids.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void
check_name(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char all[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
	char again[EVENT_TYPE_MAX + 1];
	size_t len = strlen(name);

	FUZZ_CHECK(len >= 1 && len <= EVENT_TYPE_MAX);
	FUZZ_CHECK(strspn(name, all) == len && strchr(first, name[0]) != NULL);
	FUZZ_CHECK(event_type_normalise(name, len, again) == EVH_OK && strcmp(again, name) == 0);
}

static void
check_list(const char *text)
{
	struct event_types list = EVENT_TYPES_INIT, again = EVENT_TYPES_INIT;
	char bad[EVENT_TYPE_MAX + 1] = "";
	struct buf joined = BUF_INIT;
	enum evh_rc rc = event_types_parse(&list, text, bad);

	FUZZ_CHECK(rc == EVH_OK || rc == EVH_INVALID || rc == EVH_TOO_LARGE);
	FUZZ_CHECK(list.count <= EVENT_TYPES_MAX);
	FUZZ_CHECK(rc != EVH_INVALID || bad[0] != '\0');
	for (size_t i = 0; i < list.count; i++) {
		check_name(list.names[i]);
		for (size_t k = 0; k < i; k++)
			FUZZ_CHECK(strcmp(list.names[i], list.names[k]) != 0);
		buf_printf(&joined, "%s%s", i > 0 ? "," : "", list.names[i]);
	}
	FUZZ_CHECK(event_types_parse(&again, joined.data != NULL ? joined.data : "", NULL) == EVH_OK);
	FUZZ_CHECK(again.count == list.count);
	for (size_t i = 0; i < list.count; i++)
		FUZZ_CHECK(strcmp(list.names[i], again.names[i]) == 0);
	buf_free(&joined);
	event_types_free(&again);
	event_types_free(&list);
}

/* What a pattern says, written down in another way. */
static bool
matches(const char *pattern, size_t len, const char *name)
{
	if (len > 0 && pattern[len - 1] == '*')
		return len == 1 || (pattern[len - 2] == '.' && strncmp(pattern, name, len - 1) == 0);
	return strlen(name) == len && memcmp(pattern, name, len) == 0;
}

static void
check_patterns(const char *patterns, const char *name)
{
	bool any = false;

	for (const char *p = patterns; *p != '\0';) {
		size_t len = strcspn(p, " ");

		any = any || (len > 0 && matches(p, len, name));
		p += len + (p[len] == ' ');
	}
	FUZZ_CHECK(event_type_allowed(patterns, name) == any);
}

static void
check_ids(const char *text)
{
	uint8_t uuid[EVH_UUID_BYTES], uuid_again[EVH_UUID_BYTES];
	char shown[EVH_UUID_TEXT], epoch[EVH_EPOCH_TEXT], epoch_again[EVH_EPOCH_TEXT], id[EVH_ID_TEXT];
	uint64_t seq, seq_again;

	if (evh_uuid_parse(text, uuid)) {
		evh_uuid_format(uuid, shown);
		FUZZ_CHECK(strcasecmp(shown, text) == 0);
		FUZZ_CHECK(evh_uuid_parse(shown, uuid_again));
		FUZZ_CHECK(memcmp(uuid, uuid_again, sizeof(uuid)) == 0);
	}
	if (evh_id_parse(text, epoch, &seq)) {
		FUZZ_CHECK(seq <= INT64_MAX && strlen(epoch) >= 1);
		FUZZ_CHECK(strspn(epoch, "0123456789abcdef") == strlen(epoch));
		FUZZ_CHECK(evh_id_format(id, epoch, seq, UINT64_MAX) == strlen(id));
		FUZZ_CHECK(evh_id_parse(id, epoch_again, &seq_again));
		FUZZ_CHECK(seq == seq_again && strcmp(epoch, epoch_again) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };
	char name[EVENT_TYPE_MAX + 1] = "pdfm", *line;

	while ((line = fuzz_line(&in)) != NULL) {
		check_list(line);
		check_ids(line);
		check_patterns(line, name);
		if (event_type_normalise(line, strlen(line), name) == EVH_OK)
			check_name(name);
		else
			(void)snprintf(name, sizeof(name), "pdfm");
		free(line);
	}
	return 0;
}
