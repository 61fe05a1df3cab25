"""The names of hosts: which name an address had at which time, by name servers' answers, files and containers.

The addresses of localhost belong to many services, so a name for all of their ports says nothing about one of them.
Other loopback addresses are set up for one service, as a rule: 127.0.0.2 for `db`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable
from typing import Final

from tracer.classify.attempts import LOCALHOST
from tracer.trace.ids import NO_PROCESS, UNKNOWN_NETWORK, NetworkNamespace
from tracer.trace.records import Flow, HostName

_ALL_PORTS: Final = 0
_NO_ANSWERS: Final[tuple[list[int], list[str]]] = ([], [])


class Hosts:
    """The names that a trace has for addresses."""

    def __init__(self, records: Iterable[HostName]) -> None:
        """`records`: in the order of the trace. Of several names for one place, or of one time, the first counts."""
        records = list(records)
        self._by_process = _Answers()
        self._by_network = _Answers()
        self._lasting: dict[tuple[NetworkNamespace, str, int], str] = {}  # network, address, port → name
        for record in records:
            if record.source != "dns":
                self._lasting.setdefault((record.network, record.address, record.port), record.name)
        for answer in sorted((record for record in records if record.source == "dns"), key=lambda record: record.ns):
            if answer.address in LOCALHOST:
                continue
            self._by_network.add((answer.network, answer.address), answer)
            if answer.process != NO_PROCESS:
                self._by_process.add((answer.process, answer.address), answer)

    def __bool__(self) -> bool:
        """Whether there is any name."""
        return bool(self._lasting or self._by_network)

    def name_of(self, flow: Flow) -> str | None:
        """The name of a flow's host, as it was known when the flow began; None: it was not known.

        It is the last answer of a name server that the flow's process read, else the last one that any process read in
        the same network namespace. Otherwise it is the name for the address and port, else for the address, which files
        or containers give for the whole run.
        """
        address = flow.endpoint.host
        if not address:
            return None
        answered = self._by_process.last((flow.process, address), flow.first_ns)
        if answered is not None:
            return answered
        networks = _networks(flow)
        for network in networks:
            answered = self._by_network.last((network, address), flow.first_ns)
            if answered is not None:
                return answered
        for port in (flow.endpoint.port,) if address in LOCALHOST else (flow.endpoint.port, _ALL_PORTS):
            for network in networks:
                lasting = self._lasting.get((network, address, port))
                if lasting is not None:
                    return lasting
        return None

    def later_name_of(self, flow: Flow) -> str | None:
        """The first answer for a flow's address in its network namespace after the flow began; None: there is none."""
        answers = (self._by_network.next((network, flow.endpoint.host), flow.first_ns) for network in _networks(flow))
        return next((name for name in answers if name is not None), None)


class _Answers:
    """Name servers' answers for each place, in the order of time."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, tuple[list[int], list[str]]] = {}  # place → times, names

    def __bool__(self) -> bool:
        return bool(self._answers)

    def add(self, place: Hashable, answer: HostName) -> None:
        """Add an answer. They come in the order of time."""
        times, names = self._answers.setdefault(place, ([], []))
        if not times or times[-1] != answer.ns:
            times.append(answer.ns)
            names.append(answer.name)

    def last(self, place: Hashable, ns: int) -> str | None:
        """The last answer by a time; None: there was none."""
        times, names = self._answers.get(place, _NO_ANSWERS)
        earlier = bisect_right(times, ns)
        return names[earlier - 1] if earlier else None

    def next(self, place: Hashable, ns: int) -> str | None:
        """The first answer after a time; None: there is none."""
        times, names = self._answers.get(place, _NO_ANSWERS)
        earlier = bisect_right(times, ns)
        return names[earlier] if earlier < len(times) else None


def _networks(flow: Flow) -> tuple[NetworkNamespace, ...]:
    """The network namespaces whose names apply to a flow: its own, and what is for all of them."""
    return (flow.network,) if flow.network == UNKNOWN_NETWORK else (flow.network, UNKNOWN_NETWORK)
