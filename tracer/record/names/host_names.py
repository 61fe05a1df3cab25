"""Writes the names of the hosts that the traced tree reaches into the trace, each of them once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from tracer.trace.ids import NetworkNamespace, ProcessId
from tracer.trace.records import HostName

_ANSWERED: Final = 4096
"""Addresses of DNS answers that are remembered of a process. If there are more, all are forgotten, and written anew."""


class HostNames:
    """What the recorder knows about the names of hosts."""

    def __init__(self, write: Callable[[HostName], None]) -> None:
        self._write = write
        self._answered: dict[ProcessId, dict[str, str]] = {}  # process → address → the name that it last had

    def answered(
        self, process: ProcessId, network: NetworkNamespace, ns: int, pairs: Iterable[tuple[str, str]]
    ) -> None:
        """A process has read an answer of a name server with these names and addresses.

        A record is written if the name of the address is another than in the last answer that the process read. So
        the last record before a connection has the name that the process looked up last.
        """
        known = self._answered.setdefault(process, {})
        for name, address in pairs:
            if known.get(address) != name:
                if len(known) >= _ANSWERED:
                    known.clear()
                known[address] = name
                self._write(HostName(name, address, "dns", ns, process, network))

    def forget_process(self, process: ProcessId) -> None:
        """Forget a process that has ended."""
        self._answered.pop(process, None)
