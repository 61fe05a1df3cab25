"""The hook's messages become spans, attempts, fixture instances and static facts of the trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import astuple, replace

from tracer.record.boundary.messages import (
    Below,
    Close,
    Facts,
    FixtureInstance,
    Hello,
    Inactive,
    Interrupted,
    Message,
    Open,
    Partial,
    Phase,
    Plan,
    Report,
    Requires,
    Results,
    Uses,
    Worker,
)
from tracer.record.boundary.packets import Packet
from tracer.trace.ids import NO_FACTS, NO_INSTANCE, NO_SPAN, FactsNumber, HookNumber, InstanceId, ProcessId, SpanId, Tid
from tracer.trace.records import Attempt, Instance, PhaseName, Record, Span, SpanKind, StaticFacts
from tracer.trace.timeline import Timeline

_INACTIVE: Final = 8
"""Unsupported pytests that are remembered. Any process can report one."""


class _Test(Struct):
    """An attempt that may still change."""

    span: SpanId
    tid: Tid
    nodeid: str
    facts: FactsNumber
    phase: PhaseName = "setup"  # the latest
    outcomes: dict[str, str] = {}
    instances: dict[InstanceId, None] = {}

    def record(self) -> Attempt:
        return Attempt(self.span, self.nodeid, self.facts, self.outcomes, instances=tuple(self.instances))


class _Session(Struct):
    """An open session of the suite, neither within a test nor of a worker: its end shows whether tests are missing."""

    planned: int | None = None  # tests that it is going to run; None: it did not come so far
    begun: int = 0
    last: str = ""  # node id of the test that began last: a rerun has the same


class _Runner(Struct):
    """A process whose hook reports, and the trace's ids for the numbers that the hook gave."""

    process: ProcessId
    is_worker: bool = False  # of xdist
    spans: dict[HookNumber, SpanId] = {}  # open ones
    facts: dict[HookNumber, FactsNumber] = {}
    instances: dict[HookNumber, InstanceId] = {}
    tests: dict[HookNumber, _Test] = {}  # by span, until its thread opens another test


class Runners:
    """All runners of a run. Their messages are not trusted: those that make no sense are ignored.

    Attributes:
        reported: whether the hook reported from any process that did more than to import a conftest.
        inactive: versions of Python and pytest in which the hook was loaded and is inactive.
        unfinished: runners that ended, or were cut off, with an open session.
        cut_off: those of them that were still running when the command had ended.
        not_begun: tests that such sessions planned and did not begin; None: some, of an unknown number.
        partial: whether a session left out tests of files that it collected. One within a test does not count.
        closed: spans that have closed; the caller clears it.
    """

    def __init__(self, timeline: Timeline, write: Callable[[Record], None]) -> None:
        """`write` takes each record as soon as it is complete."""
        self._timeline = timeline
        self._write = write
        self._runners: dict[ProcessId, _Runner] = {}
        self._open: dict[SpanId, Span] = {}  # with the end still unknown
        self._numbers: dict[SpanId, HookNumber] = {}  # of open spans; phases have none
        self._sessions: dict[SpanId, _Session] = {}
        self._workers: set[tuple[str, str]] = set()  # xdist's ids of the sessions and workers that reported
        self._results: Counter[tuple[str, str]] = Counter()  # the same ids → tests whose results arrived
        self._facts: dict[StaticFacts, FactsNumber] = {}
        self._instances: dict[InstanceId, Instance] = {}  # whose set-up has not ended
        self._last_span = NO_SPAN
        self._last_instance = NO_INSTANCE
        self.reported = False
        self.inactive: set[tuple[str, str]] = set()
        self.unfinished = 0
        self.cut_off = 0
        self.not_begun: int | None = 0
        self.partial = False
        self.closed: set[SpanId] = set()

    def apply(self, process: ProcessId, packet: Packet) -> None:
        """Apply the messages of one thread of a process."""
        match packet.messages:
            case (Inactive(python, pytest),):
                if len(self.inactive) < _INACTIVE:
                    self.inactive.add((python, pytest))
                return
        runner = self._runners.get(process)
        if runner is None:
            runner = self._runners[process] = _Runner(process)
        for message in packet.messages:
            self._apply(runner, packet.tid, message)

    def _apply(self, runner: _Runner, tid: Tid, message: Message) -> None:
        match message:
            case Phase():
                self._open_phase(runner, tid, message.ns, message.phase)
            case Open():
                self._open_span(runner, tid, message)
            case Close(span=number, ns=ns) | Interrupted(test=number, ns=ns) if number in runner.spans:
                if isinstance(message, Interrupted) and (test := runner.tests.get(number)):
                    test.outcomes.setdefault(test.phase, "interrupted")
                span = self._open[runner.spans[number]]  # after an interruption, perhaps of another thread
                self._close(runner, self._timeline.close(span.process, span.tid, span.id, ns), ns)
            case Report() if test := runner.tests.get(message.test):
                if test.outcomes.get(message.phase) != "failed":
                    test.outcomes[message.phase] = message.outcome
            case Uses() if message.test in runner.tests:
                used = self._instance_ids(runner, message.instances)
                runner.tests[message.test].instances.update(dict.fromkeys(used))
            case Facts(facts=facts):
                if facts not in self._facts:
                    self._facts[facts] = FactsNumber(len(self._facts) + 1)
                    self._write(facts)
                runner.facts[message.number] = self._facts[facts]
            case FixtureInstance():
                self._last_instance = InstanceId(self._last_instance + 1)
                number, *values = astuple(message)
                runner.instances[number] = self._last_instance
                self._instances[self._last_instance] = Instance(self._last_instance, runner.process, *values)
            case Requires():
                requiring = self._instances.get(runner.instances.get(message.instance, NO_INSTANCE))
                if requiring is not None:
                    required = tuple(self._instance_ids(runner, message.instances))
                    self._instances[requiring.id] = replace(requiring, requires=required)
            case Plan() if session := self._sessions.get(runner.spans.get(message.session, NO_SPAN)):
                session.planned = message.tests
            case Partial(session=number) if number in runner.spans:
                self.partial = self.partial or not self._within(runner.spans[number], "test")
            case Results(testrun=testrun, worker=worker):
                self._results[testrun, worker] += message.tests
            case Below(span=number) if number in runner.spans:
                span = self._open[runner.spans[number]]
                if span.kind == "conftest":
                    self._open[span.id] = replace(span, subject=message.directory)
            case Hello() | Worker():
                if message.worker is not None:
                    runner.is_worker = True
                    self._workers.add((message.testrun or "", message.worker))
                if isinstance(message, Hello):
                    self._begin_again(runner, message.ns)
            case Below() | Report() | Uses() | Plan() | Partial() | Inactive():
                pass  # of a test or session that another process runs; no hook's

    @property
    def untraced(self) -> dict[tuple[str, str], int]:
        """Workers that never reported, by xdist's ids of session and worker → tests whose results arrived from them."""
        return {ids: tests for ids, tests in self._results.items() if ids not in self._workers}

    def _begin_again(self, runner: _Runner, ns: int) -> None:
        """A process's first message. If it is not the first Hello, execve(2) replaced the program: numbers start again.

        A test that executed the program stays open until the process ends. Without such a test the session has ended.
        """
        if not any(span.kind == "test" and span.process == runner.process for span in self._open.values()):
            self._close(runner, self._timeline.exit(runner.process, ns), ns)
        for test in runner.tests.values():
            self._write(test.record())
        for numbers in (runner.spans, runner.facts, runner.instances, runner.tests):
            numbers.clear()

    def _open_span(self, runner: _Runner, tid: Tid, message: Open) -> None:
        subject: str | InstanceId
        if isinstance(message.subject, str):
            subject = message.subject
        else:
            subject = next(self._instance_ids(runner, [message.subject]), NO_INSTANCE)
        span = self._begin(runner, tid, message.kind, message.ns, subject)
        self.reported = self.reported or message.kind != "conftest"
        if message.span:
            self._numbers[span] = message.span
            runner.spans[message.span] = span
        if message.kind == "session" and not runner.is_worker and not self._within(span, "test"):
            self._sessions[span] = _Session()
        if message.kind == "test":
            session = self._sessions.get(self._within(span, "test", "session"))
            if session is not None and session.last != subject:
                session.begun += 1
                session.last = str(subject)
            self._finish_ended(runner, tid)
            facts = runner.facts.get(message.facts or HookNumber(0), NO_FACTS)
            runner.tests[message.span] = _Test(span, tid, str(subject), facts)
            self._open_phase(runner, tid, message.ns, "setup")

    def _within(self, span: SpanId, *kinds: SpanKind) -> SpanId:
        """The innermost span of one of these kinds around an open span; 0: none."""
        outer = self._open.get(self._open[span].parent)
        while outer is not None and outer.kind not in kinds:
            outer = self._open.get(outer.parent)
        return outer.id if outer is not None else NO_SPAN

    def _open_phase(self, runner: _Runner, tid: Tid, ns: int, phase: PhaseName) -> None:
        """Open the next phase of the test that is open on a thread, and close the phase before it."""
        inner = self._open.get(self._timeline.enclosing(runner.process, tid, ns))
        before = None
        while inner is not None and inner.kind != "test":
            before = inner
            inner = self._open.get(inner.parent)
        if inner is None or (inner.process, inner.tid) != (runner.process, tid):
            return
        test = runner.tests.get(self._numbers.get(inner.id, HookNumber(0)))
        if test is None:
            return
        if before is not None:
            self._close(runner, self._timeline.close(runner.process, tid, before.id, ns), ns)
        test.phase = phase
        self._begin(runner, tid, phase, ns, None)

    def _begin(self, runner: _Runner, tid: Tid, kind: SpanKind, ns: int, subject: str | InstanceId | None) -> SpanId:
        self._last_span = span = SpanId(self._last_span + 1)
        parent = self._timeline.enclosing(runner.process, tid, ns)
        self._open[span] = Span(span, parent, runner.process, tid, kind, start_ns=ns, end_ns=ns, subject=subject)
        self._timeline.open(runner.process, tid, span, ns, test=kind == "test")
        return span

    def _finish_ended(self, runner: _Runner, tid: Tid) -> None:
        """Complete the attempts of a thread that opens another test: no reports about them will come."""
        for number, test in list(runner.tests.items()):
            if test.tid == tid and test.span not in self._open:
                self._write(runner.tests.pop(number).record())

    def _instance_ids(self, runner: _Runner, numbers: Iterable[HookNumber]) -> Iterator[InstanceId]:
        """The ids of known instances. A forked runner continues with its parent's numbers."""
        for number in numbers:
            for process in self._timeline.ancestors(runner.process):
                ancestor = self._runners.get(process)
                if ancestor is not None and number in ancestor.instances:
                    yield ancestor.instances[number]
                    break

    def _close(self, runner: _Runner, spans: Iterable[SpanId], ns: int, *, crashed: bool = False) -> None:
        for id_ in spans:
            span = self._open.pop(id_)
            runner.spans.pop(self._numbers.pop(id_, HookNumber(0)), None)
            self.closed.add(id_)
            self._sessions.pop(id_, None)
            if span.kind == "fixture" and isinstance(span.subject, int) and span.subject in self._instances:
                self._write(self._instances.pop(span.subject))
            self._write(replace(span, end_ns=ns, crashed=crashed))

    def forget_process(self, process: ProcessId) -> None:
        """Forget a process that has ended: no message of it or of its descendants will come."""
        self._runners.pop(process, None)

    def finish(self, ns: int) -> None:
        """Cut off the runners that are alive at the end of the run."""
        unfinished_before = self.unfinished
        for process in self._runners:
            self.exit(process, ns)
        self.cut_off = self.unfinished - unfinished_before

    def exit(self, process: ProcessId, ns: int) -> None:
        """Close the open spans of a process that has ended, or is cut off."""
        runner = self._runners.get(process)
        if runner is None:
            return
        open_spans = self._timeline.exit(process, ns)
        self.unfinished += any(self._open[span].kind == "session" for span in open_spans)
        for session in filter(None, map(self._sessions.get, open_spans)):
            if session.planned is None:
                self.not_begun = None
            elif self.not_begun is not None:
                self.not_begun += max(0, session.planned - session.begun)
        self._close(runner, open_spans, ns, crashed=True)
        for test in runner.tests.values():
            self._write(test.record())
        runner.tests.clear()
