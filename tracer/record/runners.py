"""The hook's messages become spans, attempts, fixture instances and facts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from tracer.record.boundary.messages import (
    Close,
    FactsTold,
    Hello,
    InstanceTold,
    Message,
    Open,
    Packet,
    Report,
    Requires,
    Uses,
)
from tracer.trace.records import PHASES, Attempt, Facts, Instance, Process, Record, Span
from tracer.trace.timeline import Timeline

_PYTESTS: Final = range(6)
"""pytest's own exit statuses: a process that ends with another, or by a signal, crashed."""


@dataclass(slots=True)
class _Test:
    """An attempt in the making."""

    span: int
    tid: int
    nodeid: str
    facts: int
    outcomes: dict[str, str] = field(default_factory=dict)
    durations_s: dict[str, float] = field(default_factory=dict)
    instances: dict[int, None] = field(default_factory=dict)

    def finish(self) -> Attempt:
        return Attempt(
            self.span, self.nodeid, self.facts, self.outcomes, self.durations_s, instances=tuple(self.instances)
        )


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
        self._open: dict[int, Span] = {}
        self._facts: dict[tuple[object, ...], int] = {}
        self._instances: dict[int, Instance] = {}  # whose set-up has not ended
        self._last_span = 0
        self._last_instance = 0
        self.unfinished = 0  # runners that ended with a session open
        self.silent = 0  # those of them that did not crash
        self.closed: set[int] = set()  # spans that closed since somebody cleared this

    @property
    def heard(self) -> bool:
        """Whether any hook ever reported."""
        return bool(self._runners)

    def apply(self, process: int, packet: Packet) -> Iterator[Record]:
        """Take in what one thread of a process says; yields the records that it completes."""
        runner = self._runners.get(process)
        if runner is None:
            runner = self._runners[process] = _Runner(process)
        for message in packet.messages:
            yield from self._apply(runner, packet.tid, message)

    def _apply(self, runner: _Runner, tid: int, message: Message) -> Iterator[Record]:
        match message:
            case Open():
                yield from self._open_span(runner, tid, message)
            case Close():
                if message.span in runner.spans:
                    span = runner.spans[message.span]
                    closed = self._timeline.close(runner.process, tid, span, message.ns)
                    yield from self._close(runner, closed, message.ns)
            case Report() if message.test in runner.tests:
                test = runner.tests[message.test]
                test.outcomes[message.phase] = message.outcome
                test.durations_s[message.phase] = message.duration_s
            case Uses() if message.test in runner.tests:
                runner.tests[message.test].instances.update(dict.fromkeys(self._known(runner, message.instances)))
            case FactsTold():
                content = (message.path, message.fixtures, message.markers, message.bases)
                known = self._facts.get(content)
                if known is None:
                    known = self._facts[content] = len(self._facts) + 1
                    yield Facts(known, *content)
                runner.facts[message.id] = known
            case InstanceTold():
                self._last_instance += 1
                runner.instances[message.id] = self._last_instance
                self._instances[self._last_instance] = Instance(
                    self._last_instance,
                    runner.process,
                    message.name,
                    message.scope,
                    message.baseid,
                    message.node,
                    message.param,
                )
            case Requires():
                instance = self._instances.get(runner.instances.get(message.instance, 0))
                if instance is not None:
                    required = tuple(self._known(runner, message.instances))
                    self._instances[instance.id] = replace(instance, requires=required)
            case Hello() | Report() | Uses():
                pass  # greeted; or about a test that is not this process's

    def _open_span(self, runner: _Runner, tid: int, message: Open) -> Iterator[Record]:
        self._last_span += 1
        span = self._last_span
        subject = message.subject
        if message.kind == "test":
            # Its thread tells the reports on a test after closing it, and before it opens another.
            ended = [number for number, test in runner.tests.items() if test.tid == tid and test.span not in self._open]
            for number in ended:
                yield runner.tests.pop(number).finish()
            runner.tests[message.span] = _Test(span, tid, str(subject), runner.facts.get(message.facts or 0, 0))
        elif message.kind == "fixture":
            subject = next(self._known(runner, [int(subject or 0)]), 0)
        if message.kind in PHASES:
            yield from self._close_phase(runner, tid, message.ns)
        parent = self._timeline.enclosing(runner.process, tid, message.ns)
        runner.spans[message.span] = span
        self._open[span] = Span(span, parent, runner.process, tid, message.kind, message.ns, message.ns, subject)
        self._timeline.open(runner.process, tid, span, message.ns)

    def _close_phase(self, runner: _Runner, tid: int, ns: int) -> Iterator[Record]:
        """End the phase that is open on a thread, where the next one opens."""
        span = self._open.get(self._timeline.enclosing(runner.process, tid, ns))
        while span is not None and span.kind == "fixture":
            span = self._open.get(span.parent)
        if span is not None and span.kind in PHASES and (span.process, span.tid) == (runner.process, tid):
            yield from self._close(runner, self._timeline.close(runner.process, tid, span.id, ns), ns)

    def _known(self, runner: _Runner, numbers: Iterable[int]) -> Iterator[int]:
        """The ids of instances by a runner's own numbers; a forked runner goes on with its parent's."""
        for number in numbers:
            for process in self._timeline.ancestors(runner.process):
                elder = self._runners.get(process)
                if elder is not None and number in elder.instances:
                    yield elder.instances[number]
                    break

    def _close(self, runner: _Runner, spans: list[int], ns: int, *, crashed: bool = False) -> Iterator[Record]:
        runner.spans = {number: span for number, span in runner.spans.items() if span not in spans}
        for span in spans:
            opened = self._open.pop(span)
            self.closed.add(span)
            if opened.kind == "fixture" and isinstance(opened.subject, int) and opened.subject in self._instances:
                yield self._instances.pop(opened.subject)
            yield replace(opened, end_ns=ns, crashed=crashed)

    def exit(self, process: Process) -> Iterator[Record]:
        """A process ended: its open spans close with it."""
        ended_ns, status = process.end_ns or process.start_ns, process.status or 0
        yield from self._end(process.id, ended_ns, regular=os.WIFEXITED(status) and os.WEXITSTATUS(status) in _PYTESTS)

    def finish(self, ns: int) -> Iterator[Record]:
        """The run ended: runners that are still alive are cut off here."""
        for process in self._runners:
            yield from self._end(process, ns, regular=True)

    def _end(self, process: int, ns: int, *, regular: bool) -> Iterator[Record]:
        runner = self._runners.get(process)
        if runner is None:
            return
        open_spans = self._timeline.exit(process, ns)
        unfinished = any(self._open[span].kind == "session" for span in open_spans)
        self.unfinished += unfinished
        self.silent += unfinished and regular
        yield from self._close(runner, open_spans, ns, crashed=True)
        for test in runner.tests.values():
            yield test.finish()
        runner.tests.clear()
