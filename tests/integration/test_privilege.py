"""Least privilege: modes of files, and what a service manager is told."""

import os
import signal
import socket
import stat
import subprocess

import pytest

import procs
from clients import API, fcgi_request, subscribe
from procs import Process


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_modes_of_what_is_made(make_hub):
    """The group may publish by SQL, others may not even read."""
    hub = make_hub(fcgi=True)
    subscribe(hub.wsd.listen, hub.credential()).close()
    assert fcgi_request(hub.fcgi_socket, "GET", API + "/health").status == 200
    for name in ("evhub.db", "evhub.db-wal", "evhub.db-shm", "evhub.db-wsd.lock", "wsd.sock", "fcgi.sock"):
        assert mode(os.path.join(hub.directory, name)) == 0o660, name


def test_database_that_everybody_may_read(make_hub):
    """It works, and the log says what it means."""
    hub = make_hub()
    assert "database_exposed" not in hub.wsd.process.text()
    hub.wsd.stop()
    os.chmod(hub.database, 0o664)
    hub.start_wsd()
    assert f"database_exposed path={hub.database} mode=0664 " in hub.wsd.process.text()


def test_database_that_everybody_may_write(make_hub):
    hub = make_hub()
    hub.wsd.stop()
    os.chmod(hub.database, 0o666)
    for arguments in ([], ["-t"]):
        result = hub.run_wsd(*arguments)
        assert result.returncode == 1 and "mode 0666; chmod o= it" in result.stderr, result


def test_directory_that_everybody_may_write(make_hub):
    """Everybody could put another database there; with the sticky bit only
    where there is none yet."""
    hub = make_hub(wsd=False)
    os.chmod(hub.directory, 0o777)
    for arguments in ([], ["-t"]):
        result = hub.run_wsd(*arguments)
        assert result.returncode == 1 and "mode 0777; chmod o-w it" in result.stderr, result
    assert not os.path.exists(hub.database)
    os.chmod(hub.directory, 0o1777)
    hub.start_wsd()
    assert f"database_exposed path={hub.directory} mode=1777 " in hub.wsd.process.text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as root")
def test_root_is_told(make_hub):
    hub = make_hub(wsd=False)
    result = subprocess.run(hub.wsd_argv("-t"), capture_output=True, text=True, timeout=procs.PATIENCE, check=False)
    assert "runs_as_root" in result.stderr, result


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
