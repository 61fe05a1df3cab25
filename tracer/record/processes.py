"""The processes and threads of the traced tree, as the kernel's task events tell them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tracer.record.capture.protocol import Kind, TaskEvent
from tracer.trace.records import Process, Thread
from tracer.trace.timeline import Timeline


class Processes:
    """Who lives, who is whose child, and which pid means whom."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._alive: dict[int, Process] = {}
        self._by_pid: dict[tuple[int, int], int] = {}  # (pid namespace, pid) → the process that had it last
        self._by_host_pid: dict[int, int] = {}

    def apply(self, event: TaskEvent) -> Process | Thread | None:
        """Take a task event in; returns the record that it completes, if any."""
        if event.kind == Kind.THREAD:
            return Thread(event.process, event.tid, event.start_ns, event.command)
        process = self._alive.get(event.process)
        if process is None:  # born; the command itself is first heard of when it executes
            process = Process(event.process, event.parent, event.pid, event.start_ns, event.command)
            self._timeline.fork(event.process, event.parent)
            self._by_pid[event.pidns, event.pid] = event.process
            self._by_host_pid[event.host_pid] = event.process
        process = replace(process, command=event.command)
        self._alive[event.process] = process
        if event.kind != Kind.EXIT:
            return None
        del self._alive[event.process]
        return replace(process, end_ns=event.ns, status=event.status)

    def by_pid(self, pidns: int, pid: int) -> int:
        """The process that has, or had last, this pid in this pid namespace; 0 for none of the tree."""
        return self._by_pid.get((pidns, pid), 0)

    def by_host_pid(self, pid: int) -> int:
        """The process that has, or had last, this pid in the initial namespace; 0 for none of the tree."""
        return self._by_host_pid.get(pid, 0)

    def take_all(self) -> Iterable[Process]:
        """The processes that are still alive."""
        yield from self._alive.values()
        self._alive.clear()
