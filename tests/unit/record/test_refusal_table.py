"""What the program looks up decides as the targets and exceptions say, for every address, port and protocol."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.errors import SvcTraceError
from tracer.record.refusal.table import EXCEPTED, HERE, PLACES, Network, Table, table
from tracer.record.refusal.targets import EVERYTHING, Target

Address = IPv4Address | IPv6Address

# Few addresses and ports, so that networks and ranges often overlap.
ADDRESSES = st.one_of(
    st.integers(0, 15).map(lambda last: ip_address(f"10.0.0.{last}")),
    st.integers(0, 15).map(lambda last: ip_address(f"fd00::{last:x}")),
)
NETWORKS = st.one_of(
    st.none(),
    st.builds(
        lambda address, bits: ip_network(f"{address}/{address.max_prefixlen - bits}", strict=False),
        ADDRESSES,
        st.integers(0, 4),
    ),
)
PORTS = st.one_of(st.none(), st.tuples(st.integers(0, 9), st.integers(1, 5)).map(lambda p: range(p[0], p[0] + p[1])))
TARGETS = st.lists(
    st.builds(
        Target, NETWORKS, PORTS, st.sampled_from([frozenset({"tcp"}), frozenset({"udp"}), frozenset({"tcp", "udp"})])
    ),
    max_size=6,
)


def contains(target: Target, protocol: str, address: Address, port: int) -> bool:
    in_network = target.network is None or address in target.network
    return protocol in target.protocols and (target.ports is None or port in target.ports) and in_network


def found(looked_up: Table, protocol: str, address: Address, port: int) -> int | None:
    """The index of the target that the program finds: that of the longest network."""
    group = looked_up.groups[protocol][port]
    if group == HERE:
        return None
    matching = [place for place in looked_up.places if place.group == group and address in place.network]
    target = max(matching, key=lambda place: place.network.prefixlen).target if matching else EXCEPTED
    return None if target == EXCEPTED else target


@given(TARGETS, TARGETS, st.sampled_from(["tcp", "udp"]), ADDRESSES, st.one_of(st.integers(0, 15), st.just(65535)))
def test_the_decision(
    targets: list[Target], exceptions: list[Target], protocol: str, address: Address, port: int
) -> None:
    matching = [target for target in targets if contains(target, protocol, address, port)]
    if any(contains(exception, protocol, address, port) for exception in exceptions):
        matching = []
    index = found(table(targets, exceptions, ()), protocol, address, port)
    assert (index is not None) == bool(matching)
    if index is not None:  # the smallest network that contains the address counts
        assert targets[index] in matching
        smallest = max(target.network.prefixlen if target.network else 0 for target in matching)
        assert (network.prefixlen if (network := targets[index].network) else 0) == smallest


@given(TARGETS, TARGETS)
def test_no_place_is_there_twice(targets: list[Target], exceptions: list[Target]) -> None:
    places = table(targets, exceptions, ()).places
    assert len({(place.group, place.network) for place in places}) == len(places)


def test_mapped_networks_are_ipv4() -> None:
    targets = [Target(IPv6Network("::ffff:10.0.0.0/104")), Target(IPv6Network("::/0"), range(1))]
    looked_up = table(targets, (), ())
    assert found(looked_up, "tcp", ip_address("10.1.2.3"), 7) == 0
    assert found(looked_up, "tcp", ip_address("11.1.2.3"), 0) is None


@pytest.mark.parametrize(
    ("named", "reached"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("::ffff:0.0.0.0", "127.0.0.1")]
)
def test_the_unspecified_address_is_the_loopback(named: str, reached: str) -> None:
    assert found(table([Target(ip_network(named))], (), ()), "udp", ip_address(reached), 53) == 0


def test_own_addresses_are_the_group_of_ports_without_targets() -> None:
    own: list[Network] = [IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")]
    places = table([Target(ports=range(5, 6))], (), own).places
    assert [place.network for place in places if place.group == HERE] == own


def test_hundreds_of_targets_need_as_many_places() -> None:
    targets = [Target(IPv4Network(f"10.0.{n % 256}.0/24"), range(1000 + n, 1001 + n)) for n in range(500)]
    assert len(table(targets, (), ()).places) == 500


def test_everything_has_one_group() -> None:
    looked_up = table([EVERYTHING], (), ())
    assert {*looked_up.groups["tcp"], *looked_up.groups["udp"]} == {1}
    assert len(looked_up.places) == 2


def test_too_many_places() -> None:
    targets = [Target(IPv4Network((n << 8, 24)), range(n, 60_000 + n)) for n in range(300)]
    with pytest.raises(SvcTraceError) as caught:
        table(targets, (), ())
    assert caught.value.slug == "bad-refusal"
    assert PLACES < 300 * 300


@pytest.mark.parametrize("ports", [range(0), range(5, 4), range(65537), range(-1, 3), range(0, 9, 2)])
def test_ports_that_do_not_exist(ports: range) -> None:
    with pytest.raises(ValueError, match="not ports"):
        Target(ports=ports)


@pytest.mark.parametrize("protocols", [frozenset(), frozenset({"sctp"})])
def test_protocols_that_cannot_be_refused(protocols: frozenset[str]) -> None:
    with pytest.raises(ValueError, match="not protocols"):
        Target(protocols=protocols)
