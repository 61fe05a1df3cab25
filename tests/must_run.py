"""pytest's plugin behind `--must-run`: where everything ought to run, a skipped test is a failure.

On a machine that is known to have all that the tests ask for, a skip means that nobody looked: a backend that does not
load any more would go unnoticed. That no test was found at all is pytest's own failure.
"""

from __future__ import annotations

from typing import Final

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--must-run", action="store_true", help="a skipped test is a failure")


def pytest_configure(config: pytest.Config) -> None:
    """Watch where it is asked for. What xdist's workers report comes to the controller, too."""
    if config.getoption("must_run") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_MustRun())


class _MustRun:
    def __init__(self) -> None:
        self.skipped: Final[list[str]] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Called for each module: it may skip itself."""
        if report.skipped:
            self.skipped.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called for each phase of a test. One that fails as it is expected to is reported as skipped, too."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn success into failure."""
        if self.skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say why."""
        if self.skipped:
            terminalreporter.section("skipped, but had to run", red=True)
            for nodeid in self.skipped:
                terminalreporter.line(nodeid)
