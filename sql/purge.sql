-- purge.sql: deletes kept events before their time is over.
--
-- A client that comes back for one of them is told that it must reload.
-- evhub-wsd deletes by itself what retain_seconds and retain_count say; see
-- the table event_type.
--
-- :days  delete what is older than this many days   (default: whatever its age)
-- :type  delete events of this type only            (default: of every type)
--        One of the two must be given.
--
-- sqlite3 /var/lib/evhub/evhub.db ".parameter set :days 7" \
--   ".parameter set :type 'system_logs'" ".read /usr/share/evhub/sql/purge.sql"

.bail on
.timeout 5000
.headers off
.mode list

DROP TABLE IF EXISTS temp.given;
CREATE TEMP TABLE given (
	days
		CONSTRAINT ":days is no number of 0 or more"
		CHECK (days IS NULL OR (typeof(days) IN ('integer', 'real') AND days >= 0)),
	type
		CONSTRAINT ":type is no text; put the value in two kinds of quotes"
		CHECK (typeof(type) IN ('text', 'null')),
	known
		CONSTRAINT ":type: no such event type"
		CHECK (known),
	CONSTRAINT ":days or :type is missing; .parameter set :days 7"
		CHECK (days IS NOT NULL OR type IS NOT NULL)
);
INSERT INTO temp.given VALUES (:days, :type,
	:type IS NULL OR EXISTS (SELECT 1 FROM event_type WHERE name = lower(:type)));

DELETE FROM event
WHERE ((SELECT type FROM temp.given) IS NULL OR event_type = (SELECT lower(type) FROM temp.given))
	AND ((SELECT days FROM temp.given) IS NULL
		OR julianday(created_at) <= julianday('now') - (SELECT days FROM temp.given));
SELECT 'events deleted: ' || changes();

DROP TABLE temp.given;
.parameter clear
