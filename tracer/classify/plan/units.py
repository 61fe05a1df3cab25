"""From a report to a problem: the units of tests, what they need, and the set-ups that they share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Final, NamedTuple

from tracer.classify.model import ALL_UNKNOWN, Classification, TestResult, is_unknown
from tracer.classify.plan.problem import US, Problem, SetUp, Unit
from tracer.classify.selection import ANYTHING, Needs, unit_of
from tracer.classify.selection import Unit as UnitKind
from tracer.classify.service_names import renamed

_IN_EACH_WORKER: Final = ("session", "import")
_NARROW: Final = ("module", "class")


class Suite(NamedTuple):
    """The present tests of a suite, and what is known about them."""

    classification: Classification
    needs: Mapping[str, Needs]  # node id → services; `ANYTHING`: all
    durations: Mapping[str, float] = {}  # seconds that replace those of the report
    names: Mapping[str, str] = {}  # new names, as they were applied to the needs
    is_argument: Callable[[str], bool] = lambda _: True  # whether pytest can select a node id by its name


def services_of(suite: Suite, others: Iterable[str] = ()) -> tuple[str, ...]:
    """All services that a test may need, sorted: those that tests need, those that rules claim, and others."""
    found = {service for needs in set(suite.needs.values()) for service in needs}
    known = {service for service in found if not is_unknown(service)}
    one = suite.classification
    known |= renamed({*one.rules.assumptions, *one.summary.services}, suite.names)
    known.update(others)
    known = {service for service in known if not is_unknown(service)}
    has_unknown = any(is_unknown(service) and service != ANYTHING for service in found)
    return (*sorted(known - {ALL_UNKNOWN}), *((ALL_UNKNOWN,) if has_unknown or ALL_UNKNOWN in known else ()))


def problem_of(
    suite: Suite,
    seconds: Mapping[str, float],
    kind: UnitKind,
    *,
    shards: int,
    workers: int = 1,
    one_by_one: bool = False,
) -> Problem:
    """The problem to distribute a suite's units.

    Args:
        suite: the tests.
        seconds: the start-up cost of each service that a test may need, in the order of the bits.
        kind: what stays together. Tests of one xdist group also do, and tests that share a fixture of module or class
            scope which takes longer than they do themselves.
        shards: how many, at most.
        workers: xdist's, in each shard.
        one_by_one: services start one after the other.
    """
    bits = {service: 1 << bit for bit, service in enumerate(seconds)}
    durations = _Durations(suite)
    set_ups = suite.classification.set_ups
    parts: dict[str, list[str]] = defaultdict(list)
    names = _unit_names(suite, kind, durations)
    for nodeid in suite.needs:
        parts[names[nodeid]].append(nodeid)
    imports = {one.node: number for number, one in enumerate(set_ups) if one.scope == "import"}
    masks: dict[Needs, int] = {}
    units: list[Unit] = []
    for tests in parts.values():
        united, times_us, shared, groups = 0, [], set[int](), defaultdict[str, int](int)
        for nodeid in tests:
            needs = suite.needs[nodeid]
            if needs not in masks:
                masks[needs] = _mask(needs, bits)
            united |= masks[needs]
            time_us = round(durations.of(nodeid) * US)
            times_us.append(time_us)
            if group := _group(suite.classification, nodeid):
                groups[group] += time_us
            if (test := suite.classification.tests.get(nodeid)) is not None:
                shared.update(test.set_ups)
            elif (number := imports.get(nodeid.partition("::")[0])) is not None:
                shared.add(number)
        longest_us = max(*times_us, *groups.values(), 0)
        units.append(Unit(tuple(tests), united, sum(times_us), longest_us, tuple(sorted(shared))))
    return Problem(
        services=tuple(seconds),
        start_up_us=tuple(round(cost * US) for cost in seconds.values()),
        units=tuple(units),
        set_ups=tuple(SetUp(max(0, round(one.duration_s * US)), one.scope in _IN_EACH_WORKER) for one in set_ups),
        shards=shards,
        workers=workers,
        session_us=_session_us(suite.classification),
        one_by_one=one_by_one,
    )


def _mask(needs: Needs, bits: Mapping[str, int]) -> int:
    if ANYTHING in needs:
        return sum(bits.values())
    mask = 0
    for service in needs:
        mask |= bits[ALL_UNKNOWN if is_unknown(service) else service]
    return mask


class _Durations:
    """Seconds of each test, without its set-ups. Of an unknown test: the median of its file, otherwise of all."""

    def __init__(self, suite: Suite) -> None:
        self._known: dict[str, float] = {}
        by_file: dict[str, list[float]] = defaultdict(list)
        for nodeid, test in suite.classification.tests.items():
            self._known[nodeid] = seconds = suite.durations.get(nodeid, own_seconds(test))
            by_file[nodeid.partition("::")[0]].append(seconds)
        self._others = suite.durations
        self._files = {file: median(times) for file, times in by_file.items()}
        self._median = median(self._known.values()) if self._known else 0.0

    def of(self, nodeid: str) -> float:
        known = self._known.get(nodeid, self._others.get(nodeid))
        return self._files.get(nodeid.partition("::")[0], self._median) if known is None else known


def own_seconds(test: TestResult) -> float:
    """The mean time of a test in its runs, without the set-ups that it shares."""
    return max(0.0, test.duration_s - test.shared_s) / max(1, len(test.runs))


def _group(classification: Classification, nodeid: str) -> str:
    test = classification.tests.get(nodeid)
    return "" if test is None or test.facts is None else classification.facts[test.facts].group


def _unit_names(suite: Suite, kind: UnitKind, durations: _Durations) -> Mapping[str, str]:
    """Node id → the name of its unit: the first of the units that are joined to one."""
    one = suite.classification
    joined = _Joined()
    names = {nodeid: unit_of(nodeid, kind) for nodeid in suite.needs}
    sharing: dict[int, list[str]] = defaultdict(list)  # set-up of a module or class → tests
    for nodeid, name in names.items():
        if group := _group(one, nodeid):
            joined.join(f"@{group}", name)
        if not suite.is_argument(nodeid):
            joined.join(f"[{unit_of(nodeid, 'class')}", name)
        if (test := one.tests.get(nodeid)) is not None:
            for number in test.set_ups:
                if one.set_ups[number].scope in _NARROW:
                    sharing[number].append(nodeid)
    unselectable = {unit_of(nodeid, "class") for nodeid in names if not suite.is_argument(nodeid)}
    for nodeid, name in names.items() if unselectable else ():
        if (whole := unit_of(nodeid, "class")) in unselectable:
            joined.join(f"[{whole}", name)
    for number, tests in sharing.items():
        if one.set_ups[number].duration_s > sum(map(durations.of, tests)):
            _join_all(joined, [names[nodeid] for nodeid in tests])
    return {nodeid: joined.root(name) for nodeid, name in names.items()}


def _join_all(joined: _Joined, names: Sequence[str]) -> None:
    for name in names[1:]:
        joined.join(names[0], name)


class _Joined:
    """Names in disjoint sets (union-find)."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def root(self, name: str) -> str:
        """The name that stands for the set of this one."""
        path = []
        while (above := self._above.get(name, name)) != name:
            path.append(name)
            name = above
        for one in path:
            self._above[one] = name
        return name

    def join(self, one: str, other: str) -> None:
        """Make one set of two."""
        self._above[self.root(other)] = self.root(one)


def _session_us(classification: Classification) -> int:
    known = [run.session_s for run in classification.each_run if run.session_s is not None]
    return round(median(known) * US) if known else 0
