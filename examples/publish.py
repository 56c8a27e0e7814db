# publish.py DATABASE
import json
import sqlite3
import sys

db = sqlite3.connect(sys.argv[1], timeout=5)
with db:  # a transaction: committed at its end, taken back by an exception
    db.execute("INSERT INTO event(event_type, message, body) VALUES(?, ?, ?)",
               ("pdfm", "VM_STATE_CHANGED", json.dumps({"vm_id": "4711", "from": "Python"})))
