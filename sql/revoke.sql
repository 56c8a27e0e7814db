-- revoke.sql: makes credentials useless, at once and for good; connections
-- that were made with them are closed (1008).
--
-- :user  revoke all credentials of this user, or
-- :id    revoke this one, see show-credentials.sql
--
-- sqlite3 /var/lib/evhub/evhub.db ".parameter set :user 'alice'" \
--   ".read /usr/share/evhub/sql/revoke.sql"

.bail on
.timeout 5000
.headers off
.mode list

DROP TABLE IF EXISTS temp.given;
CREATE TEMP TABLE given (
	user
		CONSTRAINT ":user is no text; put the value in two kinds of quotes"
		CHECK (typeof(user) IN ('text', 'null')),
	id
		CONSTRAINT ":id is no number; see show-credentials.sql"
		CHECK (typeof(id) IN ('integer', 'null')),
	in_force
		CONSTRAINT "no credential in force is of this :user or :id; see show-credentials.sql"
		CHECK (in_force),
	CONSTRAINT ":user or :id is missing, or both are given; .parameter set :user ""'alice'"""
		CHECK ((user IS NULL) <> (id IS NULL))
);
INSERT INTO temp.given VALUES (:user, :id, (:user IS NULL) = (:id IS NULL)
	OR EXISTS (SELECT 1 FROM credential WHERE (user_id = :user OR id = :id) AND revoked_at IS NULL));

UPDATE credential SET revoked_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE (user_id = (SELECT user FROM temp.given) OR id = (SELECT id FROM temp.given))
	AND revoked_at IS NULL;
SELECT 'credentials revoked: ' || changes();

DROP TABLE temp.given;
.parameter clear
