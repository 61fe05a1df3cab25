"""The service of an endpoint: by the configuration's rules, else by its protocol, else unknown."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address

from msgspec import Struct

from tracer.classify.model import unknown_service
from tracer.classify.services.config import Config, ServiceRule
from tracer.classify.services.protocols import recognise
from tracer.trace.endpoint import Endpoint


class Identification(Struct, frozen=True):
    """The service of an endpoint, and its protocol."""

    name: str  # a configured service, or `unknown:<endpoint>`
    protocol: str | None  # recognised from the first bytes sent; None: they identify none
    ignored: bool  # infrastructure that no report shows
    declared: str | None = None  # the protocol that the service's rule names


class Identifier:
    """Finds the services of endpoints by one configuration. The rules of each endpoint are searched once."""

    def __init__(self, config: Config) -> None:
        self._rules = config.services
        self._by_endpoint: dict[Endpoint, tuple[str | None, tuple[str, ...]]] = {}

    def service_of(self, endpoint: Endpoint, prefixes: Iterable[bytes] = ()) -> Identification:
        """The service of an endpoint.

        It is that of the first rule whose ports, hosts or unix patterns match the endpoint. Otherwise it is that of the
        first rule for the protocol of the bytes, and for the host. Otherwise it is `unknown:<endpoint>`.

        Args:
            endpoint: the peer of a socket.
            prefixes: the first ≤ 32 bytes of each of the socket's first sends.
        """
        protocol = recognise(prefixes)
        if endpoint not in self._by_endpoint:
            self._by_endpoint[endpoint] = self._candidates(endpoint)
        name, by_protocol = self._by_endpoint[endpoint]
        if name is None and protocol is not None:
            name = next((candidate for candidate in by_protocol if self._rules[candidate].protocol == protocol), None)
        if name is None:
            return Identification(unknown_service(endpoint), protocol, ignored=False)
        return Identification(name, protocol, self._rules[name].ignore, declared=self._rules[name].protocol)

    def _candidates(self, endpoint: Endpoint) -> tuple[str | None, tuple[str, ...]]:
        """The service whose rule matches this endpoint, and those that match if the bytes have their protocol."""
        try:
            address = ip_address(endpoint.host)
        except ValueError:  # a name, or a unix socket
            address = None
        explicit, by_protocol = None, []
        for name, rule in self._rules.items():
            at_hosts = _at_hosts(rule, endpoint, address)
            if explicit is None and _names(rule, endpoint, at_hosts):
                explicit = name
            if at_hosts and rule.protocol is not None:
                by_protocol.append(name)
        return explicit, tuple(by_protocol)


def _names(rule: ServiceRule, endpoint: Endpoint, at_hosts: bool) -> bool:
    """Whether a rule matches by the endpoint alone."""
    if endpoint.protocol == "unix":
        return any(fnmatchcase(endpoint.path, pattern) for pattern in rule.unix)
    if rule.ports:
        return at_hosts and any(endpoint.port in ports for ports in rule.ports)
    return at_hosts and bool(rule.hosts) and rule.protocol is None


def _at_hosts(rule: ServiceRule, endpoint: Endpoint, address: IPv4Address | IPv6Address | None) -> bool:
    """Whether the endpoint is at one of a rule's hosts. A rule without hosts matches all, including unix sockets."""
    if not rule.hosts:
        return True
    return any(
        fnmatchcase(endpoint.host.lower(), part) if isinstance(part, str) else address is not None and address in part
        for host in rule.hosts
        for part in host
    )
