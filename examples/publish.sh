#!/bin/sh
# publish.sh DATABASE [MESSAGE] - needs sqlite3
set -e
message=$(printf '%s' "${2:-VM_STATE_CHANGED}" | sed "s/'/''/g") # as SQL quotes it

sqlite3 -cmd '.timeout 5000' "$1" <<SQL
INSERT INTO event(event_type, message, body)
VALUES('pdfm', '$message', json_object('vm_id', '4711', 'from', 'shell'));
SQL
