"""The service of an endpoint: by the configuration's rules, else by its protocol, else unknown."""

from __future__ import annotations

from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from msgspec import Struct

from tracer.classify.model import unknown_service
from tracer.classify.services.config import Config, ServiceRule
from tracer.trace.endpoint import Endpoint

_Host = tuple[str, IPv4Address | IPv6Address | None]  # in lower case; the address, if it is one

_HTTP: Final = ("http", "http2")
_HTTP_PORT: Final = 80
_ENCRYPTED: Final = ("tls", "quic")
_HTTPS_PORT: Final = 443


class Identification(Struct, frozen=True):
    """The service of an endpoint, its protocol, and its host's name."""

    name: str  # a configured service, or `unknown:` and its endpoint or URL
    protocol: str | None  # recognised from the first bytes sent; None: they identify none
    ignored: bool  # infrastructure that no report shows
    declared: str | None = None  # the protocol that the service's rule names
    host: str | None = None  # None: unknown

    @property
    def likely_protocol(self) -> str | None:
        """The recognised protocol; if there is none, that of the service's rule."""
        return self.protocol or self.declared


class Identifier:
    """Finds the services of endpoints by one configuration. The same question is answered once."""

    def __init__(self, config: Config) -> None:
        self._rules = config.services
        self._known: dict[tuple[Endpoint, str | None, str | None, bool], Identification] = {}

    def service_of(
        self,
        endpoint: Endpoint,
        protocol: str | None = None,
        host: str | None = None,
        *,
        self_hosted: bool = False,
    ) -> Identification:
        """The service of an endpoint, by the first rule that matches; docs/configuration.md explains the order.

        Args:
            endpoint: the peer of a socket.
            protocol: what the socket's first bytes identify; None: nothing.
            host: the name of the endpoint's host; None: unknown.
            self_hosted: whether the run itself is the server. If no rule matches, it is named by its address, because
                the name is that of another host, for which it stands in.
        """
        known = self._known.get((endpoint, protocol, host, self_hosted))
        if known is None:
            name = self._name(endpoint, protocol, host)
            if name is None:
                place = endpoint if host is None or self_hosted else _url(endpoint, protocol, host)
                known = Identification(unknown_service(place), protocol, ignored=False, host=host)
            else:
                rule = self._rules[name]
                known = Identification(name, protocol, rule.ignore, rule.protocol, host)
            self._known[endpoint, protocol, host, self_hosted] = known
        return known

    def _name(self, endpoint: Endpoint, protocol: str | None, host: str | None) -> str | None:
        """The first service whose rule matches. A rule matches by the protocol alone only if no other rule matches."""
        peer = _Peer(endpoint, protocol, host)
        by_protocol = None
        for name, rule in self._rules.items():
            at_hosts = not rule.hosts or peer.is_at(rule)
            if peer.is_named_by(rule, at_hosts):
                return name
            if by_protocol is None and at_hosts and peer.speaks(rule):
                by_protocol = name
        return by_protocol


class _Peer:
    """An endpoint with what is known of it, compared with rules."""

    def __init__(self, endpoint: Endpoint, protocol: str | None, host: str | None) -> None:
        self._endpoint = endpoint
        self._protocol = protocol
        self._host = host
        self._hosts = [_host(endpoint.host)]
        if endpoint.host == "::1":  # clients try it first if they are given `localhost`
            self._hosts.append(_host("127.0.0.1"))
        if host is not None:
            self._hosts.append((host, None))

    def is_at(self, rule: ServiceRule) -> bool:
        """Whether the endpoint is at one of a rule's hosts, by its address or its host's name."""
        return any(_is_at(rule, host) for host in self._hosts)

    def speaks(self, rule: ServiceRule) -> bool:
        """Whether the bytes show a rule's protocol.

        TLS and QUIC hide HTTP, and a refused connection has no bytes. For rules that name the host, encrypted bytes and
        the usual ports count as HTTP.
        """
        if rule.protocol == "http" and (self._protocol in _ENCRYPTED or _has_http_port(self._endpoint, self._protocol)):
            return self._host is not None and _is_at(rule, (self._host, None))
        return self._protocol is not None and rule.protocol == self._protocol

    def is_named_by(self, rule: ServiceRule, at_hosts: bool) -> bool:
        """Whether a rule matches by more than the protocol: by the port, the host or the path of a unix socket."""
        if self._endpoint.protocol == "unix":
            return any(fnmatchcase(self._endpoint.path, pattern) for pattern in rule.unix)
        if not at_hosts:
            return False
        if rule.ports:
            return any(self._endpoint.port in ports for ports in rule.ports)
        return bool(rule.hosts) and (rule.protocol is None or self.speaks(rule))


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


def _url(endpoint: Endpoint, protocol: str | None, host: str) -> str:
    """An endpoint by its host's name. Without bytes, ports 443 and 80 show HTTPS and HTTP."""
    port, by_port = endpoint.port, _has_http_port(endpoint, protocol)
    if port == _HTTPS_PORT and (protocol in _ENCRYPTED or by_port):
        return f"https://{host}"
    if protocol in _HTTP or by_port:
        return f"http://{host}" if port == _HTTP_PORT else f"http://{host}:{port}"
    return endpoint.at(host)


def _has_http_port(endpoint: Endpoint, protocol: str | None) -> bool:
    """Whether nothing but the port shows that an endpoint speaks HTTP."""
    return protocol is None and endpoint.protocol == "tcp" and endpoint.port in (_HTTP_PORT, _HTTPS_PORT)
