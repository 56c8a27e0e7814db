-- show-clients.sql: the live connections, the oldest first.
--
-- behind: events that wait because the client does not read.
--
-- sqlite3 /var/lib/evhub/evhub.db ".read /usr/share/evhub/sql/show-clients.sql"

.bail on
.timeout 5000
.headers on
.mode column

SELECT id, user_id AS user, username AS name, substr(connected_at, 1, 19) AS since,
	substr(last_pong_at, 1, 19) AS seen, queue_depth AS behind, remote_addr AS address, daemon,
	event_subscriptions AS types
FROM v_clients
ORDER BY connected_at, id;
