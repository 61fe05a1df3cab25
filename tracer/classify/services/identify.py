"""The service of an endpoint: by the configuration's rules, else by its protocol, else unknown."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from msgspec import Struct

from tracer.classify.model import unknown_service
from tracer.classify.services.config import Config
from tracer.classify.services.paths import RequestPath, begins_with
from tracer.classify.services.rules import ServiceRule
from tracer.trace.endpoint import Endpoint

_Host = tuple[str, IPv4Address | IPv6Address | None]  # in lower case; the address, if it is one

_HTTP: Final = ("http", "http2")
_HTTP_PORT: Final = 80
_ENCRYPTED: Final = ("tls", "quic")
_HTTPS_PORT: Final = 443


class Identification(Struct, frozen=True, cache_hash=True):
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
    """Finds the services of endpoints by one configuration. The rules of each endpoint are searched once.

    Attributes:
        needs_paths: whether a rule has paths, so that the service may depend on the requests.
    """

    def __init__(self, config: Config) -> None:
        self._rules = config.services
        self._known: dict[tuple[Endpoint, str | None, str | None, bool], _Candidates] = {}
        self.needs_paths = any(rule.paths for rule in self._rules.values())

    def service_of(
        self,
        endpoint: Endpoint,
        protocol: str | None = None,
        host: str | None = None,
        requests: Iterable[RequestPath] = (),
        *,
        self_hosted: bool = False,
    ) -> Identification:
        """The service of an endpoint, by the first rule that matches; docs/configuration.md explains the order.

        Args:
            endpoint: the peer of a socket.
            protocol: what the socket's first bytes identify; None: nothing.
            host: the name of the endpoint's host; None: unknown.
            requests: the paths of HTTP/1 requests. The first that decides counts.
            self_hosted: whether the run itself is the server. If no rule matches, it is named by its address, because
                the name is that of another host, for which it stands in.
        """
        key = endpoint, protocol, host, self_hosted
        candidates = self._known.get(key)
        if candidates is None:
            candidates = self._known[key] = self._candidates(*key)
        by_path = candidates.by_path and _by_path(candidates.by_path, requests)
        return by_path or candidates.otherwise

    def service_without_requests(
        self, endpoint: Endpoint, protocol: str | None, host: str | None, *, known: str, self_hosted: bool
    ) -> Identification:
        """The service of an endpoint if the requests are unknown: a rule with paths matches only the known service."""
        self.service_of(endpoint, protocol, host, self_hosted=self_hosted)
        candidates = self._known[endpoint, protocol, host, self_hosted]
        return next((one for _, one in candidates.by_path if one.name == known), candidates.otherwise)

    def _candidates(self, endpoint: Endpoint, protocol: str | None, host: str | None, self_hosted: bool) -> _Candidates:
        """A rule matches by the protocol alone only if no rule matches by more than that."""
        peer = _Peer(endpoint, protocol, host)
        by_path: list[_ByPath] = []
        named = by_protocol = None
        for name, rule in self._rules.items():
            at_hosts = not rule.hosts or peer.is_at(rule)
            if peer.is_named_by(rule, at_hosts):
                if not rule.paths:
                    named = name
                    break
                by_path.append((rule.paths, self._identification(name, protocol, host)))
            elif by_protocol is None and not rule.paths and at_hosts and peer.speaks(rule):
                by_protocol = name
        if (otherwise_name := named or by_protocol) is not None:
            otherwise = self._identification(otherwise_name, protocol, host)
        else:
            place = endpoint if host is None or self_hosted else _url(endpoint, protocol, host)
            otherwise = Identification(unknown_service(place), protocol, ignored=False, host=host)
        return _Candidates(tuple(by_path), otherwise)

    def _identification(self, name: str, protocol: str | None, host: str | None) -> Identification:
        rule = self._rules[name]
        return Identification(name, protocol, rule.ignore, rule.protocol, host)


_ByPath = tuple[tuple[str, ...], Identification]  # the paths of a rule, its service


class _Candidates(NamedTuple):
    """The services that an endpoint may be."""

    by_path: tuple[_ByPath, ...]  # those of rules with paths, in the order of the rules
    otherwise: Identification  # if none of these paths is requested


def _by_path(rules: Iterable[_ByPath], requests: Iterable[RequestPath]) -> Identification | None:
    """The service of the first rule with a path with which the first request begins; None: there is none.

    A path that is cut off shows the one service whose path it may be. If it may be of several, the next request counts.
    """
    matching: Identification | None = None
    for request in requests:
        possible: list[Identification] = []
        matching = None
        for paths, service in rules:
            begins = begins_with(request, paths)
            if begins:
                matching = service
                break
            if begins is None:
                possible.append(service)
        if len(possible) <= 1:
            return possible[0] if possible else matching
    return matching


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
        """Whether a rule matches by more than the protocol: by the port, the host or the path of a unix socket.

        A rule with nothing but paths of requests matches everywhere: its paths decide.
        """
        is_anywhere = bool(rule.paths) and not (rule.ports or rule.hosts or rule.unix)
        if self._endpoint.protocol == "unix":
            return is_anywhere or any(fnmatchcase(self._endpoint.path, pattern) for pattern in rule.unix)
        if not at_hosts:
            return False
        if rule.ports:
            return any(self._endpoint.port in ports for ports in rule.ports)
        if rule.paths:
            return is_anywhere or bool(rule.hosts)
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
