"""Pages on the terminal.

Decorated with ASCII only, so that they read the same on every terminal and in every CI log. Text of the run (node ids,
endpoints) is never taken for markup or control sequences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TextIO

from rich.columns import Columns
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tracer.reports import blocks
from tracer.reports.formats.format import Document, Format
from tracer.reports.text import counted, printable

_STYLES: Final = {"strong": "bold", "dim": "dim", "good": "green", "bad": "bold red", "warning": "yellow"}
_PROGRAM: Final = "svc-trace: "
_GAP: Final = 4  # columns between two tables
_BLANKS: Final = re.compile(" +$", re.MULTILINE)
_ANY_WIDTH: Final = 10_000
"""More columns than any terminal has: the width of a table that nothing limits."""


class ReportConsole(Console):
    """A console that raises BrokenPipeError, for its caller to decide; rich's own would end with status 1."""

    def on_broken_pipe(self) -> None:
        """Pass the error on."""
        raise BrokenPipeError


def print_document(document: Document, file: TextIO) -> None:
    """Print the document's page."""
    print_page(document.page(), ReportConsole(file=file))


FORMAT: Final = Format("terminal", "text for people", print_document, options=frozenset({"tests", "directories"}))


def print_page(page: Iterable[blocks.Block], console: Console) -> None:
    """Print a page; sentences are broken at the terminal's width, names and code are not."""
    previous: blocks.Block | None = None
    for block in page:
        if _begins_section(block, previous):
            console.print()
        if isinstance(block, blocks.Names | blocks.Code):  # to be copied: a name may end in blanks
            _print(block, console)
        else:
            with console.capture() as captured:
                _print(block, console)
            console.file.write(_BLANKS.sub("", captured.get()))  # rich fills the cells of tables
        previous = block


def _begins_section(block: blocks.Block, previous: blocks.Block | None) -> bool:
    """Whether there is an empty line before a block."""
    match block:
        case blocks.Headline() | blocks.Heading(_, 1):
            return True
        case blocks.Table() | blocks.Tables() | blocks.Records() | blocks.Commands():
            return not isinstance(previous, blocks.Heading)
        case blocks.Notice():
            return not isinstance(previous, blocks.Notice | blocks.Headline)
        case blocks.ReportPath():
            return not isinstance(previous, blocks.Notice)
    return False


def _print(block: blocks.Block, console: Console) -> None:
    def print_unbroken(text: blocks.Text, base: str = "", indent: str = "") -> None:
        console.print(Text.assemble(indent, _styled(text, console, base)), soft_wrap=True)

    match block:
        case blocks.Headline(text, details):
            console.print(Text.assemble((_PROGRAM, "dim"), _styled(text, console)))
            for detail in details:
                _print_indented(detail, len(_PROGRAM), console)
        case blocks.Heading(text, 1):
            print_unbroken(text, "bold")
        case blocks.Heading(text):
            print_unbroken(text, "cyan", "  ")
        case blocks.Line(text):
            console.print(_styled(text, console))
        case blocks.Notice(notice, hint):
            console.print(_styled((blocks.Styled("warning: ", "warning"), notice), console))
            if hint:
                _print_indented(hint, 2, console)
        case blocks.Table():
            for part in _parts(block, console):
                console.print(part)
        case blocks.Tables(tables):
            _print_tables([part for table in tables for part in _parts(table, console)], console)
        case blocks.Records(_, records):
            for path, tests, *texts in records:
                print_unbroken((blocks.Styled(path, "strong"), f"  {counted(tests, 'test')}"))
                for text in texts:
                    _print_indented(text, 2, console)
        case blocks.Names(names, limit):
            for name in names[:limit]:
                print_unbroken(name if isinstance(name, str) else f"{name[0]}: {name[1]}", indent="    ")
            if more := len(names[limit:]) if limit else 0:
                print_unbroken(f"and {more:,} more", "dim", "    ")
        case blocks.Commands(header, rows, alignment):
            whole = _table(blocks.Table(header, rows, alignment), range(len(header)), console)
            if _measured(whole, console) <= console.width:
                console.print(whole)
            else:
                named = tuple(row[:-1] for row in rows)
                console.print(_table(blocks.Table(header[:-1], named, alignment[:-1]), range(len(header) - 1), console))
                print_unbroken(f"{header[-1]}:", "bold")
                for row in rows:
                    print_unbroken(row[-1], indent="  ")
        case blocks.Code(lines):
            for line in lines:
                print_unbroken(line, indent="    ")
        case blocks.ReportPath(path):
            print_unbroken((blocks.Styled("report: ", "dim"), path))


def _print_indented(text: blocks.Text, columns: int, console: Console) -> None:
    console.print(Padding(_styled(text, console), (0, 0, 0, columns), expand=False))


def _print_tables(tables: Sequence[Table], console: Console) -> None:
    """Side by side, or below one another on a terminal that is too narrow."""
    widths = [console.measure(table).maximum for table in tables]
    if sum(widths) + _GAP * (len(tables) - 1) <= console.width:
        console.print(Columns(tables, padding=(0, _GAP)))
        return
    for number, table in enumerate(tables):
        if number:
            console.print()
        console.print(table)


def _parts(block: blocks.Table, console: Console) -> Iterator[Table]:
    """The table; if its numbers need more columns than the terminal has, several tables, each with the names."""
    columns = len(block.rows[0])
    if "l" in block.alignment[1:columns]:  # texts, which can be broken
        yield _table(block, range(columns), console)
        return
    first = 1
    while first < columns:
        for last in range(columns, first, -1):
            part = _table(block, (0, *range(first, last)), console)
            if _measured(part, console) <= console.width:
                break
        yield part
        first = last


def _measured(table: Table, console: Console) -> int:
    """The columns that a table needs."""
    return console.measure(table, options=console.options.update_width(_ANY_WIDTH)).maximum


def _table(block: blocks.Table, columns: Iterable[int], console: Console) -> Table:
    """Some columns of a table. Numbers are never broken; of several texts only the last is."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False, show_header=bool(block.header))
    sides = block.alignment[: len(block.rows[0])]
    for column in columns:
        title, right = block.header[column] if block.header else "", sides[column] == "r"
        whole = right or (sides.count("l") > 1 and column < len(sides) - 1)
        table.add_column(title, justify="right" if right else "left", overflow="fold", no_wrap=whole)
    for row in block.rows:
        table.add_row(*(_styled(row[column], console) for column in columns))
    return table


def _styled(text: blocks.Text, console: Console, base: str = "") -> Text:
    """A text with its styles, over a base style."""
    styled = Text(style=base)
    for piece in blocks.pieces(text):
        styled.append(shown(piece.text, console), " ".join(_STYLES[style] for style in piece.style.split()))
    return styled


def shown(text: str, console: Console) -> str:
    """Text with escapes for what a terminal would obey or cannot show: controls, lone surrogates, foreign letters."""
    text = printable(text)
    return text.encode(console.encoding, "backslashreplace").decode(console.encoding)
