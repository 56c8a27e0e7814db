"""Libraries that are preloaded into the programs under test.  They are
compiled when they are first needed, into a directory that goes away."""

import os
import subprocess

import procs

HERE = os.path.dirname(os.path.abspath(__file__))
_built = {}


def build(name):
    """The path of the library made of NAME.c."""
    if name not in _built:
        directory = procs.new_directory()
        path = os.path.join(directory, name + ".so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", path,
                        os.path.join(HERE, name + ".c"), "-ldl", "-pthread"], check=True)
        _built[name] = path
    return _built[name]


class Disk:
    """See shim_disk.c."""

    def __init__(self):
        self.directory = procs.new_directory()
        self.order_path = os.path.join(self.directory, "order")
        self.order("-")
        procs.give(self.order_path)
        self.variables = {"LD_PRELOAD": build("shim_disk"), "EVHUB_DISK": self.directory}

    def order(self, letter):
        """Written in place, for the programs have it mapped."""
        fd = os.open(self.order_path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, letter.encode())
        os.close(fd)


    def ordered(self):
        with open(self.order_path, "rb") as f:
            return f.read(1).decode()


class Clock:
    """See shim_clock.c."""

    def __init__(self):
        self.path = os.path.join(procs.new_directory(), "offset")
        self.set(0)
        self.variables = {"LD_PRELOAD": build("shim_clock"), "EVHUB_CLOCK": self.path}

    def set(self, seconds):
        """How far the wall clock is ahead."""
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, int(seconds).to_bytes(8, "little", signed=True))
        os.close(fd)
