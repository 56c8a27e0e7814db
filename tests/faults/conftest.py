"""The fixtures of tests/integration, and what fault tests add to them.

FAULTS     quick (the default), or full: the counts of the long runs
FAULTS_*   one count of its own, e.g. FAULTS_KILLS=100

    full(name, quick, full)   the count to use
    world                     a hub under load with a ledger; see world.py
"""

import importlib.util
import os
import sys

import pytest

INTEGRATION = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration")
sys.path.insert(0, INTEGRATION)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

_spec = importlib.util.spec_from_file_location("integration_conftest", os.path.join(INTEGRATION, "conftest.py"))
_module = importlib.util.module_from_spec(_spec)
sys.modules["integration_conftest"] = _module
_spec.loader.exec_module(_module)
globals().update({k: v for k, v in vars(_module).items() if not k.startswith("__")})


def pytest_configure(config):
    _module.pytest_configure(config)
    config.addinivalue_line("markers", "soak: takes as long as it is told")
    config.addinivalue_line("markers", "shim: needs LD_PRELOAD, which the sanitizers do not like")


def pytest_collection_modifyitems(config, items):
    """Tests with a preloaded library are left out of a sanitizer build, and
    the soak unless it is asked for."""
    import test_soak
    without = [] if os.environ.get("EVHUB_SANITIZERS", "no") == "no" else ["shim"]
    without += [] if test_soak.SECONDS else ["soak"]
    left_out = [i for i in items if any(i.get_closest_marker(m) for m in without)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [i for i in items if i not in left_out]


@pytest.fixture
def make_world(make_hub):
    import world
    worlds = []

    def make(**kwargs):
        w = world.World(make_hub, **kwargs)
        worlds.append(w)
        return w
    yield make
    for w in worlds:
        w.end()
