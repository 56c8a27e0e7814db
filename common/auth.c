#include "common/auth.h"

#include "common/clock.h"
#include "common/db.h"
#include "common/verifier.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COLUMNS                                                   \
	"id, user_id, username, kind, hash, scopes, event_types," \
	" CAST(coalesce(strftime('%s', expires_at), 0) AS INTEGER)"
#define IN_FORCE                  \
	" AND revoked_at IS NULL" \
	" AND (expires_at IS NULL OR julianday(expires_at) > julianday('now'))"

struct auth {
	sqlite3 *db;
	sqlite3_stmt *by_hash;
	sqlite3_stmt *by_id;
	sqlite3_stmt *begin, *end; /* NULL: look-ups share nothing */
	struct verifier *verifier; /* NULL: JWTs are not taken */
};

enum evh_rc
auth_new(struct auth **out, sqlite3 *db)
{
	struct auth *a = calloc(1, sizeof(*a));
	enum evh_rc rc;

	*out = NULL;
	if (a == NULL)
		return EVH_NOMEM;
	a->db = db;
	rc = db_prepare(db, "SELECT " COLUMNS " FROM credential WHERE hash = ?1" IN_FORCE, &a->by_hash);
	if (rc == EVH_OK)
		rc = db_prepare(
			db, "SELECT " COLUMNS " FROM credential WHERE id = ?1" IN_FORCE, &a->by_id);
	if (rc != EVH_OK) {
		auth_free(&a);
		return rc;
	}
	*out = a;
	return EVH_OK;
}

void
auth_free(struct auth **auth)
{
	if (*auth == NULL)
		return;
	auth_refresh(*auth);
	(void)sqlite3_finalize((*auth)->by_hash);
	(void)sqlite3_finalize((*auth)->by_id);
	(void)sqlite3_finalize((*auth)->begin);
	(void)sqlite3_finalize((*auth)->end);
	verifier_unref(&(*auth)->verifier);
	free(*auth);
	*auth = NULL;
}

enum evh_rc
auth_share_reads(struct auth *auth)
{
	enum evh_rc rc = db_prepare(auth->db, "BEGIN", &auth->begin);

	/* not COMMIT: with nothing written both are the same, and this needs
	 * nothing that could be missing */
	if (rc == EVH_OK)
		rc = db_prepare(auth->db, "ROLLBACK", &auth->end);
	if (rc != EVH_OK) {
		(void)sqlite3_finalize(auth->begin);
		auth->begin = NULL;
	}
	return rc;
}

static bool
reading(const struct auth *auth)
{
	return auth->begin != NULL && sqlite3_get_autocommit(auth->db) == 0;
}

void
auth_refresh(struct auth *auth)
{
	if (!reading(auth))
		return;
	(void)sqlite3_step(auth->end);
	(void)sqlite3_reset(auth->end);
}

/* Begins what look-ups share; *older: it was there already.  What it shows is
 * decided by the first SELECT. */
static enum evh_rc
join_reading(struct auth *auth, bool *older)
{
	int step;

	*older = reading(auth);
	if (*older || auth->begin == NULL)
		return EVH_OK;
	step = sqlite3_step(auth->begin);
	(void)sqlite3_reset(auth->begin);
	return db_rc(step);
}

void
auth_set_verifier(struct auth *auth, struct verifier *verifier)
{
	if (auth->verifier == verifier)
		return;
	verifier_unref(&auth->verifier);
	auth->verifier = verifier_ref(verifier);
}

void
auth_principal_free(struct auth_principal *who)
{
	free(who->event_types);
	who->event_types = NULL;
}

static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static const EVP_MD *sha3; /* NULL: OpenSSL has none */

/* Once, or OpenSSL looks for it anew with each hash. */
static void
fetch(void)
{
	sha3 = EVP_MD_fetch(NULL, "SHA3-256", NULL);
}

enum evh_rc
auth_hash(const char *secret, char out[AUTH_HASH_TEXT])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	(void)pthread_once(&fetched, fetch);
	if (sha3 == NULL || EVP_Digest(secret, strlen(secret), digest, &len, sha3, NULL) != 1 ||
		len != 32)
		return EVH_NOMEM;
	for (unsigned int i = 0; i < len; i++) {
		out[2 * i] = hex[digest[i] >> 4];
		out[2 * i + 1] = hex[digest[i] & 15];
	}
	out[64] = '\0';
	return EVH_OK;
}

unsigned
auth_scopes_parse(const char *text)
{
	unsigned scopes = 0;

	while (*text != '\0') {
		size_t len;

		text += strspn(text, " ");
		len = strcspn(text, " ");
		if (len == 9 && memcmp(text, "subscribe", 9) == 0)
			scopes |= AUTH_SUBSCRIBE;
		else if (len == 7 && memcmp(text, "publish", 7) == 0)
			scopes |= AUTH_PUBLISH;
		else if (len == 5 && memcmp(text, "admin", 5) == 0)
			scopes |= AUTH_ADMIN;
		text += len;
	}
	return scopes;
}

const char *
auth_scopes_text(unsigned scopes)
{
	static const char *const texts[] = { "", "subscribe", "publish", "subscribe publish", "admin",
		"subscribe admin", "publish admin", "subscribe publish admin" };

	return texts[scopes & (AUTH_SUBSCRIBE | AUTH_PUBLISH | AUTH_ADMIN)];
}

enum evh_rc
auth_principal_set(struct auth_principal *who, const char *user_id, const char *username)
{
	memset(who, 0, sizeof(*who));
	if (strlen(user_id) >= AUTH_NAME_MAX || strlen(username) >= AUTH_NAME_MAX)
		return EVH_DENIED;
	memcpy(who->user_id, user_id, strlen(user_id) + 1);
	memcpy(who->username, username, strlen(username) + 1);
	return EVH_OK;
}

static enum evh_rc
fill(sqlite3_stmt *row, struct auth_principal *who)
{
	enum evh_rc rc = auth_principal_set(who, db_text(row, 1), db_text(row, 2));

	if (rc != EVH_OK)
		return rc; /* the table's CHECK forbids it */
	who->credential_id = sqlite3_column_int64(row, 0);
	who->scopes = auth_scopes_parse(db_text(row, 5));
	who->expires_at = sqlite3_column_int64(row, 7);
	if (sqlite3_column_type(row, 6) != SQLITE_NULL) {
		who->event_types = strdup(db_text(row, 6));
		if (who->event_types == NULL)
			return EVH_NOMEM;
	}
	return EVH_OK;
}

/* Finds the credential of this hash and kind.  EVH_DENIED if none in force has it. */
static enum evh_rc
find(struct auth *auth, const char *kind, const char *hash, struct auth_principal *who)
{
	enum evh_rc rc;
	int step;

	db_bind_text(auth->by_hash, 1, hash);
	step = sqlite3_step(auth->by_hash);
	if (step == SQLITE_ROW) {
		/* the index compared hashes, which tells a guesser nothing of use;
		 * the last word is still a comparison in constant time */
		if (strlen(db_text(auth->by_hash, 4)) == 64 &&
			CRYPTO_memcmp(db_text(auth->by_hash, 4), hash, 64) == 0 &&
			strcmp(db_text(auth->by_hash, 3), kind) == 0)
			rc = fill(auth->by_hash, who);
		else
			rc = EVH_DENIED;
	} else {
		rc = step == SQLITE_DONE ? EVH_DENIED : db_rc(step);
	}
	(void)sqlite3_reset(auth->by_hash);
	(void)sqlite3_clear_bindings(auth->by_hash);
	return rc;
}

/* Looks a secret of this kind up.  EVH_DENIED if none in force has it. */
static enum evh_rc
look_up(struct auth *auth, const char *kind, const char *secret, struct auth_principal *who)
{
	char hash[AUTH_HASH_TEXT];
	bool older = false;
	enum evh_rc rc = auth_hash(secret, hash);

	if (rc != EVH_OK)
		return rc;
	rc = join_reading(auth, &older);
	if (rc == EVH_OK)
		rc = find(auth, kind, hash, who);
	if (rc == EVH_DENIED && older) { /* it may have come since */
		auth_refresh(auth);
		rc = join_reading(auth, &older);
		if (rc == EVH_OK)
			rc = find(auth, kind, hash, who);
	}
	if (rc != EVH_OK && rc != EVH_DENIED)
		auth_refresh(auth); /* the next one begins anew */
	return rc;
}

enum evh_rc
auth_reload(struct auth *auth, int64_t credential_id, struct auth_principal *who)
{
	enum evh_rc rc;
	int step;

	auth_refresh(auth);
	(void)sqlite3_bind_int64(auth->by_id, 1, credential_id);
	step = sqlite3_step(auth->by_id);
	rc = step == SQLITE_ROW	      ? fill(auth->by_id, who)
		: step == SQLITE_DONE ? EVH_DENIED
				      : db_rc(step);
	(void)sqlite3_reset(auth->by_id);
	return rc;
}

static bool
well_formed(const char *secret)
{
	size_t len = strlen(secret);

	if (len < AUTH_SECRET_MIN || len > AUTH_SECRET_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)secret[i] <= 0x20 || (unsigned char)secret[i] >= 0x7f)
			return false;
	return true;
}

const char *
auth_bearer(const char *authorization)
{
	authorization += strspn(authorization, " ");
	if (strncasecmp(authorization, "Bearer ", 7) != 0)
		return NULL;
	authorization += 7;
	return authorization + strspn(authorization, " ");
}

static enum evh_rc
refuse(struct api_error *e, const char *error, const char *path, const char *text)
{
	api_error_fail(e, 401, error, path, "%s", text);
	return EVH_DENIED;
}

static enum evh_rc
check_one(struct auth *auth, const char *kind, const char *path, const char *secret,
	struct auth_principal *who, struct api_error *e)
{
	enum evh_rc rc;

	if (!well_formed(secret))
		return refuse(e, "malformed_credential", path,
			"the credential is not 16 to 512 visible characters");
	rc = look_up(auth, kind, secret, who);
	if (rc == EVH_DENIED)
		return refuse(
			e, "invalid_credential", path, "the credential is unknown, revoked or expired");
	if (rc != EVH_OK)
		api_error_fail(e, 503, "database_unavailable", "database",
			"the database cannot be read: %s", evh_rc_name(rc));
	return rc;
}

enum evh_rc
auth_check_token(struct auth *auth, const char *token, const char *path, struct auth_principal *who,
	struct api_error *e)
{
	memset(who, 0, sizeof(*who));
	if (auth->verifier != NULL && verifier_shaped(token))
		return verifier_check(auth->verifier, token, clock_now_us(), path, who, e);
	return check_one(auth, "token", path, token, who, e);
}

enum evh_rc
auth_check(struct auth *auth, const char *authorization, const char *api_key, struct auth_principal *who,
	struct api_error *e)
{
	const char *token = NULL;
	struct auth_principal second = { .credential_id = 0 };
	enum evh_rc rc;

	memset(who, 0, sizeof(*who));
	if (authorization != NULL && *authorization != '\0') {
		token = auth_bearer(authorization);
		if (token == NULL)
			return refuse(e, "unsupported_scheme", "authorization",
				"the Authorization header is not of the scheme Bearer");
	}
	if (api_key != NULL && *api_key == '\0')
		api_key = NULL;
	if (token == NULL && api_key == NULL)
		return refuse(e, "missing_credential", "authorization",
			"send Authorization: Bearer <token> or X-Api-Key: <key>");
	if (token == NULL)
		return check_one(auth, "key", "x-api-key", api_key, who, e);
	rc = auth_check_token(auth, token, "authorization", who, e);
	if (rc != EVH_OK || api_key == NULL)
		return rc;

	/* both: each must be valid and name the same user */
	rc = check_one(auth, "key", "x-api-key", api_key, &second, e);
	if (rc == EVH_OK) {
		if (strcmp(who->user_id, second.user_id) != 0)
			rc = refuse(e, "credential_mismatch", "x-api-key",
				"the token and the key belong to different users");
		auth_principal_free(&second);
	}
	if (rc != EVH_OK)
		auth_principal_free(who);
	return rc;
}
