"""The spans that were open at a recent moment, for any thread of the traced tree."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from tracer.trace.ids import NO_PROCESS, NO_SPAN, ProcessId, SpanId, Tid


class _Open(NamedTuple):
    """An open span."""

    span: SpanId
    since_ns: int  # when the innermost test around it, or it itself, opened; without a test: when it opened
    in_test: bool
    alone: tuple[SpanId, ...]  # the span as the only one of an event


_NOTHING: Final = _Open(NO_SPAN, 0, in_test=False, alone=())


class _Track:
    """One thread of a runner: its stack of open spans, and its innermost open span over time."""

    __slots__ = ("innermost", "stack", "times")

    def __init__(self) -> None:
        self.stack: list[_Open] = []
        self.times: list[int] = []
        self.innermost: list[_Open] = []  # from times[i] on

    def open(self, span: SpanId, ns: int, *, test: bool) -> None:
        around = self.stack[-1] if self.stack else _NOTHING
        since_ns = around.since_ns if around.in_test and not test else ns
        self.stack.append(_Open(span, since_ns, test or around.in_test, (span,)))
        self.change(ns)

    def change(self, ns: int) -> None:
        self.times.append(ns)
        self.innermost.append(self.stack[-1] if self.stack else _NOTHING)

    def forget(self, ns: int) -> bool:
        """Drop the changes that do not matter from `ns` on; return whether there is more to drop later."""
        index = bisect_right(self.times, ns) - 1
        if index > 0:
            del self.times[:index]
            del self.innermost[:index]
        return len(self.times) > 1

    def at(self, ns: int) -> _Open:
        times = self.times
        if ns >= times[-1]:
            return self.innermost[-1]
        index = bisect_right(times, ns) - 1
        return self.innermost[index] if index >= 0 else _NOTHING


class Timeline:
    """The parents of processes, and the open spans of those that are runners.

    Changes of one thread must come in the order of time. Queries may come late, until their moment is forgotten, or
    the process with all its descendants.
    """

    def __init__(self) -> None:
        self._parents: dict[ProcessId, ProcessId] = {}
        self._runners: dict[ProcessId, dict[Tid, _Track]] = {}
        self._changed: set[_Track] = set()  # tracks with something to forget

    def fork(self, process: ProcessId, parent: ProcessId) -> None:
        """Add a process; the command's parent is 0."""
        self._parents[process] = parent

    def open(self, process: ProcessId, tid: Tid, span: SpanId, ns: int, *, test: bool = False) -> None:
        """Open a span inside those that are open on its thread. `test`: it is a test's."""
        track = self._runners.setdefault(process, {}).setdefault(tid, _Track())
        track.open(span, ns, test=test)
        self._changed.add(track)

    def close(self, process: ProcessId, tid: Tid, span: SpanId, ns: int) -> list[SpanId]:
        """Close a span, and the spans that are still open inside it; return them, innermost first."""
        track = self._runners.get(process, {}).get(tid)
        spans = [opened.span for opened in track.stack] if track else []
        if track is None or span not in spans:
            return []
        index = spans.index(span)
        closed = spans[index:][::-1]
        del track.stack[index:]
        self._change(track, ns)
        return closed

    def exit(self, process: ProcessId, ns: int) -> list[SpanId]:
        """Close the open spans of a process that ends; return them, innermost first."""
        closed: list[SpanId] = []
        for track in self._runners.get(process, {}).values():
            if track.stack:
                closed += [opened.span for opened in reversed(track.stack)]
                track.stack.clear()
                self._change(track, ns)
        return closed

    def _change(self, track: _Track, ns: int) -> None:
        track.change(ns)
        self._changed.add(track)

    def enclosing(self, process: ProcessId, tid: Tid, ns: int) -> SpanId:
        """The span in which a new span of this thread opens; 0: none."""
        spans = self.at(process, tid, ns)
        return spans[0] if spans else NO_SPAN

    def at(self, process: ProcessId, tid: Tid, ns: int) -> tuple[SpanId, ...]:
        """The innermost open spans to which an event of a thread at `ns` belongs.

        They are those of the nearest runner: the process itself, or its nearest ancestor that has an open span. If the
        thread has an open span, it is that span. Otherwise it is the innermost span of each thread of the runner: as a
        rule one, and several if tests run in parallel threads.
        """
        opened = self._at(process, tid, ns)
        return opened[0].alone if len(opened) == 1 else tuple(one.span for one in opened)

    def _at(self, process: ProcessId, tid: Tid, ns: int) -> tuple[_Open, ...]:
        runner = process
        while runner:
            tracks = self._runners.get(runner)
            if tracks:
                own = tracks.get(tid) if runner == process else None
                if own is not None and (opened := own.at(ns)).span:
                    return (opened,)
                if innermost := tuple(opened for track in tracks.values() if (opened := track.at(ns)).span):
                    return innermost
            runner = self._parents.get(runner, NO_PROCESS)
        return ()

    def asking(self, process: ProcessId, tid: Tid, cause_ns: int, ns: int) -> SpanId:
        """The innermost span at `ns` of a runner's thread that was a cause at `cause_ns`; 0 if it asked for nothing.

        A cause counts from when the innermost test around that span opened; without a test, from when the span opened.
        """
        track = self._runners.get(process, {}).get(tid)
        opened = track.at(ns) if track else _NOTHING
        return opened.span if opened.since_ns <= cause_ns else NO_SPAN

    def is_unsure(self, process: ProcessId, tid: Tid, from_ns: int, to_ns: int, ns: int) -> bool:
        """Whether one of the spans of an event may have asked for it, counting causes from a time in between."""
        return any(from_ns < opened.since_ns <= to_ns for opened in self._at(process, tid, ns))

    def forget_before(self, ns: int) -> None:
        """Forget the moments before `ns`: no query about them will come."""
        self._changed = {track for track in self._changed if track.forget(ns)}

    def forget_process(self, process: ProcessId) -> None:
        """Forget a process that has ended: no query about it or its descendants will come."""
        self._parents.pop(process, None)
        self._runners.pop(process, None)

    def owns_spans(self, process: ProcessId, tid: Tid, ns: int) -> bool:
        """Whether this thread had opened a span by `ns`; it may be closed."""
        track = self._runners.get(process, {}).get(tid)
        return track is not None and track.times[0] <= ns

    def ancestors(self, process: ProcessId) -> Iterator[ProcessId]:
        """The process, its parent, and so on up to the command."""
        while process:
            yield process
            process = self._parents.get(process, NO_PROCESS)
