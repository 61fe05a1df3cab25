"""Names from /etc/hosts, as each process of the traced tree can read it.

A process may have another /etc/hosts than the tracer: in a container, after `unshare --mount`, or by `ip netns exec`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Final

from msgspec import Struct, field

from tracer.record.names.name import host_name
from tracer.record.names.regular_file import handle_of, read_regular
from tracer.record.processes import Processes
from tracer.trace.endpoint import canonical_host
from tracer.trace.ids import NetworkNamespace, Pid, PidNamespace, ProcessId

_OWN_FILE: Final = Path("/etc/hosts")
_LIMIT: Final = 1 << 20
"""Bytes of a file that are read. Lists that block advertisements are longer; a user's own names come before them."""
_NAMES: Final = 8
"""Names of one address that are kept."""
_NAMELESS: Final = frozenset({"127.0.0.1", "::1", "0.0.0.0", "::"})
"""Addresses of which /etc/hosts has no names: they mean the machine itself, or block a name."""
_REMEMBERED: Final = 10_000
"""Addresses that are remembered of a mount namespace, in case its file changes."""
_UNANSWERED: Final = 64
"""Files that may wait to be read. If one of them is on a file system that never answers, the others are not read."""

Names = Mapping[str, tuple[str, ...]]
"""Address in canonical form → its names, in the order of the file."""
MountNamespace = int
"""Inode number of a mount namespace."""


def has_names(address: str) -> bool:
    """Whether /etc/hosts can give a name to an address."""
    return address not in _NAMELESS


def names_in(text: str) -> Names:
    """The names in a file: lines of an address, its canonical name and its aliases; `#` begins a comment (hosts(5))."""
    names: dict[str, tuple[str, ...]] = {}
    for line in text.split("\n"):
        fields = line.partition("#")[0].split()
        if len(fields) < 2 or not (address := _address(fields[0])) or not has_names(address):
            continue
        for field_ in fields[1:]:
            known = names.get(address, ())
            if len(known) < _NAMES and (name := host_name(field_)) and name not in known:
                names[address] = (*known, name)
    return names


def _address(text: str) -> str:
    """An address in canonical form, without the zone of a link-local address (RFC 4007, 11); empty: it is none."""
    address = text.partition("%")[0]
    with suppress(OSError, UnicodeEncodeError, ValueError):
        return canonical_host(socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address))
    return ""


class _Version(Struct, frozen=True):
    """Changes if a file is written or replaced."""

    device: int
    inode: int
    mtime_ns: int
    size: int


class _Found(Struct, frozen=True):
    """A file that was read."""

    mount: MountNamespace
    version: _Version
    names: Names


class _File(Struct):
    """The file of one mount namespace, and what its processes have reached."""

    version: _Version | None = None  # None: not yet read
    names: Names = {}
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
        self._due: dict[MountNamespace, ProcessId] = {}  # of a file that is to be read → a process that sees it
        self._reader = _Reader()

    def executed(self, process: ProcessId) -> None:
        """A process has executed a program.

        It may end before its first use of an address is known. So its mount namespace is looked up now; and if it is
        not the tracer's, the file is read now.
        """
        mount = self._look_up(process)
        if mount != self._own:
            self._due[mount] = process

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
        if (network, address) not in file.reached:
            is_new = True
            if len(file.reached) < _REMEMBERED:
                file.reached.add((network, address))
            self._new.append((file, network, address))
        if is_new:
            self._due[mount] = process

    def turn(self, seconds: float = 0) -> Iterator[tuple[NetworkNamespace, str, str]]:
        """Network namespace, address and name of what was found since the last turn; `seconds`: to wait for the rest.

        A name may come several times.
        """
        for mount, process in self._due.items():
            found_mount, pid = self._mount_of(process)
            if mount == self._own or (pid and found_mount == mount):
                root = None if mount == self._own else Path(f"/proc/{pid}/root")
                self._reader.read(mount, root, self._files.setdefault(mount, _File()).version)
        self._due.clear()
        for found in self._reader.results(seconds):
            if file := self._files.get(found.mount):
                file.version, file.names = found.version, found.names
                self._new += [(file, network, address) for network, address in file.reached]
        for file, network, address in self._new:
            for name in file.names.get(address, ()):
                yield network, address, name
        self._new.clear()

    def forget_process(self, process: ProcessId) -> None:
        """Forget a process that has ended, and the file that only it saw."""
        self._users.discard(process)
        self._leave(process)

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()

    def _look_up(self, process: ProcessId) -> MountNamespace:
        mount, _ = self._mount_of(process)
        if self._mounts.get(process) != mount:
            self._leave(process)
            self._mounts[process] = mount
        return mount

    def _leave(self, process: ProcessId) -> None:
        mount = self._mounts.pop(process, self._own)
        if mount != self._own and mount not in self._mounts.values():
            self._files.pop(mount, None)

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


class _Reader:
    """Reads files in a thread of its own, because the tree may have mounted a file system that never answers."""

    def __init__(self) -> None:
        self._wanted = SimpleQueue[tuple[MountNamespace, Path | None, _Version | None] | None]()
        self._found = SimpleQueue[_Found | None]()
        self._unanswered = 0
        self._thread: Thread | None = None

    def read(self, mount: MountNamespace, root: Path | None, known: _Version | None) -> None:
        """Have the file below a process's root read, or the tracer's own file, unless its version is known."""
        if self._unanswered >= _UNANSWERED:
            return
        if self._thread is None:
            thread = Thread(target=self._run, name="hosts files", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no further thread is allowed
                return
            self._thread = thread
        self._unanswered += 1
        self._wanted.put((mount, root, known))

    def results(self, seconds: float) -> Iterator[_Found]:
        """The files that have been read; wait so long at most for those that have not."""
        deadline = monotonic() + seconds
        while self._unanswered:
            try:
                found = self._found.get(timeout=max(0, deadline - monotonic()))
            except Empty:
                return
            self._unanswered -= 1
            if found:
                yield found

    def close(self) -> None:
        """Let the thread end, when it can."""
        self._wanted.put(None)

    def _run(self) -> None:
        while wanted := self._wanted.get():
            found = None
            with suppress(OSError):
                found = _read(*wanted)
            self._found.put(found)


def _read(mount: MountNamespace, root: Path | None, known: _Version | None) -> _Found | None:
    """Read the file below the root of a process; None: its version is known.

    There, links are not followed: an absolute one would lead into the tracer's own root.

    Raises:
        OSError: the file or the process is gone, or may not be read.
    """
    with ExitStack() as opened:
        if root:
            directory = opened.enter_context(handle_of(root, os.O_DIRECTORY))
            etc = opened.enter_context(handle_of("etc", os.O_DIRECTORY | os.O_NOFOLLOW, directory))
            file = opened.enter_context(handle_of("hosts", os.O_NOFOLLOW, etc))
        else:
            file = opened.enter_context(handle_of(_OWN_FILE))
        about = os.fstat(file)
        version = _Version(about.st_dev, about.st_ino, about.st_mtime_ns, about.st_size)
        if version == known:
            return None
        content = read_regular(file, _LIMIT)
    if len(content) == _LIMIT:
        content = content[: content.rfind(b"\n") + 1]  # without the line that was cut off
    return _Found(mount, version, names_in(content.decode("latin-1")))
