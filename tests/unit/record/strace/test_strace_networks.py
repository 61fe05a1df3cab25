"""Which network namespace a task is in, if /proc shows it late or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracer.record.capture.strace.networks import Networks, inode_of
from tracer.trace.ids import NetworkNamespace


class Proc:
    """A directory like /proc, whose tasks are in the network namespaces that a test says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.put("self", "own")
        self.networks = Networks(path)
        self.own = self.inode("own")

    def put(self, task: int | str, network: str) -> None:
        directory = self.path / str(task) / "ns"
        directory.mkdir(parents=True, exist_ok=True)
        (self.path / network).touch()
        (directory / "net").unlink(missing_ok=True)
        (directory / "net").hardlink_to(self.path / network)

    def inode(self, network: str) -> NetworkNamespace:
        return NetworkNamespace(inode_of(self.path / network))


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def test_a_network_is_known_by_its_inode_number(proc: Proc) -> None:
    proc.put(7, "first")
    proc.put(8, "second")
    first, second = proc.networks.made(7, {proc.own}), proc.networks.made(8, {proc.own})
    assert first != second
    assert proc.networks.numbered(proc.inode("first"), {first, second}) == first
    assert proc.networks.numbered(proc.inode("second"), {first, second}) == second


def test_networks_from_outside_have_their_inode_numbers(proc: Proc) -> None:
    proc.put(7, "first")
    first = proc.networks.made(7, {proc.own})
    assert proc.networks.numbered(proc.own, {first}) == proc.own
    assert proc.networks.numbered(5, {proc.own, first}) == 5


@pytest.mark.parametrize("now", ["gone", "own", "another"])
def test_a_network_that_was_read_too_late(now: str, proc: Proc) -> None:
    """Its task has ended, is back in the first network, or is in another one of the tree."""
    proc.put(6, "another")
    another = proc.networks.made(6, {proc.own})
    if now != "gone":
        proc.put(7, now)
    late = proc.networks.made(7, {proc.own, another})
    assert late not in (another, proc.own)
    assert proc.networks.numbered(99, {proc.own, another, late}) == late
    assert proc.networks.numbered(99, {proc.own, another}) == late
    assert proc.networks.numbered(proc.inode("another"), {proc.own, another, late}) == another


def test_of_several_that_could_not_be_read_the_last_one_with_a_task_is_meant(proc: Proc) -> None:
    first, second, third = (proc.networks.made(task, {proc.own}) for task in (7, 8, 9))
    assert proc.networks.numbered(98, {proc.own, first, second}) == second
    assert proc.networks.numbered(99, {proc.own}) == third


def test_an_inode_number_is_used_again(proc: Proc) -> None:
    proc.put(7, "first")
    first = proc.networks.made(7, {proc.own})
    second = proc.networks.made(8, {proc.own})
    number = proc.inode("first")
    assert proc.networks.numbered(number, {proc.own}) == first
    assert proc.networks.numbered(number, {proc.own, second}) == second


@pytest.mark.parametrize(
    ("source", "known"),
    [("/proc/self/ns/net", True), ("/proc/7/task/8/ns/net", True), ("/proc/self/ns/mnt", False), ("/a", False)],
)
def test_names_of_networks(source: str, known: bool, proc: Proc) -> None:
    """`ip netns add` mounts the file of a network namespace."""
    made = proc.networks.made(7, {proc.own})
    proc.networks.mounted(source, "/run/netns/a", made)
    assert proc.networks.mounted_at("/run/netns/a", {proc.own}) == (made if known else 0)


def test_the_name_of_a_network_from_outside(proc: Proc) -> None:
    assert proc.networks.mounted_at(str(proc.path / "self/ns/net"), {proc.own}) == proc.own
