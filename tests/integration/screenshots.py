"""Makes the pictures of the console in doc/: make screenshots."""

import json
import os
import random
import sqlite3
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))

import fronts  # noqa: E402
from browser import Browser  # noqa: E402
from hub import Hub  # noqa: E402

SECONDS = 75
STATES = ["running", "stopped", "paused", "resuming"]
KINDS = [
    ("pdfm", "VM_STATE_CHANGED", lambda r: {"vm_id": str(r.randrange(4000, 5000)), "state": r.choice(STATES)}),
    ("stats", "HOST_STATS", lambda r: {"host": f"node-{r.randrange(1, 6)}", "cpu": round(r.random() * 100, 1),
                                       "memory_mb": r.randrange(2000, 64000)}),
    ("job_manager", "JOB_PROGRESS", lambda r: {"job": f"import-{r.randrange(100)}", "percent": r.randrange(100)}),
    ("system_logs", "sshd: session opened for user deploy", lambda r: {"unit": "ssh.service", "pid": r.randrange(999, 9999)}),
    ("reverse_proxy", "HOST_UP", lambda r: {"host": "app.example.org", "status": 200, "ms": r.randrange(2, 90)}),
    ("orchestrator", "RESOURCE_ASSIGNED", lambda r: {"host": f"node-{r.randrange(1, 6)}", "cores": r.randrange(1, 9)}),
]


def publish(hub, seconds):
    """Some events a tenth of a second, now more and now fewer."""
    r = random.Random(7)
    db = sqlite3.connect(hub.database, timeout=20, isolation_level=None)
    for tenth in range(seconds * 10):
        wave = 1 + (tenth // 60) % 4
        for _ in range(r.randrange(0, 2 + wave)):
            name, message, body = r.choices(KINDS, [8, 6, 3, 2, 3, 1])[0]
            db.execute("INSERT INTO event(event_type, message, body) VALUES(?, ?, ?)",
                       (name, message, json.dumps(body(r))))
        time.sleep(0.1)  # bounded poll: the pace of the picture
    db.close()


def main(directory):
    hub = Hub()
    hub.start_wsd()
    hub.front = fronts.start("lighttpd", hub)
    who = hub.credential("operator", scopes="subscribe publish admin")
    clients = [hub.front.subscribe(hub.credential(user), types) for user, types in
               (("dashboard", "pdfm,stats,health"), ("alice", "job_manager"), ("billing", "pdfm"))]
    browser = Browser().visit(hub)
    try:
        browser.prefers(color_scheme="light", reduced_motion="reduce")
        browser.size(1280, 800)
        browser.enter(who)
        for name in ("auth", "catalog_cache", "system"):
            browser.switch(name).click()
        publish(hub, SECONDS)
        browser.wait(lambda: browser.text("#rate") != "0", "no rate")
        browser.screenshot(os.path.join(directory, "console-light.png"))
        browser.click(".event:nth-child(3) .head")
        browser.prefers(color_scheme="dark", reduced_motion="reduce")
        browser.wait(lambda: browser.shown(".detail"), "not open")
        browser.screenshot(os.path.join(directory, "console-dark.png"))
        browser.click(".event:nth-child(3) .head")
        browser.tab("clients")
        browser.wait(lambda: len(browser.all("#clients tr")) == 4, "not all clients")
        browser.prefers(color_scheme="light", reduced_motion="reduce")
        browser.screenshot(os.path.join(directory, "console-clients.png"))
        browser.tab("events")
        browser.size(390, 780, 1.5, True)
        publish(hub, 3)
        browser.screenshot(os.path.join(directory, "console-phone.png"))
    finally:
        browser.close()
        for ws in clients:
            ws.cut()
        hub.abandon()


if __name__ == "__main__":
    main(sys.argv[1])
