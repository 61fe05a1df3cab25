"""Tallies: sends that the kernel counts in place, because nothing about them is new.

Of a thread's sends on a socket between two boundaries, the first is told in full; the rest need no event each.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

from tracer.record.capture.bpf.wire import TALLY
from tracer.record.capture.protocol import SocketEvent

SIZE = 65536
"""SVC_TALLIES: how many the kernel keeps; then the oldest is overwritten."""


@dataclass(slots=True)
class _Tally:
    first: SocketEvent  # the send that it began with
    sends: int = 0  # told so far, without the first
    bytes: int = 0
    old: bool = False  # another epoch ran already when it was last read


class Tallies:
    """What the kernel has counted, read from the memory it counts in."""

    def __init__(self, fd: int) -> None:
        """Map the tallies behind the map `fd`."""
        size = -(-SIZE * TALLY.size // mmap.PAGESIZE) * mmap.PAGESIZE
        self._pages = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ)
        self._open: dict[int, _Tally] = {}
        self.overwritten = 0  # tallies whose last sends may have been missed, because their place was taken

    def begin(self, serial: int, first: SocketEvent) -> None:
        """A send was told that later ones are counted with."""
        index = serial % SIZE
        before = self._open.get(index)
        self.overwritten += before is not None and not before.old
        self._open[index] = _Tally(first)

    def drain(self, epoch: int) -> Iterator[SocketEvent]:
        """The sends counted since the last call, one event for each tally that grew.

        A tally is final when a later epoch than its own ran at its last reading already. `epoch` is one that ran before
        the last of the tallies began.
        """
        for index, tally in list(self._open.items()):
            last_ns, total, sends, of_epoch = TALLY.unpack_from(self._pages, index * TALLY.size)
            if sends > tally.sends:
                first = tally.first
                count, size = sends - tally.sends, total - tally.bytes
                yield first._replace(result=size, sends=count, last_ns=last_ns, prefix=b"")
                tally.sends, tally.bytes = sends, total
            if tally.old:
                del self._open[index]
            tally.old = of_epoch < epoch

    def close(self) -> None:
        """Unmap."""
        self._pages.close()
