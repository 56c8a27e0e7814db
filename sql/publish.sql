-- publish.sql: publishes one event and prints its id.
--
-- :type     the event type
-- :message  the message                                  (default: empty)
-- :body     JSON                                         (default: none)
-- :user     send it to the clients of this user only     (default: to all)
-- :client   send it to this client only                  (default: to all)
-- :dedup    an id of yours; a second event with it is refused
--
-- sqlite3 /var/lib/evhub/evhub.db ".parameter set :type 'pdfm'" \
--   ".parameter set :message 'VM_STATE_CHANGED'" \
--   ".parameter set :body '{\"vm_id\":\"42\"}'" \
--   ".read /usr/share/evhub/sql/publish.sql"
--
-- The shell computes a value that it can: put one that is a number, a date or
-- a JSON string in two kinds of quotes, as in ".parameter set :message \"'42'\"".

.bail on
.timeout 5000
.headers off
.mode list

DROP TABLE IF EXISTS temp.given;
CREATE TEMP TABLE given (
	type
		CONSTRAINT ":type is missing or no text; .parameter set :type ""'pdfm'"""
		CHECK (typeof(type) = 'text'),
	message
		CONSTRAINT ":message is no text; put the value in two kinds of quotes"
		CHECK (typeof(message) = 'text'),
	body
		CONSTRAINT ":body is no text; put the value in two kinds of quotes"
		CHECK (typeof(body) IN ('text', 'null')),
	user
		CONSTRAINT ":user is no text; put the value in two kinds of quotes"
		CHECK (typeof(user) IN ('text', 'null')),
	client
		CONSTRAINT ":client is no text; put the value in two kinds of quotes"
		CHECK (typeof(client) IN ('text', 'null')),
	dedup
		CONSTRAINT ":dedup is no text; put the value in two kinds of quotes"
		CHECK (typeof(dedup) IN ('text', 'null'))
);
INSERT INTO temp.given VALUES (:type, coalesce(:message, ''), :body, :user, :client, :dedup);

INSERT INTO event(event_type, message, body, user_id, client_id, dedup_id)
SELECT lower(type), message, body, user, lower(client), dedup FROM temp.given;
SELECT value || '-' || last_insert_rowid() FROM meta WHERE key = 'epoch';

DROP TABLE temp.given;
.parameter clear
