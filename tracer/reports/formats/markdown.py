"""Pages as GitHub Flavored Markdown, for a job's page in CI or a comment.

Text of the run (node ids, endpoints, paths) is never taken for markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, TextIO

from tracer.reports import blocks
from tracer.reports.formats.format import Document, Format
from tracer.reports.text import printable

_MARKUP: Final = re.compile(r"[\\`*\[\]>|~&#]|<(?=[A-Za-z/!?])|(?<![^\W_])_|_(?![^\W_])")  # no `a_b`, no `<0.1%`


def print_document(document: Document, file: TextIO) -> None:
    """Write the document's page in UTF-8, whatever the locale; lone surrogates, which code may contain, as escapes."""
    file.buffer.writelines(part.encode("utf-8", "backslashreplace") for part in render(document.page()))


FORMAT: Final = Format(
    "markdown",
    "the same for a job's page in CI",
    print_document,
    options=frozenset({"directories"}),
    depth=2,  # `tests/unit`, `tests/integration`
)


def render(page: Iterable[blocks.Block]) -> Iterator[str]:
    """A page in parts that each end in a newline. Every block begins with an empty line: pages may be concatenated."""
    for block in page:
        match block:
            case blocks.Headline(headline, details):
                yield f"\nsvc-trace: {text(headline)}\n"
                yield from (f"\n{text(detail)}\n" for detail in details)
            case blocks.Heading(heading, 1):
                yield f"\n### {text(heading)}\n"
            case blocks.Line(line) | blocks.Heading(line):
                yield f"\n{text(line)}\n"
            case blocks.Notice(notice, hint):
                yield f"\n> **warning**: {text(f'{notice} {hint}'.rstrip())}\n"
            case blocks.Table():
                yield from _table(block)
            case blocks.Tables(tables):
                yield from chain.from_iterable(map(_table, tables))
            case blocks.Records(header, records):
                rows = ((code(path), f"{tests:,}", *map(text, texts)) for path, tests, *texts in records)
                yield from table(header, rows, "lr" + "l" * (len(header) - 2))
            case blocks.Names(names, limit):
                yield "\n"
                for name in names[:limit]:
                    yield f"* {code(name)}\n" if isinstance(name, str) else f"* {code(name[0])}: {text(name[1])}\n"
                if more := len(names[limit:]) if limit else 0:
                    yield f"* and {more:,} more\n"
            case blocks.Commands(header, rows, alignment):
                cells = ((*map(text, row[:-1]), code(row[-1])) for row in rows)
                yield from table(header, cells, alignment)
            case blocks.Code(lines):
                yield "\n```toml\n"
                yield from (f"{line}\n" for line in lines)
                yield "```\n"
            case blocks.ReportPath():
                pass


def table(header: Sequence[str], rows: Iterable[Sequence[str]], alignment: str) -> Iterator[str]:
    """A table and the empty line before it; the cells are Markdown, `alignment` has an `l` or `r` for each column."""
    yield f"\n| {' | '.join(header)} |\n"
    yield f"| {' | '.join('---:' if side == 'r' else '---' for side in alignment)} |\n"
    yield from (f"| {' | '.join(row)} |\n" for row in rows)


def text(plain: blocks.Text) -> str:
    """A text, on one line, as it has to be written outside of code."""
    return "".join(map(_piece, blocks.pieces(plain)))


def code(plain: str) -> str:
    """Plain text, on one line, as code; in a table too, where a bar needs its backslash even in code (GFM, 4.10)."""
    shown = printable(plain).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    padding = " " if shown[:1] in ("`", " ", "") or shown[-1:] in ("`", " ") else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


def _piece(piece: blocks.Styled) -> str:
    escaped = _MARKUP.sub(lambda markup: f"\\{markup[0]}", printable(piece.text))
    return f"**{escaped}**" if escaped and "strong" in piece.style.split() else escaped


def _table(block: blocks.Table) -> Iterator[str]:
    rows = (tuple(map(text, row)) for row in block.rows)
    if block.header:
        yield from table(block.header, rows, block.alignment[: len(block.header)])
    else:
        yield "\n"
        yield from (f"* {': '.join(filter(None, row))}\n" for row in rows)
