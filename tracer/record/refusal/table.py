"""Targets and exceptions as the program looks them up: a group for each port, and networks for each group.

Ports at which the same targets apply are one group. Within a group, the longest network that contains an address
decides. This is exact because exceptions win: a target within an exception is left out.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import pairwise
from typing import Final, NamedTuple

from tracer.errors import ExitStatus, SvcTraceError
from tracer.record.refusal.targets import PORTS, Target

Network = IPv4Network | IPv6Network

HERE: Final = 0
"""A group (SVC_HERE): no target applies to its ports; its networks are this machine's own addresses."""
EXCEPTED: Final = 2**32 - 1
"""In place of a target's index (SVC_EXCEPTED)."""
PLACES: Final = 65536
"""How many places there may be: to fill the program's map with them takes about 0.1 s."""
_ALL: Final = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_UNSPECIFIED: Final[Mapping[Network, Network]] = {
    IPv4Network("0.0.0.0/32"): IPv4Network("127.0.0.1/32"),
    IPv6Network("::/128"): IPv6Network("::1/128"),
}
"""A client that connects to the first address reaches the second (ip(7), ipv6(7))."""


class Place(NamedTuple):
    """A network in which the ports of a group are refused or excepted."""

    group: int
    network: Network
    target: int  # its index, or EXCEPTED


class Table(NamedTuple):
    """What the program looks up."""

    groups: dict[str, array[int]]  # protocol → port → group
    places: list[Place]


class _Entry(NamedTuple):
    target: int
    ports: range
    networks: tuple[Network, ...]


def table(targets: Sequence[Target], exceptions: Sequence[Target], own: Iterable[Network]) -> Table:
    """The table of targets, each with its index; `own` are this machine's addresses.

    Raises:
        SvcTraceError: bad-refusal: the targets need too many places.
    """
    numbers: dict[tuple[_Entry, ...], int] = {(): HERE}
    groups = {}
    for protocol in ("tcp", "udp"):
        entries = [_entry(index, target) for index, target in enumerate(targets) if protocol in target.protocols]
        entries += [_entry(EXCEPTED, target) for target in exceptions if protocol in target.protocols]
        groups[protocol] = array("H", bytes(2 * len(PORTS)))
        for ports, active in _intervals(entries):
            if any(entry.target != EXCEPTED for entry in active):
                group = numbers.setdefault(active, len(numbers))
                groups[protocol][ports.start : ports.stop] = array("H", [group]) * len(ports)
    places = [Place(HERE, network, HERE) for network in own]
    for active, group in numbers.items():
        places += _places(group, active)
        if len(places) > PLACES:
            raise SvcTraceError(
                f"{len(targets):,} targets to refuse are too many: their ports and networks overlap in too many ways",
                hint="Refuse fewer services, or services with fewer ranges of ports.",
                slug="bad-refusal",
                exit_code=ExitStatus.USAGE,
            )
    return Table(groups, places)


def _entry(index: int, target: Target) -> _Entry:
    networks = _ALL if target.network is None else (_canonical(target.network),)
    return _Entry(index, PORTS if target.ports is None else target.ports, networks)


def _canonical(network: Network) -> Network:
    """The network as the program sees its addresses: IPv4-mapped ones are IPv4."""
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        network = ip_network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return _UNSPECIFIED.get(network, network)


def _intervals(entries: Iterable[_Entry]) -> Iterator[tuple[range, tuple[_Entry, ...]]]:
    """Ranges of ports to which the same entries apply, with these entries."""
    begins: dict[int, list[_Entry]] = {}
    ends: dict[int, list[_Entry]] = {}
    for entry in entries:
        begins.setdefault(entry.ports.start, []).append(entry)
        ends.setdefault(entry.ports.stop, []).append(entry)
    active: dict[_Entry, None] = {}
    edges = sorted(begins.keys() | ends.keys())
    for start, stop in pairwise(edges):
        for entry in ends.get(start, ()):
            active.pop(entry, None)  # the same one may be there twice
        active |= dict.fromkeys(begins.get(start, ()))
        yield range(start, stop), tuple(sorted(active, key=lambda one: one.target))


def _places(group: int, active: Iterable[_Entry]) -> Iterator[Place]:
    excepted = {network for entry in active if entry.target == EXCEPTED for network in entry.networks}
    yield from (Place(group, network, EXCEPTED) for network in excepted)
    refused: set[Network] = set()
    for entry in active:
        for network in entry.networks:
            if entry.target != EXCEPTED and network not in refused and not _is_within(network, excepted):
                refused.add(network)
                yield Place(group, network, entry.target)


def _is_within(network: Network, others: Iterable[Network]) -> bool:
    return any(
        network.version == other.version and network.prefixlen >= other.prefixlen and network.network_address in other
        for other in others
    )
