-- add-type.sql: adds an event type, which can be used at once.
--
-- :type            1 to 64 of a-z 0-9 _ . - with a letter or a digit first
-- :description     for people                                (default: none)
-- :persistent      1: kept, for those who come back later;
--                  0: never on disk, faster, at most once    (default: 1)
-- :retain_seconds  how long an event is kept, 0: no limit    (default: 86400)
-- :retain_count    how many are kept, 0: no limit            (default: 100000)
--
-- sqlite3 /var/lib/evhub/evhub.db ".parameter set :type 'billing'" \
--   ".parameter set :description 'Invoices and payments'" \
--   ".read /usr/share/evhub/sql/add-type.sql"

.bail on
.timeout 5000
.headers off
.mode list

DROP TABLE IF EXISTS temp.given;
CREATE TEMP TABLE given (
	type
		CONSTRAINT ":type is missing or no text; .parameter set :type ""'billing'"""
		CHECK (typeof(type) = 'text'),
	description
		CONSTRAINT ":description is no text; put the value in two kinds of quotes"
		CHECK (typeof(description) = 'text'),
	persistent
		CONSTRAINT ":persistent is neither 0 nor 1"
		CHECK (typeof(persistent) = 'integer' AND persistent IN (0, 1)),
	retain_seconds
		CONSTRAINT ":retain_seconds is no whole number of 0 or more"
		CHECK (typeof(retain_seconds) = 'integer' AND retain_seconds >= 0),
	retain_count
		CONSTRAINT ":retain_count is no whole number of 0 or more"
		CHECK (typeof(retain_count) = 'integer' AND retain_count >= 0)
);
INSERT INTO temp.given VALUES (:type, coalesce(:description, ''), coalesce(:persistent, 1),
	coalesce(:retain_seconds, 86400), coalesce(:retain_count, 100000));

INSERT INTO event_type(name, description, persistent, retain_seconds, retain_count)
SELECT lower(type), description, persistent, retain_seconds, retain_count FROM temp.given;
SELECT 'added ' || lower(type) FROM temp.given;

DROP TABLE temp.given;
.parameter clear
