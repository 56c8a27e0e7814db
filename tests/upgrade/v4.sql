PRAGMA user_version = 4;
PRAGMA application_id = 1165387874;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE meta (
	key   TEXT PRIMARY KEY NOT NULL,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES('boot','af08e1a8-ac37-4f35-9773-85077984b99e');
INSERT INTO meta VALUES('epoch','bb12b937');
INSERT INTO meta VALUES('max_event_bytes','262144');
INSERT INTO meta VALUES('schema_version','4');
CREATE TABLE event_type (
	name           TEXT PRIMARY KEY NOT NULL
		CONSTRAINT "event_type.name: 1 to 64 of a-z 0-9 _ . - and a letter or digit first"
		CHECK (length(name) BETWEEN 1 AND 64 AND name GLOB '[a-z0-9]*'
			AND name NOT GLOB '*[^a-z0-9_.-]*' AND instr(name, char(0)) = 0),
	description    TEXT NOT NULL DEFAULT '',
	mandatory      INTEGER NOT NULL DEFAULT 0
		CONSTRAINT "event_type.mandatory: 0 or 1" CHECK (mandatory IN (0, 1)),
	persistent     INTEGER NOT NULL DEFAULT 1
		CONSTRAINT "event_type.persistent: 0 or 1" CHECK (persistent IN (0, 1)),
	retain_seconds INTEGER NOT NULL DEFAULT 86400
		CONSTRAINT "event_type.retain_seconds: 0 (no limit) or more" CHECK (retain_seconds >= 0),
	retain_count   INTEGER NOT NULL DEFAULT 100000
		CONSTRAINT "event_type.retain_count: 0 (no limit) or more" CHECK (retain_count >= 0),
	purged_seq     INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO event_type VALUES('global','Sent to every client',1,1,86400,100000,0);
INSERT INTO event_type VALUES('system','The hub itself: subscriptions, client ids',0,1,86400,100000,0);
INSERT INTO event_type VALUES('health','Pings and health checks',0,1,86400,100000,0);
INSERT INTO event_type VALUES('pdfm','Virtual machines: state changes',0,1,0,0,3);
INSERT INTO event_type VALUES('orchestrator','Orchestrator hosts and resources',0,1,86400,100000,0);
INSERT INTO event_type VALUES('stats','Figures of the system',0,1,86400,100000,0);
INSERT INTO event_type VALUES('system_logs','Log lines of the system',0,1,86400,100000,0);
INSERT INTO event_type VALUES('reverse_proxy','Reverse proxy hosts and traffic',0,1,86400,100000,0);
INSERT INTO event_type VALUES('catalog_cache','Catalogue cache: downloads and evictions',0,1,86400,100000,0);
INSERT INTO event_type VALUES('job_manager','Jobs: progress and results',0,1,86400,100000,0);
INSERT INTO event_type VALUES('auth','Users, roles and sign-ins',0,1,86400,100000,0);
INSERT INTO event_type VALUES('shop.order','Orders',0,1,0,0,0);
INSERT INTO event_type VALUES('passing','Not kept',0,0,86400,100000,0);
INSERT INTO event_type VALUES('notice','For all',1,1,86400,100000,0);
CREATE TABLE credential (
	id           INTEGER PRIMARY KEY AUTOINCREMENT,
	user_id      TEXT NOT NULL
		CONSTRAINT "credential.user_id: 1 to 255 characters"
		CHECK (length(user_id) BETWEEN 1 AND 255 AND instr(user_id, char(0)) = 0),
	username     TEXT NOT NULL DEFAULT ''
		CONSTRAINT "credential.username: at most 255 characters" 
		CHECK (length(username) <= 255 AND instr(username, char(0)) = 0),
	kind         TEXT NOT NULL
		CONSTRAINT "credential.kind: key or token" CHECK (kind IN ('key', 'token')),
	hash         TEXT NOT NULL UNIQUE
		CONSTRAINT "credential.hash: lower-case hex SHA3-256, 64 digits"
		CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'),
	scopes       TEXT NOT NULL DEFAULT 'subscribe'
		CONSTRAINT "credential.scopes: some of subscribe publish admin, separated by one blank"
		CHECK (trim(replace(replace(replace(' ' || replace(scopes, ' ', '  ') || ' ',
			' subscribe ', ''), ' publish ', ''), ' admin ', '')) = ''),
	event_types  TEXT
		CONSTRAINT "credential.event_types: NULL, or names and prefix.* patterns separated by blanks"
		CHECK (event_types IS NULL OR event_types NOT GLOB '*[^a-z0-9_.* -]*'),
	created_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
	expires_at   TEXT
		CONSTRAINT "credential.expires_at: a time that SQLite understands, UTC"
		CHECK (expires_at IS NULL OR julianday(expires_at) IS NOT NULL),
	revoked_at   TEXT
		CONSTRAINT "credential.revoked_at: a time that SQLite understands, UTC"
		CHECK (revoked_at IS NULL OR julianday(revoked_at) IS NOT NULL),
	last_used_at TEXT,
	label        TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO credential VALUES(1,'alice','Alice Ü.','key','460167b3eeb1d7becd751622d925adb8a5cf837fbb03db6a19093ef9d9522a87','subscribe publish admin',NULL,'2026-11-28T09:55:18.793Z',NULL,NULL,'2026-11-28T09:55:18.815623Z','of the sample');
INSERT INTO credential VALUES(2,'alice','Alice Ü.','token','b58af3300d20b99254637db4bdcecd24469c92adacfcf8de40b3c38529a3fdad','subscribe',NULL,'2026-11-28T09:55:18.800Z',NULL,NULL,NULL,'of the sample');
INSERT INTO credential VALUES(3,'bob','','key','bad89ffaf565906c1eddfbaee851c84bcfc605e09f0218ef855b7ec14ce2ef3a','subscribe publish','pdfm shop.*','2026-11-28T09:55:18.805Z',NULL,NULL,'2026-11-28T09:55:18.825238Z','');
INSERT INTO credential VALUES(4,'mallory','','key','0000000000000000000000000000000000000000000000000000000000000007','subscribe',NULL,'2026-11-28T09:55:18.809Z',NULL,'2026-01-01 00:00:00',NULL,'');
INSERT INTO credential VALUES(5,'late','','token','0000000000000000000000000000000000000000000000000000000000000008','subscribe',NULL,'2026-11-28T09:55:18.810Z','2020-01-01',NULL,NULL,'');
CREATE TABLE daemon (
	name           TEXT PRIMARY KEY NOT NULL,
	pid            INTEGER NOT NULL,
	control_socket TEXT NOT NULL,
	started_at     TEXT NOT NULL,
	seen_at        TEXT NOT NULL,
	messages_sent  INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO daemon VALUES('wsd',5687,'/run/evhub/wsd.sock','2026-11-28T09:55:18.782735Z','2026-11-28T09:55:18.782735Z',0);
CREATE TABLE client (
	id            TEXT PRIMARY KEY NOT NULL
		CONSTRAINT "client.id: a lower-case UUID"
		CHECK (length(id) = 36 AND id NOT GLOB '*[^0-9a-f-]*'),
	user_id       TEXT NOT NULL,
	username      TEXT NOT NULL DEFAULT '',
	credential_id INTEGER,
	daemon        TEXT NOT NULL,
	remote_addr   TEXT NOT NULL DEFAULT '',
	user_agent    TEXT NOT NULL DEFAULT '',
	connected_at  TEXT NOT NULL,
	last_ping_at  TEXT,
	last_pong_at  TEXT,
	queue_depth   INTEGER NOT NULL DEFAULT 0
, event_types TEXT) STRICT, WITHOUT ROWID;
INSERT INTO client VALUES('01a22194-a29f-79f7-bf27-7102a48a8585','alice','Alice Ü.',1,'wsd','127.0.0.1','Python/3.11 websockets/10.4','2026-11-28T09:55:18.815623Z',NULL,NULL,0,NULL);
INSERT INTO client VALUES('01a22194-a2a9-73ce-b188-b52b34a8851f','bob','',3,'wsd','127.0.0.1','Python/3.11 websockets/10.4','2026-11-28T09:55:18.825238Z',NULL,NULL,0,NULL);
CREATE TABLE subscription (
	client_id  TEXT NOT NULL,
	event_type TEXT NOT NULL,
	created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
	PRIMARY KEY (client_id, event_type)
) STRICT, WITHOUT ROWID;
INSERT INTO subscription VALUES('01a22194-a29f-79f7-bf27-7102a48a8585','global','2026-11-28T09:55:18.815623Z');
INSERT INTO subscription VALUES('01a22194-a29f-79f7-bf27-7102a48a8585','notice','2026-11-28T09:55:18.815623Z');
INSERT INTO subscription VALUES('01a22194-a29f-79f7-bf27-7102a48a8585','pdfm','2026-11-28T09:55:18.815623Z');
INSERT INTO subscription VALUES('01a22194-a2a9-73ce-b188-b52b34a8851f','global','2026-11-28T09:55:18.825238Z');
INSERT INTO subscription VALUES('01a22194-a2a9-73ce-b188-b52b34a8851f','notice','2026-11-28T09:55:18.825238Z');
INSERT INTO subscription VALUES('01a22194-a2a9-73ce-b188-b52b34a8851f','pdfm','2026-11-28T09:55:18.825238Z');
CREATE TABLE event (
	seq        INTEGER PRIMARY KEY AUTOINCREMENT
		CONSTRAINT "event.seq: given by the database" CHECK (seq BETWEEN 1 AND 9007199254740991),
	event_type TEXT NOT NULL,
	message    TEXT NOT NULL DEFAULT ''
		CONSTRAINT "event.message: no NUL byte" CHECK (instr(message, char(0)) = 0),
	body       TEXT
		CONSTRAINT "event.body: JSON" CHECK (body IS NULL OR
			(json_valid(body) AND instr(body, char(0)) = 0)),
	client_id  TEXT
		CONSTRAINT "event.client_id: a lower-case UUID"
		CHECK (length(client_id) = 36 AND client_id NOT GLOB '*[^0-9a-f-]*'),
	user_id    TEXT
		CONSTRAINT "event.user_id: 1 to 255 characters" 
		CHECK (length(user_id) BETWEEN 1 AND 255 AND instr(user_id, char(0)) = 0),
	dedup_id   TEXT
		CONSTRAINT "event.dedup_id: 1 to 255 characters"
		CHECK (length(dedup_id) BETWEEN 1 AND 255 AND instr(dedup_id, char(0)) = 0),
	created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
		CONSTRAINT "event.created_at: RFC 3339 in UTC with a fraction"
		CHECK (created_at GLOB
			'[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9]*Z'
			AND length(created_at) BETWEEN 22 AND 30
			AND substr(created_at, 21) NOT GLOB '*[^0-9]*Z'
			AND instr(created_at, char(0)) = 0
			AND substr(created_at, 12, 2) < '24'
			AND date(julianday(substr(created_at, 1, 10))) IS substr(created_at, 1, 10)),
	CONSTRAINT "event: client_id or user_id, not both" CHECK (client_id IS NULL OR user_id IS NULL)
) STRICT;
INSERT INTO event VALUES(4,'pdfm','m3','{"n": 3, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.851Z');
INSERT INTO event VALUES(5,'pdfm','m4','{"n": 4, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.855Z');
INSERT INTO event VALUES(6,'pdfm','m5','{"n": 5, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.863Z');
INSERT INTO event VALUES(7,'pdfm','m6','{"n": 6, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.867Z');
INSERT INTO event VALUES(8,'pdfm','m7','{"n": 7, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.874Z');
INSERT INTO event VALUES(9,'pdfm','m8','{"n": 8, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.880Z');
INSERT INTO event VALUES(10,'pdfm','m9','{"n": 9, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.887Z');
INSERT INTO event VALUES(11,'pdfm','m10','{"n": 10, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.893Z');
INSERT INTO event VALUES(12,'pdfm','m11','{"n": 11, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.899Z');
INSERT INTO event VALUES(13,'pdfm','m12','{"n": 12, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.904Z');
INSERT INTO event VALUES(14,'pdfm','m13','{"n": 13, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.910Z');
INSERT INTO event VALUES(15,'pdfm','m14','{"n": 14, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.918Z');
INSERT INTO event VALUES(16,'pdfm','m15','{"n": 15, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.923Z');
INSERT INTO event VALUES(17,'pdfm','m16','{"n": 16, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.926Z');
INSERT INTO event VALUES(18,'pdfm','m17','{"n": 17, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.930Z');
INSERT INTO event VALUES(19,'pdfm','m18','{"n": 18, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.934Z');
INSERT INTO event VALUES(20,'pdfm','m19','{"n": 19, "text": "quote '' and \" and \u00fc"}',NULL,NULL,NULL,'2026-11-28T09:55:18.938Z');
INSERT INTO event VALUES(21,'shop.order','for alice',NULL,NULL,'alice',NULL,'2026-11-28T09:55:18.943Z');
INSERT INTO event VALUES(22,'pdfm','for one client',NULL,'01a22194-a2a9-73ce-b188-b52b34a8851f',NULL,NULL,'2026-11-28T09:55:18.947Z');
INSERT INTO event VALUES(23,'shop.order','once',NULL,NULL,NULL,'sample-1','2026-11-28T09:55:18.950Z');
INSERT INTO event VALUES(24,'shop.order','by socket',NULL,NULL,NULL,NULL,'2026-11-28T09:55:18.957Z');
CREATE TABLE change (
	seq           INTEGER PRIMARY KEY AUTOINCREMENT,
	kind          TEXT NOT NULL
		CHECK (kind IN ('subscribe', 'unsubscribe', 'disconnect', 'credential', 'event_type')),
	client_id     TEXT,
	event_type    TEXT,
	credential_id INTEGER,
	after_event   INTEGER NOT NULL,
	created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
INSERT INTO change VALUES(1,'event_type',NULL,'shop.order',NULL,0,'2026-11-28T09:55:18.811Z');
INSERT INTO change VALUES(2,'event_type',NULL,'passing',NULL,0,'2026-11-28T09:55:18.811Z');
INSERT INTO change VALUES(3,'event_type',NULL,'notice',NULL,0,'2026-11-28T09:55:18.812Z');
INSERT INTO change VALUES(4,'unsubscribe','01a22194-a29f-79f7-bf27-7102a48a8585','shop.order',NULL,23,'2026-11-28T09:55:18.952Z');
CREATE TABLE ticket (
	hash          TEXT PRIMARY KEY NOT NULL
		CONSTRAINT "ticket.hash: lower-case hex SHA3-256, 64 digits"
		CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'),
	user_id       TEXT NOT NULL
		CONSTRAINT "ticket.user_id: 1 to 255 characters"
		CHECK (length(user_id) BETWEEN 1 AND 255 AND instr(user_id, char(0)) = 0),
	username      TEXT NOT NULL DEFAULT ''
		CONSTRAINT "ticket.username: at most 255 characters"
		CHECK (length(username) <= 255 AND instr(username, char(0)) = 0),
	credential_id INTEGER,
	scopes        TEXT NOT NULL DEFAULT 'subscribe'
		CONSTRAINT "ticket.scopes: some of subscribe publish admin, separated by one blank"
		CHECK (trim(replace(replace(replace(' ' || replace(scopes, ' ', '  ') || ' ',
			' subscribe ', ''), ' publish ', ''), ' admin ', '')) = ''),
	event_types   TEXT
		CONSTRAINT "ticket.event_types: NULL, or names and prefix.* patterns separated by blanks"
		CHECK (event_types IS NULL OR event_types NOT GLOB '*[^a-z0-9_.* -]*'),
	credential_expires_at INTEGER NOT NULL DEFAULT 0
		CONSTRAINT "ticket.credential_expires_at: seconds since 1970, 0: never"
		CHECK (credential_expires_at >= 0),
	created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
	expires_at    TEXT NOT NULL
		CONSTRAINT "ticket.expires_at: a time that SQLite understands, UTC"
		CHECK (julianday(expires_at) IS NOT NULL)
) STRICT, WITHOUT ROWID;
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('credential',5);
INSERT INTO sqlite_sequence VALUES('change',4);
INSERT INTO sqlite_sequence VALUES('event',24);
CREATE INDEX credential_user ON credential(user_id);
CREATE INDEX event_by_type ON event(event_type, seq);
CREATE UNIQUE INDEX event_dedup ON event(dedup_id) WHERE dedup_id IS NOT NULL;
CREATE VIEW v_event_head AS
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0) AS seq;
CREATE TRIGGER meta_delete BEFORE DELETE ON meta BEGIN
	SELECT RAISE(ABORT, 'meta: rows cannot be deleted');
END;
CREATE TRIGGER event_type_insert AFTER INSERT ON event_type BEGIN
	SELECT RAISE(ABORT, 'event_type.mandatory: global is mandatory')
	WHERE NEW.name = 'global' AND NOT NEW.mandatory;
	UPDATE event_type SET purged_seq = (SELECT min(seq) - 1 FROM event WHERE event_type = NEW.name)
	WHERE name = NEW.name AND EXISTS (SELECT 1 FROM event WHERE event_type = NEW.name);
	INSERT INTO change(kind, event_type, after_event)
	VALUES ('event_type', NEW.name, (SELECT seq FROM v_event_head));
END;
CREATE TRIGGER event_type_rename BEFORE UPDATE OF name ON event_type WHEN NEW.name <> OLD.name BEGIN
	SELECT RAISE(ABORT, 'event_type.name: cannot be changed; insert a new type instead');
END;
CREATE TRIGGER event_type_global BEFORE UPDATE OF mandatory, persistent ON event_type
WHEN NEW.name = 'global' AND NOT (NEW.mandatory AND NEW.persistent) BEGIN
	SELECT RAISE(ABORT, 'event_type.mandatory: global is mandatory and persistent');
END;
CREATE TRIGGER event_type_update AFTER UPDATE OF description, mandatory, persistent ON event_type BEGIN
	INSERT INTO change(kind, event_type, after_event)
	VALUES ('event_type', NEW.name, (SELECT seq FROM v_event_head));
END;
CREATE TRIGGER event_type_delete_check BEFORE DELETE ON event_type BEGIN
	SELECT CASE
	WHEN OLD.mandatory THEN
		RAISE(ABORT, 'event_type.mandatory: a mandatory type cannot be deleted')
	WHEN EXISTS (SELECT 1 FROM subscription WHERE event_type = OLD.name) THEN
		RAISE(ABORT, 'event_type.name: clients are subscribed to it')
	WHEN EXISTS (SELECT 1 FROM event WHERE event_type = OLD.name) THEN
		RAISE(ABORT, 'event_type.name: events of it are kept; delete them first')
	END;
END;
CREATE TRIGGER event_type_delete AFTER DELETE ON event_type BEGIN
	INSERT INTO change(kind, event_type, after_event)
	VALUES ('event_type', OLD.name, (SELECT seq FROM v_event_head));
END;
CREATE TRIGGER credential_insert BEFORE INSERT ON credential
WHEN EXISTS (SELECT 1 FROM credential WHERE hash = NEW.hash AND user_id <> NEW.user_id)
	OR EXISTS (SELECT 1 FROM credential WHERE id = NEW.id) BEGIN
	SELECT RAISE(ABORT, 'credential.hash: a credential of another user with this hash, or one with this id, is there');
END;
CREATE TRIGGER credential_update AFTER UPDATE OF user_id, kind, hash, scopes, event_types,
		expires_at, revoked_at ON credential BEGIN
	INSERT INTO change(kind, credential_id, after_event)
	VALUES ('credential', NEW.id, (SELECT seq FROM v_event_head));
END;
CREATE TRIGGER credential_delete AFTER DELETE ON credential BEGIN
	INSERT INTO change(kind, credential_id, after_event)
	VALUES ('credential', OLD.id, (SELECT seq FROM v_event_head));
END;
CREATE TRIGGER client_insert BEFORE INSERT ON client BEGIN
	SELECT RAISE(ABORT, 'client: rows are written by evhub-wsd alone');
END;
CREATE TRIGGER client_update BEFORE UPDATE ON client BEGIN
	SELECT RAISE(ABORT, 'client: rows are written by evhub-wsd alone');
END;
CREATE TRIGGER client_delete AFTER DELETE ON client BEGIN
	INSERT INTO change(kind, client_id, after_event)
	VALUES ('disconnect', OLD.id, (SELECT seq FROM v_event_head));
	DELETE FROM subscription WHERE client_id = OLD.id;
END;
CREATE TRIGGER subscription_insert_check BEFORE INSERT ON subscription BEGIN
	SELECT CASE
	WHEN NOT EXISTS (SELECT 1 FROM client WHERE id = NEW.client_id) THEN
		RAISE(ABORT, 'subscription.client_id: no live client has this id')
	WHEN NOT EXISTS (SELECT 1 FROM event_type WHERE name = NEW.event_type) THEN
		RAISE(ABORT, 'subscription.event_type: no such event type')
	END;
END;
CREATE TRIGGER subscription_insert AFTER INSERT ON subscription BEGIN
	INSERT INTO change(kind, client_id, event_type, after_event)
	VALUES ('subscribe', NEW.client_id, NEW.event_type, (SELECT seq FROM v_event_head));
END;
CREATE TRIGGER subscription_update BEFORE UPDATE ON subscription BEGIN
	SELECT RAISE(ABORT, 'subscription: delete the row and insert another');
END;
CREATE TRIGGER subscription_delete_check BEFORE DELETE ON subscription
WHEN EXISTS (SELECT 1 FROM client WHERE id = OLD.client_id)
	AND EXISTS (SELECT 1 FROM event_type WHERE name = OLD.event_type AND mandatory) BEGIN
	SELECT RAISE(ABORT, 'subscription.event_type: a mandatory type cannot be unsubscribed');
END;
CREATE TRIGGER subscription_delete AFTER DELETE ON subscription
WHEN EXISTS (SELECT 1 FROM client WHERE id = OLD.client_id) BEGIN
	INSERT INTO change(kind, client_id, event_type, after_event)
	VALUES ('unsubscribe', OLD.client_id, OLD.event_type, (SELECT seq FROM v_event_head));
END;
CREATE TRIGGER event_insert_check BEFORE INSERT ON event BEGIN
	SELECT CASE (SELECT persistent FROM event_type WHERE name = NEW.event_type)
	WHEN 1 THEN
		CASE WHEN length(CAST(NEW.message AS BLOB)) + coalesce(length(CAST(NEW.body AS BLOB)), 0) >
			(SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'max_event_bytes') THEN
			RAISE(ABORT, 'event.body: message and body are longer than max_event_bytes')
		END
	WHEN 0 THEN
		RAISE(ABORT, 'event.event_type: not persistent; publish it by HTTP or the control socket')
	ELSE
		RAISE(ABORT, 'event.event_type: no such event type')
	END;
END;
CREATE TRIGGER event_insert AFTER INSERT ON event
WHEN NEW.seq NOT BETWEEN (SELECT seq + 1 FROM v_event_head) AND (SELECT seq + 1000000000 FROM v_event_head) BEGIN
	SELECT RAISE(ABORT, 'event.seq: given by the database');
END;
CREATE TRIGGER event_update BEFORE UPDATE ON event BEGIN
	SELECT RAISE(ABORT, 'event: what was published cannot be changed');
END;
CREATE TRIGGER event_delete AFTER DELETE ON event BEGIN
	UPDATE event_type SET purged_seq = max(purged_seq, OLD.seq) WHERE name = OLD.event_type;
END;
CREATE VIEW v_clients AS
SELECT c.id, c.user_id, c.username, c.connected_at, c.last_ping_at, c.last_pong_at,
	(SELECT group_concat(event_type, ',') FROM
		(SELECT event_type FROM subscription WHERE client_id = c.id ORDER BY event_type))
		AS event_subscriptions,
	1 AS is_alive, c.queue_depth, c.daemon, c.remote_addr, c.user_agent, c.credential_id
FROM client c;
CREATE VIEW v_stats AS
SELECT (SELECT count(*) FROM client) AS total_clients,
	(SELECT count(*) FROM subscription) AS total_subscriptions,
	(SELECT json_group_object(event_type, n) FROM
		(SELECT event_type, count(*) AS n FROM subscription GROUP BY event_type ORDER BY event_type))
		AS type_stats,
	(SELECT coalesce(sum(messages_sent), 0) FROM daemon) AS messages_sent,
	(SELECT min(started_at) FROM daemon) AS start_time,
	(SELECT CAST(strftime('%s', 'now') AS INTEGER) - CAST(strftime('%s', min(started_at)) AS INTEGER)
		FROM daemon) AS uptime;
CREATE INDEX ticket_expires ON ticket(expires_at);
CREATE INDEX ticket_credential ON ticket(credential_id);
CREATE TRIGGER credential_revoke_tickets AFTER UPDATE OF user_id, revoked_at, hash ON credential
WHEN NEW.revoked_at IS NOT NULL OR NEW.user_id <> OLD.user_id OR NEW.hash <> OLD.hash BEGIN
	DELETE FROM ticket WHERE credential_id = NEW.id;
END;
CREATE TRIGGER credential_delete_tickets AFTER DELETE ON credential BEGIN
	DELETE FROM ticket WHERE credential_id = OLD.id;
END;
CREATE VIEW v_client_allowed AS
SELECT c.id AS client_id,
	CASE WHEN c.credential_id IS NULL THEN c.event_types ELSE k.event_types END AS event_types
FROM client c LEFT JOIN credential k ON k.id = c.credential_id;
CREATE TRIGGER credential_patterns_insert AFTER INSERT ON credential
WHEN NEW.event_types IS NOT NULL AND EXISTS (
	SELECT 1 FROM json_each('["' || replace(NEW.event_types, ' ', '","') || '"]') AS p
	WHERE p.value NOT IN ('', '*') AND NOT (
		p.value GLOB '[a-z0-9]*' AND length(p.value) <= 64
		AND instr(CASE WHEN p.value GLOB '*.[*]' THEN substr(p.value, 1, length(p.value) - 2)
			ELSE p.value END, '*') = 0)) BEGIN
	SELECT RAISE(ABORT, 'credential.event_types: each is a name, or a name and .*, or * alone');
END;
CREATE TRIGGER credential_patterns_update AFTER UPDATE OF event_types ON credential
WHEN NEW.event_types IS NOT NULL AND EXISTS (
	SELECT 1 FROM json_each('["' || replace(NEW.event_types, ' ', '","') || '"]') AS p
	WHERE p.value NOT IN ('', '*') AND NOT (
		p.value GLOB '[a-z0-9]*' AND length(p.value) <= 64
		AND instr(CASE WHEN p.value GLOB '*.[*]' THEN substr(p.value, 1, length(p.value) - 2)
			ELSE p.value END, '*') = 0)) BEGIN
	SELECT RAISE(ABORT, 'credential.event_types: each is a name, or a name and .*, or * alone');
END;
CREATE TRIGGER subscription_insert_allowed BEFORE INSERT ON subscription
WHEN NOT EXISTS (SELECT 1 FROM event_type WHERE name = NEW.event_type AND mandatory)
AND EXISTS (
	SELECT 1 FROM v_client_allowed AS a
	WHERE a.client_id = NEW.client_id AND a.event_types IS NOT NULL AND NOT EXISTS (
		SELECT 1 FROM json_each('["' || replace(a.event_types, ' ', '","') || '"]') AS p
		WHERE p.value IN (NEW.event_type, '*') OR (p.value GLOB '*.[*]'
			AND substr(p.value, 1, length(p.value) - 1) =
				substr(NEW.event_type, 1, length(p.value) - 1)))) BEGIN
	SELECT RAISE(ABORT, 'subscription.event_type: the credential of this client does not allow it');
END;
COMMIT;
