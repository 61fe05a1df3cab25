"""Presence: whether a run had a test, so that its report shows something about the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from tracer.classify.model import CUT_OFF, Classification

Presence = Literal["ran", "skipped", "not run", "gone"]
"""ran: to its end; skipped; not run: not selected, in another shard, or cut short; gone: it does not exist any more."""


class Presences:
    """The presence of tests in a report."""

    def __init__(self, classification: Classification, exists: Callable[[str], bool] = lambda _: True) -> None:
        """`exists`: whether a file exists, by its path from pytest's rootdir."""
        self._tests, self._exists = classification.tests, exists
        whole = {
            number for number, run in enumerate(classification.each_run) if not run.partial and run.missing_tests == 0
        }
        self._files = {
            _file(nodeid)
            for nodeid, test in classification.tests.items()
            if not whole.isdisjoint({one.run for one in test.runs} or {0})
        }

    def of(self, nodeid: str) -> Presence:
        """The presence of a test.

        A test that the report does not have is gone if its file does not exist, or if a run that left out no tests has
        others of the file.
        """
        test = self._tests.get(nodeid)
        if test is None:
            file = _file(nodeid)
            return "gone" if file in self._files or not self._exists(file) else "not run"
        outcomes = {test.outcome, *(one.outcome for one in test.runs)}
        if outcomes <= CUT_OFF:
            return "not run"
        return "skipped" if outcomes <= {*CUT_OFF, "skipped"} else "ran"


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
