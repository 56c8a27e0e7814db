-- evhub, schema version 3: what a live client may subscribe to.

-- Of a client without a credential in the table (it came with a JWT): what its
-- token allows, as credential.event_types has it.
ALTER TABLE client ADD COLUMN event_types TEXT;

-- The patterns that hold for each live client; NULL: every type.
CREATE VIEW v_client_allowed AS
SELECT c.id AS client_id,
	CASE WHEN c.credential_id IS NULL THEN c.event_types ELSE k.event_types END AS event_types
FROM client c LEFT JOIN credential k ON k.id = c.credential_id;

-- A pattern that can match nothing is a mistake.  The CHECK has seen to the
-- characters by now, so that the list can be read as JSON.
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

-- Nobody, not even an operator, gives a client what its credential does not
-- allow: what a credential allows is said in one place.
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
