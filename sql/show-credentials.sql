-- show-credentials.sql: who may come in, and what each credential may do.
--
-- sqlite3 /var/lib/evhub/evhub.db ".read /usr/share/evhub/sql/show-credentials.sql"

.bail on
.timeout 5000
.headers on
.mode column

SELECT id, user_id AS user, kind,
	CASE
	WHEN revoked_at IS NOT NULL THEN 'revoked'
	WHEN julianday(expires_at) <= julianday('now') THEN 'expired'
	ELSE 'in force'
	END AS state,
	scopes, coalesce(event_types, '*') AS types, substr(created_at, 1, 19) AS created,
	coalesce(substr(expires_at, 1, 19), 'never') AS expires,
	coalesce(substr(last_used_at, 1, 19), '') AS used,
	(SELECT count(*) FROM client WHERE credential_id = credential.id) AS clients, label
FROM credential
ORDER BY user_id, id;
