"""Which descriptors lead to which sockets: who may be the last to have one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Table:
    """The descriptors of a process, of which only sockets are known. Processes may share one (CLONE_FILES)."""

    inodes: dict[int, int] = field(default_factory=dict)
    close_on_exec: set[int] = field(default_factory=set)
    users: int = 1  # processes


class Descriptors:
    """All tables of the tree. What closes a descriptor returns the sockets that nobody of the tree has any longer."""

    def __init__(self) -> None:
        self._holders: Counter[int] = Counter()

    def held(self, inode: int) -> bool:
        """Whether anybody has this socket."""
        return inode in self._holders

    def open(self, table: Table, descriptor: int, inode: int, *, close_on_exec: bool) -> list[int]:
        """A descriptor leads to a socket from now on."""
        if table.inodes.get(descriptor) == inode:
            gone = []
        else:
            gone = self.close(table, descriptor)
            table.inodes[descriptor] = inode
            self._holders[inode] += 1
        self.mark(table, descriptor, close_on_exec=close_on_exec)
        return gone

    def mark(self, table: Table, descriptor: int, *, close_on_exec: bool) -> None:
        """Whether another program is to inherit a descriptor."""
        if close_on_exec:
            table.close_on_exec.add(descriptor)
        else:
            table.close_on_exec.discard(descriptor)

    def close(self, table: Table, descriptor: int) -> list[int]:
        """A descriptor is closed."""
        table.close_on_exec.discard(descriptor)
        inode = table.inodes.pop(descriptor, None)
        if inode is None:
            return []
        self._holders[inode] -= 1
        if self._holders[inode]:
            return []
        del self._holders[inode]
        return [inode]

    def close_all(self, table: Table, descriptors: Iterable[int]) -> list[int]:
        """Several are closed at once."""
        return [inode for descriptor in list(descriptors) for inode in self.close(table, descriptor)]

    def copy(self, table: Table) -> Table:
        """What a child inherits."""
        self._holders.update(table.inodes.values())
        return Table(dict(table.inodes), set(table.close_on_exec))

    def release(self, table: Table) -> list[int]:
        """One that used a table has ended."""
        table.users -= 1
        return [] if table.users else self.close_all(table, table.inodes)
