"""The clocks of the hooks: all times must be the kernel's CLOCK_MONOTONIC, as the events' are.

A process reads another clock in a time namespace (time_namespaces(7)), or with a library that fakes the time, such as
libfaketime. No process can notice that itself, so its packets are compared with the tracer's clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from tracer.record.boundary.packets import Packet
from tracer.record.processes import Processes
from tracer.trace.ids import ProcessId

_LATE_NS: Final = 1_000_000_000
"""A hook writes a packet at once after it has read the time, unless its process is stopped in between."""
_LATE_PACKETS: Final = 3
"""So many late packets in succession are not a coincidence."""


class Clocks:
    """Recognises the processes whose hooks read another clock. None of their times can be used.

    Attributes:
        wrong: these processes.
        unusable: their packets since they were recognised.
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._late: Counter[ProcessId] = Counter()  # late packets in succession
        self._empty_ns = 0  # when the FIFO was empty for the last time before the packets that are checked
        self.wrong: set[ProcessId] = set()
        self.unusable = 0

    def check_late(self, packets: Iterable[Packet], reading_ns: int) -> None:
        """Look for late packets among those that were read after `reading_ns`. They are all that the FIFO contained.

        A packet is late if it was not yet in the FIFO long after its own time.
        """
        for packet in packets:
            late = packet.ns is not None and self._empty_ns - packet.ns > _LATE_NS
            if not late and not self._late:
                continue
            process = self._processes.by_pid(packet.pidns, packet.pid, packet.ns)
            if late and process:
                self._late[process] += 1
                if self._late[process] == _LATE_PACKETS:
                    self.wrong.add(process)
            elif packet.ns is not None:
                self._late.pop(process, None)
        self._empty_ns = reading_ns

    def is_wrong(self, packet: Packet, process: ProcessId, now_ns: int) -> bool:
        """Whether a packet is of a process with another clock; `process` is the one that had its pid at its time.

        A time in the future proves another clock, and so does one before the start of the process.
        """
        ns = packet.ns
        if ns is not None and (not process or ns > now_ns):
            process = self._processes.by_pid(packet.pidns, packet.pid)
            if process and not self._processes.start_ns(process) <= ns <= now_ns:
                self.wrong.add(process)
        if process not in self.wrong:
            return False
        self.unusable += 1
        return True

    def forget_process(self, process: ProcessId) -> None:
        """Forget a process that has ended."""
        self._late.pop(process, None)
