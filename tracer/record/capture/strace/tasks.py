"""The tasks of the traced tree, as far as strace's text tells them, and /proc where it does not."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tracer.record.capture.protocol import COMMAND_PROCESS, Kind, TaskEvent
from tracer.record.capture.strace.descriptors import Table

PROC: Final = Path("/proc")
_NAMESPACE_FILE: Final = re.compile(r"\d+<(\w+):\[(\d{1,19})\]>")
_COMMAND_LEN: Final = 15  # TASK_COMM_LEN without its NUL


@dataclass(eq=False, slots=True)
class Namespace:
    """A pid or network namespace."""

    inode: int  # 0: unknown


@dataclass(eq=False, slots=True)
class Folders:
    """Where the paths of one process lead, or of several that share it (CLONE_FS)."""

    current: str
    root: str = ""
    mounts: dict[str, str] = field(
        default_factory=dict
    )  # of the mount namespace: folder → what can be found there, too

    def mount(self, source: str, target: str) -> None:
        """A folder can be found by another path, too."""
        self.mounts[self.seen_from_outside(target)] = self.seen_from_outside(source)

    def seen_from_outside(self, path: str) -> str:
        """A path as those see it that have neither another root nor these mounts."""
        whole = os.path.normpath(self.root + os.path.normpath(Path(self.current, path)))
        for target in sorted(self.mounts, key=len, reverse=True):
            if whole == target or whole.startswith(f"{target}/"):
                return self.mounts[target] + whole[len(target) :]
        return whole


@dataclass(eq=False, slots=True)
class Process:
    """A process that lives."""

    serial: int
    parent: int  # serial
    host_pid: int  # as strace sees it
    pid: int  # in its own namespace; 0: unknown
    pidns: Namespace
    start_ns: int
    lineage_ns: int
    table: Table
    folders: Folders
    tasks: int = 1
    status: int = 0  # wait status, once its first task has ended
    ending_ns: int = 0  # since when it is to end; 0: not known


@dataclass(eq=False, slots=True)
class Task:
    """A thread that lives."""

    host_tid: int  # as strace sees it
    tid: int  # in its process's pid namespace
    process: Process
    start_ns: int
    lineage_ns: int  # see the trace's Process; 0: the command's
    command: str
    network: Namespace
    children: Namespace  # the pid namespace of the processes that it starts
    runner: bool = False  # it has told a boundary
    announced: bool = False
    takes_over: bool = False  # it executes a program, and has taken the place of its process's first task

    def event(self, ns: int, kind: Kind, status: int = 0) -> TaskEvent:
        """What is told of it."""
        process = self.process
        parent = process.parent if kind == Kind.FORK else 0
        pids = (process.pid, process.host_pid, process.pidns.inode)
        start_ns, lineage_ns = self.start_ns, self.lineage_ns or self.start_ns
        return TaskEvent(
            ns,
            kind,
            process.serial,
            self.tid,
            parent,
            *pids,
            start_ns,
            self.command,
            status,
            lineage_ns,
            process.serial,
        )

    def rename(self, command: str) -> None:
        """It has another name, of which the kernel keeps the first bytes."""
        self.command = command.encode("utf-8", "surrogateescape")[:_COMMAND_LEN].decode("utf-8", "replace")


@dataclass(slots=True)
class Tree:
    """Who lives."""

    proc: Path = PROC
    tasks: dict[int, Task] = field(default_factory=dict)  # by number, as strace sees it
    _last_serial: int = COMMAND_PROCESS
    _last_network: int = 1 << 32

    def plant(self, pid: int, ns: int) -> Task:
        """The command's first task."""
        own = Namespace(inode_of(self.proc / f"{pid}/ns/pid"))
        network = Namespace(inode_of(self.proc / f"{pid}/ns/net"))
        process = Process(COMMAND_PROCESS, 0, pid, pid, own, ns, 0, Table(), Folders(str(Path.cwd())))
        task = self.tasks[pid] = Task(pid, pid, process, ns, 0, "", network, own)
        return task

    def bear(self, parent: Task, host_tid: int, number: int, flags: str, ns: int, table: Table | None) -> Task:
        """A task was born; `number` is its own in its parent's pid namespace, 0 if unknown. No table: it is a thread.

        Its network and pid namespaces are its parent's unless the flags say otherwise: then /proc is asked.
        """
        lineage_ns = ns if parent.runner or not parent.lineage_ns else parent.lineage_ns
        network = parent.network
        if "CLONE_NEWNET" in flags:
            network = self._new_network(host_tid)
        process, pidns = parent.process, parent.children
        if table is None:
            process.tasks += 1
        else:
            if "CLONE_NEWPID" in flags:
                pidns = Namespace(0)
            if not pidns.inode:
                pidns.inode = inode_of(self.proc / f"{host_tid}/ns/pid")
            if pidns is not process.pidns or not number:
                number = self._number_in_own_namespace(host_tid) or (1 if "CLONE_NEWPID" in flags else 0)
            folders = process.folders if "CLONE_FS" in flags else replace(process.folders)
            if "CLONE_NEWNS" in flags:
                folders.mounts = dict(folders.mounts)
            self._last_serial += 1
            process = Process(
                self._last_serial, process.serial, host_tid, number, pidns, ns, lineage_ns, table, folders
            )
        task = Task(host_tid, number, process, ns, lineage_ns, parent.command, network, pidns)
        self.tasks[host_tid] = task
        return task

    def status_of(self, host_tid: int) -> Mapping[str, str]:
        """What /proc says of a task, name by name (proc_pid_status(5)); nothing if it is gone."""
        try:
            lines = (self.proc / f"{host_tid}/status").read_text(errors="replace").splitlines()
        except OSError:
            return {}
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def _number_in_own_namespace(self, host_tid: int) -> int:
        """A task's number in its innermost pid namespace; 0 if it is gone."""
        *_, last = self.status_of(host_tid).get("NSpid", "0").split()
        return int(last)

    def enter(self, task: Task, arguments: str) -> None:
        """A task has changed its namespaces, or those of its children, by unshare(2) or setns(2)."""
        entered = _NAMESPACE_FILE.match(arguments)
        kind, inode = (entered[1], int(entered[2])) if entered else ("", 0)
        if kind == "net":
            task.network = Namespace(inode)
        elif "CLONE_NEWNET" in arguments:
            task.network = self._new_network(task.host_tid)
        if "CLONE_NEWNS" in arguments:
            task.process.folders.mounts = dict(task.process.folders.mounts)
        if kind == "pid" or "CLONE_NEWPID" in arguments:
            task.children = Namespace(inode or inode_of(self.proc / f"{task.host_tid}/ns/pid_for_children"))

    def _new_network(self, host_tid: int) -> Namespace:
        """The network namespace that a task is in; a number that no inode has where /proc cannot tell any more."""
        self._last_network += 1
        return Namespace(inode_of(self.proc / f"{host_tid}/ns/net") or self._last_network)

    def end(self, task: Task, status: int) -> bool:
        """A task has ended; returns whether its process has."""
        self.tasks.pop(task.host_tid, None)
        process = task.process
        if task.host_tid == process.host_pid:
            process.status = status
        process.tasks -= 1
        return process.tasks == 0

    def supersede(self, task: Task, by: int) -> None:
        """Another thread of its process takes a task's place."""
        heir = self.tasks.pop(by, None)
        if heir is None or heir.process is not task.process:
            return
        heir.process.tasks -= 1
        heir.host_tid, heir.tid, heir.takes_over = task.host_tid, heir.process.pid, True
        self.tasks[task.host_tid] = heir


def inode_of(path: Path) -> int:
    """A file's inode number; 0 if nobody is there any more, or it is none of our business."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0
