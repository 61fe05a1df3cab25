"""JSON documents with a schema: how they are read, and how their long parts are written, one member on a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from tracer.trace.input_file import InputFile
from tracer.trace.json_codec import dump, load

_INDENT: Final = b"\n    "


class _Document(Struct):
    """The part of a document that says what it is."""

    schema: Any = None


def load_document(file: InputFile, schema: str, kind: Any) -> Any:  # noqa: ANN401 -- a type, and a value of it
    """The value of a document of this schema.

    Raises:
        ValueError: it is another document, or none.
        EOFError: it is packed, and cut off.
    """
    if file.head().lstrip()[:1] != b"{":  # do not read /dev/zero up to the limit
        raise ValueError("it is not a JSON object")
    text = file.read()
    found = load(text, _Document).schema
    if found != schema:
        raise ValueError(f"its schema is {found!r:.40}, not {schema!r}")
    return load(text, kind)


def line(value: object) -> bytes:
    """A value on one line, without its end."""
    return dump(value).removesuffix(b"\n")


def listed(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The members of an object or an array, each on a line."""
    separator = _INDENT
    for part in parts:
        yield separator + part
        separator = b"," + _INDENT
