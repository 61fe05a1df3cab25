"""The lines of a TOML document at which its tables and values begin: tomllib has no positions."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

_TOKEN: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'{3}.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|\#[^\n]*|[\[\]{}\n]', re.DOTALL
)
"""What decides where a statement ends: TOML 1.0, "Comment", "String", "Array", "Inline Table"."""


def lines_in(text: str) -> dict[str, int]:
    """Key → its line, counted from 1; a table's is that of its header, or of the first key in it.

    The text has to be TOML. Keys are dotted, with the places of tables in lists: `services.redis`, `tiers[0].name`.
    """
    found: dict[str, int] = {}
    table, seen = "", Counter[str]()
    for line, statement in _statements(text):
        parsed = tomllib.loads(statement)
        if statement.startswith("["):
            *outer, table = _keys(parsed, "")
            if statement.startswith("[["):
                name = table.removesuffix("[0]")
                table = f"{name}[{seen[name]}]"
                seen[name] += 1
            for key in (*outer, table):
                found.setdefault(key, line)
        else:
            for key in _keys(parsed, table):
                found.setdefault(key, line)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The line and the text of each header and each assignment."""
    depth, start, line, first = 0, 0, 1, 1
    for token in _TOKEN.finditer(text + "\n"):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        line += token[0].count("\n")
        if token[0] == "\n" and depth == 0:
            statement = text[start : token.end()].strip()
            if statement and not statement.startswith("#"):
                yield first, statement
            start, first = token.end(), line


def _keys(table: Mapping[str, Any], path: str) -> Iterator[str]:
    """The keys in a table, with those within, the outer ones first."""
    for name, value in table.items():
        own = f"{path}.{name}".removeprefix(".")
        yield own
        if isinstance(value, dict):
            yield from _keys(value, own)
        for number, item in enumerate(value if isinstance(value, list) else ()):
            if isinstance(item, dict):
                yield f"{own}[{number}]"
                yield from _keys(item, f"{own}[{number}]")
