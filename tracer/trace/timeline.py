"""The spans that were open at a recent moment, for any thread of the traced tree."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from tracer.trace.ids import NO_PROCESS, NO_SPAN, ProcessId, SpanId, Tid


class _Track:
    """One thread of a runner: its stack of open spans, and its innermost open span over time."""

    __slots__ = ("innermost", "stack", "times")

    def __init__(self) -> None:
        self.stack: list[SpanId] = []
        self.times: list[int] = []
        self.innermost: list[SpanId] = []  # from times[i] on; 0: none

    def change(self, ns: int) -> None:
        self.times.append(ns)
        self.innermost.append(self.stack[-1] if self.stack else NO_SPAN)

    def forget(self, ns: int) -> bool:
        """Drop the changes that do not matter from `ns` on; return whether there is more to drop later."""
        index = bisect_right(self.times, ns) - 1
        if index > 0:
            del self.times[:index]
            del self.innermost[:index]
        return len(self.times) > 1

    def at(self, ns: int) -> SpanId:
        times = self.times
        if ns >= times[-1]:
            return self.innermost[-1]
        index = bisect_right(times, ns) - 1
        return self.innermost[index] if index >= 0 else NO_SPAN


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

    def open(self, process: ProcessId, tid: Tid, span: SpanId, ns: int) -> None:
        """Open a span inside those that are open on its thread."""
        track = self._runners.setdefault(process, {}).setdefault(tid, _Track())
        track.stack.append(span)
        self._change(track, ns)

    def close(self, process: ProcessId, tid: Tid, span: SpanId, ns: int) -> list[SpanId]:
        """Close a span, and the spans that are still open inside it; return them, innermost first."""
        track = self._runners.get(process, {}).get(tid)
        if track is None or span not in track.stack:
            return []
        index = track.stack.index(span)
        closed = track.stack[index:][::-1]
        del track.stack[index:]
        self._change(track, ns)
        return closed

    def exit(self, process: ProcessId, ns: int) -> list[SpanId]:
        """Close the open spans of a process that ends; return them, innermost first."""
        closed: list[SpanId] = []
        for track in self._runners.get(process, {}).values():
            if track.stack:
                closed += track.stack[::-1]
                track.stack.clear()
                self._change(track, ns)
        return closed

    def _change(self, track: _Track, ns: int) -> None:
        track.change(ns)
        self._changed.add(track)

    def enclosing(self, process: ProcessId, tid: Tid, ns: int) -> SpanId:
        """The span in which a new span of this thread opens; 0: none."""
        return next(iter(self.at(process, tid, ns)), NO_SPAN)

    def at(self, process: ProcessId, tid: Tid, ns: int) -> tuple[SpanId, ...]:
        """The innermost open spans to which an event of a thread at `ns` belongs.

        They are those of the nearest runner: the process itself, or its nearest ancestor that has an open span. If the
        thread has an open span, it is that span. Otherwise it is the innermost span of each thread of the runner: as a
        rule one, and several if tests run in parallel threads.
        """
        runner = process
        while runner:
            tracks = self._runners.get(runner)
            if tracks:
                own = tracks.get(tid) if runner == process else None
                if own is not None and (span := own.at(ns)):
                    return (span,)
                if spans := tuple(span for track in tracks.values() if (span := track.at(ns))):
                    return spans
            runner = self._parents.get(runner, NO_PROCESS)
        return ()

    def forget_before(self, ns: int) -> None:
        """Forget the moments before `ns`: no query about them will come."""
        self._changed = {track for track in self._changed if track.forget(ns)}

    def forget_process(self, process: ProcessId) -> None:
        """Forget a process that has ended: no query about it or its descendants will come."""
        self._parents.pop(process, None)
        self._runners.pop(process, None)

    def owns_spans(self, process: ProcessId, tid: Tid) -> bool:
        """Whether this thread ever opened a span."""
        return tid in self._runners.get(process, ())

    def ancestors(self, process: ProcessId) -> Iterator[ProcessId]:
        """The process, its parent, and so on up to the command."""
        while process:
            yield process
            process = self._parents.get(process, NO_PROCESS)
