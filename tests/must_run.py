"""The pytest plugin that adds `--must-run`: a skipped test fails the session.

Use it on a machine that has everything that the tests need. Otherwise a backend that no longer loads would only be
skipped. `--may-lack FEATURE` declares an exception: tests that require this feature of `machine.py` may be skipped
there. A session without tests fails without this plugin.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

import pytest
from machine import lacks


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addoption("--must-run", action="store_true", help="fail if a test is skipped")
    parser.addoption(
        "--may-lack", action="append", default=[], metavar="FEATURE", help="except those that require FEATURE"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register with `--must-run`, except in xdist's workers: the controller receives their reports."""
    if config.getoption("must_run") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_MustRun({lacks(feature) for feature in config.getoption("may_lack")}))


class _MustRun:
    def __init__(self, accepted: Container[str | None]) -> None:
        self._accepted = accepted  # reasons of skips
        self.skipped: Final[list[str]] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Called for each module, which may be skipped as a whole."""
        self._add(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called for each phase of a test. An expected failure is reported as skipped, too, and does not count."""
        if not hasattr(report, "wasxfail"):
            self._add(report)

    def _add(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if report.skipped:
            assert isinstance(report.longrepr, tuple)
            _, _, message = report.longrepr
            if message.removeprefix("Skipped: ") not in self._accepted:
                self.skipped.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Replace the exit status of a successful session."""
        if self.skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the skipped tests."""
        if self.skipped:
            terminalreporter.section("skipped, but had to run", red=True)
            for nodeid in self.skipped:
                terminalreporter.line(nodeid)
