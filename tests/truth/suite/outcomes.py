"""A pytest plugin that writes how each phase of each test went, a line of JSON each, to the file TRUTH_OUTCOMES.

Standard library and pytest only, Python from 3.8.
"""

from __future__ import annotations

import json
import os

import pytest


class Outcomes:
    """Reports as the session hears them; under xdist only its controller hears them all."""

    def __init__(self, path: str) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write one line, whole, whoever else writes."""
        xfail = hasattr(report, "wasxfail")
        with open(self.path, "a", encoding="ascii") as file:  # noqa: PTH123 - a suite may have replaced pathlib
            file.write(json.dumps([report.nodeid, report.when, report.outcome, xfail]) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    """Listen in every process but xdist's workers."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Outcomes(os.environ["TRUTH_OUTCOMES"]))
