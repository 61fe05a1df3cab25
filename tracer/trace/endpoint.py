"""Endpoints: protocol, peer address and port, or a unix socket's path."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a socket leads.

    Attributes:
        protocol: `tcp`, `udp`, `sctp`, … as the kernel names the transport; `unix` for every kind of unix socket.
        host: the peer's address in its canonical text form; an IPv4-mapped IPv6 address is written as IPv4.
            Empty for unix sockets.
        port: host byte order; 0 where there is none.
        path: the unix socket's path; an abstract name starts with `@`. Empty for all others.
    """

    protocol: str
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.protocol == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.protocol}://{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read what `str()` wrote.

        Raises:
            ValueError: the text is no endpoint.
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
