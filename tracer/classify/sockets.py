"""What the flows together say of endpoints and sockets: who answers there, who opened them, what is spoken."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from functools import cache
from ipaddress import ip_address
from math import inf

from tracer.classify.services.identify import Identification, Identifier
from tracer.classify.services.protocols import recognise
from tracer.trace.endpoint import Endpoint
from tracer.trace.records import Flow, Listen, Trace

_WILDCARDS = ("0.0.0.0", "::")

_Place = tuple[int, Endpoint]  # network, endpoint: in another network namespace, an address is somebody else's


class Sockets:
    """Facts about a trace's endpoints and sockets that no single flow holds."""

    def __init__(self, trace: Trace, identifier: Identifier) -> None:
        self._identifier = identifier
        self._openers: dict[int, Flow] = {}
        self._used: dict[tuple[int, Endpoint], int] = {}  # socket, endpoint → since when, ns
        self._failed: Counter[tuple[int, Endpoint]] = Counter()  # socket, endpoint → attempts without success
        self._prefixes: dict[_Place, dict[int, list[bytes]]] = {}  # place → socket → first bytes of its first sends
        self._identified: dict[_Place, Identification] = {}
        for flow in sorted(trace.flows, key=lambda flow: flow.first_ns):
            opener = self._openers.setdefault(flow.socket, flow)
            if flow.connects and not opener.connects:
                self._openers[flow.socket] = flow
            self._used.setdefault((flow.socket, flow.endpoint), flow.first_ns)
            self._failed[flow.socket, flow.endpoint] += flow.connects - flow.established
            if flow.prefixes:
                of_place = self._prefixes.setdefault(_place(flow), {})
                of_place.setdefault(flow.socket, []).extend(map(bytes.fromhex, flow.prefixes))
        self._listening = _Listening(trace.listens)
        self._listeners = {(listener.network, listener.endpoint): listener.command for listener in trace.listeners}
        self._own_paths = {_place(flow) for flow in trace.flows if flow.peer}

    def opener(self, flow: Flow) -> Flow:
        """The flow that connected this flow's socket; where nobody was seen to, the first that used it."""
        return self._openers[flow.socket]

    def identify(self, flow: Flow) -> Identification:
        """Name the service where a flow leads, by the first of the sockets there whose bytes say something."""
        place = _place(flow)
        known = self._identified.get(place)
        if known is None:
            sockets: Iterable[list[bytes]] = self._prefixes.get(place, {}).values()
            told = next((prefixes for prefixes in sockets if recognise(prefixes)), [])
            known = self._identified[place] = self._identifier.service_of(flow.endpoint, told)
        return known

    def is_self_hosted(self, flow: Flow) -> bool:
        """Whether it is the run itself that can be reached where this flow leads.

        A TCP connection is the run's own if the run listened when it was opened. Where an attempt failed, it is enough
        that the run listens there at any time: whoever waits for a server of the run begins before it is there. So it
        is for datagrams: how long a name lasts is not told, and an answer may be told before the question.
        """
        if flow.peer:
            return True
        use = flow.socket, flow.endpoint
        if self._failed[use] and _place(flow) in self._own_paths:
            return True
        at_ns = self._used[use] if flow.endpoint.protocol == "tcp" and not self._failed[use] else None
        return any(
            self._listening.at((flow.network, endpoint), at_ns) for endpoint in _reached_at(flow.endpoint, flow.local)
        )

    def listener(self, flow: Flow) -> str | None:
        """The name of the process that listened where this flow leads when the run ended, if that is known."""
        places = ((flow.network, endpoint) for endpoint in _reached_at(flow.endpoint, flow.local))
        return next((self._listeners[place] for place in places if place in self._listeners), None)


class _Listening:
    """When the run can be reached where. Several sockets may share a place."""

    def __init__(self, listens: Iterable[Listen]) -> None:
        self._intervals: dict[_Place, tuple[list[int], list[float]]] = {}  # begins and ends, in the order of time
        listening: Counter[_Place] = Counter()
        for listen in sorted(listens, key=lambda listen: listen.start_ns):
            place = _place(listen)
            begins, ends = self._intervals.setdefault(place, ([], []))
            if listen.begins:
                if not listening[place]:
                    begins.append(listen.start_ns)
                    ends.append(inf)
                listening[place] += 1
            elif listening[place]:
                listening[place] -= 1
                if not listening[place]:
                    ends[-1] = listen.start_ns

    def at(self, place: _Place, at_ns: int | None) -> bool:
        """Whether the run can be reached there at a time; None: at any."""
        begins, ends = self._intervals.get(place, ((), ()))
        if at_ns is None:
            return bool(begins)
        begun = bisect_right(begins, at_ns)
        return begun > 0 and at_ns <= ends[begun - 1]


def _place(at: Flow | Listen) -> _Place:
    return at.network, at.endpoint


@cache
def _reached_at(endpoint: Endpoint, local: bool) -> tuple[Endpoint, ...]:
    """Whoever is at one of these is reached at an endpoint: a wildcard stands for each of the machine's addresses."""
    if not endpoint.host or not (local or ip_address(endpoint.host).is_loopback):
        return (endpoint,)
    return (endpoint, *(endpoint._replace(host=wildcard) for wildcard in _WILDCARDS))
