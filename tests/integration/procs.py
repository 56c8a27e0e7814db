"""Child processes: started, watched, and gone when the tests are over.

Run by root, the children run as www-data: what the programs and the web
servers are allowed is part of what is tested.
"""

import atexit
import contextlib
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BUILD = os.path.abspath(os.environ.get("EVHUB_BUILD", "."))
SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
WEB = os.path.join(SOURCE, "web")
RUN_AS = pwd.getpwnam("www-data") if os.geteuid() == 0 else None

# How long anything may take that is waited for.  A bound, not an expectation:
# sanitizer builds on a busy machine are slow.
PATIENCE = float(os.environ.get("EVHUB_PATIENCE", "20"))

SANITIZER = re.compile(
    r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer")

_running = []
_directories = []


def wait_for(condition, what, timeout=PATIENCE, step=0.005):
    """Polls until condition() is true and returns its value.  The only place
    where the tests look at a clock to wait."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what() if callable(what) else what}")
        time.sleep(step)  # bounded poll


def new_directory():
    path = tempfile.mkdtemp(prefix="evhub-")
    _directories.append(path)
    give(path)
    os.chmod(path, 0o755)
    return path


def remove_directory(path):
    shutil.rmtree(path, ignore_errors=True)
    if path in _directories:
        _directories.remove(path)


def give(path):
    """Makes a file or directory belong to whom the children run as."""
    if RUN_AS:
        os.chown(path, RUN_AS.pw_uid, RUN_AS.pw_gid)


_programs = {}


def program(name):
    """The path of a program under test.  When the children are another user,
    they get a copy, for the build directory may be closed to them."""
    built = os.path.join(BUILD, {"evhub-wsd": "wsd", "evhub-fcgi": "fcgi"}[name], name)
    if not os.access(built, os.X_OK):
        raise AssertionError(f"{built} is not built; set EVHUB_BUILD to the build directory")
    if not RUN_AS:
        return built
    if name not in _programs:
        copy = os.path.join(new_directory(), name)
        shutil.copy(built, copy)
        os.chmod(copy, 0o755)
        _programs[name] = copy
    return _programs[name]


def is_sanitized():
    """Whether the programs are built with a sanitizer, which keeps what was
    freed: their memory says nothing."""
    with open(program("evhub-wsd"), "rb") as f:
        data = f.read()
    return b"__asan_init" in data or b"__tsan_init" in data


def as_user(user):
    """The command prefix that runs what follows as this user (root only)."""
    entry = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", "--"]


def drop_prefix():
    prefix = ["setpriv", "--pdeathsig", "KILL"]
    if RUN_AS:
        prefix += [f"--reuid={RUN_AS.pw_uid}", f"--regid={RUN_AS.pw_gid}", "--clear-groups"]
    return prefix + ["--"]


_extra = {}


@contextlib.contextmanager
def preloaded(variables):
    """Gives the children that are started meanwhile these variables, too."""
    before = dict(_extra)
    _extra.update(variables)
    try:
        yield
    finally:
        _extra.clear()
        _extra.update(before)


def environment():
    env = {k: v for k, v in os.environ.items() if not k.startswith("EVHUB_")}
    env["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    env.update(_extra)
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.setdefault("TSAN_OPTIONS", "second_deadlock_stack=1")
    return env


class Process:
    """A child with its output in a file."""

    def __init__(self, name, argv, log, ours=True):
        """ours: it must end with status 0.  lighttpd does not always when a
        program that it started ends before it."""
        self.name = name
        self.log = log
        self.expect = 0 if ours else None
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(
                drop_prefix() + list(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=environment(), start_new_session=True, cwd="/")
        _running.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def alive(self):
        return self.popen.poll() is None

    def wait_ready(self, condition, what):
        def look():
            value = condition()
            if not value and not self.alive():
                raise AssertionError(
                    f"{self.name} ended with {self.popen.returncode} before it was ready:\n{self.text()}")
            return value
        return wait_for(look, lambda: f"{self.name}: {what}\n{self.text()}")

    def send_signal(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout=PATIENCE):
        try:
            status = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"{self.name} did not end within {timeout} s:\n{self.text()[-4000:]}") from None
        self._forget()
        return status

    def stop(self, number=signal.SIGTERM):
        """Ends it by a signal and checks its exit status and its log."""
        if self.popen.returncode is None:
            self.send_signal(number)
        status = self.wait()
        assert status == self.expect or self.expect is None and status >= 0, \
            f"{self.name} ended with {status}:\n{self.text()[-4000:]}"
        self.check_log()

    def check_log(self):
        text = self.text()
        found = SANITIZER.search(text)
        assert not found, f"{self.name}: {text[max(0, found.start() - 500):found.start() + 4000]}"

    def kill(self):
        """kill -9, and the group it leads."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()
        self._forget()

    def _forget(self):
        # what it forked and left behind goes too
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        if self in _running:
            _running.remove(self)


@atexit.register
def _reap():
    for process in list(_running):
        process.kill()
    for path in list(_directories):
        shutil.rmtree(path, ignore_errors=True)


_ports = random.Random(os.getpid() * 1000003 + time.monotonic_ns())


def free_port():
    """A port that is free now, below the range from which the kernel takes
    the local ports of connections."""
    for _ in range(200):
        port = _ports.randrange(12000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")
