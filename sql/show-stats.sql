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

WITH subscribers(type, number) AS (SELECT event_type, count(*) FROM subscription GROUP BY event_type)
SELECT name AS type, coalesce(number, 0) AS subscribed,
	(SELECT count(*) FROM event WHERE event_type = name) AS kept,
	(SELECT substr(created_at, 1, 19) FROM event WHERE event_type = name ORDER BY seq LIMIT 1) AS oldest,
	coalesce(p.seq, 0) AS purged, mandatory, persistent, retain_seconds, retain_count, description
FROM event_type LEFT JOIN subscribers ON type = name LEFT JOIN event_purged AS p ON p.event_type = name
ORDER BY mandatory DESC, name;
