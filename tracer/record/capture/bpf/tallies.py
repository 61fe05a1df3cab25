"""Tallies: counters in the kernel for sends that emit no event.

probes/svc_trace.h says which sends a tally counts (svc_tally).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

from tracer.record.capture.bpf.wire import TALLY
from tracer.record.capture.protocol import SocketEvent

SIZE = 65536
"""SVC_TALLIES: how many the kernel keeps; a further one overwrites the oldest."""


class _Tally:
    __slots__ = ("bytes", "first", "old", "sends")

    def __init__(self, first: SocketEvent) -> None:
        self.first = first  # the send with which it began
        self.sends = self.bytes = 0  # already returned by `drain`, without the first
        self.old = False  # at its last reading, a later epoch had begun


class Tallies:
    """The tallies, read from the memory in which the kernel counts."""

    def __init__(self, fd: int) -> None:
        """Map the tallies behind the map `fd`."""
        self._pages = mmap.mmap(fd, SIZE * TALLY.size, prot=mmap.PROT_READ)
        self._open: dict[int, _Tally] = {}
        self.overwritten = 0  # tallies whose last sends may be missing, because another tally took their place

    def begin(self, serial: int, first: SocketEvent) -> None:
        """Take in a send with which the tally `serial` begins."""
        index = serial % SIZE
        before = self._open.get(index)
        self.overwritten += before is not None and not before.old
        self._open[index] = _Tally(first)

    def drain(self, epoch: int) -> Iterator[SocketEvent]:
        """The sends counted since the last call, one event for each tally that grew.

        A tally is final if a later epoch had already begun at its last reading. `epoch` was current before the newest
        of the tallies began.
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
