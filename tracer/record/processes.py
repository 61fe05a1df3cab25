"""Live processes, their parents, and which process had a pid at which time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tracer.record.capture.protocol import Kind, TaskEvent
from tracer.trace.ids import (
    INITIAL_PIDNS,
    NO_PROCESS,
    UNKNOWN_GENERATION,
    HostPid,
    Pid,
    PidGeneration,
    PidNamespace,
    ProcessId,
)
from tracer.trace.records import Process, Thread
from tracer.trace.timeline import Timeline

P = TypeVar("P", Pid, HostPid)


class _Entry(Struct, eq=False):
    """A process that is remembered: it is alive, ended recently, or has a descendant that is remembered."""

    process: Process
    pidns: PidNamespace
    host_pid: HostPid
    generation: PidGeneration  # of the host_pid
    parent: _Entry | None
    references: int = 1  # one until the process itself is forgotten, and one for each remembered child
    used_socket: bool = False  # since its last exec

    def lived_at(self, ns: int) -> bool:
        """Whether the process existed at a moment."""
        return self.process.start_ns <= ns and (self.process.end_ns is None or ns <= self.process.end_ns)


class Processes:
    """The processes of the traced tree, as the kernel's task events describe them.

    A process that ended is remembered until `forget_before`, and longer if a descendant is remembered: the descendant
    may have a connection that the process opened.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._entries: dict[ProcessId, _Entry] = {}
        self._ended: deque[_Entry] = deque()
        self._by_pid: dict[Pid, list[_Entry]] = {}  # of all pid namespaces, in the order of birth
        self._by_host_pid: dict[HostPid, list[_Entry]] = {}

    def apply(self, event: TaskEvent) -> Process | Thread | None:
        """Apply a task event; return the record that it completes, if any."""
        if event.kind == Kind.THREAD:
            if entry := self._entries.get(event.process):
                entry.used_socket = True
            return Thread(event.process, event.tid, event.start_ns, event.command, event.lineage_ns)
        # The first event of the command is an EXEC.
        entry = self._entries.get(event.process) or self._add(event)
        if event.pidns and not entry.pidns:
            self._renumber(entry, event)
        process = entry.process
        if event.kind == Kind.EXEC and entry.used_socket:
            earlier, until_ns = (*process.earlier, process.command), (*process.earlier_until_ns, event.ns)
            process = replace(process, earlier=earlier, earlier_until_ns=until_ns)
            entry.used_socket = False
        entry.process = replace(process, command=event.command)
        if event.kind != Kind.EXIT:
            return None
        entry.process = replace(entry.process, end_ns=event.ns, status=event.status)
        self._ended.append(entry)
        return entry.process

    def _add(self, event: TaskEvent) -> _Entry:
        process = Process(
            event.process, event.parent, event.pid, event.start_ns, event.command, lineage_ns=event.lineage_ns
        )
        parent = self._entries.get(event.parent)
        entry = _Entry(process, event.pidns, event.host_pid, event.pid_generation, parent)
        if parent:
            parent.references += 1
        self._entries[process.id] = entry
        self._by_pid.setdefault(process.pid, []).append(entry)
        self._by_host_pid.setdefault(entry.host_pid, []).append(entry)
        self._timeline.fork(process.id, process.parent)
        return entry

    def _renumber(self, entry: _Entry, event: TaskEvent) -> None:
        """The pid namespace of a process, and its pid there, are known at last."""
        _remove(self._by_pid, entry.process.pid, entry)
        entry.pidns = event.pidns
        entry.process = replace(entry.process, pid=event.pid)
        self._by_pid.setdefault(event.pid, []).append(entry)

    def by_pid(self, pidns: PidNamespace, pid: Pid, ns: int | None = None) -> ProcessId:
        """The process that had this pid in this pid namespace at `ns` (None: the last one); 0: none of the tree.

        Pids and namespace numbers are reused. If the namespace is unknown (0), the pid decides, unless processes of
        several namespaces have it.
        """
        entries = [
            entry
            for entry in self._by_pid.get(pid, ())
            if pidns in (0, entry.pidns) and (ns is None or entry.lived_at(ns))
        ]
        if len(entries) > 1 and any(entry.pidns != entries[0].pidns for entry in entries):
            return NO_PROCESS
        return entries[-1].process.id if entries else NO_PROCESS

    def pid_in(self, pidns: PidNamespace, process: ProcessId) -> Pid:
        """The pid of a process that is alive, in this pid namespace; 0: it has ended, or its pid there is unknown."""
        entry = self._entries.get(process)
        if entry is None or entry.process.end_ns is not None:
            return Pid(0)
        if entry.pidns == pidns:
            return entry.process.pid
        return Pid(entry.host_pid) if pidns == INITIAL_PIDNS else Pid(0)

    def parent(self, process: ProcessId) -> ProcessId:
        """The process that forked a process; 0: none, or it is not remembered."""
        entry = self._entries.get(process)
        return entry.process.parent if entry else NO_PROCESS

    def start_ns(self, process: ProcessId) -> int:
        """When a process that is remembered was forked."""
        return self._entries[process].process.start_ns

    def by_host_pid(self, pid: HostPid, ns: int, generation: PidGeneration) -> ProcessId:
        """The last process that had this pid in the initial pid namespace, up to `ns`; 0: none of the tree.

        It may have ended: the listener of a socket is the process that called listen(2), even if only a child of it
        still has the socket.
        """
        entries = [
            entry
            for entry in self._by_host_pid.get(pid, ())
            if entry.process.start_ns <= ns
            and (UNKNOWN_GENERATION in (generation, entry.generation) or generation == entry.generation)
        ]
        return entries[-1].process.id if entries else NO_PROCESS

    def forget_before(self, ns: int) -> list[ProcessId]:
        """Forget the moments before `ns`: no query about them will come. Return the processes that are forgotten."""
        forgotten = []
        while self._ended and (self._ended[0].process.end_ns or 0) < ns:
            entry: _Entry | None = self._ended.popleft()
            while entry:
                entry.references -= 1
                if entry.references:
                    break
                del self._entries[entry.process.id]
                _remove(self._by_pid, entry.process.pid, entry)
                _remove(self._by_host_pid, entry.host_pid, entry)
                forgotten.append(entry.process.id)
                entry = entry.parent
        return forgotten

    def take_all(self) -> Iterable[Process]:
        """Remove all processes, and return those that are alive."""
        yield from (entry.process for entry in self._entries.values() if entry.process.end_ns is None)
        self._entries.clear()


def _remove(entries: dict[P, list[_Entry]], pid: P, entry: _Entry) -> None:
    entries[pid].remove(entry)
    if not entries[pid]:
        del entries[pid]
