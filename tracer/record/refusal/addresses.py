"""This machine's own addresses: a server of the tree that is bound to all of them can be reached at each."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


def own_addresses() -> Iterator[IPv4Network | IPv6Network]:
    """Those of the tracer's network namespace now, and the loopback addresses."""
    import psutil  # slow to import

    yield from _LOOPBACK
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family in (socket.AF_INET, socket.AF_INET6):
                yield ip_network(ip_address(address.address.partition("%")[0]))
