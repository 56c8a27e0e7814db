#include "wsd/tickets.h"

#include "common/conf.h"
#include "common/db.h"
#include "common/ticket.h"
#include "wsd/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BY_HASH                                                                               \
	"SELECT user_id, username, credential_id, scopes, event_types, credential_expires_at" \
	" FROM ticket WHERE hash = ?1 AND julianday(expires_at) > julianday('now')"           \
	" AND (credential_expires_at = 0 OR credential_expires_at > strftime('%s', 'now') + 0)"

struct claim {
	char hash[AUTH_HASH_TEXT];
	UT_hash_handle hh;
};

struct tickets {
	struct auth *auth;
	sqlite3_stmt *by_hash;
	struct claim *claims;
	int fd; /* the file of locks */
};

/* The file stays when the daemon ends: unlinking it would let two lock "it". */
static int
open_locks(const char *database, char *why)
{
	static const char suffix[] = "-tickets.lock";
	size_t size = strlen(database) + sizeof(suffix);
	char *path = malloc(size);
	int fd = -1;

	if (path != NULL) {
		(void)snprintf(path, size, "%s%s", database, suffix);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
	}
	if (fd < 0)
		(void)snprintf(why, CONF_WHY_BYTES, "database: cannot create %s: %s",
			path != NULL ? path : "the lock file of tickets", strerror(errno));
	free(path);
	return fd;
}

enum evh_rc
tickets_new(struct tickets **out, sqlite3 *db, struct auth *auth, const char *database, char *why)
{
	struct tickets *t = calloc(1, sizeof(*t));
	enum evh_rc rc;

	*out = NULL;
	if (t == NULL)
		return EVH_NOMEM;
	t->auth = auth;
	t->fd = open_locks(database, why);
	rc = t->fd < 0 ? EVH_DENIED : db_prepare(db, BY_HASH, &t->by_hash);
	if (rc != EVH_OK) {
		tickets_free(&t);
		return rc;
	}
	*out = t;
	return EVH_OK;
}

void
tickets_free(struct tickets **tickets)
{
	struct tickets *t = *tickets;
	struct claim *c, *next;

	if (t == NULL)
		return;
	HASH_ITER(hh, t->claims, c, next)
	{
		HASH_DEL(t->claims, c);
		free(c);
	}
	(void)sqlite3_finalize(t->by_hash);
	if (t->fd >= 0)
		(void)close(t->fd);
	free(t);
	*tickets = NULL;
}

/* Locks or unlocks the byte that stands for a ticket. */
static bool
lock_byte(const struct tickets *t, const char *hash, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_len = 1 };
	char digits[16];
	int rc;

	memcpy(digits, hash, sizeof(digits) - 1); /* 60 bits: no offset is negative */
	digits[sizeof(digits) - 1] = '\0';
	lock.l_start = (off_t)strtoll(digits, NULL, 16);
	do
		rc = fcntl(t->fd, F_OFD_SETLK, &lock);
	while (rc != 0 && errno == EINTR);
	return rc == 0;
}

static enum evh_rc
take(struct tickets *t, const char *hash)
{
	struct claim *c = NULL;

	HASH_FIND_STR(t->claims, hash, c);
	if (c != NULL)
		return EVH_DENIED;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return EVH_NOMEM;
	if (!lock_byte(t, hash, F_WRLCK)) {
		free(c);
		return EVH_DENIED;
	}
	memcpy(c->hash, hash, sizeof(c->hash));
	HASH_ADD_STR(t->claims, hash, c);
	if (!hash_added(c)) {
		(void)lock_byte(t, hash, F_UNLCK);
		free(c);
		return EVH_NOMEM;
	}
	return EVH_OK;
}

void
tickets_release(struct tickets *t, const char hash[AUTH_HASH_TEXT])
{
	struct claim *c = NULL;

	HASH_FIND_STR(t->claims, hash, c);
	if (c == NULL)
		return;
	(void)lock_byte(t, hash, F_UNLCK);
	HASH_DEL(t->claims, c);
	free(c);
}

/* What the row says for itself, of a ticket without a credential. */
static enum evh_rc
fill(sqlite3_stmt *row, struct auth_principal *who)
{
	enum evh_rc rc = auth_principal_set(who, db_text(row, 0), db_text(row, 1));

	if (rc != EVH_OK)
		return rc;
	who->scopes = auth_scopes_parse(db_text(row, 3));
	who->expires_at = sqlite3_column_int64(row, 5);
	if (sqlite3_column_type(row, 4) != SQLITE_NULL) {
		who->event_types = strdup(db_text(row, 4));
		if (who->event_types == NULL)
			return EVH_NOMEM;
	}
	return EVH_OK;
}

static enum evh_rc
look_up(struct tickets *t, const char *hash, struct auth_principal *who)
{
	enum evh_rc rc;
	int step;

	db_bind_text(t->by_hash, 1, hash);
	step = sqlite3_step(t->by_hash);
	if (step != SQLITE_ROW) {
		rc = step == SQLITE_DONE ? EVH_DENIED : db_rc(step);
	} else if (sqlite3_column_type(t->by_hash, 2) == SQLITE_NULL) {
		rc = fill(t->by_hash, who);
	} else {
		rc = auth_reload(t->auth, sqlite3_column_int64(t->by_hash, 2), who);
		if (rc == EVH_OK && strcmp(who->user_id, db_text(t->by_hash, 0)) != 0) {
			auth_principal_free(who);
			rc = EVH_DENIED;
		}
	}
	(void)sqlite3_reset(t->by_hash);
	return rc;
}

enum evh_rc
tickets_claim(
	struct tickets *t, const char *ticket, char hash[AUTH_HASH_TEXT], struct auth_principal *who)
{
	enum evh_rc rc;

	if (!ticket_well_formed(ticket))
		return EVH_DENIED;
	rc = auth_hash(ticket, hash);
	if (rc == EVH_OK)
		rc = take(t, hash);
	if (rc != EVH_OK)
		return rc;
	/* only now: another daemon's use is committed before it lets go of its lock */
	rc = look_up(t, hash, who);
	if (rc != EVH_OK)
		tickets_release(t, hash);
	return rc;
}
