"""The name of an address at a time, by answers of name servers, files and containers."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from plain import plain

from tracer.classify.hosts import Hosts
from tracer.trace.endpoint import Endpoint
from tracer.trace.records import Flow, HostName, NameSource

ADDRESS = "10.0.0.5"
INSIDE, OUTSIDE = 4026531840, 4026532000  # two network namespaces
OWN, OTHER = 1, 2  # two processes


def flow(first_ns: int = 100, address: str = ADDRESS, port: int = 5432, network: int = INSIDE) -> Flow:
    return plain(Flow)(OWN, 100, 5, Endpoint("tcp", address, port), (), first_ns, first_ns, network=network)


def answer(name: str, ns: int, process: int = OWN, network: int = INSIDE, address: str = ADDRESS) -> HostName:
    return plain(HostName)(name, address, "dns", ns, process, network)


def lasting(
    name: str, source: NameSource = "hosts", port: int = 0, network: int = 0, address: str = ADDRESS
) -> HostName:
    return plain(HostName)(name, address, source, port=port, network=network)


@pytest.mark.parametrize(("ns", "name"), [(9, None), (10, "a"), (15, "a"), (20, "b"), (99, "b")])
def test_the_last_answer_before_the_flow_counts(ns: int, name: str | None) -> None:
    assert Hosts([answer("b", 20), answer("a", 10)]).name_of(flow(ns)) == name


def test_an_answer_of_the_own_process_comes_before_later_ones_of_others() -> None:
    assert Hosts([answer("own", 10), answer("other", 20, OTHER)]).name_of(flow()) == "own"


@pytest.mark.parametrize(("network", "name"), [(INSIDE, "a"), (OUTSIDE, None), (0, "a")])
def test_answers_of_other_processes_count_in_the_same_network(network: int, name: str | None) -> None:
    """Of which network an answer is may be unknown."""
    assert Hosts([answer("a", 10, OTHER, network)]).name_of(flow()) == name


def test_an_address_has_its_own_names() -> None:
    assert Hosts([answer("a", 10, address="10.0.0.6")]).name_of(flow()) is None


@pytest.mark.parametrize(
    ("records", "name"),
    [
        ([lasting("file")], "file"),
        ([lasting("file"), lasting("alias")], "file"),
        ([lasting("file"), lasting("web", "container", port=5432)], "web"),
        ([lasting("file"), lasting("web", "container", port=80)], "file"),
        ([lasting("web", "container", port=80)], None),
        ([lasting("any"), lasting("own", network=INSIDE)], "own"),
        ([lasting("foreign", network=OUTSIDE)], None),
        ([lasting("file"), answer("a", 10, OTHER)], "a"),
        ([lasting("file"), answer("a", 200)], "file"),
        ([lasting("file"), lasting("web", "compose", port=5432), answer("a", 10)], "a"),
    ],
)
def test_names_for_the_whole_run_are_for_what_has_no_answer(records: list[HostName], name: str | None) -> None:
    assert Hosts(records).name_of(flow()) == name


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_address_of_localhost_has_only_names_for_ports(address: str) -> None:
    """All services of the machine have it."""
    general = [answer("a", 10, address=address), lasting("file", address=address)]
    hosts = Hosts([*general, lasting("web", "container", port=80, address=address)])
    assert [hosts.name_of(flow(address=address, port=port)) for port in (80, 5432)] == ["web", None]
    assert hosts.later_name_of(flow(5, address)) is None


@pytest.mark.parametrize(("ns", "name"), [(9, "a"), (10, "b"), (20, None)])
def test_the_first_answer_after_the_flow(ns: int, name: str | None) -> None:
    hosts = Hosts([answer("b", 20, OTHER), answer("a", 10, OTHER)])
    assert hosts.later_name_of(flow(ns)) == name
    assert hosts.later_name_of(flow(ns, network=OUTSIDE)) is None


def test_of_one_answer_with_several_names_the_first_counts() -> None:
    """Also if it is read again."""
    hosts = Hosts([answer("asked", 10), answer("alias", 10), answer("asked", 20), answer("alias", 20)])
    assert [hosts.name_of(flow(ns)) for ns in (10, 20)] == ["asked", "asked"]


def test_unix_sockets_are_at_no_host() -> None:
    unix = replace(flow(), endpoint=Endpoint("unix", path="/run/x.sock"))
    hosts = Hosts([lasting("file"), answer("a", 200)])
    assert (hosts.name_of(unix), hosts.later_name_of(unix)) == (None, None)


def test_without_names_there_are_none() -> None:
    assert not Hosts([])
    assert Hosts([lasting("file")])
    assert Hosts([answer("a", 10)])


answers = st.builds(
    answer,
    st.sampled_from("abc"),
    st.integers(0, 30),
    st.sampled_from([0, OWN, OTHER]),
    st.sampled_from([0, INSIDE, OUTSIDE]),
    st.sampled_from([ADDRESS, "10.0.0.6"]),
)


def slowly(records: Iterable[HostName], ns: int) -> str | None:
    """The name for `flow(ns)`, by a search of all answers."""
    before = [one for one in records if one.address == ADDRESS and one.ns <= ns]
    for those in (
        [one for one in before if one.process == OWN],
        [one for one in before if one.network == INSIDE],
        [one for one in before if one.network == 0],
    ):
        if those:
            return max(those, key=lambda one: one.ns).name
    return None


@given(st.lists(answers, unique_by=lambda one: one.ns), st.integers(0, 31), st.randoms())
def test_neither_the_order_of_answers_nor_the_index_changes_a_name(
    records: list[HostName], ns: int, chance: object
) -> None:
    name = slowly(records, ns)
    chance.shuffle(records)  # type: ignore[attr-defined]
    assert Hosts(records).name_of(flow(ns)) == name
