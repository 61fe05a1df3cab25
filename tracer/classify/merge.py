"""Merging: one classification out of several, by union.

What a merged classification says follows from the set of its runs and from what each says of each test, and from
nothing else. So it doesn't matter in which order, in which groups or how often parts are merged: to merge is
associative, commutative and idempotent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from math import fsum
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from tracer.classify.classification import assemble
from tracer.classify.model import Classification, Evidence, RunInfo, RunResult, TestResult
from tracer.classify.services.config import Rules
from tracer.trace.records import StaticFacts

V = TypeVar("V")
_Key = tuple[Any, ...]
"""By which values of one type are ordered; equal only for equal values."""

_facts_key: Final = attrgetter(*(field.name for field in fields(StaticFacts)))
_result_key: Final = attrgetter(*(field.name for field in fields(RunResult)))
_EVIDENCE: Final = tuple(field.name for field in fields(Evidence))


def merge(parts: Iterable[Classification]) -> Classification:
    """Unite classifications, at least one, which were made by the same rules; each is read once and not kept.

    The tests come by node id. Of a test that several runs had, services and evidence are united, and the last run
    says the outcome and what was assumed. Two runs are the same if all is equal that is said of them.
    """
    union: _Union | None = None
    for part in parts:
        union = union or _Union(part.rules)
        union.add(part)
    if union is None:
        raise ValueError("there is nothing to merge")
    return union.classification()


class _Union:
    """What has been merged so far. Runs and facts are numbered as they come; they get their places at the end."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._runs = _Numbered[RunInfo](_run_key)
        self._facts = _Numbered[StaticFacts](_facts_key)
        self._tests: dict[str, TestResult] = {}
        self._run_evidence: tuple[Evidence, ...] = ()
        self._generated_at = ""

    def add(self, part: Classification) -> None:
        """Take in what a part says."""
        runs = [self._runs.number(run) for run in part.runs or (part.run,)]
        facts = [self._facts.number(one) for one in part.facts]
        for nodeid, test in part.tests.items():
            told = test.runs or (RunResult(0, test.outcome, test.duration_s, test.attempts),)
            renumbered = replace(
                test,
                facts=None if test.facts is None else facts[test.facts],
                runs=tuple(_renumbered(one, runs) for one in told),
            )
            known = self._tests.get(nodeid)
            self._tests[nodeid] = renumbered if known is None else self._united(known, renumbered)
        self._run_evidence = _united_evidence(self._run_evidence, part.run_evidence)
        self._generated_at = max(self._generated_at, part.generated_at)

    def classification(self) -> Classification:
        """All that was taken in, as one."""
        runs, run_places = self._runs.in_order()
        facts, facts_places = self._facts.in_order()
        return assemble(
            {nodeid: _placed(self._tests[nodeid], run_places, facts_places) for nodeid in sorted(self._tests)},
            facts,
            self._rules,
            run=_as_one(runs),
            run_evidence=self._run_evidence,
            generated_at=self._generated_at,
            runs=runs,
        )

    def _united(self, one: TestResult, other: TestResult) -> TestResult:
        services = {*one.services, *other.services}
        return replace(
            max(one, other, key=self._recency),
            services=tuple(sorted(services)),
            ambient=tuple(sorted({*one.ambient, *other.ambient} - services)),
            self_hosted=tuple(sorted({*one.self_hosted, *other.self_hosted})),
            evidence=_united_evidence(one.evidence, other.evidence),
            runs=tuple({*one.runs, *other.runs}),
        )

    def _recency(self, test: TestResult) -> _Key:
        """The later a test's last run, the greater; then whatever else decides which of two the merged one follows."""
        last = max(_run_key(self._runs.values[one.run]) for one in test.runs)
        facts = () if test.facts is None else _facts_key(self._facts.values[test.facts])
        return last, test.outcome, test.assumed, facts


class _Numbered(Generic[V]):
    """Different values, numbered as they come."""

    def __init__(self, key: Callable[[V], _Key]) -> None:
        self.values: list[V] = []  # by number
        self._key = key
        self._numbers: dict[_Key, int] = {}

    def number(self, value: V) -> int:
        """The value's number, a new one if it has none."""
        number = self._numbers.setdefault(self._key(value), len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number

    def in_order(self) -> tuple[tuple[V, ...], list[int]]:
        """The values in the order of their keys; and by number, where each stands there."""
        order = [number for _, number in sorted(self._numbers.items())]
        places = sorted(range(len(order)), key=order.__getitem__)
        return tuple(self.values[number] for number in order), places


def _placed(test: TestResult, runs: Sequence[int], facts: Sequence[int]) -> TestResult:
    """A test with its runs and facts numbered by where they stand in the end, and its sums made."""
    told = sorted((_renumbered(one, runs) for one in test.runs), key=_result_key)
    return replace(
        test,
        duration_s=round(fsum(one.duration_s for one in told), 6),
        attempts=sum(one.attempts for one in told),
        facts=None if test.facts is None else facts[test.facts],
        runs=tuple(told),
    )


def _renumbered(one: RunResult, runs: Sequence[int]) -> RunResult:
    return RunResult(runs[one.run], one.outcome, one.duration_s, one.attempts)


def _as_one(runs: Sequence[RunInfo]) -> RunInfo:
    """What can be said of several runs together."""
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
    )


def _united_evidence(one: tuple[Evidence, ...], other: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Each evidence once, by time; in the order that both have if they are the same."""
    return one if one == other else tuple(sorted({*one, *other}, key=_evidence_key))


def _evidence_key(evidence: Evidence) -> _Key:
    values = (getattr(evidence, name) for name in _EVIDENCE)
    return (*_comparable(evidence.first_s), *(part for value in values for part in _comparable(value)))


def _run_key(run: RunInfo) -> _Key:
    numbers = (run.duration_s, *_comparable(run.exit_status), run.complete, run.lost_events, run.pytest_reported)
    return run.started_at, run.command, run.backend, run.kernel, *numbers, run.warnings


def _comparable(value: Any) -> tuple[bool, Any]:  # noqa: ANN401 -- a record's fields are of any type
    """A value that may be None, as what can be ordered."""
    return value is not None, value if value is not None else 0
