"""The blocks of a page. A command builds a page once, and each format writes the blocks in its own way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Styled:
    """A piece of text that stands out."""

    text: str
    style: str  # some of strong, dim, good, bad, warning; separated by spaces


Text = str | Styled | tuple[str | Styled, ...]
"""Text of the run is never taken for markup or control sequences, whatever it contains."""
Name = str | tuple[str, str]
"""A node id or an endpoint, alone or with a remark about it."""


def pieces(text: Text) -> Iterator[Styled]:
    """A text's pieces, each with its style."""
    for piece in text if isinstance(text, tuple) else (text,):
        yield piece if isinstance(piece, Styled) else Styled(piece, "")


def plain_text(text: Text) -> str:
    """A text without its styles."""
    return "".join(piece.text for piece in pieces(text))


@dataclass(frozen=True, slots=True)
class Headline:
    """The most important sentence of a page; formats begin it with the program's name."""

    text: Text
    details: tuple[Text, ...] = ()  # further lines about the same


@dataclass(frozen=True, slots=True)
class Heading:
    """The subject of the blocks that follow."""

    text: Text
    level: int = 1  # or 2


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence or two."""

    text: Text


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning, and what to do about it."""

    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, the first of which is a name."""

    header: tuple[str, ...]  # empty: the rows explain themselves
    rows: tuple[tuple[Text, ...], ...]
    alignment: str = "lrrrrrrrr"  # `l` or `r` for each column


@dataclass(frozen=True, slots=True)
class Tables:
    """Tables that may stand side by side."""

    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Records:
    """A table with long texts: a terminal is too narrow for it, and shows a paragraph for each record."""

    header: tuple[str, ...]
    records: tuple[tuple[str, int, *tuple[str, ...]], ...]  # a path, its number of tests, and texts


@dataclass(frozen=True, slots=True)
class Names:
    """Names, each on a line of its own, which is never broken: they are there to be copied."""

    names: tuple[Name, ...]
    limit: int | None = None  # list only so many, and count the others


@dataclass(frozen=True, slots=True)
class Commands:
    """Rows of cells, each with a shell command to be copied. On a narrow terminal the commands are below the table."""

    header: tuple[str, ...]  # the last is the commands'
    rows: tuple[tuple[str, ...], ...]  # the last cell is a command
    alignment: str


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to be pasted into the configuration."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportPath:
    """Where the JSON report was written. Formats whose output is kept elsewhere leave it out."""

    path: str


Block = Headline | Heading | Line | Notice | Table | Tables | Records | Names | Commands | Code | ReportPath


def group(title: Text, names: Iterable[Name], limit: int | None = None) -> Iterator[Block]:
    """Names under a heading of level 2."""
    yield Heading(title, 2)
    yield Names(tuple(names), limit)


def groups(titled: Iterable[tuple[str, Name]], limit: int | None = None) -> Iterator[Block]:
    """Pairs of a title and a name: a group for each title, which counts its names; the largest group first."""
    by_title: dict[str, list[Name]] = {}
    for title, name in titled:
        by_title.setdefault(title, []).append(name)
    for title, names in sorted(by_title.items(), key=lambda group: -len(group[1])):
        yield from group(f"{title} ({len(names):,})", names, limit)
