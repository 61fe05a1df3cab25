"""The service of an endpoint: by the configuration's rules, else by its protocol, else unknown."""

from __future__ import annotations

from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address

from msgspec import Struct

from tracer.classify.model import unknown_service
from tracer.classify.services.config import Config, ServiceRule
from tracer.trace.endpoint import Endpoint

_Host = tuple[str, IPv4Address | IPv6Address | None]  # in lower case; the address, if it is one


class Identification(Struct, frozen=True):
    """The service of an endpoint, and its protocol."""

    name: str  # a configured service, or `unknown:<endpoint>`
    protocol: str | None  # recognised from the first bytes sent; None: they identify none
    ignored: bool  # infrastructure that no report shows
    declared: str | None = None  # the protocol that the service's rule names

    @property
    def likely_protocol(self) -> str | None:
        """The recognised protocol; if there is none, that of the service's rule."""
        return self.protocol or self.declared


class Identifier:
    """Finds the services of endpoints by one configuration. The rules of each endpoint are searched once."""

    def __init__(self, config: Config) -> None:
        self._rules = config.services
        self._by_endpoint: dict[Endpoint, tuple[str | None, tuple[str, ...]]] = {}
        self._known: dict[tuple[Endpoint, str | None], Identification] = {}

    def service_of(self, endpoint: Endpoint, protocol: str | None = None) -> Identification:
        """The service of an endpoint.

        It is that of the first rule whose ports, hosts or unix patterns match the endpoint. Otherwise it is that of the
        first rule for the protocol of the bytes, and for the host. Otherwise it is `unknown:<endpoint>`.

        Args:
            endpoint: the peer of a socket.
            protocol: what the socket's first bytes identify; None: nothing.
        """
        known = self._known.get((endpoint, protocol))
        if known is None:
            known = self._known[endpoint, protocol] = self._find(endpoint, protocol)
        return known

    def _find(self, endpoint: Endpoint, protocol: str | None) -> Identification:
        if endpoint not in self._by_endpoint:
            self._by_endpoint[endpoint] = self._candidates(endpoint)
        name, by_protocol = self._by_endpoint[endpoint]
        if name is None and protocol is not None:
            name = next((candidate for candidate in by_protocol if self._rules[candidate].protocol == protocol), None)
        if name is None:
            return Identification(unknown_service(endpoint), protocol, ignored=False)
        return Identification(name, protocol, self._rules[name].ignore, declared=self._rules[name].protocol)

    def _candidates(self, endpoint: Endpoint) -> tuple[str | None, tuple[str, ...]]:
        """The service whose rule matches this endpoint, and those that match if the bytes have their protocol.

        Rules for 127.0.0.1 apply to ::1 as well, because clients try it first if they are given `localhost`.
        """
        hosts = [_host(endpoint.host), *([_host("127.0.0.1")] if endpoint.host == "::1" else ())]
        explicit, by_protocol = None, []
        for name, rule in self._rules.items():
            at_hosts = not rule.hosts or any(_is_at(rule, host) for host in hosts)
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


def _host(text: str) -> _Host:
    try:
        return text.lower(), ip_address(text)
    except ValueError:  # a name, or a unix socket
        return text.lower(), None


def _is_at(rule: ServiceRule, host: _Host) -> bool:
    """Whether a host is one of a rule's."""
    name, address = host
    return any(
        fnmatchcase(name, part) if isinstance(part, str) else address is not None and address in part
        for host in rule.hosts
        for part in host
    )
