"""The pytest plugin that adds `--must-run`: a skipped test fails the session.

Use it on a machine that has everything that the tests need. Otherwise a backend that no longer loads would only be
skipped. A session without tests fails without this plugin.
"""

from __future__ import annotations

from typing import Final

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--must-run", action="store_true", help="fail if a test is skipped")


def pytest_configure(config: pytest.Config) -> None:
    """Register with `--must-run`, except in xdist's workers: the controller receives their reports."""
    if config.getoption("must_run") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_MustRun())


class _MustRun:
    def __init__(self) -> None:
        self.skipped: Final[list[str]] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Called for each module, which may be skipped as a whole."""
        if report.skipped:
            self.skipped.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called for each phase of a test. An expected failure is reported as skipped, too, and does not count."""
        if report.skipped and not hasattr(report, "wasxfail"):
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
