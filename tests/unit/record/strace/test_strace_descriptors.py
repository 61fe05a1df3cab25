"""Descriptors: who may be the last to have a socket."""

from __future__ import annotations

import pytest

from tracer.record.capture.strace.descriptors import Descriptors, Table


@pytest.fixture
def descriptors() -> Descriptors:
    return Descriptors()


@pytest.fixture
def table(descriptors: Descriptors) -> Table:
    """Of a process that has one socket, 77, as its descriptor 3."""
    table = Table()
    assert descriptors.open(table, 3, 77, close_on_exec=False) == []
    return table


def test_the_only_one(descriptors: Descriptors, table: Table) -> None:
    assert descriptors.held(77)
    assert descriptors.close(table, 3) == [77]
    assert not descriptors.held(77)
    assert descriptors.close(table, 3) == []


def test_a_duplicate_holds_it(descriptors: Descriptors, table: Table) -> None:
    descriptors.open(table, 4, 77, close_on_exec=False)
    assert descriptors.close(table, 3) == []
    assert descriptors.close(table, 4) == [77]


def test_a_child_holds_it(descriptors: Descriptors, table: Table) -> None:
    child = descriptors.copy(table)
    assert descriptors.close(table, 3) == []
    assert descriptors.release(child) == [77]


def test_another_takes_its_number(descriptors: Descriptors, table: Table) -> None:
    assert descriptors.open(table, 3, 78, close_on_exec=False) == [77]
    assert descriptors.open(table, 3, 78, close_on_exec=False) == []
    assert descriptors.close(table, 3) == [78]


def test_the_last_who_shares_a_table_ends(descriptors: Descriptors, table: Table) -> None:
    table.users += 1
    assert descriptors.release(table) == []
    assert descriptors.release(table) == [77]


def test_what_a_program_does_not_inherit(descriptors: Descriptors, table: Table) -> None:
    descriptors.open(table, 4, 78, close_on_exec=True)
    descriptors.open(table, 5, 79, close_on_exec=True)
    descriptors.mark(table, 5, close_on_exec=False)
    assert descriptors.close_all(table, table.close_on_exec) == [78]
    assert sorted(table.inodes) == [3, 5]
