"""Names flows: the service at a flow's endpoint, its opener, and its listener. They follow from all flows together."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from ipaddress import ip_address
from math import inf
from typing import NamedTuple

from msgspec.structs import replace

from tracer.classify.services.identify import Identification, Identifier
from tracer.classify.services.protocols import recognise
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import NetworkNamespace, SocketInode
from tracer.trace.records import Flow, Listen, Trace

_WILDCARDS = ("0.0.0.0", "::")

_Place = tuple[NetworkNamespace, Endpoint]  # in another network namespace, an address is another machine's


class NamedFlow(NamedTuple):
    """A flow, and the facts about its socket and endpoint that it does not contain itself."""

    flow: Flow
    service: Identification
    opener: Flow  # the flow that connected the socket; if no flow did, the first that used it
    self_hosted: bool  # the run itself listens at the endpoint
    listener: str | None  # name of the process that listened there when the run ended; None: unknown


class Sockets:
    """Facts about a trace's endpoints and sockets that no single flow contains."""

    def __init__(self, trace: Trace, identifier: Identifier) -> None:
        self._flows = trace.flows
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

    def named_flows(self) -> Iterator[NamedFlow]:
        """The trace's flows in the order of time, named. Flows of the same key are added up.

        Flows of ignored services are left out, and flows without an attempt to send.
        """
        for flow in _summed(self._flows):
            service = self.identify(flow)
            if not service.ignored and not _is_silent(flow):
                opener = self._openers[flow.socket]
                yield NamedFlow(flow, service, opener, self.is_self_hosted(flow), self.listener(flow))

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


def _summed(flows: Iterable[Flow]) -> Iterable[Flow]:
    """Flows in the order of time, with those of the same key added up: each may have a part of the facts."""
    sums: dict[tuple[object, ...], Flow] = {}
    for flow in sorted(flows, key=lambda flow: flow.first_ns):
        key = (flow.process, flow.tid, flow.socket, flow.endpoint, flow.spans)
        known = sums.get(key)
        sums[key] = flow if known is None else _sum(known, flow)
    return sums.values()


def _sum(flow: Flow, later: Flow) -> Flow:
    return replace(
        flow,
        last_ns=max(flow.last_ns, later.last_ns),
        sends=flow.sends + later.sends,
        bytes=flow.bytes + later.bytes,
        connects=flow.connects + later.connects,
        established=flow.established + later.established,
        peer=flow.peer or later.peer,
        local=flow.local or later.local,
        prefixes=flow.prefixes + later.prefixes,
        heads=dict(Counter(flow.heads) + Counter(later.heads)),
        errors=dict(Counter(flow.errors) + Counter(later.errors)),
        asked=None if flow.asked is None or later.asked is None else flow.asked + later.asked,
        unsure=flow.unsure + later.unsure,
    )


def _is_silent(flow: Flow) -> bool:
    """Whether a flow never tried to send. Connecting a UDP socket sends nothing (udp(7)).

    getaddrinfo connects a UDP socket to each address, to sort them (RFC 6724), and fails for those without a route.
    """
    failed_sends = sum(flow.errors.values()) - (flow.connects - flow.established)
    return flow.endpoint.protocol == "udp" and flow.sends == 0 and failed_sends <= 0
