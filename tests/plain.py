"""Constructors that take plain integers: tests with many records read better without the types of their numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")


def plain(record_type: Callable[..., R]) -> Callable[..., R]:
    """A constructor whose arguments mypy does not check."""
    return record_type
