"""The descriptors of each process that are sockets. They show when the last one of a socket is closed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Table:
    """The sockets among the descriptors of a process, or of several that share them (CLONE_FILES)."""

    inodes: dict[int, int] = field(default_factory=dict)  # descriptor → inode number
    close_on_exec: set[int] = field(default_factory=set)
    users: int = 1  # processes


class Descriptors:
    """All tables of the tree. Methods that close descriptors return the sockets that have none left in the tree."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()  # inode number → descriptors

    def is_open(self, inode: int) -> bool:
        """Whether a process of the tree has this socket."""
        return inode in self._counts

    def open(self, table: Table, descriptor: int, inode: int, *, close_on_exec: bool) -> list[int]:
        """From now on the descriptor is this socket; what it was before is closed."""
        closed = []
        if table.inodes.get(descriptor) != inode:
            closed = self.close(table, descriptor)
            table.inodes[descriptor] = inode
            self._counts[inode] += 1
        if close_on_exec:
            table.close_on_exec.add(descriptor)
        else:
            table.close_on_exec.discard(descriptor)
        return closed

    def close(self, table: Table, *descriptors: int) -> list[int]:
        """These descriptors are closed."""
        closed = []
        for descriptor in descriptors:
            table.close_on_exec.discard(descriptor)
            inode = table.inodes.pop(descriptor, None)
            if inode is not None:
                self._counts[inode] -= 1
                if not self._counts[inode]:
                    del self._counts[inode]
                    closed.append(inode)
        return closed

    def copy(self, table: Table) -> Table:
        """A child's table."""
        self._counts.update(table.inodes.values())
        return Table(dict(table.inodes), set(table.close_on_exec))

    def unshare(self, table: Table) -> Table:
        """A table for a process that no longer shares this one."""
        if table.users == 1:
            return table
        table.users -= 1
        return self.copy(table)

    def release(self, table: Table) -> list[int]:
        """A process that used a table has ended."""
        table.users -= 1
        return [] if table.users else self.close(table, *table.inodes)
