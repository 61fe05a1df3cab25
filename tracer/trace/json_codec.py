r"""JSON text and typed values: what the trace, the report and the hook's messages have in common.

msgspec encodes and decodes. This module adds two things:

* Text types, such as `Endpoint`: classes whose `str()` is their JSON text, and whose class method `parse` reads it.
* Lone surrogates. Python has them in file names that are not UTF-8 (PEP 383), and so in node ids. They are written as
  JSON's escapes for them (`\udc80`, RFC 8259, 8.2), which Python's reader returns unchanged. A high surrogate followed
  by a low one is read as the character that the pair encodes: JSON does not distinguish the two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache, lru_cache
from math import isfinite
from typing import Any, Final

import msgspec


def dump(value: object, *, indent: bool = False) -> bytes:
    """The JSON text of a value, in UTF-8 with a newline at its end; one line, or indented by two spaces.

    Args:
        value: consists of None, bool, str, numbers of at most 64 bits, lists, tuples, mappings with text as
            keys, dataclasses, structs, and text types.
        indent: whether to indent.
    """
    try:
        text = _ENCODER.encode(value)
        return (msgspec.json.format(text, indent=2) if indent else text) + b"\n"
    except (UnicodeEncodeError, OverflowError):
        # A lone surrogate, the only thing in UTF-8 that "backslashreplace" replaces; or a sum of more than 64 bits.
        escaped = json.dumps(
            msgspec.to_builtins(value, enc_hook=_text),
            ensure_ascii=False,
            indent=2 if indent else None,
            separators=(",", ": ") if indent else (",", ":"),
        )
        return f"{escaped}\n".encode("utf-8", "backslashreplace")


def dump_lines(values: Sequence[object]) -> bytes:
    """The JSON text of each value as `dump` makes it, one after the other."""
    try:
        return _ENCODER.encode_lines(values)
    except (UnicodeEncodeError, OverflowError):
        return b"".join(map(dump, values))


def load(text: bytes | bytearray | msgspec.Raw, kind: Any = Any) -> Any:  # noqa: ANN401 -- a type, and a value of it
    """The value of a JSON text, checked to be of a type; keys that a record does not have are ignored.

    Raises:
        ValueError: the text is not JSON, or its value is not of this type; says where.
    """
    try:
        return decoder(kind).decode(text)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        text = bytes(text)
        if b"\\ud" not in text.lower() or isinstance(error, RecursionError):
            raise ValueError(str(error)) from None
        return convert(_with_surrogates(text), kind)


def load_items(text: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """The items of a JSON array as JSON texts, each to be loaded alone.

    Raises:
        ValueError: the text is not a JSON array.
    """
    try:
        return decoder(list[msgspec.Raw]).decode(text)  # type: ignore[no-any-return]
    except RecursionError as error:
        raise ValueError(str(error)) from None
    except msgspec.DecodeError:
        return [msgspec.Raw(dump(item)) for item in load(text, list[Any])]  # one that has lone surrogates, if any


def _with_surrogates(text: bytes) -> object:
    """The value of a JSON text that may contain lone surrogates, which msgspec refuses.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError(str(error)) from None


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    if isfinite(value := float(text)):
        return value
    raise ValueError("a number is out of range")


def convert(value: object, kind: Any) -> Any:  # noqa: ANN401 -- as of `load`
    """A value as `load` returns it without a type, checked and converted to a type.

    Raises:
        ValueError: it is not of this type; says where.
    """
    try:
        if kind is Any or hasattr(kind, "__struct_fields__"):
            return msgspec.convert(value, kind, dec_hook=_parse)
        return msgspec.convert({"value": value}, _box(kind), dec_hook=_parse).value
    except (msgspec.ValidationError, RecursionError) as error:
        raise ValueError(str(error).replace("`$.value", "`$")) from None


@cache  # few types
def _box(kind: Any) -> Any:  # noqa: ANN401
    """A struct with one field. msgspec keeps what it knows about a struct, and examines another type at each call."""
    return msgspec.defstruct("_Box", [("value", kind)])


@cache  # few types; msgspec would examine the type for each text
def decoder(kind: Any) -> msgspec.json.Decoder[Any]:  # noqa: ANN401
    """A decoder for a type, which refuses lone surrogates."""
    return msgspec.json.Decoder(kind, dec_hook=_parse)


def _text(value: object) -> str:
    if hasattr(type(value), "parse"):
        return str(value)
    raise TypeError(f"not for JSON: {value!r:.40}")


def _parse(kind: Any, value: object) -> object:  # noqa: ANN401 -- a text type
    if type(value) is not str:
        raise TypeError(f"expected text, found {value!r:.40}")
    return _parsed(kind, value)


@lru_cache(maxsize=65536)  # a few texts occur in many records
def _parsed(kind: Any, text: str) -> object:  # noqa: ANN401
    return kind.parse(text)


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_text)
