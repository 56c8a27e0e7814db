/* What goes out: an event that the table's rules let in, whoever wrote it, is
 * a valid JSON message in one whole frame for everybody.  Lines: message and
 * user; then the body. */

#include "common/db.h"
#include "tests/fuzz/fuzz.h"
#include "wsd/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sqlite3_stmt *insert;
static sqlite3 *db;

static void
open_database(void)
{
	char path[300], why[DB_WHY_BYTES];
	const struct db_options options = { .path = path, .mode = DB_READ_WRITE, .triggers = true };

	(void)snprintf(path, sizeof(path), "%s/frame.db", fuzz_directory());
	FUZZ_CHECK(db_open(&options, &db, why) == EVH_OK);
	FUZZ_CHECK(
		db_prepare(db,
			"INSERT INTO event(event_type, message, body, user_id) VALUES ('pdfm', ?1, ?2, ?3)"
			" RETURNING message, body, user_id",
			&insert) == EVH_OK);
	FUZZ_CHECK(db_exec(db, "BEGIN") == EVH_OK);
}

/* The length that the header tells, which must be written in its shortest form. */
static uint64_t
frame_length(const struct frame *f, size_t *header)
{
	uint64_t len = f->bytes[1];
	size_t extra = len == 126 ? 2 : len == 127 ? 8 : 0;

	FUZZ_CHECK(f->bytes[0] == 0x81 && (f->bytes[1] & 0x80) == 0);
	*header = 2 + extra;
	if (extra > 0) {
		len = 0;
		for (size_t i = 0; i < extra; i++)
			len = len << 8 | f->bytes[2 + i];
		FUZZ_CHECK(extra == 2 ? len >= 126 : len > UINT16_MAX);
	}
	return len;
}

static void
check_event(void)
{
	struct message m = { .id = "e-1",
		.event_type = "pdfm",
		.timestamp = "2026-11-23T20:42:11.123456Z",
		.text = db_text(insert, 0),
		.text_len = (size_t)sqlite3_column_bytes(insert, 0),
		.client_id = "338a28f7-666e-46e1-8e7d-4feba5edc061" };
	struct frame *f;
	size_t header;

	if (sqlite3_column_type(insert, 1) != SQLITE_NULL) {
		m.body = db_text(insert, 1);
		m.body_len = (size_t)sqlite3_column_bytes(insert, 1);
	}
	f = frame_new(&m);
	FUZZ_CHECK(f != NULL);
	FUZZ_CHECK(frame_length(f, &header) + header == f->len);
	fuzz_check_json((const char *)f->bytes + header, f->len - header);
	free(f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };
	char *message = fuzz_line(&in), *user = fuzz_line(&in), *body;
	size_t len;

	if (db == NULL)
		open_database();
	body = fuzz_rest(&in, &len);
	db_bind_text(insert, 1, message != NULL ? message : "");
	if (len > 0)
		(void)sqlite3_bind_text64(
			insert, 2, body, (sqlite3_uint64)len, SQLITE_STATIC, SQLITE_UTF8);
	db_bind_text(insert, 3, user != NULL && user[0] != '\0' ? user : NULL);
	if (sqlite3_step(insert) == SQLITE_ROW)
		check_event();
	(void)sqlite3_reset(insert);
	(void)sqlite3_clear_bindings(insert);
	FUZZ_CHECK(db_exec(db, "ROLLBACK; BEGIN") == EVH_OK);
	free(message);
	free(user);
	free(body);
	return 0;
}
