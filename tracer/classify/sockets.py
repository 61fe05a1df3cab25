"""Names flows: the service at a flow's endpoint, its host, its opener, and its listener.

They follow from all flows together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache, partial
from ipaddress import ip_address

from msgspec import Struct
from msgspec.structs import replace

from tracer.classify.attempts import LOCALHOST, FlowKey, answered_elsewhere, key_of
from tracer.classify.gateways import split
from tracer.classify.hosts import Hosts
from tracer.classify.listening import Listening, place_of
from tracer.classify.model import is_unknown
from tracer.classify.places import Places
from tracer.classify.refused import RefusedEndpoints
from tracer.classify.services.identify import Identification, Identifier
from tracer.classify.services.paths import RequestPath, first_path
from tracer.classify.services.protocols import recognise
from tracer.classify.spoken import Spoken
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import NO_PROCESS, NO_SPAN, NetworkNamespace, SocketInode, SpanId
from tracer.trace.records import Flow, Trace

_WILDCARDS = ("0.0.0.0", "::")

_Server = tuple[NetworkNamespace, Endpoint, bool]  # true: a server of the run


class NamedFlow(Struct, frozen=True, gc=False):
    """A flow, and the facts about its socket and endpoint that it does not contain itself."""

    flow: Flow
    service: Identification
    opener: Flow  # the flow that connected the socket; if no flow did, the first that used it
    self_hosted: bool  # the run itself listens at the endpoint
    listener: str | None
    """Name of the process that listened there when the run ended; None: unknown, or a rule names the service."""
    lost: bool  # its datagrams did not arrive, because the service was refused to the run


class _Use(Struct, gc=False):
    """What the flows of one socket at one endpoint have in common."""

    first: Flow
    failed: int = 0  # attempts to connect without success
    local: bool = False  # whether the endpoint is at an address of the traced machine
    prefixes: tuple[str, ...] = ()  # hex of the first bytes of the socket's first sends
    protocol: str | None = None  # which they identify, or those of other sockets
    host: str | None = None  # the name of the host
    self_hosted: bool = False


class Sockets:
    """Facts about a trace's endpoints and sockets that no single flow contains."""

    def __init__(self, trace: Trace, identifier: Identifier, places: Places) -> None:
        self._flows = _summed(sorted(trace.flows, key=lambda flow: flow.first_ns))
        self._identifier = identifier
        self._refused = RefusedEndpoints(trace.refused)
        self._places = places
        self._spans = trace.spans
        self._openers: dict[SocketInode, Flow] = {}
        self._uses: dict[tuple[SocketInode, Endpoint], _Use] = {}
        for flow in self._flows:
            opener = self._openers.setdefault(flow.socket, flow)
            if flow.connects and not opener.connects:
                self._openers[flow.socket] = flow
            key = flow.socket, flow.endpoint
            use = self._uses.get(key)
            if use is None:
                use = self._uses[key] = _Use(flow)
            use.failed += flow.connects - flow.established
            use.local = use.local or flow.local
            use.host = use.host or _said_host(flow)
            use.prefixes += flow.prefixes
        self._listening = Listening(trace.listens)
        self._listeners = {(listener.network, listener.endpoint): listener.command for listener in trace.listeners}
        self._own_paths = {place_of(flow) for flow in trace.flows if flow.peer}
        for use in self._uses.values():
            use.protocol = _recognised(use.prefixes)
            use.self_hosted = self._listens_for(use)
        self._hosts = Hosts(trace.host_names)
        self._find_hosts()
        self._find_protocols()

    def named_flows(self) -> Iterator[NamedFlow]:
        """The trace's flows in the order of time, named. Flows of the same key are added up.

        Flows of ignored services are left out, and flows without an attempt to send. A failed attempt counts at the
        endpoint at which the client then connected, if both are addresses of one name.
        """
        answered = answered_elsewhere(self._flows, self._test_of, self._hosts.name_of)
        for flow in self._flows:
            if _is_silent(flow):
                continue
            answer = answered.get(key_of(flow)) if answered else None
            at = flow if answer is None or not self._is_same_service(flow, answer) else answer
            parts = self._parts(flow) if at is flow else ((_counted_at(flow, at), self.identify(at)),)
            own = self.is_self_hosted(at)
            lost = not own and self._refused.loses(flow.endpoint)
            for part, service in parts:
                if not service.ignored:
                    listener = self._listener(at) if is_unknown(service.name) else None
                    yield NamedFlow(part, service, self._openers[flow.socket], own, listener, lost)

    def identify(self, flow: Flow) -> Identification:
        """The service of a flow; if its requests are for several, the service of the first."""
        return next(iter(self._parts(flow)))[1]

    def _parts(self, flow: Flow) -> Iterable[tuple[Flow, Identification]]:
        """The parts of a flow for different services, by its socket's bytes, its host, and the paths of its requests.

        If the bytes identify nothing, those of another socket at the same endpoint count, the nearest in time. Only one
        of two is the run's own server: then they are different servers.
        """
        if not self._identifier.needs_paths:
            return ((flow, self._service(flow)),)
        return split(flow, first_path(map(bytes.fromhex, self._use(flow).prefixes)), partial(self._service, flow))

    def _service(self, flow: Flow, requests: tuple[RequestPath, ...] = ()) -> Identification:
        use = self._use(flow)
        host = _said_host(flow) or use.host
        found = self._identifier.service_of(flow.endpoint, use.protocol, host, requests, self_hosted=use.self_hosted)
        if not is_unknown(found.name) or use.self_hosted:
            return found
        refused = self._refused.service_of(flow.endpoint)  # its bytes, which would name it, were never sent
        return found if refused is None else replace(found, name=refused)

    def is_self_hosted(self, flow: Flow) -> bool:
        """Whether the run itself listens at this flow's endpoint.

        A successful TCP connection is self-hosted if the run listened when the connection was opened. A failed attempt
        is self-hosted if the run listens there at any time, because a test that waits for a server of the run starts
        before the server listens. For a failed attempt, the two addresses of localhost are one place. Datagrams are
        self-hosted if the run listens there at any time: the end of their binding is not recorded, and the events of
        two processes may be in another order.
        """
        return flow.peer != NO_PROCESS or self._use(flow).self_hosted

    def _listener(self, flow: Flow) -> str | None:
        """The name of the process that listened at this flow's endpoint when the run ended; None: unknown."""
        if not self._listeners:
            return None
        places = ((flow.network, endpoint) for endpoint in _reached_at(flow.endpoint, flow.local))
        return next((self._listeners[place] for place in places if place in self._listeners), None)

    def _use(self, flow: Flow) -> _Use:
        return self._uses[flow.socket, flow.endpoint]

    def _listens_for(self, use: _Use) -> bool:
        """Whether the run listens at a place that this use reaches, or tries to reach."""
        flow = use.first
        if use.failed and place_of(flow) in self._own_paths:
            return True
        at_ns = flow.first_ns if flow.endpoint.protocol == "tcp" and not use.failed else None
        reached = _reached_at(flow.endpoint, use.local)
        if use.failed and flow.endpoint.host in LOCALHOST:
            reached += tuple(flow.endpoint.at(host) for host in LOCALHOST)
        return any(self._listening.at((flow.network, endpoint), at_ns) for endpoint in reached)

    def _find_hosts(self) -> None:
        """Find the names of hosts that the sockets' own bytes do not contain."""
        said = [(_server(self._use(flow)), flow.first_ns, host) for flow in self._flows if (host := _said_host(flow))]
        if not said and not self._hosts:
            return
        spoken = Spoken(said)
        for use in self._uses.values():
            flow = use.first
            if use.host is None and flow.endpoint.host:
                use.host = (
                    self._hosts.name_of(flow)
                    or spoken.nearest(_server(use), flow.first_ns)
                    or self._hosts.later_name_of(flow)
                )

    def _find_protocols(self) -> None:
        """Find the protocols of sockets whose own bytes identify none: at the same endpoint, or at the same host."""
        spoken = Spoken(self._speaking())
        for use in self._uses.values():
            if use.protocol is None:
                servers = (_server(use), _named_server(use))
                found = (spoken.nearest(server, use.first.first_ns) for server in servers if server)
                use.protocol = next(filter(None, found), None)

    def _speaking(self) -> Iterator[tuple[_Server, int, str]]:
        """Each server, time and protocol of the flows on sockets whose bytes identify a protocol."""
        for flow in self._flows:
            use = self._use(flow)
            if use.protocol is not None:
                yield _server(use), flow.first_ns, use.protocol
                if named := _named_server(use):
                    yield named, flow.first_ns, use.protocol

    def _test_of(self, span: SpanId) -> SpanId:
        return self._places.of(span).test if span in self._spans else NO_SPAN

    def _is_same_service(self, flow: Flow, answer: Flow) -> bool:
        """Whether nothing shows that two endpoints are different services. A failed attempt has no requests."""
        name = self._service(flow).name
        return is_unknown(name) or name == self._service(answer).name


@lru_cache(maxsize=4096)  # a client opens most of its connections with the same bytes
def _recognised(prefixes: tuple[str, ...]) -> str | None:
    return recognise(map(bytes.fromhex, prefixes))


@cache
def _reached_at(endpoint: Endpoint, local: bool) -> tuple[Endpoint, ...]:
    """The addresses at which a listener gets what is sent to an endpoint: itself, and wildcards of this machine."""
    if not endpoint.host or not (local or ip_address(endpoint.host).is_loopback):
        return (endpoint,)
    return (endpoint, *(endpoint.at(wildcard) for wildcard in _WILDCARDS))


def _server(use: _Use) -> _Server:
    return *place_of(use.first), use.self_hosted or use.first.peer != NO_PROCESS


def _named_server(use: _Use) -> _Server | None:
    """The server with the host's name instead of the address; None: the name is unknown."""
    if use.host is None:
        return None
    network, endpoint, own = _server(use)
    return network, endpoint.at(use.host), own


def _said_host(flow: Flow) -> str | None:
    """The name of the host that a flow's own bytes contain. A unix socket is at no host."""
    return flow.host or None if flow.endpoint.host else None


def _summed(flows: Iterable[Flow]) -> list[Flow]:
    """Flows in the order of time, with those of the same key added up: each may have a part of the facts."""
    sums: dict[FlowKey, Flow] = {}
    for flow in flows:
        key = key_of(flow)
        known = sums.get(key)
        sums[key] = flow if known is None else _sum(known, flow)
    return [*sums.values()]


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
        host=flow.host or later.host,
        asked=None if flow.asked is None or later.asked is None else flow.asked + later.asked,
        unsure=flow.unsure + later.unsure,
    )


def _counted_at(failed: Flow, answer: Flow) -> Flow:
    """A failed attempt, as it counts at the endpoint that answered."""
    return replace(failed, endpoint=answer.endpoint, errors={})


def _is_silent(flow: Flow) -> bool:
    """Whether a flow never tried to send. Connecting a UDP socket sends nothing (udp(7)).

    getaddrinfo connects a UDP socket to each address, to sort them (RFC 6724), and fails for those without a route.
    """
    failed_sends = sum(flow.errors.values()) - (flow.connects - flow.established)
    return flow.endpoint.protocol == "udp" and flow.sends == 0 and failed_sends <= 0
