"""Least privilege: modes of files, and what a service manager is told."""

import os
import signal
import socket
import stat

import procs
from clients import subscribe
from procs import Process


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_modes_of_what_is_made(make_hub):
    """The group may publish by SQL, others may not even read."""
    hub = make_hub(fcgi=True)
    subscribe(hub.wsd.listen, hub.credential()).close()
    for name in ("evhub.db", "evhub.db-wal", "evhub.db-shm", "evhub.db-wsd.lock", "wsd.sock", "fcgi.sock"):
        assert mode(os.path.join(hub.directory, name)) == 0o660, name


# ---- sd_notify

class Manager:
    """A service manager's end of NOTIFY_SOCKET."""

    def __init__(self, hub, address):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.settimeout(procs.PATIENCE)
        self.sock.bind(address)
        if address[0] == "/":
            procs.give(address)
        shown = address.replace("\0", "@")
        self.process = Process("wsd", ["env", f"NOTIFY_SOCKET={shown}"] + hub.wsd_argv(),
                               os.path.join(hub.directory, "wsd.log"))
        hub.others.append(self.process)

    def told(self):
        return dict(line.split("=", 1) for line in self.sock.recv(4096).decode().split("\n"))

    def until(self, key):
        while key not in (message := self.told()):
            assert "WATCHDOG" in message, message
        return message


def test_a_service_manager_is_told(make_hub):
    hub = make_hub(wsd=False, drain_timeout="3s")
    manager = Manager(hub, os.path.join(hub.directory, "notify"))
    assert manager.told() == {"READY": "1"}
    assert manager.told() == {"WATCHDOG": "1"}
    manager.process.send_signal(signal.SIGHUP)
    assert int(manager.until("RELOADING")["MONOTONIC_USEC"]) > 0
    manager.until("READY")
    manager.process.send_signal(signal.SIGTERM)
    assert int(manager.until("STOPPING")["EXTEND_TIMEOUT_USEC"]) > 3000000
    assert manager.process.wait() == 0
    hub.others.remove(manager.process)


def test_abstract_notify_socket(make_hub):
    hub = make_hub(wsd=False)
    manager = Manager(hub, f"\0evhub-test-{os.getpid()}")
    assert manager.told() == {"READY": "1"}
