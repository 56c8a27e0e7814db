/* INSERT INTO event, as any application would. */

#include "tests/bench/payload.h"
#include "tests/bench/pub.h"
#include "tests/bench/util.h"

#include <sqlite3.h>

struct sql {
	sqlite3 *db;
	sqlite3_stmt *insert;
};

static void
run(struct sql *s, const char *text)
{
	if (sqlite3_exec(s->db, text, NULL, NULL, NULL) != SQLITE_OK)
		die("%s: %s", text, sqlite3_errmsg(s->db));
}

static void
insert(struct sql *s, uint64_t seq)
{
	char payload[PAYLOAD_BYTES];

	payload_write(payload, seq, now_us());
	sqlite3_bind_text(s->insert, 2, payload, PAYLOAD_BYTES, SQLITE_STATIC);
	if (sqlite3_step(s->insert) != SQLITE_DONE)
		die("INSERT: %s", sqlite3_errmsg(s->db));
	sqlite3_reset(s->insert);
}

static void
prepare(struct sql *s, const struct pub_options *o)
{
	if (sqlite3_open_v2(o->to, &s->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		die("%s: %s", o->to, sqlite3_errmsg(s->db));
	sqlite3_busy_timeout(s->db, 10000);
	run(s, "PRAGMA synchronous = NORMAL");
	if (sqlite3_prepare_v3(s->db,
		    "INSERT INTO event(event_type, message, body) VALUES(?1, 'bench', ?2)", -1,
		    SQLITE_PREPARE_PERSISTENT, &s->insert, NULL) != SQLITE_OK)
		die("INSERT: %s", sqlite3_errmsg(s->db));
	sqlite3_bind_text(s->insert, 1, o->type, -1, SQLITE_STATIC);
}

struct pub_result
pub_sql(const struct pub_options *o)
{
	struct sql s = { NULL, NULL };
	const uint64_t start = now_us();
	uint64_t done = 0;

	prepare(&s, o);
	while (done < o->count && (o->seconds == 0 || now_us() - start < o->seconds * 1000000U)) {
		if (o->rate > 0)
			pub_pace(o, start, done);
		if (o->batch > 1)
			run(&s, "BEGIN IMMEDIATE");
		for (unsigned i = 0; i < o->batch && done < o->count; i++)
			insert(&s, o->first + done++);
		if (o->batch > 1)
			run(&s, "COMMIT");
	}
	sqlite3_finalize(s.insert);
	sqlite3_close(s.db);
	return (struct pub_result){ done, 0 };
}
