"""Writes the names of the hosts that the traced tree reaches into the trace, each of them once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from time import monotonic_ns
from typing import Final

from msgspec import Struct

from tracer.record.capture.protocol import SocketEvent
from tracer.record.names.engine import Engine, sockets_of
from tracer.record.names.hosts_file import has_names
from tracer.record.names.mounts import HostsFiles
from tracer.record.names.nearby import NearbyEndpoints
from tracer.record.processes import Processes
from tracer.trace.ids import NetworkNamespace, ProcessId
from tracer.trace.records import HostName, Listen, Listener

_ANSWERED: Final = 4096
"""Addresses of DNS answers that are remembered of a process. If there are more, all are forgotten, and written anew."""
_LAST_S: Final = 0.2
"""How long each of the sources may take for what it has not found when the run has ended."""


class Surroundings(Struct, frozen=True):
    """Where the user started svc-trace."""

    directory: Path  # the working directory
    environment: Mapping[str, str]
    uid: int


NOTHING: Final = Surroundings(Path("/dev/null"), {"DOCKER_HOST": "none"}, 0)
"""Surroundings without a container engine and without Compose files."""


class HostNames:
    """What the recorder knows about the names of hosts.

    Records are written in this order, in which they count for one address: name servers' answers and files of hosts as
    they are read; containers when the engine answers; services of Compose files after the run.
    """

    def __init__(self, write: Callable[[HostName], None], processes: Processes, surroundings: Surroundings) -> None:
        self._write = write
        self._answered: dict[ProcessId, dict[str, str]] = {}  # process → address → the name that it last had
        self._hosts = HostsFiles(processes)
        self._from_files: set[HostName] = set()
        self._surroundings = surroundings
        self._nearby = NearbyEndpoints(write, Engine(sockets_of(surroundings.environment, surroundings.uid)))

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

    def executed(self, process: ProcessId) -> None:
        """A process of the tree has executed a program."""
        self._hosts.executed(process)

    def reached(self, event: SocketEvent) -> None:
        """A process of the tree connects or sends to an endpoint."""
        endpoint = event.endpoint
        if endpoint.host:
            if has_names(endpoint.host):
                self._hosts.reached(event.process, event.network, endpoint.host)
            if endpoint.host not in self._answered.get(event.process, ()):
                self._nearby.reached(event)

    def listened(self, listen: Listen) -> None:
        """A process of the tree listens, or stops to."""
        self._nearby.listened(listen)

    def turn(self) -> None:
        """Write what was found since the last turn, and look for more. This never waits."""
        self._write_from_files(seconds=0)
        self._nearby.turn(monotonic_ns())

    def finish(self, listeners: Collection[Listener]) -> None:
        """After the run: wait a little for the rest, and read the Compose files of the user's directory."""
        self._write_from_files(seconds=_LAST_S)
        self._hosts.close()
        self._nearby.finish(listeners, self._surroundings.directory, self._surroundings.environment, _LAST_S)

    def _write_from_files(self, seconds: float) -> None:
        for network, address, name in self._hosts.turn(seconds):
            record = HostName(name, address, "hosts", network=network)
            if record not in self._from_files:
                self._from_files.add(record)
                self._write(record)

    def forget_process(self, process: ProcessId) -> None:
        """Forget a process that has ended."""
        self._answered.pop(process, None)
        self._hosts.forget_process(process)
