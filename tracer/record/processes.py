"""The processes and threads of the traced tree, as the kernel's task events tell them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tracer.record.capture.protocol import Kind, TaskEvent
from tracer.trace.records import Process, Thread
from tracer.trace.timeline import Timeline


@dataclass(eq=False, slots=True)
class _Life:
    """A process, and why it is still remembered."""

    process: Process
    pidns: int
    host_pid: int
    generation: int  # which process of this host_pid it is; 0 where unknown
    parent: _Life | None
    holders: int = 1  # itself, until it is forgotten, and each child that is remembered
    talks: bool = False  # the program that it executes now has used a socket

    def executes(self, ns: int) -> None:
        """Another program takes over from one that has used a socket."""
        process = self.process
        self.process = replace(
            process,
            earlier=(*process.earlier, process.command),
            earlier_until_ns=(*process.earlier_until_ns, ns),
        )
        self.talks = False

    def lived_at(self, ns: int) -> bool:
        """Whether it was there at a moment."""
        return self.process.start_ns <= ns and (self.process.end_ns is None or ns <= self.process.end_ns)


class Processes:
    """Who lives, who is whose child, and which pid means whom at which moment.

    The dead are remembered until `forget`, and as long as a descendant lives: it may hold what they opened.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._lives: dict[int, _Life] = {}
        self._ended: deque[_Life] = deque()
        self._by_pid: dict[int, list[_Life]] = {}  # of any pid namespace, in the order of birth
        self._by_host_pid: dict[int, list[_Life]] = {}

    def apply(self, event: TaskEvent) -> Process | Thread | None:
        """Take a task event in; returns the record that it completes, if any."""
        if event.kind == Kind.THREAD:
            if life := self._lives.get(event.process):
                life.talks = True
            return Thread(event.process, event.tid, event.start_ns, event.command, event.lineage_ns)
        # The command itself is first heard of when it executes.
        life = self._lives.get(event.process) or self._be_born(event)
        if event.kind == Kind.EXEC and life.talks:
            life.executes(event.ns)
        life.process = replace(life.process, command=event.command)
        if event.kind != Kind.EXIT:
            return None
        life.process = replace(life.process, end_ns=event.ns, status=event.status)
        self._ended.append(life)
        return life.process

    def _be_born(self, event: TaskEvent) -> _Life:
        process = Process(
            event.process, event.parent, event.pid, event.start_ns, event.command, lineage_ns=event.lineage_ns
        )
        life = _Life(process, event.pidns, event.host_pid, event.pid_generation, self._lives.get(event.parent))
        if life.parent:
            life.parent.holders += 1
        self._lives[process.id] = life
        self._by_pid.setdefault(process.pid, []).append(life)
        self._by_host_pid.setdefault(life.host_pid, []).append(life)
        self._timeline.fork(process.id, process.parent)
        return life

    def by_pid(self, pidns: int, pid: int, ns: int | None = None) -> int:
        """The process that had this pid in this pid namespace at `ns`, or else last; 0 for none of the tree.

        Both numbers are reused. Where the namespace is unknown (0), the pid decides, if only one namespace has it.
        """
        lives = [
            life for life in self._by_pid.get(pid, ()) if pidns in (0, life.pidns) and (ns is None or life.lived_at(ns))
        ]
        if len({life.pidns for life in lives}) != 1:
            return 0
        return lives[-1].process.id

    def by_host_pid(self, pid: int, ns: int | None = None, generation: int = 0) -> int:
        """The process that had this pid in the initial namespace last, up to `ns`; 0 for none of the tree.

        It may be dead: what listens on a socket is who called listen(2), even when a child of it has taken over.
        """
        lives = [
            life
            for life in self._by_host_pid.get(pid, ())
            if (ns is None or life.process.start_ns <= ns)
            and (0 in (generation, life.generation) or generation == life.generation)
        ]
        return lives[-1].process.id if lives else 0

    def forget_before(self, ns: int) -> list[int]:
        """Nobody will ask any more about moments before `ns`; returns the processes that are remembered no longer."""
        forgotten = []
        while self._ended and (self._ended[0].process.end_ns or 0) < ns:
            life: _Life | None = self._ended.popleft()
            while life:
                life.holders -= 1
                if life.holders:
                    break
                del self._lives[life.process.id]
                _remove(self._by_pid, life.process.pid, life)
                _remove(self._by_host_pid, life.host_pid, life)
                forgotten.append(life.process.id)
                life = life.parent
        return forgotten

    def take_all(self) -> Iterable[Process]:
        """The processes that are still alive."""
        yield from (life.process for life in self._lives.values() if life.process.end_ns is None)
        self._lives.clear()


def _remove(lives: dict[int, list[_Life]], pid: int, life: _Life) -> None:
    lives[pid].remove(life)
    if not lives[pid]:
        del lives[pid]
