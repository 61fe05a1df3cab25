"""Values and keys as TOML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

WIDTH: Final = 80
"""Columns of a line. A longer list has a line for each value."""
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")  # TOML 1.0, "Keys"
_SURROGATES: Final = range(0xD800, 0xE000)  # TOML has no escapes for them

Value = str | bool | int | float | list[str | int]


def quoted(text: str) -> str:
    """A basic string (TOML 1.0, "String"), with escapes for all that a terminal would obey or cannot show."""
    inner = json.dumps(text, ensure_ascii=False)  # the same escapes, for the quotation mark and the first 32 characters
    return inner if inner.isprintable() else "".join(map(_escaped, inner))


def _escaped(character: str) -> str:
    code = ord(character)
    if character.isprintable() or code in _SURROGATES:
        return character
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def key(name: str) -> str:
    """A key, quoted if it needs that."""
    return name if _BARE_KEY.fullmatch(name) else quoted(name)


def assignment(name: str, value: Value) -> Iterator[str]:
    """The lines of a key and its value."""
    if not isinstance(value, list):
        yield f"{key(name)} = {_value(value)}"
        return
    line = f"{key(name)} = [{', '.join(map(_value, value))}]"
    if len(line) <= WIDTH:
        yield line
    else:
        yield f"{key(name)} = ["
        yield from (f"  {_value(item)}," for item in value)
        yield "]"


def _value(value: str | bool | float) -> str:
    """A value that is no list. Numbers and booleans are written as in JSON."""
    return quoted(value) if isinstance(value, str) else json.dumps(value)
