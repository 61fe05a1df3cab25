"""Values by number: a page's data has each value once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value", bound=Hashable)


class Numbered(Generic[Value]):
    """Numbers values in the order in which they appear, from 0."""

    def __init__(self, *first: Value) -> None:
        self._numbers: dict[Value, int] = {value: number for number, value in enumerate(first)}

    def number(self, value: Value) -> int:
        """The value's number: the one that it has, or a new one."""
        return self._numbers.setdefault(value, len(self._numbers))

    @property
    def values(self) -> tuple[Value, ...]:
        """All values, by number."""
        return tuple(self._numbers)
