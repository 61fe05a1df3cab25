"""Which /etc/hosts each process of the traced tree sees, and the names that it gives to the addresses that are reached.

A process may have another one than the tracer: in a container, after `unshare --mount`, or by `ip netns exec`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from tracer.record.names.hosts_file import Answer, MountNamespace, Names, Reader, Version
from tracer.record.processes import Processes
from tracer.trace.ids import NetworkNamespace, Pid, PidNamespace, ProcessId

_REMEMBERED: Final = 10_000
"""Addresses that are remembered of a mount namespace, in case its file changes."""


class _File(Struct):
    """The file of one mount namespace, and what its processes have reached."""

    version: Version | None = None  # None: not yet read
    names: Names = {}
    is_stale: bool = False  # it has to be read again before its names count
    waiting: int = 0  # how often it is to be read; meanwhile its names do not count
    reached: set[tuple[NetworkNamespace, str]] = field(default_factory=set[tuple[NetworkNamespace, str]])


class HostsFiles:
    """The files of the mount namespaces of the traced tree, and the names of the addresses that are reached there."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._pidns = PidNamespace(os.stat("/proc/self/ns/pid").st_ino)  # noqa: PTH116 -- as below
        self._own = _mount_namespace("self")
        self._mounts: dict[ProcessId, MountNamespace] = {}  # where they were when they were looked up
        self._users: set[ProcessId] = set()  # the processes that have used an address
        self._files: dict[MountNamespace, _File] = {self._own: _File()}
        self._new: list[tuple[_File, NetworkNamespace, str]] = []  # reached for the first time, in this turn
        self._due: set[MountNamespace] = set()  # those whose files are to be read
        self._reader = Reader()

    def executed(self, process: ProcessId) -> None:
        """A process has executed a program.

        It may end before its first use of an address is known. So its mount namespace is looked up now; and if it is
        not the tracer's, the file is read now. Its program before this one may have mounted another file.
        """
        is_known = process in self._mounts
        mount = self._look_up(process)
        if mount != self._own:
            file = self._files.setdefault(mount, _File())
            file.is_stale = file.is_stale or is_known
            self._due.add(mount)

    def reached(self, process: ProcessId, network: NetworkNamespace, address: str) -> None:
        """A process has used an address that a file can name.

        The mount namespace of a process is looked up at its first use. The file is looked at again for each new
        process and each new address, but at most once in a turn.
        """
        is_new = process not in self._users
        if is_new:
            self._users.add(process)
            self._look_up(process)
        mount = self._mounts[process]
        file = self._files.setdefault(mount, _File())
        if (network, address) not in file.reached and len(file.reached) < _REMEMBERED:
            is_new = True
            file.reached.add((network, address))
            self._new.append((file, network, address))
        if is_new:
            self._due.add(mount)

    def turn(self, seconds: float = 0) -> Iterator[tuple[NetworkNamespace, str, str]]:
        """Network namespace, address and name of what was found since the last turn; `seconds`: to wait for the rest.

        A name may come several times.
        """
        due, self._due = self._due, set()
        for mount in due:
            self._read_again(mount)
        for answer in self._reader.answers(seconds):
            self._take(answer)
        new, self._new = self._new, []
        for file, network, address in new:
            if file.waiting or file.is_stale:
                self._new.append((file, network, address))
            else:
                for name in file.names.get(address, ()):
                    yield network, address, name

    def _read_again(self, mount: MountNamespace) -> None:
        """Have a file read. If no process sees it any more, its names stay, unless it is stale."""
        file = self._files.get(mount)
        if file is None:
            return
        pid = Pid(0) if mount == self._own else self._pid_at(mount)
        if pid or mount == self._own:
            root = Path(f"/proc/{pid}/root") if pid else None
            file.waiting += self._reader.read(mount, root, file.version)
        elif file.is_stale:
            file.version, file.names, file.is_stale = None, {}, False

    def _take(self, answer: Answer) -> None:
        file = self._files.get(answer.mount)
        if file is None:
            return
        file.waiting = max(0, file.waiting - 1)
        if answer.is_gone:  # another process may see it
            self._due.add(answer.mount)
            return
        file.is_stale = False
        if answer.names is not None:
            file.version, file.names = answer.version, answer.names
            self._new += [(file, network, address) for network, address in file.reached]

    def forget_process(self, process: ProcessId) -> None:
        """Forget a process that has ended, and the file that only it saw."""
        self._users.discard(process)
        self._leave(process)

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()

    def _pid_at(self, mount: MountNamespace) -> Pid:
        """The pid of a process in a mount namespace, the one that is known the longest; 0: there is none."""
        for process, place in self._mounts.items():
            if place == mount:
                found, pid = self._mount_of(process)
                if pid and found == mount:
                    return pid
        return Pid(0)

    def _look_up(self, process: ProcessId) -> MountNamespace:
        mount, _ = self._mount_of(process)
        if self._mounts.get(process) != mount:
            self._leave(process)
            self._mounts[process] = mount
        return mount

    def _leave(self, process: ProcessId) -> None:
        mount = self._mounts.pop(process, self._own)
        if mount != self._own and mount not in self._mounts.values() and (file := self._files.pop(mount, None)):
            file.waiting, file.names, file.is_stale = 0, {}, False

    def _mount_of(self, process: ProcessId) -> tuple[MountNamespace, Pid]:
        """The mount namespace of a process, and its pid; 0: it has ended, or is another user's.

        Then it is where it was, or where the process was that started it.
        """
        if pid := self._pid_of(process):
            with suppress(OSError):
                return _mount_namespace(pid), pid
        while process and process not in self._mounts:
            process = self._processes.parent(process)
        return self._mounts.get(process, self._own), Pid(0)

    def _pid_of(self, process: ProcessId) -> Pid:
        return self._processes.pid_in(self._pidns, process)


def _mount_namespace(pid: Pid | str) -> MountNamespace:
    """The mount namespace of a process (namespaces(7)). A look at /proc never waits, as another file system may.

    Raises:
        OSError: the process has ended, or is another user's.
    """
    return os.stat(f"/proc/{pid}/ns/mnt").st_ino  # noqa: PTH116 -- a third of the time of pathlib's
