"""Fixtures.

make_hub(**conf)   a function that starts a hub of the test's own; keys of
                   evhub.conf as arguments
hub                one of them, with the defaults and evhub-wsd running
front              (hub, front end) shared by the tests of one process, once
                   for each kind of front end; tests use users and types of
                   their own
direct             the same, without a web server
"""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import fronts  # noqa: E402
from hub import Hub  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than ten seconds")
    config.addinivalue_line("markers", "web: the browser's side; needs Node or Chromium, so these run with one build only")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for name in ("make_hub", "hub", "front", "direct"):
            for h in _hubs_of(item.funcargs.get(name)):
                for process in [w.process for w in h.daemons] + h.others:
                    try:
                        text = process.text()
                    except OSError:
                        continue
                    report.sections.append((f"log of {process.name}", text[-6000:]))


@pytest.fixture
def figure(request):
    """figure(text): a measured figure, shown at the end of the run."""
    def note(text):
        print(text)
        request.node.user_properties.append(("figure", text))
    return note


def pytest_terminal_summary(terminalreporter):
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                for name, text in report.user_properties:
                    if name == "figure":
                        terminalreporter.write_line("figure: " + text)


def _hubs_of(value):
    if value is None:
        return []
    if isinstance(value, Hub):
        return [value]
    return getattr(value, "hubs", None) or [h for h in [getattr(value, "hub", None)] if h]


class HubMaker:
    def __init__(self):
        self.hubs = []

    def __call__(self, wsd=True, fcgi=False, front=None, **conf):
        """Makes a hub; front: the name of a front end to start before it,
        then hub.front is that."""
        hub = Hub(**conf)
        self.hubs.append(hub)
        if wsd:
            hub.start_wsd()
        if fcgi:
            hub.start_fcgi()
        if front:
            skip_unless_installed(front)
            hub.front = fronts.start(front, hub)
        return hub


def skip_unless_installed(name):
    if fronts.missing(name):
        pytest.skip(f"{fronts.missing(name)} is not installed")


@pytest.fixture
def make_hub(request):
    maker = HubMaker()
    yield maker
    failed = []
    for hub in maker.hubs:
        try:
            hub.stop()
        except BaseException as e:  # the others are stopped all the same
            hub.abandon()
            failed.append(e)
    if failed:
        raise failed[0]


@pytest.fixture
def hub(make_hub):
    return make_hub()


def _shared(name):
    skip_unless_installed(name)
    hub = Hub()
    try:
        hub.start_wsd()
        front = fronts.start(name, hub)
        yield front
    except BaseException:
        hub.abandon()
        raise
    hub.stop()


@pytest.fixture(scope="session")
def front_direct():
    yield from _shared("direct")


@pytest.fixture(scope="session")
def front_lighttpd():
    yield from _shared("lighttpd")


@pytest.fixture(scope="session")
def front_apache():
    yield from _shared("apache")


@pytest.fixture(scope="session")
def front_apache_cgi():
    yield from _shared("apache-cgi")


@pytest.fixture(scope="session")
def front_nginx():
    yield from _shared("nginx")


@pytest.fixture(params=fronts.NAMES)
def front(request):
    return request.getfixturevalue("front_" + request.param.replace("-", "_"))


@pytest.fixture
def direct(front_direct):
    return front_direct
