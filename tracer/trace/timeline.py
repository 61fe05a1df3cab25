"""Which spans were open, for any thread of the traced tree, at any recent moment."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator


class _Track:
    """One thread of a runner: its stack of open spans, and how its innermost span changed over time."""

    __slots__ = ("innermost", "stack", "times")

    def __init__(self) -> None:
        self.stack: list[int] = []
        self.times: list[int] = []
        self.innermost: list[int] = []  # from times[i] on; 0: none

    def change(self, ns: int) -> None:
        self.times.append(ns)
        self.innermost.append(self.stack[-1] if self.stack else 0)

    def forget(self, ns: int) -> bool:
        """Drop the changes that no longer matter from `ns` on; returns whether there is more to drop later."""
        index = bisect_right(self.times, ns) - 1
        if index > 0:
            del self.times[:index]
            del self.innermost[:index]
        return len(self.times) > 1

    def at(self, ns: int) -> int:
        times = self.times
        if ns >= times[-1]:
            return self.innermost[-1]
        index = bisect_right(times, ns) - 1
        return self.innermost[index] if index >= 0 else 0


class Timeline:
    """Lineage of processes, and the spans of those that are runners.

    Changes of one thread have to come in the order of time; questions may come late, until what they ask about is
    forgotten: its moment, or the process with all its descendants.
    """

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}
        self._runners: dict[int, dict[int, _Track]] = {}  # process → tid → track
        self._changed: set[_Track] = set()  # those that have something to forget

    def fork(self, process: int, parent: int) -> None:
        """A process was born; 0 is the parent of the command."""
        self._parents[process] = parent

    def open(self, process: int, tid: int, span: int, ns: int) -> None:
        """A span opens inside those that are open on its thread."""
        track = self._runners.setdefault(process, {}).setdefault(tid, _Track())
        track.stack.append(span)
        self._change(track, ns)

    def close(self, process: int, tid: int, span: int, ns: int) -> list[int]:
        """A span closes, and with it those still open inside it; returns them, innermost first."""
        track = self._runners.get(process, {}).get(tid)
        if track is None or span not in track.stack:
            return []
        index = track.stack.index(span)
        closed = track.stack[index:][::-1]
        del track.stack[index:]
        self._change(track, ns)
        return closed

    def exit(self, process: int, ns: int) -> list[int]:
        """A process ends; returns the spans that were still open in it, innermost first."""
        closed: list[int] = []
        for track in self._runners.get(process, {}).values():
            if track.stack:
                closed += track.stack[::-1]
                track.stack.clear()
                self._change(track, ns)
        return closed

    def _change(self, track: _Track, ns: int) -> None:
        track.change(ns)
        self._changed.add(track)

    def enclosing(self, process: int, tid: int, ns: int) -> int:
        """The span in which a new span of this thread opens; 0 for none."""
        return next(iter(self.at(process, tid, ns)), 0)

    def at(self, process: int, tid: int, ns: int) -> tuple[int, ...]:
        """The innermost spans that a thread's doing at `ns` falls into.

        The nearest ancestor-or-self with an open span counts. There the thread's own span wins; a thread without one
        gets those of all its runner's threads: one as a rule, several where tests run in parallel threads.
        """
        runner = process
        while runner:
            tracks = self._runners.get(runner)
            if tracks:
                own = tracks.get(tid) if runner == process else None
                if own is not None and (span := own.at(ns)):
                    return (span,)
                if found := tuple(span for track in tracks.values() if (span := track.at(ns))):
                    return found
            runner = self._parents.get(runner, 0)
        return ()

    def forget_before(self, ns: int) -> None:
        """Nobody will ask any more about moments before `ns`."""
        self._changed = {track for track in self._changed if track.forget(ns)}

    def forget_process(self, process: int) -> None:
        """Nobody will ask any more about a process that has ended, nor about its descendants."""
        self._parents.pop(process, None)
        self._runners.pop(process, None)

    def owns_spans(self, process: int, tid: int) -> bool:
        """Whether this thread ever opened a span."""
        return tid in self._runners.get(process, ())

    def ancestors(self, process: int) -> Iterator[int]:
        """The process, the one that forked it, and so on up to the command."""
        while process:
            yield process
            process = self._parents.get(process, 0)
