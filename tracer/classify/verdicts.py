"""Verdicts: which tests need some services, by the reports of runs with and without them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import Final, NamedTuple

from tracer.classify.classification import iso_time
from tracer.classify.findings import is_whole
from tracer.classify.model import (
    Classification,
    Evidence,
    Outcome,
    Reason,
    RunResult,
    TestResult,
    TestVerdict,
    Through,
    Verdict,
    Verification,
)
from tracer.classify.refusals import Refused, count_attempts, outside_attempts, refused_imports, through
from tracer.trace.endpoint import Endpoint

_PASSED: Final[frozenset[Outcome]] = frozenset({"passed", "xpassed"})
"""The test's body passed. `xfailed` is no success: such a test fails in any case, so it decides nothing."""
_CUT_SHORT: Final[frozenset[Outcome]] = frozenset({"interrupted", "not run"})
"""The session ended the test. `crashed` is not among them: the test may have crashed because of the refusal."""


def compare_trials(
    with_services: Sequence[Classification],
    without: Sequence[Classification],
    services: Collection[str],
    *,
    command: Sequence[str],
    generated_at: datetime,
    endpoints: Mapping[Endpoint, str] | None = None,
    selected: Collection[str] | None = None,
) -> Verification:
    """The verdict of each test.

    Args:
        with_services: the reports of at least one run with the services, in the order of time. A merged report has
            several runs. Runs after the first may have only some of the tests.
        without: those of at least one run without.
        services: the names of the refused services; `(unknown)`: all endpoints that no rule names.
        command: the command of the runs.
        generated_at: the time.
        endpoints: what else was refused: endpoint → service. Those at which the runs with the services met them need
            not be named.
        selected: node ids of the tests that were to run without the services; None: all. Others have no verdict.
    """
    trial = _Trial(with_services, without, Refused.of(services, with_services, endpoints or {}))
    known = {nodeid for run in with_services for nodeid in run.tests}
    ran = {nodeid for run in without for nodeid in run.tests}
    nodeids = ran | (known if selected is None else known.intersection(selected))
    runs = (*with_services, *without)
    return Verification(
        generated_at=iso_time(generated_at),
        command=tuple(command),
        without=tuple(sorted(services)),
        complete=all(is_whole(run.run) for run in runs),
        runs_with=_count_runs(with_services),
        runs_without=_count_runs(without),
        tests={nodeid: trial.verdict_of(nodeid) for nodeid in sorted(nodeids)},
    )


class _Refusal(NamedTuple):
    """The refused attempts of a test, and through what it was refused."""

    attempts: Sequence[Evidence] = ()
    through: Through | None = None


class _Trial:
    """The runs with the services, and those without."""

    def __init__(
        self, with_services: Sequence[Classification], without: Sequence[Classification], refused: Refused
    ) -> None:
        self._with, self._without, self._refused = with_services, without, refused
        self._imports: dict[str, _Refusal] = {}  # module whose import failed → its attempts
        self._no_session = _Refusal()  # of tests that no run had, because the session ended before all tests
        self._session = _Refusal()  # of all tests, outside of them
        for run in without:
            modules, outside = refused_imports(run, refused), outside_attempts(run, refused)
            if run.tests or len(modules) == 1:  # else one of several failed, and ended the collection
                for module, attempts in modules.items():
                    self._imports.setdefault(module, _Refusal(attempts, f"module:{module}"))
            elif outside and not modules:
                self._no_session = _Refusal(outside, "session")
            if in_pytest := [one for one in outside if one.thread == "test"]:  # not: in another part of the command
                self._session = _Refusal(in_pytest, "session")

    def verdict_of(self, nodeid: str) -> TestVerdict:
        """The verdict of a test that at least one of the runs has."""
        before = [run.tests[nodeid] for run in self._with if nodeid in run.tests]
        after = [run.tests[nodeid] for run in self._without if nodeid in run.tests]
        refusal = self._refusal(after) if after else self._imports.get(nodeid.partition("::")[0], self._no_session)
        used = [one for test in before for one in self._refused.uses(test)]
        verdict, reason = decide(_outcomes(before), _outcomes(after) or (["error"] if refusal.attempts else []))
        if verdict == "needs" and not used and not refusal.attempts:
            refusal = self._session
        tried = {self._refused.service_of(one) for one in (*used, *refusal.attempts)} - {None}
        if verdict == "tolerates":
            if any(one.strength != "attempted" for test in after for one in self._refused.uses(test)):
                verdict, reason = "undecided", "reached"
            elif not tried:
                verdict = "unaffected"
        return TestVerdict(
            verdict=verdict,
            outcome_with=before[-1].outcome if before else None,
            outcome_without=after[-1].outcome if after else None,
            refused=count_attempts(refusal.attempts),
            through=refusal.through,
            duration_with_s=_duration(before),
            duration_without_s=_duration(after),
            tried=tuple(sorted(filter(None, tried))),
            reason=reason,
        )

    def _refusal(self, results: Iterable[TestResult]) -> _Refusal:
        """What was refused to a test, in the run with the most refused attempts."""
        attempts = [(test, self._refused.attempts(test.evidence)) for test in results]
        test, most = max(attempts, key=lambda one: count_attempts(one[1]))
        return _Refusal(most, through(test, most))


def decide(with_services: Collection[Outcome], without: Collection[Outcome]) -> tuple[Verdict, Reason | None]:
    """The verdict that follows from the outcomes of all runs alone; `unaffected` is among `tolerates`.

    Args:
        with_services: a test's outcomes in the runs with the services, in any order; empty: none had it.
        without: those in the runs without.
    """
    if not with_services:
        return "undecided", "missing-with"
    if not without:
        return "undecided", "missing-without"
    before, after = (set(outcomes) - _CUT_SHORT for outcomes in (with_services, without))
    if not before or not after:
        return "undecided", "cut-short"
    if any(outcomes & _PASSED and outcomes - _PASSED for outcomes in (before, after)):
        return "undecided", "flaky"
    if not before & _PASSED:
        return "undecided", "skipped" if before == {"skipped"} else "failed"
    return ("tolerates", None) if after & _PASSED else ("needs", None)


def _results(test: TestResult) -> Sequence[RunResult]:
    """A test's result in each run of a report."""
    return test.runs or (RunResult(0, test.outcome, test.duration_s, test.attempts),)


def _outcomes(results: Iterable[TestResult]) -> list[Outcome]:
    return [one.outcome for test in results for one in _results(test)]


def _duration(results: Iterable[TestResult]) -> float | None:
    durations = [one.duration_s for test in results for one in _results(test)]
    return round(median(durations), 6) if durations else None


def _count_runs(reports: Iterable[Classification]) -> int:
    return sum(len(report.runs) or 1 for report in reports)
