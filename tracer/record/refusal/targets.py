"""What to refuse: peers by address, port and protocol; unix sockets by name."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from msgspec import Struct

PROTOCOLS: Final = frozenset({"tcp", "udp"})
PORTS: Final = range(2**16)


class Target(Struct, frozen=True):
    """Peers: in one network, at some ports, by some protocols. By default, all.

    Raises:
        ValueError: ports or protocols that do not exist, or none.
    """

    network: IPv4Network | IPv6Network | None = None  # None: all addresses of both families
    ports: range | None = None  # None: all
    protocols: frozenset[str] = PROTOCOLS

    def __post_init__(self) -> None:
        if not self.protocols or not self.protocols <= PROTOCOLS:
            raise ValueError(f"not protocols: {sorted(self.protocols)}")
        ports = PORTS if self.ports is None else self.ports
        if not ports or ports.step != 1 or ports[0] not in PORTS or ports[-1] not in PORTS:
            raise ValueError(f"not ports: {ports}")


EVERYTHING: Final = Target()


class Refusal(Struct, frozen=True):
    """What a run refuses. What its own tree serves is never refused."""

    targets: tuple[Target, ...] = ()
    paths: frozenset[str] = frozenset()  # names of unix sockets as in reports: an abstract one with `@` for its NUL
    except_: tuple[Target, ...] = ()  # not refused, whatever else the fields say
    except_paths: frozenset[str] = frozenset()
    everything: bool = False  # refuse all peers and all unix sockets that are served, without the exceptions
    services: Mapping[Target | str, str] = {}  # target or path → the name of its service, for the trace
