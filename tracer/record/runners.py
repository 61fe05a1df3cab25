"""The hook's messages become spans, attempts, fixture instances and facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from tracer.record.boundary.messages import (
    Close,
    Facts,
    FixtureInstance,
    Hello,
    Interrupted,
    Message,
    Open,
    Packet,
    Phase,
    Report,
    Requires,
    Uses,
)
from tracer.trace.records import Attempt, Instance, PhaseName, Process, Record, Span, SpanKind, StaticFacts
from tracer.trace.timeline import Timeline


@dataclass(slots=True)
class _Span:
    """A span that is open."""

    id: int
    parent: int
    process: int
    tid: int
    kind: SpanKind
    start_ns: int
    subject: str | int | None
    number: int  # the runner's own; 0 for a phase, which has none

    def close(self, ns: int, *, crashed: bool) -> Span:
        return Span(self.id, self.parent, self.process, self.tid, self.kind, self.start_ns, ns, self.subject, crashed)


@dataclass(slots=True)
class _Test:
    """An attempt in the making."""

    span: int
    tid: int
    nodeid: str
    facts: int
    phase: PhaseName = "setup"  # the latest
    outcomes: dict[str, str] = field(default_factory=dict)
    instances: dict[int, None] = field(default_factory=dict)

    def finish(self) -> Attempt:
        return Attempt(self.span, self.nodeid, self.facts, self.outcomes, instances=tuple(self.instances))


@dataclass(slots=True)
class _Runner:
    """One process that speaks to us, and what its own numbers mean."""

    process: int
    spans: dict[int, int] = field(default_factory=dict)  # its number → span id, while open
    facts: dict[int, int] = field(default_factory=dict)
    instances: dict[int, int] = field(default_factory=dict)
    tests: dict[int, _Test] = field(default_factory=dict)  # its span number → attempt, until its thread opens another


class Runners:
    """All runners of a run. What comes from them is untrusted: what makes no sense is left out."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._runners: dict[int, _Runner] = {}
        self._open: dict[int, _Span] = {}
        self._facts: dict[StaticFacts, int] = {}  # facts → their number in the trace
        self._instances: dict[int, Instance] = {}  # whose set-up has not ended
        self._last_span = 0
        self._last_instance = 0
        self.unfinished = 0  # runners that ended, or were cut off, with a session open
        self.cut_off = 0  # those of them that still ran when the command had ended
        self.closed: set[int] = set()  # spans that closed since somebody cleared this
        self.reported = False  # whether the hook reported from any process

    def apply(self, process: int, packet: Packet) -> Iterator[Record]:
        """Take in what one thread of a process says; yields the records that it completes."""
        runner = self._runners.get(process)
        if runner is None:
            runner = self._runners[process] = _Runner(process)
            self.reported = True
        for message in packet.messages:
            yield from self._apply(runner, packet.tid, message)

    def _apply(self, runner: _Runner, tid: int, message: Message) -> Iterator[Record]:
        match message:
            case Phase():
                yield from self._open_phase(runner, tid, message.ns, message.phase)
            case Open():
                yield from self._open_span(runner, tid, message)
            case Close(span=number, ns=ns) | Interrupted(test=number, ns=ns) if number in runner.spans:
                if isinstance(message, Interrupted) and (test := runner.tests.get(number)):
                    test.outcomes.setdefault(test.phase, "interrupted")
                span = self._open[runner.spans[number]]  # of another thread perhaps, after an interruption
                yield from self._close(runner, self._timeline.close(span.process, span.tid, span.id, ns), ns)
            case Report() if test := runner.tests.get(message.test):
                if test.outcomes.get(message.phase) != "failed":
                    test.outcomes[message.phase] = message.outcome
            case Uses() if message.test in runner.tests:
                runner.tests[message.test].instances.update(dict.fromkeys(self._known(runner, message.instances)))
            case Facts(facts=facts):
                if facts not in self._facts:
                    self._facts[facts] = len(self._facts) + 1
                    yield facts
                runner.facts[message.number] = self._facts[facts]
            case FixtureInstance():
                self._last_instance += 1
                instance = replace(message.instance, id=self._last_instance, process=runner.process)
                runner.instances[message.number] = instance.id
                self._instances[instance.id] = instance
            case Requires():
                requiring = self._instances.get(runner.instances.get(message.instance, 0))
                if requiring is not None:
                    required = tuple(self._known(runner, message.instances))
                    self._instances[requiring.id] = replace(requiring, requires=required)
            case Hello(ns=ns):
                yield from self._begin_again(runner, ns)
            case Report() | Uses():
                pass  # about a test that is not this process's

    def _begin_again(self, runner: _Runner, ns: int) -> Iterator[Record]:
        """A process greets, and not for the first time if execve(2) gave it another program, with numbers of its own.

        A test in which it did so goes on until the process ends; a session without one has come to its end.
        """
        if not any(span.kind == "test" and span.process == runner.process for span in self._open.values()):
            yield from self._close(runner, self._timeline.exit(runner.process, ns), ns)
        for test in runner.tests.values():
            yield test.finish()
        for numbers in (runner.spans, runner.facts, runner.instances, runner.tests):
            numbers.clear()

    def _open_span(self, runner: _Runner, tid: int, message: Open) -> Iterator[Record]:
        subject: str | int | None = message.subject
        if message.kind == "fixture":
            subject = next(self._known(runner, [int(subject or 0)]), 0)
        span = self._begin(runner, tid, message.kind, message.ns, subject, message.span)
        if message.kind == "test":
            yield from self._finish_ended(runner, tid)
            runner.tests[message.span] = _Test(span, tid, str(subject), runner.facts.get(message.facts or 0, 0))
            yield from self._open_phase(runner, tid, message.ns, "setup")

    def _open_phase(self, runner: _Runner, tid: int, ns: int, phase: PhaseName) -> Iterator[Record]:
        """The next phase of the test that is open on a thread; the one before ends."""
        inner = self._open.get(self._timeline.enclosing(runner.process, tid, ns))
        before = None
        while inner is not None and inner.kind != "test":
            before = inner
            inner = self._open.get(inner.parent)
        if inner is None or (inner.process, inner.tid) != (runner.process, tid) or inner.number not in runner.tests:
            return
        if before is not None:
            yield from self._close(runner, self._timeline.close(runner.process, tid, before.id, ns), ns)
        runner.tests[inner.number].phase = phase
        self._begin(runner, tid, phase, ns, None, 0)

    def _begin(self, runner: _Runner, tid: int, kind: SpanKind, ns: int, subject: str | int | None, number: int) -> int:
        self._last_span += 1
        span = self._last_span
        parent = self._timeline.enclosing(runner.process, tid, ns)
        self._open[span] = _Span(span, parent, runner.process, tid, kind, ns, subject, number)
        self._timeline.open(runner.process, tid, span, ns)
        if number:
            runner.spans[number] = span
        return span

    def _finish_ended(self, runner: _Runner, tid: int) -> Iterator[Record]:
        """Its thread tells the reports on a test before it opens another."""
        for number, test in list(runner.tests.items()):
            if test.tid == tid and test.span not in self._open:
                yield runner.tests.pop(number).finish()

    def _known(self, runner: _Runner, numbers: Iterable[int]) -> Iterator[int]:
        """The ids of instances by a runner's own numbers; a forked runner goes on with its parent's."""
        for number in numbers:
            for process in self._timeline.ancestors(runner.process):
                elder = self._runners.get(process)
                if elder is not None and number in elder.instances:
                    yield elder.instances[number]
                    break

    def _close(self, runner: _Runner, spans: list[int], ns: int, *, crashed: bool = False) -> Iterator[Record]:
        for number in spans:
            span = self._open.pop(number)
            runner.spans.pop(span.number, None)
            self.closed.add(number)
            if span.kind == "fixture" and isinstance(span.subject, int) and span.subject in self._instances:
                yield self._instances.pop(span.subject)
            yield span.close(ns, crashed=crashed)

    def exit(self, process: Process) -> Iterator[Record]:
        """A process ended: its open spans close with it."""
        yield from self._end(process.id, process.end_ns or process.start_ns)

    def forget_process(self, process: int) -> None:
        """Nobody will speak of a process that has ended any more, nor of what its descendants have from it."""
        self._runners.pop(process, None)

    def finish(self, ns: int) -> Iterator[Record]:
        """The run ended: runners that are still alive are cut off here."""
        unfinished_before = self.unfinished
        for process in self._runners:
            yield from self._end(process, ns)
        self.cut_off = self.unfinished - unfinished_before

    def _end(self, process: int, ns: int) -> Iterator[Record]:
        runner = self._runners.get(process)
        if runner is None:
            return
        open_spans = self._timeline.exit(process, ns)
        self.unfinished += any(self._open[span].kind == "session" for span in open_spans)
        yield from self._close(runner, open_spans, ns, crashed=True)
        for test in runner.tests.values():
            yield test.finish()
        runner.tests.clear()
