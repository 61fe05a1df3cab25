"""A pytest plugin that writes the outcome of each phase of each test as a line of JSON to the file TRUTH_OUTCOMES.

Standard library and pytest only, Python 3.8 and later.
"""

from __future__ import annotations

import json
import os

import pytest


class Outcomes:
    """Writes the reports that the session receives; under xdist only the controller receives all."""

    def __init__(self, path: str) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Append one line by one write, because several processes may append."""
        xfail = hasattr(report, "wasxfail")
        with open(self.path, "a", encoding="ascii") as file:  # noqa: PTH123 - a suite may have patched pathlib
            file.write(json.dumps([report.nodeid, report.when, report.outcome, xfail]) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    """Register in all processes except xdist's workers."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Outcomes(os.environ["TRUTH_OUTCOMES"]))
