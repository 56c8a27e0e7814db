#include "wsd/lineage.h"

#include "common/db.h"
#include "common/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Far more than are given between two flushes of a disk. */
#define JUMP "1000000"

/* The lock file holds one line for each history that was here, each in a place
 * of this length: the one in use first, then the others, the newest first. */
#define LINE_BYTES 64
#define LINES 16

void
lineage_boot(char boot[LINEAGE_BOOT_BYTES])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, boot, LINEAGE_BOOT_BYTES - 1) : 0;

	boot[n > 0 ? n : 0] = '\0';
	boot[strcspn(boot, "\n")] = '\0';
	if (fd >= 0)
		(void)close(fd);
}

/* One value; EVH_NOT_FOUND if there is no row. */
static enum evh_rc
read_text(sqlite3 *db, const char *sql, char *out, size_t size)
{
	sqlite3_stmt *stmt = NULL;
	enum evh_rc rc = db_prepare(db, sql, &stmt);
	int step = rc == EVH_OK ? sqlite3_step(stmt) : SQLITE_DONE;

	out[0] = '\0';
	if (step == SQLITE_ROW)
		(void)snprintf(out, size, "%s", db_text(stmt, 0));
	else if (rc == EVH_OK)
		rc = step == SQLITE_DONE ? EVH_NOT_FOUND : db_rc(step);
	(void)sqlite3_finalize(stmt);
	return rc;
}

static enum evh_rc
read_head(sqlite3 *db, uint64_t *head)
{
	char text[24];
	enum evh_rc rc = read_text(db, "SELECT seq FROM v_event_head", text, sizeof(text));

	*head = strtoull(text, NULL, 10);
	return rc;
}

static enum evh_rc
write_boot(sqlite3 *db, const char *boot)
{
	sqlite3_stmt *stmt = NULL;
	enum evh_rc rc = db_prepare(db,
		"INSERT INTO meta(key, value) VALUES ('boot', ?1)"
		" ON CONFLICT(key) DO UPDATE SET value = excluded.value",
		&stmt);

	if (rc == EVH_OK) {
		db_bind_text(stmt, 1, boot);
		rc = db_rc(sqlite3_step(stmt));
	}
	(void)sqlite3_finalize(stmt);
	return rc;
}

/* After a boot: ahead of what can have been given and lost. */
static enum evh_rc
jump_ahead(sqlite3 *db, const char *boot)
{
	char before[LINEAGE_BOOT_BYTES];
	uint64_t head = 0;
	enum evh_rc rc =
		read_text(db, "SELECT value FROM meta WHERE key = 'boot'", before, sizeof(before));

	if (rc != EVH_OK && rc != EVH_NOT_FOUND)
		return rc;
	if (boot[0] == '\0' || strcmp(boot, before) == 0)
		return EVH_OK;
	rc = write_boot(db, boot);
	if (rc == EVH_OK)
		rc = read_head(db, &head);
	if (rc != EVH_OK || (head == 0 && before[0] == '\0')) /* a new database */
		return rc;
	log_info("numbers_jump", "head=%" PRIu64 " by=" JUMP " reason=\"first start since the boot\"",
		head);
	return db_exec(db,
		"INSERT INTO sqlite_sequence(name, seq) SELECT 'event', 0"
		" WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'event');"
		"UPDATE sqlite_sequence SET seq = seq + " JUMP " WHERE name = 'event'");
}

/* Line n; false if nothing, or nothing sensible, was remembered there. */
static bool
recall(int fd, int n, char epoch[EVH_EPOCH_TEXT], uint64_t *head)
{
	char line[LINE_BYTES];
	ssize_t got = pread(fd, line, sizeof(line) - 1, (off_t)n * LINE_BYTES);
	char *blank, *end;
	size_t len;

	line[got > 0 ? got : 0] = '\0';
	blank = strchr(line, ' ');
	len = blank != NULL ? (size_t)(blank - line) : 0;
	if (len == 0 || len >= EVH_EPOCH_TEXT)
		return false;
	memcpy(epoch, line, len);
	epoch[len] = '\0';
	*head = strtoull(blank + 1, &end, 10);
	return *end == '\n';
}

static void
write_line(int fd, int n, const char *epoch, uint64_t head)
{
	char line[LINE_BYTES] = "";

	(void)snprintf(line, sizeof(line), "%s %" PRIu64 "\n", epoch, head);
	/* one that cannot be written is only older than it could be */
	if (pwrite(fd, line, sizeof(line), (off_t)n * LINE_BYTES) != (ssize_t)sizeof(line))
		log_debug("not_remembered", "head=%" PRIu64, head);
}

/* Another history comes into use: those that were move on by one. */
static void
make_place(int fd)
{
	char epoch[EVH_EPOCH_TEXT];
	uint64_t head;

	for (int n = LINES - 1; n > 0; n--)
		if (recall(fd, n - 1, epoch, &head))
			write_line(fd, n, epoch, head);
}

/* How far any history of this epoch is known to have come. */
static uint64_t
furthest(int fd, const char *epoch)
{
	char known[EVH_EPOCH_TEXT];
	uint64_t head, most = 0;

	for (int n = 0; n < LINES; n++)
		if (recall(fd, n, known, &head) && strcmp(epoch, known) == 0 && head > most)
			most = head;
	return most;
}

enum evh_rc
lineage_continue(sqlite3 *db, int fd, const char *boot)
{
	char epoch[EVH_EPOCH_TEXT], last[EVH_EPOCH_TEXT];
	uint64_t head = 0, known, unused;
	enum evh_rc rc = jump_ahead(db, boot);

	if (rc == EVH_OK)
		rc = db_epoch(db, epoch);
	if (rc == EVH_OK)
		rc = read_head(db, &head);
	if (rc != EVH_OK || !recall(fd, 0, last, &unused))
		return rc;
	known = furthest(fd, epoch);
	if (head < known || strcmp(epoch, last) != 0)
		make_place(fd);
	if (head >= known)
		return EVH_OK;
	log_warn("history_went_back",
		"epoch=%s head=%" PRIu64 " known=%" PRIu64
		" effect=\"new epoch: clients that resume are told unknown\"",
		epoch, head, known);
	return db_exec(db, "UPDATE meta SET value = lower(hex(randomblob(4))) WHERE key = 'epoch'");
}

void
lineage_remember(int fd, const char *epoch, uint64_t head)
{
	write_line(fd, 0, epoch, head);
}
