"""Events and boundaries, joined: the one place where the two streams meet."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from tracer.record.boundary.messages import Packet
from tracer.record.capture.protocol import Event, SocketEvent, TaskEvent
from tracer.record.flows import Flows
from tracer.record.processes import Processes
from tracer.record.runners import Runners
from tracer.trace.endpoint import Endpoint
from tracer.trace.file import TraceWriter
from tracer.trace.records import Process, Record
from tracer.trace.timeline import Timeline

_REMEMBERED: Final = 5
"""Turns whose spans are remembered: a tally is told for the last time two turns after its epoch ended."""
_WAITING: Final = 10_000
"""Packets that may wait for their process to be told. Anybody may write to the FIFO, so there has to be an end."""


class Recorder:
    """Writes a trace from what the kernel and the hook say.

    A turn takes the kernel's events first and the boundaries that were readable after them. A hook writes a
    boundary before its thread does anything more, so whatever an event of that thread falls into is known when the
    turn comes to fold it; the timeline answers by time, so it doesn't matter that more is known already.
    """

    def __init__(self, writer: TraceWriter) -> None:
        self._writer = writer
        self._timeline = Timeline()
        self._processes = Processes(self._timeline)
        self._runners = Runners(self._timeline)
        self._flows = Flows(self._timeline, self._processes)
        self._pidns = Path("/proc/self/ns/pid").stat().st_ino
        self._ahead: list[SocketEvent | Process] = []  # what happened, and who ended, since the turn began
        self._unread: list[Packet] = []  # what was told since
        self._waiting: list[Packet] = []  # from processes whose birth the kernel has not told yet
        self._dropped = 0  # those that waited in vain
        self._turns = deque([0] * _REMEMBERED, maxlen=_REMEMBERED)  # when the last turns began

    @property
    def pytest_reported(self) -> bool:
        """Whether the hook reported from any process."""
        return self._runners.reported

    @property
    def reached(self) -> set[Endpoint]:
        """Endpoints of this machine that the tree used or tried to."""
        return self._flows.reached

    @property
    def unfinished_sessions(self) -> int:
        """How many runners ended without closing their session."""
        return self._runners.unfinished

    @property
    def cut_off_sessions(self) -> int:
        """How many of those still ran when the command had ended."""
        return self._runners.cut_off

    @property
    def unknown_packets(self) -> int:
        """How many packets came from processes that the kernel never told of."""
        return self._dropped + len(self._waiting)

    def is_of_the_tree(self, pid: int) -> bool:
        """Whether a pid, as the tracer sees it, is or recently was a process of the traced tree."""
        return self._processes.by_pid(self._pidns, pid) != 0

    def turn(self, drain: Callable[[], Iterable[Event]], read: Callable[[], Iterable[Packet]]) -> None:
        """Take in the next part of both streams: first all that `drain` has, then all that `read` has.

        What either has of the time since the turn began is kept for the next: until then it may be unknown that a
        process has died and another has its pid.
        """
        began_ns = time.monotonic_ns()
        self._turns.append(began_ns)
        closed_before = self._runners.closed
        self._runners.closed = set()
        happened, self._ahead = self._ahead, []
        for event in drain():
            if not isinstance(event, TaskEvent):
                (happened if event.ns <= began_ns else self._ahead).append(event)
            elif record := self._processes.apply(event):
                self._writer.write(record)
                if isinstance(record, Process):
                    (happened if event.ns <= began_ns else self._ahead).append(record)
        self._apply_packets([*self._unread, *read()], began_ns)
        self._settle(happened)
        # A flow may still grow in the turn in which its span closed, by an event that was late; not in the next.
        self._write(self._flows.take(closed_before))
        self._timeline.forget_before(self._turns[0])
        for process in self._processes.forget_before(self._turns[0]):
            self._timeline.forget_process(process)
            self._runners.forget_process(process)

    def _apply_packets(self, packets: Iterable[Packet], until_ns: int) -> None:
        """Apply packets up to the first that was told later, and keep the rest: they come in the order of time."""
        packets, self._unread = [*self._waiting, *packets], []
        self._waiting = []
        now_ns = time.monotonic_ns()
        for index, packet in enumerate(packets):
            told_ns = packet.ns
            if until_ns < (told_ns or 0) <= now_ns:
                self._unread = packets[index:]
                break
            process = self._processes.by_pid(packet.pidns, packet.pid, told_ns)
            # What is yet to be was told by another clock, that of a time namespace (time_namespaces(7)).
            if process and (told_ns or 0) <= now_ns:
                self._write(self._runners.apply(process, packet))
            else:
                self._waiting.append(packet)
        self._dropped += max(0, len(self._waiting) - _WAITING)
        del self._waiting[:-_WAITING]

    def _settle(self, happened: Iterable[SocketEvent | Process]) -> None:
        """Put what happened in its place, now that the boundaries are known: first the ends, at which spans close."""
        events = []
        for one in happened:
            if isinstance(one, Process):
                self._write(self._runners.exit(one))
            else:
                events.append(one)
        for event in events:
            if listen := self._flows.fold(event):
                self._writer.write(listen)

    def _write(self, records: Iterable[Record]) -> None:
        for record in records:
            self._writer.write(record)

    def finish(self, ns: int) -> None:
        """Close what is still open at `ns`, the end of the run."""
        self._apply_packets(self._unread, time.monotonic_ns())
        self._settle(self._ahead)
        self._write(self._runners.finish(ns))
        self._write(self._flows.take_all())
        self._write(self._processes.take_all())
