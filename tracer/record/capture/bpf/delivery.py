"""What the kernel's side of a backend delivers, out of the memory that its maps share with the tracer.

Whoever loaded the probes, and whatever they are attached to: from here on there are only maps, and descriptors of
programs that tell which of their calls were missed.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tracer.record.capture.bpf.ringbuf import RingBuffer, map_counters, possible_cpus
from tracer.record.capture.bpf.tallies import Tallies
from tracer.record.capture.bpf.wire import CONTROL
from tracer.record.capture.protocol import Capture, Event, SocketEvent

RING_BYTES: Final = 16 << 20
"""Room for about 70,000 records between two drains; most sends need none (tallies.py)."""
_MISSES: Final = re.compile(r"^recursion_misses:\t(\d+)$", re.MULTILINE)


class Delivering(Capture):
    """What is the same in all backends whose probes deliver through these maps."""

    def __init__(self) -> None:
        self._delivery: Delivery | None = None
        self._programs: list[int] = []  # descriptors of those of which every call tells something

    def lost_events(self) -> int:
        """What could not be delivered, and each call of a program that the kernel left out.

        Such a call may have been about a process of the machine that is not of the tree.
        """
        if self._delivery is None:
            return 0
        return self._delivery.lost() + sum(map(misses, self._programs))

    def expect_boundaries(self, inode: int) -> None:
        """Let each write to this FIFO begin an epoch."""
        assert self._delivery is not None
        self._delivery.expect_boundaries(inode)

    def drain(self) -> Iterable[Event]:
        """Decode the events since the last call, in the kernel's order; then what it has counted in place."""
        assert self._delivery is not None
        return self._delivery.drain()

    def close(self) -> None:
        """Unmap; a backend detaches its programs first."""
        if self._delivery is not None:
            self._delivery.close()
            self._delivery = None


class Delivery:
    """The maps of probes that are loaded, mapped. Their file descriptors are not needed any more."""

    def __init__(self, events: int, lost: int, tallies: int, control: int) -> None:
        """Map what is behind the maps' descriptors; `control` holds a svc_control."""
        self._ring = RingBuffer(events, RING_BYTES)
        self._lost, self._counters = map_counters(lost, possible_cpus())
        self._tallies = Tallies(tallies)
        self._control = mmap.mmap(control, mmap.PAGESIZE)

    def begin(self) -> None:
        """Write the first values of the shared variables, where the program's text could not hold them."""
        CONTROL.pack_into(self._control, 0, 0, 1, 1, 0, 0)

    def expect_boundaries(self, inode: int) -> None:
        """Let each write to this FIFO begin an epoch."""
        _, *rest = CONTROL.unpack_from(self._control)
        CONTROL.pack_into(self._control, 0, inode, *rest)

    def drain(self) -> Iterator[Event]:
        """Decode the events since the last call, in the kernel's order; then what it has counted in place."""
        _, epoch, *_ = CONTROL.unpack_from(self._control)
        for event, tally in self._ring.drain():
            yield event
            if tally and isinstance(event, SocketEvent):
                self._tallies.begin(tally, event)
        yield from self._tallies.drain(epoch)

    def lost(self) -> int:
        """Sum the kernel's counters over all CPUs; a tally that was overwritten too early counts as one."""
        return self._tallies.overwritten + sum(self._counters)

    def close(self) -> None:
        """Unmap."""
        self._ring.close()
        self._tallies.close()
        self._control.close()
        self._counters.release()
        self._lost.close()


def misses(program: int) -> int:
    """How often the kernel did not run a program, because it was running on that CPU already: told since Linux 5.12."""
    told = _MISSES.search(Path(f"/proc/self/fdinfo/{program}").read_text())
    return int(told[1]) if told else 0
