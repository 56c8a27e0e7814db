"""How much is done: quick for every change, full before a release."""

import os

FULL = os.environ.get("FAULTS", "quick") == "full"


def size(name, quick, full):
    """The count for this run; FAULTS_NAME in the environment overrides it."""
    return type(quick)(os.environ.get("FAULTS_" + name.upper(), full if FULL else quick))
