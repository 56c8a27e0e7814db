-- evhub, schema version 2: tickets.
--
-- A browser cannot set headers on a WebSocket, so its page asks for a ticket by
-- HTTP and puts that into the URL.  A ticket is good for one connection within
-- half a minute; evhub-wsd deletes the row in the transaction that records the
-- client, so that it is of use once, however many ask at the same moment.

-- hash: lower-case hex SHA3-256 of the ticket.  Of a ticket that a key or token
-- was shown for, the credential says at its use what it allows; scopes,
-- event_types and credential_expires_at speak where there is none.
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
CREATE INDEX ticket_expires ON ticket(expires_at);
CREATE INDEX ticket_credential ON ticket(credential_id);

-- What a credential could do, its tickets cannot do after its end, not even if
-- the end is taken back.
CREATE TRIGGER credential_revoke_tickets AFTER UPDATE OF user_id, revoked_at, hash ON credential
WHEN NEW.revoked_at IS NOT NULL OR NEW.user_id <> OLD.user_id OR NEW.hash <> OLD.hash BEGIN
	DELETE FROM ticket WHERE credential_id = NEW.id;
END;

CREATE TRIGGER credential_delete_tickets AFTER DELETE ON credential BEGIN
	DELETE FROM ticket WHERE credential_id = OLD.id;
END;
