-- unsubscribe.sql: takes an event type from a live client.
--
-- The connection stays open; the client is told in a frame "unsubscribed".
--
-- :client  the id of a live client, see show-clients.sql
-- :type    the event type
--
-- sqlite3 /var/lib/evhub/evhub.db \
--   ".parameter set :client '338a28f7-666e-46e1-8e7d-4feba5edc061'" \
--   ".parameter set :type 'pdfm'" ".read /usr/share/evhub/sql/unsubscribe.sql"

.bail on
.timeout 5000
.headers off
.mode list

DROP TABLE IF EXISTS temp.given;
CREATE TEMP TABLE given (
	client
		CONSTRAINT ":client is missing or no text; put the id in two kinds of quotes"
		CHECK (typeof(client) = 'text'),
	type
		CONSTRAINT ":type is missing or no text; .parameter set :type ""'pdfm'"""
		CHECK (typeof(type) = 'text'),
	live
		CONSTRAINT ":client: no live client has this id; see show-clients.sql"
		CHECK (live),
	subscribed
		CONSTRAINT ":type: the client is not subscribed to it"
		CHECK (subscribed = 1)
);
INSERT INTO temp.given VALUES (:client, :type,
	EXISTS (SELECT 1 FROM client WHERE id = lower(:client)),
	EXISTS (SELECT 1 FROM subscription WHERE client_id = lower(:client) AND event_type = lower(:type)));

DELETE FROM subscription
WHERE client_id = (SELECT lower(client) FROM temp.given)
	AND event_type = (SELECT lower(type) FROM temp.given);
SELECT 'unsubscribed from ' || lower(type) FROM temp.given;

DROP TABLE temp.given;
.parameter clear
