"""Pages: reports of more than tables, said once for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from tracer.reports import markdown
from tracer.reports.terminal import shown


@dataclass(frozen=True, slots=True)
class Heading:
    """What the blocks after it are about."""

    text: str
    level: int = 1  # or 2
    style: str = ""  # on the terminal


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence or two."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Names, and numbers about them."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Names:
    """Node ids or endpoints, each on a line of its own, to be copied."""

    names: tuple[str, ...]
    limit: int | None = None  # tell so many, and how many more there are


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to be pasted."""

    lines: tuple[str, ...]


_ANY_WIDTH: Final = 10_000
"""More columns than any terminal has: what a table would take if it could."""

Block = Heading | Line | Table | Names | Code


def print_page(page: Iterable[Block], console: Console) -> None:
    """Print a page; sentences are broken at the terminal's width, names and code are not."""
    for block in page:
        match block:
            case Heading(text, 1, style):
                console.print()
                console.print(Text(shown(text, console), style or "bold"), soft_wrap=True)
            case Heading(text, _, style):
                console.print(Text(f"  {shown(text, console)}", style or "cyan"), soft_wrap=True)
            case Line(text, style):
                console.print(Text(shown(text, console), style), highlight=False)
            case Table(header, rows):
                for part in _parts(header, rows, console):
                    console.print(part)
            case Names(names, limit):
                for name in names[:limit]:
                    console.print(Text(f"    {shown(name, console)}"), soft_wrap=True)
                if more := len(names) - len(names[:limit]):
                    console.print(Text(f"    and {more:,} more", "dim"), soft_wrap=True)
            case Code(lines):
                for line in lines:
                    console.print(Text(f"    {shown(line, console)}"), soft_wrap=True)


def markdown_page(page: Iterable[Block]) -> Iterator[str]:
    """A page as GitHub Flavored Markdown, in parts that each end in a newline."""
    for block in page:
        match block:
            case Heading(text, 1):
                yield f"\n### {markdown.text(text)}\n"
            case Line(text) | Heading(text):
                yield f"\n{markdown.text(text)}\n"
            case Table(header, rows):
                cells = (tuple(map(markdown.text, row)) for row in rows)
                yield from markdown.table(header, cells, "l" + "r" * (len(header) - 1))
            case Names(names, limit):
                yield "\n"
                yield from (f"* {markdown.code(name)}\n" for name in names[:limit])
                if more := len(names) - len(names[:limit]):
                    yield f"* and {more:,} more\n"
            case Code(lines):
                yield "\n```toml\n"
                yield from (f"{line}\n" for line in lines)
                yield "```\n"


def _parts(header: tuple[str, ...], rows: tuple[tuple[str, ...], ...], console: Console) -> Iterator[RichTable]:
    """The table, or where it is too wide as many as are needed for all columns, each with the names."""
    unbounded = console.options.update_width(_ANY_WIDTH)
    first, last = 1, len(header)
    while first < len(header):
        part = _table(header, rows, (0, *range(first, last)), console)
        if last > first + 1 and console.measure(part, options=unbounded).maximum > console.width:
            last -= 1
            continue
        yield part
        first, last = last, len(header)


def _table(
    header: tuple[str, ...], rows: tuple[tuple[str, ...], ...], columns: tuple[int, ...], console: Console
) -> RichTable:
    table = RichTable(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for place in columns:
        table.add_column(header[place], justify="right" if place else "left", overflow="fold", no_wrap=bool(place))
    for row in rows:
        table.add_row(*(Text(shown(row[place], console)) for place in columns))
    return table
