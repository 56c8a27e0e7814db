/* auth.h - who a request comes from.
 *
 * A credential is a row; the secret itself is stored nowhere, only its
 * SHA3-256.  Both programs use this module, each thread with its own. */

#ifndef EVH_AUTH_H
#define EVH_AUTH_H

#include "common/api_error.h"
#include "common/rc.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* A secret is 16 to 512 visible characters. */
#define AUTH_SECRET_MIN 16
#define AUTH_SECRET_MAX 512
#define AUTH_HASH_TEXT 65  /* of a SHA3-256 in hex, with its NUL */
#define AUTH_NAME_MAX 1021 /* bytes of 255 characters, the limit of the table, and a NUL */

enum auth_scope { AUTH_SUBSCRIBE = 1, AUTH_PUBLISH = 2, AUTH_ADMIN = 4 };

/* Whom a credential speaks for.  Plain values: copied freely; event_types is
 * owned and released by auth_principal_free. */
struct auth_principal {
	int64_t credential_id; /* 0: none in the table */
	int64_t expires_at;    /* seconds since 1970, 0: never */
	unsigned scopes;       /* of enum auth_scope */
	char user_id[AUTH_NAME_MAX];
	char username[AUTH_NAME_MAX];
	char *event_types; /* patterns, NULL: every type */
};

struct auth;
struct verifier;

/* Prepares the look-up on db, which must outlive it. */
enum evh_rc auth_new(struct auth **out, sqlite3 *db);
void auth_free(struct auth **auth);

/* From now on look-ups share a read transaction on db, which must be this
 * auth's alone: the first begins it, auth_refresh ends it, and so does an error.
 * What was committed meanwhile may be missed by a look-up that finds its
 * credential; one that does not looks once more in a new transaction, so that
 * a credential that is there when it is shown is always found.  On failure
 * look-ups are as they were. */
enum evh_rc auth_share_reads(struct auth *auth);

/* Ends the transaction that look-ups share, if there is one: what is asked from
 * now on is answered by what is committed by now.  Cannot fail.  Whoever shares
 * calls it soon and often, for no checkpoint gets past a reader. */
void auth_refresh(struct auth *auth);

/* From now on tokens of the shape of a JWT are judged by this verifier, not
 * looked up; NULL: by none.  Keeps a reference of its own. */
void auth_set_verifier(struct auth *auth, struct verifier *verifier);

/* Finds who sends these header values (each may be NULL).  On EVH_OK *who is
 * filled and the caller releases it.  Else e holds the 401 (EVH_DENIED) or
 * the 503 (a database error). */
enum evh_rc auth_check(struct auth *auth, const char *authorization, const char *api_key,
	struct auth_principal *who, struct api_error *e);

/* The same for a bearer token that came another way; path says which. */
enum evh_rc auth_check_token(struct auth *auth, const char *token, const char *path,
	struct auth_principal *who, struct api_error *e);

/* The token of "Bearer <token>" (RFC 6750 section 2.1), NULL for another scheme. */
const char *auth_bearer(const char *authorization);

/* Reads a credential again by its id, as auth_check would judge it now.  Calls
 * auth_refresh first: neither this nor what is asked after it is answered by
 * what an earlier look-up saw.
 * EVH_DENIED if it is gone, revoked or expired. */
enum evh_rc auth_reload(struct auth *auth, int64_t credential_id, struct auth_principal *who);

/* Clears *who and sets the names.  EVH_DENIED if one is too long. */
enum evh_rc auth_principal_set(struct auth_principal *who, const char *user_id, const char *username);
void auth_principal_free(struct auth_principal *who);

/* Scopes as the tables have them, separated by blanks; words that are none
 * are left out. */
unsigned auth_scopes_parse(const char *text);
const char *auth_scopes_text(unsigned scopes);

/* Writes the lower-case hex SHA3-256 of secret into out. */
enum evh_rc auth_hash(const char *secret, char out[AUTH_HASH_TEXT]);

#endif
