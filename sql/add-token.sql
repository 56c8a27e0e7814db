-- add-token.sql: makes a bearer token for a user and prints it, this once.
--
-- evhub keeps the SHA3-256 of a secret only: one that was lost is replaced,
-- not looked up.  Clients send it as "Authorization: Bearer <token>".
--
-- :user         whom the token speaks for
-- :username     a name for people                       (default: none)
-- :scopes       some of: subscribe publish admin        (default: subscribe)
-- :event_types  which types, such as 'pdfm vm.*'        (default: all)
-- :expires      a time in UTC, such as '2099-01-31'     (default: never)
-- :label        what it is for                          (default: none)
--
-- sqlite3 /var/lib/evhub/evhub.db ".parameter set :user 'alice'" \
--   ".parameter set :scopes 'subscribe publish'" \
--   ".read /usr/share/evhub/sql/add-token.sql"
--
-- The shell computes a value that it can: put numbers and dates in two kinds
-- of quotes, as in ".parameter set :expires \"'2099-01-31'\"".

.bail on
.timeout 5000
.headers off
.mode list

DROP TABLE IF EXISTS temp.given;
CREATE TEMP TABLE given (
	user
		CONSTRAINT ":user is missing or no text; .parameter set :user ""'alice'"""
		CHECK (typeof(user) = 'text'),
	username
		CONSTRAINT ":username is no text; put the value in two kinds of quotes"
		CHECK (typeof(username) = 'text'),
	scopes
		CONSTRAINT ":scopes is no text; put the value in two kinds of quotes"
		CHECK (typeof(scopes) = 'text'),
	event_types
		CONSTRAINT ":event_types is no text; put the value in two kinds of quotes"
		CHECK (typeof(event_types) IN ('text', 'null')),
	expires
		CONSTRAINT ":expires is no text; put the value in two kinds of quotes"
		CHECK (typeof(expires) IN ('text', 'null')),
	expires_later
		CONSTRAINT ":expires is not a time to come, such as ""'2099-01-31'"""
		CHECK (expires_later),
	label
		CONSTRAINT ":label is no text; put the value in two kinds of quotes"
		CHECK (typeof(label) = 'text')
);
INSERT INTO temp.given VALUES (:user, coalesce(:username, ''), coalesce(:scopes, 'subscribe'),
	:event_types, :expires,
	:expires IS NULL OR coalesce(julianday(:expires) > julianday('now'), 0), coalesce(:label, ''));

.parameter set :secret lower(hex(randomblob(32)))
INSERT INTO credential(user_id, username, kind, hash, scopes, event_types, expires_at, label)
SELECT user, username, 'token', lower(hex(sha3(:secret, 256))), scopes, event_types, expires, label
FROM temp.given;
SELECT :secret;

DROP TABLE temp.given;
.parameter clear
