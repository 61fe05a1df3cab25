"""Fixtures that tests of several kinds share."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from machine import lacks

from tracer.record.capture.backends import BACKENDS

pytest_plugins = ["must_run"]

settings.register_profile("svc-trace", deadline=None)  # the machine may be busy
settings.load_profile("svc-trace")

# A shell's job in the background ignores SIGINT, and so would everything that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--backend NAME`, repeatable: with what tests run that are there for every backend; `--bare-runs FOLDER`."""
    parser.addoption("--backend", action="append", choices=list(BACKENDS), help="only with this backend; repeatable")
    parser.addoption(
        "--bare-runs",
        type=Path,
        metavar="FOLDER",
        help="where it is kept what the truth suites of this very tree do bare: a session finds what another one left",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a `backend` with each of them."""
    if "backend" in metafunc.fixturenames:
        backends = metafunc.config.getoption("backend") or list(BACKENDS)
        if metafunc.definition.get_closest_marker("probes"):
            backends = [backend for backend in backends if backend != "strace"]
        metafunc.parametrize("backend", backends, scope="session")


@pytest.fixture(scope="session")
def require() -> Callable[[str], None]:
    """The only way to skip: `require(feature)`. What the machine ought to have is never skipped."""

    def require(feature: str) -> None:
        if reason := lacks(feature):
            pytest.skip(reason)

    return require


def pytest_configure(config: pytest.Config) -> None:
    """Give the session, and so each of xdist's workers, a temporary folder of its own: what is left there, it left.

    What pytest keeps for who looks into a failure stays where it would have been.
    """
    own = tempfile.TemporaryDirectory(prefix="tests-")  # short: unix sockets' paths are in it
    Path(own.name).chmod(0o1777)  # other users' programs are started, too
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTEST_DEBUG_TEMPROOT", os.environ.get("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir()))
    patch.setenv("TMPDIR", own.name)
    patch.setattr(tempfile, "tempdir", None)
    config.add_cleanup(own.cleanup)
    config.add_cleanup(patch.undo)


@pytest.fixture(scope="session")
def shop_services() -> Iterator[dict[str, str]]:
    """The real servers of the example suite, started once: the environment variables that hold their addresses."""
    from services import running  # its dependencies are the `example` group's, which other tests do without

    with running() as environment:
        yield environment
