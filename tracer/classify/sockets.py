"""Facts about endpoints and sockets that follow from all flows: listeners, openers, protocols."""

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
from tracer.trace.ids import NetworkNamespace, SocketInode
from tracer.trace.records import Flow, Listen, Trace

_WILDCARDS = ("0.0.0.0", "::")

_Place = tuple[NetworkNamespace, Endpoint]  # in another network namespace, an address is another machine's


class Sockets:
    """Facts about a trace's endpoints and sockets that no single flow contains."""

    def __init__(self, trace: Trace, identifier: Identifier) -> None:
        self._identifier = identifier
        self._openers: dict[SocketInode, Flow] = {}
        self._used: dict[tuple[SocketInode, Endpoint], int] = {}  # socket, endpoint → since when, ns
        self._failed: Counter[tuple[SocketInode, Endpoint]] = Counter()  # socket, endpoint → attempts without success
        self._prefixes: dict[_Place, dict[SocketInode, list[bytes]]] = {}  # the first bytes of first sends
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
        """The flow that connected this flow's socket; if no flow did, the first that used it."""
        return self._openers[flow.socket]

    def identify(self, flow: Flow) -> Identification:
        """The service at a flow's endpoint. The first socket there whose bytes identify a protocol decides."""
        place = _place(flow)
        known = self._identified.get(place)
        if known is None:
            sockets: Iterable[list[bytes]] = self._prefixes.get(place, {}).values()
            first = next((prefixes for prefixes in sockets if recognise(prefixes)), [])
            known = self._identified[place] = self._identifier.service_of(flow.endpoint, first)
        return known

    def is_self_hosted(self, flow: Flow) -> bool:
        """Whether the run itself listens at this flow's endpoint.

        A successful TCP connection is self-hosted if the run listened when the connection was opened. A failed attempt
        is self-hosted if the run listens there at any time, because a test that waits for a server of the run starts
        before the server listens. The same applies to datagrams: the end of their binding is not recorded, and the
        events of two processes may be in another order.
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
        """The name of the process that listened at this flow's endpoint when the run ended; None: unknown."""
        places = ((flow.network, endpoint) for endpoint in _reached_at(flow.endpoint, flow.local))
        return next((self._listeners[place] for place in places if place in self._listeners), None)


class _Listening:
    """When the run listened at which place. Several sockets may listen at one place."""

    def __init__(self, listens: Iterable[Listen]) -> None:
        self._intervals: dict[_Place, tuple[list[int], list[float]]] = {}  # begins and ends, each in the order of time
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
        """Whether the run listened there at a time; None: at any time."""
        begins, ends = self._intervals.get(place, ((), ()))
        if at_ns is None:
            return bool(begins)
        begun = bisect_right(begins, at_ns)
        return begun > 0 and at_ns <= ends[begun - 1]


def _place(at: Flow | Listen) -> _Place:
    return at.network, at.endpoint


@cache
def _reached_at(endpoint: Endpoint, local: bool) -> tuple[Endpoint, ...]:
    """The addresses at which a listener gets what is sent to an endpoint: itself, and wildcards of this machine."""
    if not endpoint.host or not (local or ip_address(endpoint.host).is_loopback):
        return (endpoint,)
    return (endpoint, *(endpoint.at(wildcard) for wildcard in _WILDCARDS))
