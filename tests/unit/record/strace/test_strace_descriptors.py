"""Whether a closed descriptor was the last one of its socket."""

from __future__ import annotations

import pytest

from tracer.record.capture.strace.descriptors import Descriptors, Table


@pytest.fixture
def descriptors() -> Descriptors:
    return Descriptors()


@pytest.fixture
def table(descriptors: Descriptors) -> Table:
    """A process with one socket, 77, as descriptor 3."""
    table = Table()
    assert descriptors.open(table, 3, 77, close_on_exec=False) == []
    return table


def test_the_only_descriptor(descriptors: Descriptors, table: Table) -> None:
    assert descriptors.is_open(77)
    assert descriptors.close(table, 3) == [77]
    assert not descriptors.is_open(77)
    assert descriptors.close(table, 3) == []


def test_a_duplicate_keeps_it_open(descriptors: Descriptors, table: Table) -> None:
    descriptors.open(table, 4, 77, close_on_exec=False)
    assert descriptors.close(table, 3) == []
    assert descriptors.close(table, 4) == [77]


def test_a_child_keeps_it_open(descriptors: Descriptors, table: Table) -> None:
    child = descriptors.copy(table)
    assert descriptors.close(table, 3) == []
    assert descriptors.release(child) == [77]


def test_another_socket_replaces_it(descriptors: Descriptors, table: Table) -> None:
    assert descriptors.open(table, 3, 78, close_on_exec=False) == [77]
    assert descriptors.open(table, 3, 78, close_on_exec=False) == []
    assert descriptors.close(table, 3) == [78]


def test_a_shared_table(descriptors: Descriptors, table: Table) -> None:
    table.users += 1
    assert descriptors.release(table) == []
    assert descriptors.release(table) == [77]


def test_close_on_exec(descriptors: Descriptors, table: Table) -> None:
    descriptors.open(table, 4, 78, close_on_exec=True)
    descriptors.open(table, 5, 79, close_on_exec=True)
    descriptors.open(table, 5, 79, close_on_exec=False)
    assert descriptors.close(table, *table.close_on_exec) == [78]
    assert sorted(table.inodes) == [3, 5]
