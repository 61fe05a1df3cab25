"""Options and fixtures for all tests."""

from __future__ import annotations

import measured  # before anything imports tracer

# isort: split
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from machine import lacks

from tracer.classify.services.config import Config, load_config
from tracer.record.capture.backends import BACKENDS

pytest_plugins = ["must_run"]

settings.register_profile("svc-trace", deadline=None)  # a busy machine may take any time
settings.load_profile("svc-trace")

# In a background job of a shell SIGINT is ignored, and processes that tests start and interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# In a session under sudo, svc-trace would become the invoking user, also where a test calls it in this process.
for name in ("SUDO_UID", "DOAS_USER", "PKEXEC_UID"):
    os.environ.pop(name, None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--backend NAME` and `--sql-engine NAME` (repeatable), and `--bare-runs DIRECTORY`."""
    parser.addoption(
        "--backend",
        action="append",
        choices=list(BACKENDS),
        help="run tests that have a backend only with this one; repeatable",
    )
    parser.addoption(
        "--sql-engine",
        action="append",
        choices=["duckdb", "spark"],
        help="run the queries of docs/fleet.md in this engine; repeatable; default: duckdb",
    )
    parser.addoption(
        "--bare-runs",
        type=Path,
        metavar="DIRECTORY",
        help="keep the results of the truth suite's bare runs there, and use those that an earlier session kept",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that has a parameter `backend` with each backend, or `sql_engine` with each engine."""
    if "backend" in metafunc.fixturenames:
        backends = metafunc.config.getoption("backend") or list(BACKENDS)
        if metafunc.definition.get_closest_marker("probes"):
            backends = [backend for backend in backends if backend != "strace"]
        metafunc.parametrize("backend", backends, scope="session")
    if "sql_engine" in metafunc.fixturenames:
        metafunc.parametrize("sql_engine", metafunc.config.getoption("sql_engine") or ["duckdb"], scope="session")


@pytest.fixture(scope="session")
def require() -> Callable[[str], None]:
    """`require(feature)`: the only way to skip a test. It skips only if this machine cannot have the feature."""

    def require(feature: str) -> None:
        if reason := lacks(feature):
            pytest.skip(reason)

    return require


def pytest_configure(config: pytest.Config) -> None:
    """Give the session, and so each xdist worker, its own TMPDIR, so that tests find the files that they leave there.

    pytest's own temporary directories, which are kept for debugging, stay where they would be otherwise.
    """
    own = tempfile.TemporaryDirectory(prefix="tests-")  # short, because paths of unix sockets begin with it
    Path(own.name).chmod(0o1777)  # some tests start programs as other users
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTEST_DEBUG_TEMPROOT", os.environ.get("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir()))
    patch.setenv("TMPDIR", own.name)
    patch.setattr(tempfile, "tempdir", None)
    config.add_cleanup(own.cleanup)
    config.add_cleanup(patch.undo)
    config.add_cleanup(measured.finish)


@pytest.fixture(scope="session")
def shop_services() -> Iterator[dict[str, str]]:
    """Start the example suite's real servers once. Yields the environment variables with their addresses."""
    from services import running  # imports packages of the `example` group, which other tests do not need

    with running() as environment:
        yield environment


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The configuration of a user without a file."""
    return load_config(None, tmp_path_factory.mktemp("no_configuration"))
