"""Numbers and lists of names as text, the same in every format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tracer.errors import counted as counted
from tracer.errors import printable as printable  # for all that the reports show

LISTED: Final = 5
"""How many names a line lists before it only counts the others."""


def percent(part: int, whole: int) -> str:
    """A share in two digits. Only an empty part is shown as 0%, and only the whole as 100%. `-` of an empty whole.

    A report from elsewhere may contradict itself, so even an empty whole may have a part.
    """
    if part in (0, whole):
        return "100%" if part else "0%"
    if not whole:
        return "-"
    share = 100 * part / whole
    if share < 0.1:
        return "<0.1%"
    if share > 99:
        return ">99%"
    return f"{share:.1f}%" if share < 9.95 else f"{share:.0f}%"


def duration(seconds: float) -> str:
    """A time in its two largest units."""
    if seconds < 0.0995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.5:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def listed(counts: Mapping[str, int], unit: str) -> str:
    """The first few names with their numbers, and how many more there are."""
    return first([f"{name} ({counted(count, unit)})" for name, count in counts.items()])


def shares(counts: Mapping[str, int], whole: int) -> str:
    """The first few names with their numbers and their shares of the whole."""
    return first([f"{name} {count:,} ({percent(count, whole)})" for name, count in counts.items()])


def joined(names: Iterable[str], word: str = "and") -> str:
    """`a, b and c`; empty without names."""
    *others, last = [*names] or [""]
    return f"{', '.join(others)} {word} {last}" if others else last


def first(names: Sequence[str], limit: int = LISTED) -> str:
    """The first few names, and how many more there are."""
    more = [f"and {len(names) - limit:,} more"] if len(names) > limit else []
    return ", ".join((*names[:limit], *more))
