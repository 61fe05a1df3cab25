"""Endpoints: protocol, peer address and port, or a unix socket's path."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

_INTERNET: Final = re.compile(
    r"(?P<protocol>[a-z][a-z0-9]{0,15})://"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<v4>[0-9.]+)|(?P<name>[A-Za-z0-9._-]{1,255})):(?P<port>[0-9]{1,5})"
)


class Endpoint(str):
    """The address of a socket's peer, or the address at which a socket listens: its text, and the text's parts.

    It is a str because the recorder computes its hash for each socket event, and a str keeps its hash.

    Attributes:
        protocol: `tcp`, `udp`, `sctp`, … as the kernel names the transport; `unix` for every kind of unix socket.
        host: the canonical text; an IPv4-mapped IPv6 address is written as IPv4. Empty for unix sockets.
        port: host byte order; 0 for unix sockets, and for protocols without ports.
        path: of a unix socket; an abstract name starts with `@`. Empty for all others.
    """

    __slots__ = ("host", "path", "port", "protocol")

    protocol: str
    host: str
    port: int
    path: str

    def __new__(cls, protocol: str, host: str = "", port: int = 0, path: str = "") -> Endpoint:
        """Make the text of the parts."""
        address = f"[{host}]" if ":" in host else host
        self = super().__new__(cls, f"unix://{path}" if protocol == "unix" else f"{protocol}://{address}:{port}")
        self.protocol, self.host, self.port, self.path = protocol, host, port, path
        return self

    def __reduce__(self) -> tuple[Any, ...]:  # for copies
        return Endpoint, (self.protocol, self.host, self.port, self.path)

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """The endpoint whose text this is.

        Raises:
            ValueError: the text is not an endpoint.
        """
        if text.startswith("unix://"):
            return cls("unix", path=text[7:])
        match = _INTERNET.fullmatch(text)
        if match is None or int(match["port"]) > 65535:
            raise ValueError(f"not an endpoint: {text!r:.80}")
        address = match["v6"] or match["v4"]
        host = str(ip_address(address)) if address else match["name"]
        return cls(match["protocol"], host, int(match["port"]))

    def at(self, host: str) -> Endpoint:
        """The same protocol and port at another host."""
        return Endpoint(self.protocol, host, self.port, self.path)


def canonical_host(packed: bytes) -> str:
    """The text form of an address's 4 or 16 bytes in network byte order.

    IPv4-mapped IPv6 becomes IPv4 (RFC 4291, 2.5.5.2).
    """
    address = ip_address(packed)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)
