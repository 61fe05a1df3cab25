"""Merging: the union of several classifications.

Merging is commutative, associative and idempotent: the parts may be in any order, merged in groups, and repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import fsum
from typing import Any, Generic, TypeVar

from msgspec.structs import replace

from tracer.classify.classification import assemble
from tracer.classify.model import (
    Classification,
    Evidence,
    RefusedService,
    RunInfo,
    RunResult,
    SetUp,
    TestResult,
    Verification,
)
from tracer.classify.services.rules import Rules
from tracer.classify.set_ups import set_up_key
from tracer.classify.verified import unite
from tracer.trace.json_codec import dump
from tracer.trace.records import StaticFacts

V = TypeVar("V")
_Key = tuple[Any, ...]
"""The order of values of one type; equal only for equal values."""


def merge(parts: Iterable[Classification]) -> Classification:
    """The union of at least one classification; all must have the same rules. Each part is read once and not kept.

    Tests are sorted by node id. If several runs had a test, its services and evidence are those of all runs, and its
    outcome, assumptions and facts are those of the last run. Runs with equal RunInfo are one run.
    """
    union: _Union | None = None
    for part in parts:
        union = union or _Union(part.rules)
        union.add(part)
    if union is None:
        raise ValueError("there is nothing to merge")
    return union.classification()


class _Union:
    """The parts merged so far. Runs and facts are numbered as they arrive, and get their final numbers at the end."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._runs = _Numbered[RunInfo](_run_key)
        self._facts = _Numbered[StaticFacts](lambda facts: facts)
        self._set_ups = _Numbered[SetUp](set_up_key)
        self._tests: dict[str, _Test] = {}
        self._run_evidence = _EvidenceUnion()
        self._verified: tuple[Verification, ...] = ()
        self._generated_at = ""

    def add(self, part: Classification) -> None:
        """Add a part."""
        runs = [self._runs.number(run) for run in part.each_run]
        facts = [self._facts.number(one) for one in part.facts]
        set_ups = [self._set_up(one) for one in part.set_ups]
        for nodeid, test in part.tests.items():
            runs_of_test = test.runs or (RunResult(0, test.outcome, test.duration_s, test.attempts, test.shared_s),)
            renumbered = replace(
                test,
                facts=None if test.facts is None else facts[test.facts],
                set_ups=tuple(set_ups[number] for number in test.set_ups),
                runs=tuple(replace(result, run=runs[result.run]) for result in runs_of_test),
            )
            known = self._tests.get(nodeid)
            if known is None:
                self._tests[nodeid] = _Test(renumbered)
            else:
                known.add(renumbered, self._recency)
        self._run_evidence.add(part.run_evidence)
        if part.verified:
            self._verified = unite((*self._verified, *part.verified))
        self._generated_at = max(self._generated_at, part.generated_at)

    def classification(self) -> Classification:
        """The union of all parts."""
        runs, run_places = self._runs.in_order()
        facts, facts_places = self._facts.in_order()
        set_ups, set_up_places = self._set_ups.in_order()
        places = run_places, facts_places, set_up_places
        return assemble(
            {nodeid: _placed(self._tests[nodeid].united(), *places) for nodeid in sorted(self._tests)},
            facts,
            self._rules,
            run=_as_one(runs),
            run_evidence=self._run_evidence.united(),
            generated_at=self._generated_at,
            set_ups=set_ups,
            runs=runs,
            verified=self._verified,
        )

    def _set_up(self, one: SetUp) -> int:
        """The number of a set-up, of which the longest duration is kept."""
        number = self._set_ups.number(one)
        self._set_ups.values[number] = max(self._set_ups.values[number], one, key=lambda known: known.duration_s)
        return number

    def _recency(self, test: TestResult) -> _Key:
        """Orders results of one test by their last run, then by the other fields that the later result decides."""
        last = max(self._runs.keys[one.run] for one in test.runs)
        return last, test.outcome, test.assumed, dump(None if test.facts is None else self._facts.values[test.facts])


class _Test:
    """One test's results in the parts so far: each is added once, so that the work is not squared with their number."""

    __slots__ = ("_last", "_several")

    def __init__(self, first: TestResult) -> None:
        self._last = first
        self._several: _Several | None = None  # only of a test that several parts have

    def add(self, other: TestResult, recency: Callable[[TestResult], _Key]) -> None:
        """Add the result in another part."""
        if self._several is None:
            self._several = _Several(recency(self._last))
            self._several.add(self._last)
        self._several.add(other)
        latest = recency(other)
        if latest > self._several.recency:
            self._last, self._several.recency = other, latest

    def united(self) -> TestResult:
        """The union of the results."""
        return self._last if self._several is None else self._several.united(self._last)


class _Several:
    """The fields of several results that are united."""

    def __init__(self, recency: _Key) -> None:
        self.recency = recency  # of the last result
        self._services: set[str] = set()
        self._ambient: set[str] = set()
        self._self_hosted: set[str] = set()
        self._set_ups: set[int] = set()
        self._runs: set[RunResult] = set()
        self._evidence = _EvidenceUnion()

    def add(self, test: TestResult) -> None:
        """Add a result."""
        self._services.update(test.services)
        self._ambient.update(test.ambient)
        self._self_hosted.update(test.self_hosted)
        self._set_ups.update(test.set_ups)
        self._runs.update(test.runs)
        self._evidence.add(test.evidence)

    def united(self, last: TestResult) -> TestResult:
        """The last result with the union of these fields."""
        return replace(
            last,
            services=tuple(sorted(self._services)),
            ambient=tuple(sorted(self._ambient - self._services)),
            self_hosted=tuple(sorted(self._self_hosted)),
            evidence=self._evidence.united(),
            set_ups=tuple(self._set_ups),
            runs=tuple(self._runs),
        )


class _EvidenceUnion:
    """Each evidence once, in the order of time. If all parts have the same evidence, its order is kept."""

    def __init__(self) -> None:
        self._first: tuple[Evidence, ...] | None = None
        self._all: set[Evidence] | None = None  # only if the parts differ

    def add(self, evidence: tuple[Evidence, ...]) -> None:
        """Add a part's evidence."""
        if self._first is None:
            self._first = evidence
        elif self._all is not None:
            self._all.update(evidence)
        elif evidence != self._first:
            self._all = {*self._first, *evidence}

    def united(self) -> tuple[Evidence, ...]:
        """The union."""
        return (self._first or ()) if self._all is None else tuple(sorted(self._all, key=_evidence_key))


class _Numbered(Generic[V]):
    """Different values, numbered as they arrive."""

    def __init__(self, key: Callable[[V], Any]) -> None:
        self.values: list[V] = []  # by number
        self.keys: list[Any] = []  # by number
        self._key = key
        self._numbers: dict[Any, int] = {}

    def number(self, value: V) -> int:
        """The value's number, a new one if it has none."""
        key = self._key(value)
        number = self._numbers.setdefault(key, len(self.values))
        if number == len(self.values):
            self.values.append(value)
            self.keys.append(key)
        return number

    def in_order(self) -> tuple[tuple[V, ...], list[int]]:
        """The values, sorted by key; and the position of each number in them."""
        order = [number for _, number in sorted(self._numbers.items())]
        places = sorted(range(len(order)), key=order.__getitem__)
        return tuple(self.values[number] for number in order), places


def _placed(test: TestResult, runs: Sequence[int], facts: Sequence[int], set_ups: Sequence[int]) -> TestResult:
    """A test with the final numbers of its runs, facts and set-ups, and with its sums."""
    results = sorted(replace(result, run=runs[result.run]) for result in test.runs)
    return replace(
        test,
        duration_s=round(fsum(result.duration_s for result in results), 6),
        attempts=sum(result.attempts for result in results),
        facts=None if test.facts is None else facts[test.facts],
        set_ups=tuple(sorted(set_ups[number] for number in test.set_ups)),
        shared_s=round(fsum(result.shared_s for result in results), 6),
        runs=tuple(results),
    )


def _as_one(runs: Sequence[RunInfo]) -> RunInfo:
    """Several runs as if they were one."""
    missing = [run.missing_tests for run in runs]
    statuses = [run.exit_status for run in runs if run.exit_status is not None]
    return RunInfo(
        command=runs[0].command if len({run.command for run in runs}) == 1 else (),
        backend=", ".join(sorted({run.backend for run in runs})),
        kernel=", ".join(sorted({run.kernel for run in runs})),
        started_at=min(run.started_at for run in runs),
        duration_s=round(fsum(run.duration_s for run in runs), 3),
        exit_status=max(statuses) if len(statuses) == len(runs) else None,
        complete=all(run.complete for run in runs),
        lost_events=sum(run.lost_events for run in runs),
        warnings=tuple(dict.fromkeys(warning for run in runs for warning in run.warnings)),
        pytest_reported=all(run.pytest_reported for run in runs),
        missing_tests=None if None in missing else sum(filter(None, missing)),
        lacks_causes=next((run.lacks_causes for run in runs if run.lacks_causes), ""),
        refused=_refused(runs),
        partial=any(run.partial for run in runs),
    )


def _refused(runs: Iterable[RunInfo]) -> tuple[RefusedService, ...]:
    """The services that were refused to any of the runs."""
    calls: dict[str, int | None] = {}
    for one in (one for run in runs for one in run.refused):
        before = calls.get(one.service, 0)
        calls[one.service] = None if before is None or one.calls is None else before + one.calls
    return tuple(RefusedService(service, count) for service, count in sorted(calls.items()))


def _evidence_key(evidence: Evidence) -> _Key:
    return evidence.first_s is not None, evidence.first_s or 0, dump(evidence)


def _run_key(run: RunInfo) -> _Key:
    return run.started_at, dump(run)
