-- disconnect.sql: closes the connections of a user, or one connection.
--
-- Whoever is closed (1008) may connect again; revoke.sql prevents that.
--
-- :user    close all connections of this user, or
-- :client  close the connection of this client, see show-clients.sql
--
-- sqlite3 /var/lib/evhub/evhub.db ".parameter set :user 'alice'" \
--   ".read /usr/share/evhub/sql/disconnect.sql"

.bail on
.timeout 5000
.headers off
.mode list

DROP TABLE IF EXISTS temp.given;
CREATE TEMP TABLE given (
	user
		CONSTRAINT ":user is no text; put the value in two kinds of quotes"
		CHECK (typeof(user) IN ('text', 'null')),
	client
		CONSTRAINT ":client is no text; put the value in two kinds of quotes"
		CHECK (typeof(client) IN ('text', 'null')),
	live
		CONSTRAINT "no live client is of this :user or :client; see show-clients.sql"
		CHECK (live),
	CONSTRAINT ":user or :client is missing, or both are given; .parameter set :user ""'alice'"""
		CHECK ((user IS NULL) <> (client IS NULL))
);
INSERT INTO temp.given VALUES (:user, :client, (:user IS NULL) = (:client IS NULL)
	OR EXISTS (SELECT 1 FROM client WHERE user_id = :user OR id = lower(:client)));

DELETE FROM client
WHERE user_id = (SELECT user FROM temp.given) OR id = (SELECT lower(client) FROM temp.given);
SELECT 'connections closed: ' || changes();

DROP TABLE temp.given;
.parameter clear
