"""The processes and threads of the tree, by the calls that start and end them. /proc is read for the rest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tracer.record.capture.protocol import COMMAND_PROCESS, Kind, TaskEvent
from tracer.record.capture.strace import arguments
from tracer.record.capture.strace.descriptors import Table
from tracer.record.capture.strace.lines import Call
from tracer.record.capture.strace.networks import Networks, inode_of
from tracer.trace.ids import (
    NO_PROCESS,
    UNKNOWN_NETWORK,
    HostPid,
    NetworkNamespace,
    Pid,
    PidGeneration,
    PidNamespace,
    ProcessId,
    Tid,
)

PROC: Final = Path("/proc")
_COMMAND_LEN: Final = 15  # TASK_COMM_LEN without its NUL


@dataclass(eq=False, slots=True)
class Namespace:
    """A pid namespace."""

    inode: PidNamespace


@dataclass(eq=False, slots=True)
class Directories:
    """Where the paths of a process lead, or of several that share this (CLONE_FS)."""

    current: str
    root: str = ""
    mounts: dict[str, str] = field(default_factory=dict)  # of the mount namespace: target → source, both from outside

    def change(self, call: Call) -> None:
        """chdir(2), fchdir(2), chroot(2), mount(2), move_mount(2)."""
        if call.name in ("mount", "move_mount"):
            if mount := arguments.mount(call.name, call.arguments):
                source, target = mount
                self.mounts[self.from_outside(target)] = self.from_outside(source)
        elif call.name == "fchdir":
            if opened := arguments.descriptor(call.arguments):
                self.current = opened[1]
        elif (path := arguments.first_string(call.arguments)) is not None:
            if call.name == "chroot":
                self.root = self.from_outside(path)
            else:
                self.current = os.path.normpath(Path(self.current, path))

    def from_outside(self, path: str) -> str:
        """A path as a process sees it that has neither this root nor these mounts."""
        whole = os.path.normpath(self.root + os.path.normpath(Path(self.current, path)))
        for target in sorted(self.mounts, key=len, reverse=True):
            if whole == target or whole.startswith(f"{target}/"):
                return self.mounts[target] + whole[len(target) :]
        return whole


@dataclass(eq=False, slots=True)
class Process:
    """A process that has not ended."""

    serial: ProcessId
    parent: ProcessId
    host_pid: HostPid  # as strace sees it
    pid: Pid  # in its own namespace; 0: unknown
    pidns: Namespace
    table: Table
    directories: Directories
    tasks: int = 1
    status: int = 0  # wait status, once its first task has ended
    ending_ns: int = 0  # when it called exit_group(2) or was killed; 0: neither was seen


@dataclass(eq=False, slots=True)
class Task:
    """A thread that has not ended."""

    host_tid: int  # as strace sees it
    tid: Tid
    process: Process
    start_ns: int
    lineage_ns: int  # see the trace's Process; 0: the command's
    command: str
    network: NetworkNamespace
    children_pidns: Namespace  # of the processes that it starts
    is_runner: bool = False  # it has written a boundary
    announced: bool = False  # its THREAD event was emitted
    takes_over: bool = False  # it executes a program, and has taken the place of its process's first task

    def event(self, ns: int, kind: Kind, status: int = 0) -> TaskEvent:
        """An event of this task."""
        process = self.process
        return TaskEvent(
            ns,
            kind,
            process=process.serial,
            tid=self.tid,
            parent=process.parent if kind == Kind.FORK else NO_PROCESS,
            pid=process.pid,
            host_pid=process.host_pid,
            pidns=process.pidns.inode,
            start_ns=self.start_ns,
            command=self.command,
            status=status,
            lineage_ns=self.lineage_ns or self.start_ns,
            pid_generation=PidGeneration(process.serial),
        )

    def rename(self, command: str) -> None:
        """Set its name, of which the kernel keeps the first bytes."""
        self.command = command.encode("utf-8", "surrogateescape")[:_COMMAND_LEN].decode("utf-8", "replace")


class Tree:
    """All tasks that have not ended."""

    def __init__(self, proc: Path = PROC) -> None:
        self.proc = proc
        self.tasks: dict[int, Task] = {}  # by their numbers as strace sees them
        self.networks = Networks(proc)
        self._last_serial = COMMAND_PROCESS

    def start(self, pid: int, ns: int) -> None:
        """Add the command's first task."""
        pidns = Namespace(PidNamespace(inode_of(self.proc / f"{pid}/ns/pid")))
        directories = Directories(str(Path.cwd()))
        process = Process(COMMAND_PROCESS, NO_PROCESS, HostPid(pid), Pid(pid), pidns, Table(), directories)
        network = NetworkNamespace(inode_of(self.proc / f"{pid}/ns/net"))
        self.tasks[pid] = Task(pid, Tid(pid), process, ns, 0, "", network, pidns)

    def fork(self, parent: Task, host_tid: int, number: int, flags: str, ns: int, table: Table | None) -> Task:
        """Add a new task.

        `number` is its own in its parent's pid namespace, 0 if unknown; `flags` are those of clone(2). Without a
        table, it is a thread. Its namespaces are its parent's unless the flags say otherwise: then /proc is read.
        """
        lineage_ns = ns if parent.is_runner or not parent.lineage_ns else parent.lineage_ns
        network = parent.network
        if "CLONE_NEWNET" in flags:
            network = self.networks.made(host_tid, self._networks_in_use())
        process, pidns = parent.process, parent.children_pidns
        if table is None:
            process.tasks += 1
        else:
            if "CLONE_NEWPID" in flags:
                pidns = Namespace(PidNamespace(0))
            if not pidns.inode:
                pidns.inode = PidNamespace(inode_of(self.proc / f"{host_tid}/ns/pid"))
            if pidns is not process.pidns or not number:
                numbers = self.status_of(host_tid).get("NSpid", "0")
                number = int(numbers.split()[-1]) or (1 if "CLONE_NEWPID" in flags else 0)
            directories = process.directories if "CLONE_FS" in flags else replace(process.directories)
            if "CLONE_NEWNS" in flags:
                directories.mounts = dict(directories.mounts)
            self._last_serial = ProcessId(self._last_serial + 1)
            process = Process(
                self._last_serial, process.serial, HostPid(host_tid), Pid(number), pidns, table, directories
            )
        task = Task(host_tid, Tid(number), process, ns, lineage_ns, parent.command, network, pidns)
        self.tasks[host_tid] = task
        return task

    def status_of(self, host_tid: int) -> Mapping[str, str]:
        """A task's status file in /proc, field by field (proc_pid_status(5)); empty if the task is gone."""
        try:
            lines = (self.proc / f"{host_tid}/status").read_text(errors="replace").splitlines()
        except OSError:
            return {}
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def change_namespaces(self, task: Task, call: Call) -> None:
        """A task has changed its namespaces, or those of its children, by unshare(2) or setns(2)."""
        text = call.arguments
        kind, inode = arguments.namespace(text)
        if call.name == "setns":
            task.network = self._joined_network(task, text)
        elif "CLONE_NEWNET" in text:
            task.network = self.networks.made(task.host_tid, self._networks_in_use())
        if "CLONE_NEWNS" in text:
            task.process.directories.mounts = dict(task.process.directories.mounts)
        if kind == "pid" or "CLONE_NEWPID" in text:
            inode = inode or inode_of(self.proc / f"{task.host_tid}/ns/pid_for_children")
            task.children_pidns = Namespace(PidNamespace(inode))

    def _joined_network(self, task: Task, text: str) -> NetworkNamespace:
        """The network namespace in which setns(2) has put a task."""
        in_use = self._networks_in_use()
        kind, inode = arguments.namespace(text)
        if kind == "net":
            return self.networks.numbered(inode, in_use)
        if "CLONE_NEWNET" not in text:
            return task.network
        if member := self.tasks.get(arguments.pidfd(text) or 0):
            return member.network
        opened = arguments.descriptor(text)
        number = self.networks.mounted_at(opened[1], in_use) if opened else UNKNOWN_NETWORK
        return number or self.networks.made(task.host_tid, in_use)

    def _networks_in_use(self) -> set[NetworkNamespace]:
        return {task.network for task in self.tasks.values()}

    def mount(self, task: Task, call: Call) -> None:
        """A path leads to another place, for example to the file of the task's network namespace."""
        directories = task.process.directories
        if mount := arguments.mount(call.name, call.arguments):
            source, target = map(directories.from_outside, mount)
            self.networks.mounted(source, target, task.network)
        directories.change(call)

    def end(self, task: Task, status: int) -> bool:
        """Remove a task; returns whether its process has ended."""
        self.tasks.pop(task.host_tid, None)
        process = task.process
        if task.host_tid == process.host_pid:
            process.status = status
        process.tasks -= 1
        return process.tasks == 0

    def supersede(self, task: Task, by: int) -> None:
        """Another thread of a task's process takes its place."""
        successor = self.tasks.pop(by, None)
        if successor is None or successor.process is not task.process:
            return
        successor.process.tasks -= 1
        successor.host_tid, successor.tid, successor.takes_over = task.host_tid, Tid(successor.process.pid), True
        self.tasks[task.host_tid] = successor
