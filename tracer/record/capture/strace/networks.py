"""The network namespaces that the tree makes and enters.

strace prints a namespace's inode number only where a call has its file as an argument: setns(2), but not unshare(2) and
clone(2). For these it is read from /proc. Until then the task may have ended, or may be in another namespace.
"""

from __future__ import annotations

import re
from collections.abc import Set
from pathlib import Path
from typing import Final

from tracer.trace.ids import NetworkNamespace

_NETWORK_FILE: Final = re.compile(r"/proc/(?:self|thread-self|\d{1,10})(?:/task/\d{1,10})?/ns/net")


class Networks:
    """All network namespaces of one tree. Those that it makes get numbers that no inode has."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self.own = NetworkNamespace(inode_of(proc / "self/ns/net"))
        self._last = 1 << 32
        self._by_inode: dict[int, NetworkNamespace] = {}  # those that the tree made, as far as they were read in time
        self._by_path: dict[str, NetworkNamespace] = {}  # where a file of theirs is mounted, as from outside
        self._unread: list[NetworkNamespace] = []  # the others, in the order of their making

    def made(self, host_tid: int, in_use: Set[NetworkNamespace]) -> NetworkNamespace:
        """A task has made a network namespace, and is in it. `in_use`: those in which other tasks are.

        If /proc shows that the task is in one of them, it was read too late.
        """
        self._last += 1
        number = NetworkNamespace(self._last)
        inode = inode_of(self._proc / f"{host_tid}/ns/net")
        if inode and self._by_inode.get(inode, inode) not in in_use | {self.own}:
            self._by_inode[inode] = number
        else:
            self._unread.append(number)
        return number

    def mounted(self, source: str, target: str, network: NetworkNamespace) -> None:
        """A task in `network` has mounted a file, perhaps that of its own network namespace, as `ip netns add` does."""
        if _NETWORK_FILE.fullmatch(source):
            self._by_path[target] = network

    def mounted_at(self, path: str, in_use: Set[NetworkNamespace]) -> NetworkNamespace:
        """The one whose file is mounted at a path; 0: unknown."""
        return self._by_path.get(path) or self.numbered(inode_of(Path(path)), in_use)

    def numbered(self, inode: int, in_use: Set[NetworkNamespace]) -> NetworkNamespace:
        """The one that has this inode number now; 0: unknown.

        If no known one fits, it is one that the tree made and that could not be read: the last one that has a task, or
        the last one. The kernel uses the inode number of a namespace that has gone again.
        """
        known = self._by_inode.get(inode)
        number = known or NetworkNamespace(inode)
        if inode == 0 or number in in_use | {self.own}:
            return number
        possible = [unread for unread in self._unread if unread in in_use] or ([] if known else self._unread)
        if possible:
            number = self._by_inode[inode] = possible[-1]
            self._unread.remove(number)
        return number


def inode_of(path: Path) -> int:
    """A file's inode number; 0: it is gone, or may not be read."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0
