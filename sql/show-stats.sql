-- show-stats.sql: the figures of the hub, then those of each event type.
--
-- subscribed: how many clients.  kept: how many events wait for those who come
-- back.  purged: the newest event of the type that is gone.
--
-- sqlite3 /var/lib/evhub/evhub.db ".read /usr/share/evhub/sql/show-stats.sql"

.bail on
.timeout 5000
.headers on
.mode line

SELECT total_clients, total_subscriptions, messages_sent, start_time, uptime,
	(SELECT count(*) FROM event) AS events_kept, (SELECT seq FROM v_event_head) AS newest_event
FROM v_stats;

.print
.mode column

SELECT name AS type,
	(SELECT count(*) FROM subscription WHERE event_type = name) AS subscribed,
	(SELECT count(*) FROM event WHERE event_type = name) AS kept,
	(SELECT substr(created_at, 1, 19) FROM event WHERE event_type = name ORDER BY seq LIMIT 1) AS oldest,
	purged_seq AS purged, mandatory, persistent, retain_seconds, retain_count, description
FROM event_type
ORDER BY mandatory DESC, name;
