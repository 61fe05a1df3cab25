"""Names of containers: what a container engine's list of them says about an endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

import msgspec
from msgspec import Struct, field

from tracer.record.names.name import host_name
from tracer.trace.endpoint import Endpoint

_OK: Final = re.compile(rb"HTTP/1\.[01] 200 ")
_COMPOSE_SERVICE: Final = "com.docker.compose.service"
_TESTCONTAINERS: Final = re.compile(r"org\.testcontainers(\.|$)")
"""Labels that Testcontainers gives to its containers."""
_RANDOM_NAME: Final = re.compile(r"[a-z]+_[a-z]+[0-9]?|testcontainers-ryuk-.*")
"""A name that the engine chose (moby/moby, namesgenerator), or Testcontainers for the container that cleans up."""
_WILDCARDS: Final = frozenset({"", "0.0.0.0", "::"})


class _Port(Struct):
    """A port of a container; without a public one if it is not published."""

    host: str = field(name="IP", default="")
    public: int = field(name="PublicPort", default=0)
    protocol: str = field(name="Type", default="tcp")

    def is_at(self, endpoint: Endpoint, *, local: bool) -> bool:
        """Whether this port is published at an endpoint."""
        is_same = (self.protocol, self.public) == (endpoint.protocol, endpoint.port)
        return is_same and is_published_at(self.host, endpoint, local=local)


class _Network(Struct):
    """A container's place in a network."""

    address: str = field(name="IPAddress", default="")
    address6: str = field(name="GlobalIPv6Address", default="")
    gateway: str = field(name="Gateway", default="")


class _Networks(Struct):
    networks: dict[str, _Network] | None = field(name="Networks", default=None)


class Container(Struct):
    """A running container."""

    names: list[str] | None = field(name="Names", default=None)  # "/shop-db-1"; "/shop-web-1/db" is an alias
    image: str = field(name="Image", default="")
    ports: list[_Port] | None = field(name="Ports", default=None)
    labels: dict[str, str] | None = field(name="Labels", default=None)
    settings: _Networks | None = field(name="NetworkSettings", default=None)

    @property
    def name(self) -> str:
        """Its service in Compose, or its own name; if Testcontainers made it with a random name, that of its image."""
        labels = self.labels or {}
        if _COMPOSE_SERVICE in labels:
            return host_name(labels[_COMPOSE_SERVICE])
        own = next((name[1:] for name in self.names or () if name.count("/") == 1), "")
        if _RANDOM_NAME.fullmatch(own) and any(_TESTCONTAINERS.match(label) for label in labels):
            own = self.image.partition("@")[0].rpartition("/")[2].partition(":")[0]
        return host_name(own)

    @property
    def networks(self) -> Iterable[_Network]:
        """Its places in networks."""
        return ((self.settings and self.settings.networks) or {}).values()


def name_at(containers: Iterable[Container], endpoint: Endpoint, *, local: bool) -> str:
    """The name of the container that serves an endpoint; empty: none of these does.

    Args:
        containers: those that run.
        endpoint: of TCP or UDP.
        local: whether it is at an address of this machine.
    """
    gateways = {network.gateway for container in containers for network in container.networks}
    local = local or endpoint.host in gateways
    for container in containers:
        is_own = any(endpoint.host in (network.address, network.address6) for network in container.networks)
        if is_own or any(port.is_at(endpoint, local=local) for port in container.ports or ()):
            return container.name
    return ""


def containers_in(answer: bytes | bytearray) -> list[Container] | None:
    """The containers in an HTTP answer; None: it is no such answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if not _OK.match(head):
        return None
    try:
        return msgspec.json.decode(body, type=list[Container])
    except (msgspec.MsgspecError, RecursionError):
        return None


def is_published_at(host: str, endpoint: Endpoint, *, local: bool) -> bool:
    """Whether a port that is published at an address, perhaps a wildcard, can be reached at that of an endpoint.

    The addresses of `localhost` are taken for one.
    """
    loopback = is_loopback(endpoint.host)
    if host in _WILDCARDS:
        return local or loopback
    return host == endpoint.host or (loopback and is_loopback(host))


def is_loopback(address: str) -> bool:
    """Whether an address always means the machine itself."""
    with suppress(ValueError):
        return ip_address(address).is_loopback
    return False
