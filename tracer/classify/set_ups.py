"""Set-ups: the fixtures and imports that tests share, and the time that they take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from tracer.classify.model import SetUp, SetUpScope
from tracer.classify.places import Owner, Places
from tracer.classify.via import Via
from tracer.trace.ids import InstanceId, ProcessId, SpanId
from tracer.trace.records import Attempt, Span, Trace

_SHORTEST_S: Final = 0.001
"""Set-ups that take less are left out: the tests' own durations vary more."""

_Key = tuple[Any, ...]


class SetUps:
    """The set-ups of a trace, and the tests that share them.

    The first collection of each process is none: it imports the application too, whichever module is first. It is a
    part of the session.

    Attributes:
        all: the set-ups, sorted.
    """

    all: tuple[SetUp, ...]

    def __init__(self, trace: Trace, places: Places) -> None:
        self._trace, self._places = trace, places
        self._first = _first_collections(trace.spans.values())
        self._shared_ns: dict[SpanId, int] = {}  # test → time of the set-ups within it
        longest: dict[_Key, SetUp] = {}
        keys: dict[Owner, _Key] = {}
        for owner, time_ns in self._times_ns().items():
            set_up = self._set_up(owner, round(time_ns / 1e9, 6))
            keys[owner] = key = set_up_key(set_up)
            known = longest.setdefault(key, set_up)
            if known.duration_s < set_up.duration_s:
                longest[key] = set_up
        kept = sorted(key for key, set_up in longest.items() if set_up.duration_s >= _SHORTEST_S)
        self.all = tuple(longest[key] for key in kept)
        numbers = {key: number for number, key in enumerate(kept)}
        self._numbers = {owner: numbers[key] for owner, key in keys.items() if key in numbers}
        self._known: dict[tuple[tuple[Owner, frozenset[InstanceId]], ...], tuple[int, ...]] = {}

    def of(self, attempts: Iterable[Attempt]) -> tuple[int, ...]:
        """The positions of a test's set-ups."""
        sources = tuple(
            (self._places.collection(attempt.span), self._places.instances(attempt.span)) for attempt in attempts
        )
        known = self._known.get(sources)  # many tests have the same
        if known is None:
            owners = {module for module, _ in sources}
            owners |= {Owner("instance", instance) for _, instances in sources for instance in instances}
            known = tuple(sorted({self._numbers[owner] for owner in owners if owner in self._numbers}))
            self._known[sources] = known
        return known

    def shared_s(self, attempts: Iterable[Attempt]) -> float:
        """Seconds of set-ups within a test."""
        return round(sum(self._shared_ns.get(attempt.span, 0) for attempt in attempts) / 1e9, 6)

    def before_s(self, test: Span) -> float:
        """Seconds before the run's first test, without the imports of modules after the first one."""
        imports_ns = sum(
            span.end_ns - span.start_ns
            for span in self._trace.spans.values()
            if span.kind == "collection" and span.process == test.process
            if span.end_ns <= test.start_ns and span.id not in self._first
        )
        return (test.start_ns - self._trace.run.start_ns - imports_ns) / 1e9

    def _times_ns(self) -> dict[Owner, int]:
        """The time of each owner's spans, without other set-ups within them. Fills `_shared_ns` too."""
        spans = {span.id: span for span in self._places.wide_spans()}
        times_ns: dict[Owner, int] = {}
        for span in spans.values():
            time_ns = span.end_ns - span.start_ns
            if span.id not in self._first:
                owner = self._places.of(span.id).owner
                times_ns[owner] = times_ns.get(owner, 0) + time_ns
            around = self._trace.spans.get(span.parent)
            while around is not None and around.kind != "test" and around.id not in spans:
                around = self._trace.spans.get(around.parent)
            if around is not None and around.kind == "test":
                self._shared_ns[around.id] = self._shared_ns.get(around.id, 0) + time_ns
            elif around is not None and around.id not in self._first:
                outer = self._places.of(around.id).owner
                times_ns[outer] = times_ns.get(outer, 0) - time_ns
        return times_ns

    def _set_up(self, owner: Owner, duration_s: float) -> SetUp:
        if owner.kind == "module":
            return SetUp(Via("module", owner.module), "import", owner.module, None, duration_s)
        instance = self._trace.instances[InstanceId(owner.id)]
        scope = cast(SetUpScope, instance.scope)
        node = "" if scope == "session" else instance.node
        return SetUp(Via("fixture", instance.name, instance.baseid), scope, node, instance.param, duration_s)


def set_up_key(set_up: SetUp) -> _Key:
    """Orders set-ups; equal for the same one in several processes and runs."""
    return set_up.via, set_up.scope, set_up.node, set_up.param is not None, set_up.param or ""


def _first_collections(spans: Iterable[Span]) -> set[SpanId]:
    first: dict[ProcessId, Span] = {}
    for span in spans:
        if span.kind == "collection" and span.start_ns <= first.setdefault(span.process, span).start_ns:
            first[span.process] = span
    return {span.id for span in first.values()}
