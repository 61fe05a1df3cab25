"""The stages after loading, which libbpf and bcc share: their probes deliver through the same maps."""

from __future__ import annotations

import mmap
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from tracer.record.capture.bpf import sizes
from tracer.record.capture.bpf.interpreters import Interpreters
from tracer.record.capture.bpf.ringbuf import RingBuffer
from tracer.record.capture.bpf.tallies import Tallies
from tracer.record.capture.bpf.wire import CONTROL
from tracer.record.capture.protocol import SHORTEST_PAUSE_S, Event, Loaded, Session, SocketEvent

if TYPE_CHECKING:
    from tracer.record.capture.bpf.wake_ups import Trial

REFUSED: Final = "this kernel refuses the probe at sched_waking"
_LONGEST_PAUSE_S: Final = 0.1
"""Between two drains that the kernel does not ask for."""
_MISSES: Final = re.compile(r"^recursion_misses:\t(\d+)$", re.MULTILINE)


class Maps(NamedTuple):
    """File descriptors of the maps that the tracer reads; probes/storage.h describes them."""

    events: int
    lost: int
    tallies: int
    control: int  # holds a svc_control
    interpreters: int


@dataclass(frozen=True, slots=True)
class BpfLoaded(Loaded):
    """Probes that are attached and wait for the root of a tree."""

    name: str
    maps: Maps
    programs: Sequence[int]  # descriptors of the programs whose missed calls are lost events
    set_root: Callable[[int], None]  # makes a stopped child the root of the tree
    resources: ExitStack  # detaches and frees everything when it is closed
    trial: Trial | None = None  # of the probes at wake-ups; None: they are not loaded
    privileged: bool = True
    wakes: bool = False  # the probes wake the reader of the ring buffer when it fills

    @property
    def lacks_causes(self) -> str:
        """Waits for the trial's end."""
        return REFUSED if self.trial is None else self.trial.result()

    def trace(self, pid: int, fifo: Path, *, causes: bool = True) -> BpfSession:
        """Make the stopped process the root of the tree: fork adds its descendants."""
        lacks_causes = self.lacks_causes  # the trial's session has to end first
        return self.begin(pid, fifo, causes=causes and not lacks_causes)

    def begin(self, pid: int, fifo: Path, ring_bytes: int = sizes.RING_BYTES, *, causes: bool) -> BpfSession:
        """As `trace`, but without waiting for the trial, which uses this itself.

        `ring_bytes`: a session that ends before there were more bytes of events may map only these.
        """
        session = BpfSession(self.maps, self.programs, fifo.stat().st_ino, ring_bytes, causes=causes)
        session.ring = self.maps.events if self.wakes else None
        self.set_root(pid)
        return session

    def close(self) -> None:
        """Detach and free everything."""
        self.resources.close()


class BpfSession(Session):
    """The events of one tree, read from the memory of the maps."""

    def __init__(
        self, maps: Maps, programs: Sequence[int], fifo: int, ring_bytes: int = sizes.RING_BYTES, *, causes: bool
    ) -> None:
        """Map the maps; `fifo` is the inode number of the FIFO for boundaries. `causes`: events have them."""
        self._programs = programs
        with ExitStack() as mapped:
            self._ring = mapped.enter_context(closing(RingBuffer(maps.events, min(ring_bytes, sizes.RING_BYTES))))
            self._tallies = mapped.enter_context(closing(Tallies(maps.tallies)))
            self._interpreters = mapped.enter_context(closing(Interpreters(maps.interpreters)))
            self._control = mapped.enter_context(mmap.mmap(maps.control, mmap.PAGESIZE))
            self._counters = Struct(f"@{sizes.possible_cpus()}Q")
            self._lost = mapped.enter_context(mmap.mmap(maps.lost, self._counters.size, prot=mmap.PROT_READ))
            self._mapped = mapped.pop_all()
        _, *rest, _ = CONTROL.unpack_from(self._control)
        CONTROL.pack_into(self._control, 0, fifo, *rest, causes)

    def drain(self) -> Iterator[Event]:
        """Decode the events since the last call, in the kernel's order; then the sends that it counted in place."""
        _, _, epoch, *_ = CONTROL.unpack_from(self._control)
        for event, tally in self._ring.drain():
            yield event
            if not isinstance(event, SocketEvent):
                self._interpreters.apply(event)
            elif tally:
                self._tallies.begin(tally, event)
        self._interpreters.look_up(time.monotonic_ns())
        yield from self._tallies.drain(epoch)

    def longest_pause(self) -> float:
        """Longer, unless the Python of a process is still looked for: until it is found, its futexes do not count."""
        return SHORTEST_PAUSE_S if self._interpreters.is_looking else _LONGEST_PAUSE_S

    def lost(self) -> int:
        """Count events that could not be delivered, tallies that were overwritten too early, and missed calls.

        A missed call may have concerned a process outside of the tree.
        """
        lost: int = sum(self._counters.unpack(self._lost))
        return lost + self._tallies.overwritten + sum(map(misses, self._programs))

    def close(self) -> None:
        """Unmap."""
        self._mapped.close()


def misses(program: int) -> int:
    """How often the kernel skipped a program that was already running on that CPU; reported since Linux 5.12."""
    count = _MISSES.search(Path(f"/proc/self/fdinfo/{program}").read_text())
    return int(count[1]) if count else 0
