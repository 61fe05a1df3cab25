"""The place of a span in the suite: its test, phase, fixture instance and module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from tracer.classify.model import Phase
from tracer.trace.ids import NO_INSTANCE, NO_PROCESS, NO_SPAN, InstanceId, ProcessId, SpanId, Tid
from tracer.trace.records import Attempt, Span, Trace

_FUNCTION: Final = "function"


class Owner(NamedTuple):
    """What evidence belongs to: a test, a fixture instance, the collection of a module, or the run."""

    kind: Literal["test", "instance", "module", "run"]
    id: int = 0  # test: its span; instance: its id; module: the process that collected it
    module: str = ""  # its node id


RUN: Final = Owner("run")


class Place(Struct, frozen=True, gc=False, cache_hash=True):
    """The place of a span in the suite."""

    process: ProcessId  # the span's runner
    tid: Tid
    test: SpanId = NO_SPAN  # span of the outermost test around it; 0: none
    phase: Phase | None = None
    fixture: str | None = None  # innermost fixture, of any scope
    instance: InstanceId = NO_INSTANCE  # innermost fixture instance wider than function scope; 0: none
    module: str | None = None  # node id of the module that is being collected

    @property
    def owner(self) -> Owner:
        """What the place's evidence belongs to: the instance, else the test, else the module, else the run."""
        if self.instance:
            return Owner("instance", self.instance)
        if self.test:
            return Owner("test", self.test)
        if self.module is not None:
            return Owner("module", self.process, self.module)
        return RUN

    def outside(self) -> Place:
        """The place of the test around it; without a test, that of the run."""
        return replace(self, instance=NO_INSTANCE, module=None)


OUTSIDE: Final = Place(NO_PROCESS, Tid(0))
"""The place of what happens outside all spans, in a thread that has none."""


class Places:
    """The places of a trace's spans, and the spans that belong to its tests. Wide: wider than function scope.

    Attributes:
        attempts: the attempts of the suite's own tests, without those of sessions that a test runs.
    """

    attempts: tuple[Attempt, ...]

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._places: dict[SpanId, Place] = {}
        self._inner: set[SpanId] = set()  # of sessions within tests
        self._instance_spans: dict[InstanceId, list[Span]] = {}  # of instances wider than function scope
        self._collections: dict[tuple[ProcessId, str], list[Span]] = {}  # process, module → its collection
        shared = [span for span in trace.spans.values() if span.kind in ("fixture", "collection")]
        for span in sorted(shared, key=lambda span: span.start_ns):
            if span.kind == "collection":
                self._collections.setdefault((span.process, str(span.subject)), []).append(span)
            elif isinstance(span.subject, int) and self._is_wide(span.subject):
                self._instance_spans.setdefault(span.subject, []).append(span)
        self._attempts = {attempt.span: attempt for attempt in trace.attempts}
        self._closures: dict[tuple[InstanceId, ...], frozenset[InstanceId]] = {}  # many tests request the same
        self._set_up_in: dict[SpanId, list[InstanceId]] = {}  # test span → wide instances set up in it
        for instance, spans in self._instance_spans.items():
            if test := self.of(spans[0].id).test:
                self._set_up_in.setdefault(test, []).append(instance)
        self.attempts = tuple(attempt for attempt in trace.attempts if self._is_of_suite(attempt))

    def of(self, span_id: SpanId) -> Place:
        """The place of a span.

        A session within a test, in the same process or in a child, is a part of the test with all its spans.
        """
        known = self._places.get(span_id)
        if known is None:
            for span in self._unplaced(span_id):
                known = self._places[span.id] = self._find(span)
            assert known is not None
        return known

    def _unplaced(self, span_id: SpanId) -> list[Span]:
        """A span and the spans around it whose places are not known yet, from the outermost on."""
        unplaced: list[Span] = []
        outer = self._trace.spans.get(span_id)
        while outer is not None and outer.id not in self._places:
            unplaced.append(outer)
            outer = self._trace.spans.get(outer.parent)
        return unplaced[::-1]

    def _find(self, span: Span) -> Place:
        """The place of a span follows from that of the span around it."""
        around = self._places.get(span.parent, OUTSIDE)
        if span.parent in self._inner or (around.test and span.kind in ("session", "conftest")):
            self._inner.add(span.id)
            return around
        test, phase, fixture, instance, module = (
            around.test, around.phase, around.fixture, around.instance, around.module
        )  # fmt: skip
        match span.kind:
            case "test":
                test = span.id
            case "setup" | "call" | "teardown":
                phase = span.kind
            case "collection":
                phase, module = "collection", str(span.subject)
            case "fixture" if isinstance(span.subject, int) and span.subject in self._trace.instances:
                fixture = self._trace.instances[span.subject].name
                if self._is_wide(span.subject):
                    instance = span.subject
                    phase = "setup" if span is self._instance_spans[instance][0] else "teardown"
        return Place(span.process, span.tid, test, phase, fixture, instance, module)

    def _is_wide(self, instance: InstanceId) -> bool:
        known = self._trace.instances.get(instance)
        return known is not None and known.scope != _FUNCTION

    def _is_of_suite(self, attempt: Attempt) -> bool:
        return attempt.span in self._trace.spans and self.of(attempt.span).test == attempt.span

    def wide_spans(self) -> Iterator[Span]:
        """The spans of wide fixtures and of the collections of modules, without those of sessions that a test runs."""
        for spans in (*self._instance_spans.values(), *self._collections.values()):
            for span in spans:
                if self.of(span.id).owner.kind in ("instance", "module"):
                    yield span

    def instances(self, test: SpanId) -> frozenset[InstanceId]:
        """The wide fixture instances that a test depends on: those it requested, those set up in it, and their own."""
        attempt = self._attempts.get(test)
        return self._required((*(attempt.instances if attempt else ()), *self._set_up_in.get(test, ())))

    def _required(self, instances: tuple[InstanceId, ...]) -> frozenset[InstanceId]:
        known = self._closures.get(instances)
        if known is None:
            known = self._closures[instances] = frozenset(self._close(instances))
        return known

    def _close(self, instances: Iterable[InstanceId]) -> set[InstanceId]:
        found: set[InstanceId] = set()
        waiting = list(instances)
        while waiting:
            instance = waiting.pop()
            if instance not in found and instance in self._trace.instances:
                found.add(instance)
                waiting += self._trace.instances[instance].requires
        return found

    def spans(self, owner: Owner) -> Iterator[Span]:
        """The spans of an owner: its own, those of a test's module, and those of wide fixtures that it depends on."""
        instances: frozenset[InstanceId] = frozenset()
        match owner.kind:
            case "test":
                test = SpanId(owner.id)
                yield self._trace.spans[test]
                yield from self.spans(self.collection(test))
                instances = self.instances(test)
            case "instance":
                instances = self._required((InstanceId(owner.id),))
            case "module":
                yield from self._collections.get((ProcessId(owner.id), owner.module), ())
        for instance in instances:
            yield from self._instance_spans.get(instance, ())

    def collection(self, test: SpanId) -> Owner:
        """The collection of a test's module, in the process that ran the test."""
        span, attempt = self._trace.spans[test], self._attempts.get(test)
        facts = self._trace.facts_of(attempt) if attempt else None
        return Owner("module", span.process, facts.path if facts else str(span.subject).partition("::")[0])

    def includes(self, outer: Place, inner: Place) -> bool:
        """Whether the inner place is the outer one, or lies in a module or a wide fixture that the outer depends on."""
        if inner.owner == outer.owner or (outer.owner.kind == "test" and inner.test == outer.test):
            return True
        if outer.owner.kind == "test" and inner.owner == self.collection(outer.test):
            return True
        required = self.instances(outer.test) if outer.owner.kind == "test" else self._required((outer.instance,))
        return inner.owner.kind == "instance" and inner.owner.id in required
