"""Pairs expected entries with real ones, one-to-one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_Expected = TypeVar("_Expected")
_Real = TypeVar("_Real")

_Neighbours = list[list[int]]
_Partners = dict[int, int]


def unmatched(
    required: Sequence[_Expected],
    optional: Sequence[_Expected],
    real: Sequence[_Real],
    fits: Callable[[_Expected, _Real], bool],
) -> tuple[list[_Expected], list[_Real]]:
    """The required expected entries and the real entries that a best matching leaves without a partner.

    No other matching leaves fewer of either. Each entry has one partner at most, an optional one may have none.
    The algorithm is a bipartite matching by augmenting paths. An augmenting path keeps a partner for each entry that
    had one, so that the second step below does not undo the first.
    """
    slots = [*required, *optional]
    real_for = [[index for index, entry in enumerate(real) if fits(slot, entry)] for slot in slots]
    slots_for = [[index for index, slot in enumerate(slots) if fits(slot, entry)] for entry in real]
    real_of: _Partners = {}
    slot_of: _Partners = {}
    missing = [slot for index, slot in enumerate(required) if not _augment(index, real_for, real_of, slot_of, set())]
    unexpected = [
        entry
        for index, entry in enumerate(real)
        if index not in slot_of and not _augment(index, slots_for, slot_of, real_of, set())
    ]
    return missing, unexpected


def _augment(start: int, neighbours: _Neighbours, partner: _Partners, opposite: _Partners, visited: set[int]) -> bool:
    """Find a partner for `start`, if necessary by finding other partners for those that are in its way."""
    for neighbour in neighbours[start]:
        if neighbour not in visited:
            visited.add(neighbour)
            rival = opposite.get(neighbour)
            if rival is None or _augment(rival, neighbours, partner, opposite, visited):
                partner[start], opposite[neighbour] = neighbour, start
                return True
    return False
