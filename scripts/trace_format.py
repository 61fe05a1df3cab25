"""Writes docs/trace-format.md, the reference of the trace file, from the docstrings and comments in `tracer/trace/`.

A field's meaning is the comment on its line in records.py, or the string after it. `--check`: only compare the page.
"""

from __future__ import annotations

import ast
import inspect
import io
import sys
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NewType, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT
from msgspec.structs import FieldInfo, fields

from tracer.trace import file, records, rows
from tracer.trace.json_codec import dump

PAGE = Path(__file__).parents[1] / "docs" / "trace-format.md"
JSON_TYPES = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null"}


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            "<!-- scripts/trace_format.py writes this page from tracer/trace/records.py and file.py: change those. -->",
            "# The trace file",
            *("", "`svc-trace --trace PATH` writes it, `svc-trace report PATH` reads it, `zcat PATH` shows it."),
            *("", inspect.getdoc(file) or "", "", inspect.getdoc(records) or ""),
            *("", "| tag | record |", "| --- | --- |", *map(_summary, rows.RECORD_TYPES)),
            *(line for tag, kind in rows.RECORD_TYPES.items() for line in _section(tag, kind)),
            "",
        ]
    )


def _section(tag: str, kind: type) -> Iterator[str]:
    """The Markdown of one record: its docstring, and a table with a row for each field, in the file's order."""
    yield from ("", f"## {tag}", "", inspect.getdoc(kind) or "")
    yield from ("", "| field | type | default | meaning |", "| --- | --- | --- | --- |")
    hints, meanings = get_type_hints(kind), field_meanings(kind)
    for field in fields(kind):
        unit = " (ns)" if field.name.endswith("_ns") else ""
        cells = [f"`{field.name}`", json_type(hints[field.name]) + unit, _default(field), meanings[field.name]]
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _summary(tag: str) -> str:
    """A row of the table of tags: the first paragraph of the record's docstring."""
    paragraph, _, _ = (inspect.getdoc(rows.RECORD_TYPES[tag]) or "").partition("\n\n")
    return f"| [`{tag}`](#{tag}) | {' '.join(paragraph.split())} |"


def field_meanings(kind: type) -> Mapping[str, str]:
    """Field → its comment and the string after it; empty if there is neither."""
    source = inspect.getsource(kind)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    body = next(node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    meanings: dict[str, str] = {}
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            texts = [comments[statement.lineno]] if statement.lineno in comments else []
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                texts.append(" ".join(str(following.value.value).split()))
            meanings[statement.target.id] = " ".join(texts)
    return meanings


def json_type(hint: Any) -> str:  # noqa: ANN401 -- a type hint is of any type
    """A field's type as JSON has it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, NewType):
        return f"{json_type(hint.__supertype__)} (`{hint.__name__}`)"
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin is tuple:
        return f"list of {json_type(arguments[0])}"
    if origin in (dict, Mapping):
        return f"object: text → {json_type(arguments[1])}"
    if arguments:
        joined = ", " if all(get_origin(argument) is Literal for argument in arguments) else " or "
        return joined.join(json_type(argument) for argument in arguments)
    if hasattr(hint, "parse"):
        return f"text (`{hint.__name__}`)"
    return JSON_TYPES[hint]


def _default(field: FieldInfo) -> str:
    default = rows.default_of(field)
    return "" if default is NODEFAULT else f"`{dump(default).decode().strip()}`"


if __name__ == "__main__":
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page())
    elif PAGE.read_text() != page():
        sys.exit("docs/trace-format.md is out of date. Run .venv/bin/python scripts/trace_format.py.")
