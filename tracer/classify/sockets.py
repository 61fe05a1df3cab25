"""What the flows together say of endpoints and sockets: who answers there, who opened them, what is spoken."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from ipaddress import ip_address

from tracer.classify.services.identify import Identification, Identifier
from tracer.classify.services.protocols import recognise
from tracer.trace.endpoint import Endpoint
from tracer.trace.records import Flow, Trace

_WILDCARDS = ("0.0.0.0", "::")


class Sockets:
    """Facts about a trace's endpoints and sockets that no single flow holds."""

    def __init__(self, trace: Trace, identifier: Identifier) -> None:
        self._identifier = identifier
        self._openers: dict[int, Flow] = {}
        self._prefixes: dict[str, dict[int, list[bytes]]] = {}  # endpoint → socket → first bytes of its first sends
        self._identified: dict[str, Identification] = {}
        for flow in sorted(trace.flows, key=lambda flow: flow.first_ns):
            opener = self._openers.setdefault(flow.socket, flow)
            if flow.connects and not opener.connects:
                self._openers[flow.socket] = flow
            if flow.prefixes:
                of_endpoint = self._prefixes.setdefault(flow.endpoint, {})
                of_endpoint.setdefault(flow.socket, []).extend(map(bytes.fromhex, flow.prefixes))
        self._listeners = {(listen.network, listen.endpoint) for listen in trace.listens}

    def opener(self, flow: Flow) -> Flow:
        """The flow that connected this flow's socket; where nobody was seen to, the first that used it."""
        return self._openers[flow.socket]

    def identify(self, endpoint: str) -> Identification:
        """Name the service behind an endpoint, by the first of its sockets whose bytes say something."""
        known = self._identified.get(endpoint)
        if known is None:
            sockets: Iterable[list[bytes]] = self._prefixes.get(endpoint, {}).values()
            told = next((prefixes for prefixes in sockets if recognise(prefixes)), [])
            known = self._identified[endpoint] = self._identifier.service_of(_parse(endpoint), told)
        return known

    def is_self_hosted(self, flow: Flow) -> bool:
        """Whether a process of the run listens where this flow leads.

        A wildcard listener answers at loopback addresses; which other addresses are this host's own, a trace does not
        tell.
        """
        if flow.peer:
            return True
        endpoint = _parse(flow.endpoint)
        candidates = [flow.endpoint]
        if endpoint.host and ip_address(endpoint.host).is_loopback:
            candidates += [str(Endpoint(endpoint.protocol, wildcard, endpoint.port)) for wildcard in _WILDCARDS]
        return any((flow.network, candidate) in self._listeners for candidate in candidates)


@cache
def _parse(endpoint: str) -> Endpoint:
    return Endpoint.parse(endpoint)
