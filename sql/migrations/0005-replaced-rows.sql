-- evhub, schema version 5: rows that are replaced.
--
-- INSERT OR REPLACE and UPDATE OR REPLACE delete the row that is in the way, and
-- SQLite runs no delete trigger for it (unless PRAGMA recursive_triggers is on).
-- What hung on such a row must not be forgotten with it.

-- The newest event of a type that is gone, so that a resume can tell whether it
-- is complete.  It outlives the row of the type.
CREATE TABLE event_purged (
	event_type TEXT PRIMARY KEY NOT NULL,
	seq        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO event_purged(event_type, seq) SELECT name, purged_seq FROM event_type WHERE purged_seq > 0;

DROP TRIGGER event_delete;
CREATE TRIGGER event_delete AFTER DELETE ON event BEGIN
	INSERT INTO event_purged(event_type, seq) VALUES (OLD.event_type, OLD.seq)
	ON CONFLICT (event_type) DO UPDATE SET seq = max(seq, excluded.seq);
END;

DROP TRIGGER event_type_insert;
CREATE TRIGGER event_type_insert AFTER INSERT ON event_type BEGIN
	SELECT RAISE(ABORT, 'event_type.mandatory: global is mandatory and persistent')
	WHERE NEW.name = 'global' AND NOT (NEW.mandatory AND NEW.persistent);
	INSERT INTO change(kind, event_type, after_event)
	VALUES ('event_type', NEW.name, (SELECT seq FROM v_event_head));
END;

-- Setting the rowid could replace another type.
DROP TRIGGER event_type_rename;
CREATE TRIGGER event_type_rename BEFORE UPDATE ON event_type
WHEN NEW.name <> OLD.name OR NEW.rowid <> OLD.rowid BEGIN
	SELECT RAISE(ABORT, 'event_type.name: cannot be changed; insert a new type instead');
END;

CREATE TRIGGER event_purged_delete BEFORE DELETE ON event_purged BEGIN
	SELECT RAISE(ABORT, 'event_purged: what is gone stays gone');
END;

CREATE TRIGGER event_purged_update BEFORE UPDATE ON event_purged
WHEN NEW.event_type <> OLD.event_type OR NEW.seq < OLD.seq BEGIN
	SELECT RAISE(ABORT, 'event_purged: what is gone stays gone');
END;

-- INSERT OR REPLACE with a rowid could replace another type too.
CREATE TRIGGER event_type_insert_rowid BEFORE INSERT ON event_type
WHEN EXISTS (SELECT 1 FROM event_type WHERE rowid = NEW.rowid AND name <> NEW.name) BEGIN
	SELECT RAISE(ABORT, 'event_type.rowid: another type has it');
END;

-- SQLite looks through the whole schema for what the column's end would break, and
-- stops at any view or trigger that is out of date, an application's own too; not
-- so while the schema is writable.
PRAGMA writable_schema = ON;
ALTER TABLE event_type DROP COLUMN purged_seq;
PRAGMA writable_schema = OFF;

-- An event that is in the way of another with its dedup_id stays.  Only before
-- the insertion can it be seen, and only after it whether it was to be replaced:
-- ON CONFLICT DO NOTHING does not come so far.
CREATE TABLE event_in_the_way (
	seq INTEGER
) STRICT;
INSERT INTO event_in_the_way(seq) VALUES (NULL);

CREATE TRIGGER event_in_the_way_delete BEFORE DELETE ON event_in_the_way BEGIN
	SELECT RAISE(ABORT, 'event_in_the_way: it has one row');
END;

CREATE TRIGGER event_in_the_way_insert BEFORE INSERT ON event_in_the_way BEGIN
	SELECT RAISE(ABORT, 'event_in_the_way: it has one row');
END;

CREATE TRIGGER event_insert_dedup BEFORE INSERT ON event
WHEN NEW.dedup_id IS NOT NULL AND (SELECT seq FROM event_in_the_way) IS NOT
	(SELECT seq FROM event WHERE dedup_id = NEW.dedup_id) BEGIN
	UPDATE event_in_the_way SET seq = (SELECT seq FROM event WHERE dedup_id = NEW.dedup_id);
END;

CREATE TRIGGER event_insert_replaces AFTER INSERT ON event
WHEN NEW.dedup_id IS NOT NULL AND (SELECT seq FROM event_in_the_way) IS NOT NULL BEGIN
	SELECT RAISE(ABORT, 'event.dedup_id: an event has it, and what was published cannot be replaced');
END;

-- What the CHECK leaves open: where the dashes are.
CREATE TRIGGER event_insert_client BEFORE INSERT ON event
WHEN length(replace(NEW.client_id, '-', '')) <> 32
	OR substr(NEW.client_id, 9, 1) || substr(NEW.client_id, 14, 1)
		|| substr(NEW.client_id, 19, 1) || substr(NEW.client_id, 24, 1) <> '----' BEGIN
	SELECT RAISE(ABORT, 'event.client_id: a lower-case UUID');
END;

-- Who came in by a credential that is replaced must go, as when it is deleted.
-- If the insertion comes to nothing, the daemons look at it for nothing.
CREATE TRIGGER credential_insert_replaces BEFORE INSERT ON credential
WHEN EXISTS (SELECT 1 FROM credential WHERE hash = NEW.hash) BEGIN
	INSERT INTO change(kind, credential_id, after_event)
	SELECT 'credential', id, (SELECT seq FROM v_event_head) FROM credential WHERE hash = NEW.hash;
END;

-- 0 stands for no credential, and -1 for a row that has no id yet.
CREATE TRIGGER credential_insert_id AFTER INSERT ON credential WHEN NEW.id < 1 BEGIN
	SELECT RAISE(ABORT, 'credential.id: 1 or more');
END;

-- Live connections know their credential by its id.
CREATE TRIGGER credential_identity BEFORE UPDATE ON credential
WHEN NEW.id <> OLD.id
	OR EXISTS (SELECT 1 FROM credential WHERE hash = NEW.hash AND id <> OLD.id) BEGIN
	SELECT CASE WHEN NEW.id <> OLD.id THEN
		RAISE(ABORT, 'credential.id: cannot be changed')
	ELSE
		RAISE(ABORT, 'credential.hash: another credential has it')
	END;
END;

-- A client whose credential is gone has no type, until it is closed.
DROP VIEW v_client_allowed;
CREATE VIEW v_client_allowed AS
SELECT c.id AS client_id,
	CASE WHEN c.credential_id IS NULL THEN c.event_types
	WHEN k.id IS NULL THEN ''
	ELSE k.event_types END AS event_types
FROM client c LEFT JOIN credential k ON k.id = c.credential_id;

CREATE TRIGGER meta_rename BEFORE UPDATE OF key ON meta WHEN NEW.key <> OLD.key BEGIN
	SELECT RAISE(ABORT, 'meta.key: cannot be changed');
END;

-- change_seq: the newest change that the daemon has applied; older ones are kept
-- for nobody.
ALTER TABLE daemon ADD COLUMN change_seq INTEGER NOT NULL DEFAULT 0;

-- daemon: others may only delete the row of one that will not come back.

CREATE TRIGGER daemon_insert BEFORE INSERT ON daemon BEGIN
	SELECT RAISE(ABORT, 'daemon: rows are written by evhub-wsd alone');
END;

CREATE TRIGGER daemon_update BEFORE UPDATE ON daemon BEGIN
	SELECT RAISE(ABORT, 'daemon: rows are written by evhub-wsd alone');
END;

CREATE TRIGGER daemon_delete BEFORE DELETE ON daemon
WHEN EXISTS (SELECT 1 FROM client WHERE daemon = OLD.name) BEGIN
	SELECT RAISE(ABORT, 'daemon.name: its clients are there; delete them first');
END;
