"""The start of a session: what pytest does before its first test, and the tests that cannot run without it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tracer.classify.directories import ROOT
from tracer.classify.owners import OwnedFlow
from tracer.classify.places import Places
from tracer.trace.ids import ProcessId, SpanId
from tracer.trace.records import Flow, Span, Trace


class SessionStarts:
    """The sessions of the suite that ran tests, without those within a test."""

    def __init__(self, trace: Trace, places: Places) -> None:
        self._trace = trace
        self._first_test_ns: dict[SpanId, int] = {}  # session → start of its first test, also in a worker of xdist
        for attempt in places.attempts:
            test = trace.spans[attempt.span]
            outer = trace.spans.get(test.parent)
            while outer is not None:
                if outer.kind == "session":
                    known = self._first_test_ns.get(outer.id, test.start_ns)
                    self._first_test_ns[outer.id] = min(known, test.start_ns)
                outer = trace.spans.get(outer.parent)
        self._sessions: dict[ProcessId, list[Span]] = defaultdict(list)
        for session in sorted(self._first_test_ns, key=lambda span: trace.spans[span].start_ns):
            self._sessions[trace.spans[session].process].append(trace.spans[session])

    def needed_below(self, owned: OwnedFlow) -> tuple[str, ...]:
        """The directories whose tests cannot run without what a flow of the run reached; empty: it is no such need.

        pytest's own thread reached it before the first test, or woke the thread that did. An attempt that failed is no
        need: the session began without it. What the import of a conftest reached is needed below the directory that the
        hook reported for it; everything else by all tests.
        """
        flow = owned.flow
        reached = (flow.sends or flow.established) and not owned.lost
        if owned.ambient or owned.place.module is not None or not reached:
            return ()
        session = self._session(flow, owned.own_thread)
        if session is None or flow.first_ns >= self._first_test_ns[session.id]:
            return ()
        conftests = (span.subject for span in self._spans(flow) if span.kind == "conftest")
        return (str(next(conftests, ROOT)),)

    def _spans(self, flow: Flow) -> Iterator[Span]:
        return (self._trace.spans[span] for span in flow.spans if span in self._trace.spans)

    def _session(self, flow: Flow, own_thread: bool) -> Span | None:
        """The session that a flow belongs to. What pytest's thread did before it opened one belongs to the next."""
        asked = own_thread or bool(flow.asked)
        for span in self._spans(flow) if asked else ():
            around = self._trace.spans.get(span.parent) if span.kind == "conftest" else span
            if span.kind == "conftest" and (around is None or around.process != span.process):
                return self._next_session(span.process, span.start_ns)
            if around is not None and around.id in self._first_test_ns:
                return around
        if flow.spans or not own_thread:
            return None
        session = self._next_session(flow.process, flow.first_ns)
        process = self._trace.processes.get(flow.process)
        executed = process.earlier_until_ns if process is not None else ()
        if session is not None and any(flow.first_ns < ns <= session.start_ns for ns in executed):
            return None  # it was another program, such as a shell that waits for a server
        return session

    def _next_session(self, process: ProcessId, ns: int) -> Span | None:
        """The first session that a process opened at a time or later."""
        return next((one for one in self._sessions.get(process, ()) if one.start_ns >= ns), None)
