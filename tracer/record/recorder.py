"""Joins the two streams, the kernel's events and the hook's boundaries, and writes the trace."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from tracer.record.boundary.packets import Packet
from tracer.record.capture.protocol import Event, Kind, SocketEvent, TaskEvent
from tracer.record.clocks import Clocks
from tracer.record.flows import Flows
from tracer.record.names.answers import names_in
from tracer.record.names.host_names import NOTHING, HostNames, Surroundings
from tracer.record.processes import Processes
from tracer.record.runners import Runners
from tracer.trace.file import TraceWriter
from tracer.trace.ids import Pid, PidNamespace, SpanId
from tracer.trace.records import Process, Record
from tracer.trace.timeline import Timeline

_REMEMBERED: Final = 5
"""Turns whose spans are remembered. A backend emits the last event of a tally two turns after the tally's epoch."""
_WAITING: Final = 10_000
"""Packets that may wait for the kernel's event about their process. Any process may write to the FIFO."""


class Recorder:
    """Writes a trace from the events of a backend and the packets of the hook.

    A turn reads the kernel's events first, and then the boundaries that can be read. A hook writes a boundary before
    its thread continues. So when a turn adds an event to a flow, it knows the spans that were open at the event. It may
    also know later boundaries; they do not matter, because the timeline is queried by time.

    Attributes:
        runners: the processes whose hooks report.
        clocks: those of them that read another clock.
        flows: the socket events so far.
        host_names: the names of the hosts that the tree reaches.
    """

    def __init__(self, writer: TraceWriter, surroundings: Surroundings = NOTHING) -> None:
        """`surroundings`: where names of hosts may be found."""
        self._writer = writer
        self._timeline = Timeline()
        self._processes = Processes(self._timeline)
        self.runners = Runners(self._timeline, writer.write)
        self.clocks = Clocks(self._processes)
        self.flows = Flows(self._timeline, self._processes)
        self.host_names = HostNames(writer.write, self._processes, surroundings)
        self._pidns = PidNamespace(Path("/proc/self/ns/pid").stat().st_ino)
        self._ahead: list[SocketEvent | Process] = []  # events and ended processes, later than the turn's beginning
        self._unread: list[Packet] = []  # packets that are later than the turn's beginning
        self._waiting: list[Packet] = []  # packets of processes that the kernel's events do not contain yet
        self._dropped = 0  # packets that waited too long
        self._turns = deque([0] * _REMEMBERED, maxlen=_REMEMBERED)  # when the last turns began

    @property
    def unknown_packets(self) -> int:
        """How many packets came from processes that are in no event of the kernel."""
        return self._dropped + len(self._waiting)

    def is_of_the_tree(self, pid: int) -> bool:
        """Whether a pid, in the tracer's pid namespace, is or recently was that of a process of the traced tree."""
        return self._processes.by_pid(self._pidns, Pid(pid)) != 0

    def turn(self, drain: Callable[[], Iterable[Event]], read: Callable[[], Iterable[Packet]]) -> None:
        """Process the next part of both streams: first what `drain` returns, then what `read` returns.

        What happened after the turn began is kept for the next turn: a process may have ended since, and another one
        may have its pid, without an event so far.
        """
        began_ns = time.monotonic_ns()
        self._turns.append(began_ns)
        closed_before = self.runners.closed
        self.runners.closed = set[SpanId]()
        happened, self._ahead = self._ahead, []
        for event in drain():
            if not isinstance(event, TaskEvent):
                (happened if event.ns <= began_ns else self._ahead).append(event)
                continue
            record = self._processes.apply(event)
            if event.kind == Kind.EXEC:
                self.host_names.executed(event.process)
            if record:
                self._writer.write(record)
                if isinstance(record, Process):
                    (happened if event.ns <= began_ns else self._ahead).append(record)
        reading_ns = time.monotonic_ns()
        packets = [*read()]
        self.clocks.check_late(packets, reading_ns)
        self._apply_packets([*self._unread, *packets], began_ns)
        self._apply(happened)
        self.host_names.turn()
        # A late event may still add to a flow in the turn in which its span closed, but not in the next turn.
        self._write(self.flows.take(closed_before))
        self._timeline.forget_before(self._turns[0])
        for process in self._processes.forget_before(self._turns[0]):
            self._timeline.forget_process(process)
            self.runners.forget_process(process)
            self.clocks.forget_process(process)
            self.host_names.forget_process(process)

    def _apply_packets(self, packets: Iterable[Packet], until_ns: int) -> None:
        """Apply the packets up to the first that is later, and keep the rest. They are in the order of time."""
        packets, self._unread = [*self._waiting, *packets], []
        self._waiting = []
        now_ns = time.monotonic_ns()
        for index, packet in enumerate(packets):
            packet_ns = packet.ns
            if until_ns < (packet_ns or 0) <= now_ns:
                self._unread = packets[index:]
                break
            process = self._processes.by_pid(packet.pidns, packet.pid, packet_ns)
            if self.clocks.is_wrong(packet, process, now_ns):
                continue
            if process:
                self.runners.apply(process, packet)
            else:
                self._waiting.append(packet)
        self._dropped += max(0, len(self._waiting) - _WAITING)
        del self._waiting[:-_WAITING]

    def _apply(self, happened: Iterable[SocketEvent | Process]) -> None:
        """Close the spans of ended processes, then add the events to flows. The boundaries up to them are applied."""
        events = []
        for event in happened:
            if isinstance(event, Process):
                self.runners.exit(event.id, event.end_ns or event.start_ns)
            else:
                events.append(event)
        for event in events:
            if event.kind == Kind.ANSWER:
                self.host_names.answered(event.process, event.network, event.ns, names_in(event.prefix))
            elif listen := self.flows.add(event):
                self._writer.write(listen)
                self.host_names.listened(listen)
            else:
                self.host_names.reached(event)

    def _write(self, records: Iterable[Record]) -> None:
        for record in records:
            self._writer.write(record)

    def finish(self, ns: int) -> None:
        """Close everything that is open at `ns`, the end of the run."""
        self._apply_packets(self._unread, time.monotonic_ns())
        self._apply(self._ahead)
        self.runners.finish(ns)
        self._write(self.flows.take_all())
        self._write(self._processes.take_all())
