"""A network of the test's own: the thread that runs the test moves into a new
network namespace, with what it starts from there, and back again."""

import contextlib
import ctypes
import os
import subprocess

import pytest

import clients

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


class Network:
    """Only the loopback interface.  What is lost is lost by nftables, for not
    every kernel has netem."""

    def __init__(self):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        self.nft("add table inet faults",
                 "add chain inet faults in { type filter hook input priority 0; }")

    @staticmethod
    def nft(*lines):
        subprocess.run(["nft", "-f", "-"], input="\n".join(lines) + "\n", text=True, check=True)

    def lose(self, port, percent):
        """Of the packets from and to this port, so many do not arrive."""
        numbers = f"numgen random mod 1000 < {int(percent * 10)} counter drop"
        self.restore()
        self.nft(f"add rule inet faults in tcp dport {port} {numbers}",
                 f"add rule inet faults in tcp sport {port} {numbers}")

    def vanish(self, port):
        """Nothing arrives any more, and nobody is told."""
        self.restore()
        self.nft(f"add rule inet faults in tcp dport {port} counter drop",
                 f"add rule inet faults in tcp sport {port} counter drop")

    def dropped(self):
        text = subprocess.run(["nft", "list", "table", "inet", "faults"], capture_output=True, text=True,
                              check=True).stdout
        return sum(int(line.split("counter packets ")[1].split()[0]) for line in text.splitlines()
                   if "counter packets" in line)

    def restore(self):
        self.nft("flush chain inet faults in")


@contextlib.contextmanager
def entered():
    if os.geteuid() != 0:
        pytest.skip("needs root, for a network namespace")
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    _check(_libc.unshare(CLONE_NEWNET))
    clients._loop.pid = None  # its thread is in the old one
    try:
        yield Network()
    finally:
        clients._loop.pid = None
        _check(_libc.setns(home, CLONE_NEWNET))
        os.close(home)
