"""Endpoints: protocol, peer address and port, or a unix socket's path."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import NamedTuple


class Endpoint(NamedTuple):
    """The address of a socket's peer, or the address at which a socket listens. In files it is its text.

    A NamedTuple, because the recorder computes its hash for each socket event: that of a dataclass is slower.
    """

    protocol: str  # `tcp`, `udp`, `sctp`, … as the kernel names the transport; `unix` for every kind of unix socket
    host: str = ""  # the canonical text; an IPv4-mapped IPv6 address is written as IPv4; empty for unix sockets
    port: int = 0  # host byte order; 0: unix sockets, and protocols without ports
    path: str = ""  # of a unix socket; an abstract name starts with `@`; empty for all others

    def __str__(self) -> str:
        if self.protocol == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.protocol}://{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """The endpoint whose text this is.

        Raises:
            ValueError: the text is not an endpoint.
        """
        protocol, separator, rest = text.partition("://")
        if not separator or not protocol:
            raise ValueError(f"not an endpoint: {text!r}")
        if protocol == "unix":
            return cls("unix", path=rest)
        host, colon, port = rest.rpartition(":")
        if not colon or not port.isdecimal():
            raise ValueError(f"not an endpoint: {text!r}")
        return cls(protocol, host.strip("[]"), int(port))


def canonical_host(packed: bytes) -> str:
    """The text form of an address's 4 or 16 bytes in network byte order.

    IPv4-mapped IPv6 becomes IPv4 (RFC 4291, 2.5.5.2).
    """
    address = ip_address(packed)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)
