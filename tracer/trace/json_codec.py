r"""JSON text and typed records: what the trace file and the JSON report have in common.

Strings may hold lone surrogates: Python has them in file names that are no UTF-8 (PEP 383), and so in node ids. They
are written as the escapes that JSON has for them (`\udc80`, RFC 8259, 8.2), which Python's reader gives back unchanged.
JSON cannot tell a high surrogate with a low one right behind it from the one character that the pair encodes: read
back, it is that character.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import orjson

Converter = Callable[[Any], Any]
"""Makes a typed value of a JSON value; raises ValueError, saying where and why, when it can't."""

Defaults = Mapping[type, Mapping[str, Any]]
"""Dataclass → field → the value that stands for a missing key, beyond the dataclass's own defaults."""

_TYPE_NAMES: Final = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    NoneType: "null",
}


def dump(value: object, *, indent: bool = False) -> bytes:
    """The JSON text of a value made of dicts, lists, tuples, strings and numbers of at most 64 bits, and a newline.

    UTF-8; one line, or indented by two spaces.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE | (orjson.OPT_INDENT_2 if indent else 0))
    except TypeError:  # orjson refuses lone surrogates; in UTF-8 they are all that "backslashreplace" replaces
        text = json.dumps(
            value,
            ensure_ascii=False,
            indent=2 if indent else None,
            separators=(",", ": ") if indent else (",", ":"),
        )
        return f"{text}\n".encode("utf-8", "backslashreplace")


def load(text: bytes) -> Any:  # noqa: ANN401 -- JSON is of any type
    """The value of a JSON text.

    Raises:
        ValueError: the text is not JSON.
    """
    try:
        return orjson.loads(text)
    except ValueError:
        if b"\\ud" not in text.lower():
            raise
        return json.loads(text)  # lone surrogates, which orjson refuses


def converter(hint: Any, defaults: Defaults | None = None) -> Converter:  # noqa: ANN401 -- a type hint is of any type
    """What makes values of a type out of JSON values, checked all the way down.

    Knows str, int, float, bool, None, Literal, unions of them, lists, tuples of any length, mappings with text for
    keys, and dataclasses of all these. Keys that a dataclass does not have are ignored.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _choice(arguments)
    if origin in (Union, UnionType):
        return _union([converter(argument, defaults) for argument in arguments], NoneType in arguments)
    if origin in (list, tuple):
        return _sequence(origin, converter(arguments[0], defaults))
    if origin in (dict, Mapping):
        return _mapping(converter(arguments[1], defaults))
    if is_dataclass(hint) and isinstance(hint, type):
        return _record(hint, defaults or {})
    return _scalar(hint)


def _scalar(kind: type) -> Converter:
    accepted = {int, float} if kind is float else {kind}

    def convert(value: object) -> object:
        if type(value) in accepted:
            return value
        raise _unexpected(kind, value)

    return convert


def _choice(choices: tuple[object, ...]) -> Converter:
    def convert(value: object) -> object:
        if isinstance(value, str) and value in choices:
            return value
        raise ValueError(f"expected one of {', '.join(map(str, choices))}; found {value!r:.40}")

    return convert


def _union(options: list[Converter], optional: bool) -> Converter:
    def convert(value: object) -> object:
        if optional and value is None:
            return None
        problem = None
        for option in options:
            try:
                return option(value)
            except ValueError as error:
                problem = problem or error
        raise ValueError(problem)

    return convert


def _sequence(kind: type, element: Converter) -> Converter:
    def convert(value: object) -> object:
        if not isinstance(value, list):
            raise _unexpected(list, value)
        try:
            return kind(map(element, value))
        except ValueError as error:
            raise ValueError(f"in a list: {error}") from None

    return convert


def _mapping(element: Converter) -> Converter:
    def convert(value: object) -> object:
        if not isinstance(value, dict):
            raise _unexpected(dict, value)
        result = {}
        for key, item in value.items():
            try:
                result[key] = element(item)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        return result

    return convert


def _record(kind: type, defaults: Defaults) -> Converter:
    hints = get_type_hints(kind)
    converters = {field.name: converter(hints[field.name], defaults) for field in fields(kind)}
    stand_ins = defaults.get(kind, {})
    required = {
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING and field.name not in stand_ins
    }

    def convert(value: object) -> object:
        if not isinstance(value, dict):
            raise _unexpected(dict, value)
        if missing := required - value.keys():
            raise ValueError(f"lacks {', '.join(sorted(missing))}")
        arguments = dict(stand_ins)
        for name, item in value.items():
            if name in converters:
                try:
                    arguments[name] = converters[name](item)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
        return kind(**arguments)

    return convert


def _unexpected(kind: type, value: object) -> ValueError:
    return ValueError(f"expected {_TYPE_NAMES[kind]}, found {value!r:.40}")
