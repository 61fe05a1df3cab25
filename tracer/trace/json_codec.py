r"""Conversion between JSON text and typed records, for the trace file and the JSON report.

Strings may contain lone surrogates: Python has them for file names that are not UTF-8 (PEP 383), and so for node ids.
They are written as JSON's escapes (`\udc80`, RFC 8259, 8.2), and Python's reader returns them unchanged. A high
surrogate that is followed by a low one is read as the character that the pair encodes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from sys import intern
from types import NoneType, UnionType
from typing import Any, Final, Literal, NewType, Union, cast, get_args, get_origin, get_type_hints

import orjson

Converter = Callable[[Any], Any]
"""Makes a typed value of a JSON value. Raises ValueError with the place and the reason if it cannot."""

Defaults = Mapping[type, Mapping[str, Any]]
"""Dataclass → field → the value for a missing key, in addition to the dataclass's own defaults."""

_TYPE_NAMES: Final = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    NoneType: "null",
}
_SCALARS: Final = frozenset({str, int, float, bool, NoneType})


def dump(value: object, *, indent: bool = False) -> bytes:
    """The JSON text of a value made of dicts, lists, tuples, text types, strings and numbers of at most 64 bits.

    UTF-8, with a newline at its end; one line, or indented by two spaces.
    """
    try:
        return orjson.dumps(value, _text, orjson.OPT_APPEND_NEWLINE | (orjson.OPT_INDENT_2 if indent else 0))
    except TypeError:  # orjson refuses lone surrogates; "backslashreplace" replaces nothing else
        text = json.dumps(
            _with_texts(value),
            ensure_ascii=False,
            indent=2 if indent else None,
            separators=(",", ": ") if indent else (",", ":"),
        )
        return f"{text}\n".encode("utf-8", "backslashreplace")


def _is_text_type(kind: object) -> bool:
    """Whether the values of a type are texts in JSON: `str()` makes the text, the class method `parse` reads it."""
    return isinstance(kind, type) and hasattr(kind, "parse")


def _text(value: object) -> str:
    if _is_text_type(type(value)):
        return str(value)
    raise TypeError(f"not for JSON: {value!r:.40}")


def _with_texts(value: Any) -> Any:  # noqa: ANN401 -- JSON is of any type
    """The value with strings instead of text types. Python's encoder would write a NamedTuple as a list."""
    if _is_text_type(type(value)):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _with_texts(item) for key, item in value.items()}
    return [_with_texts(item) for item in value] if isinstance(value, list | tuple) else value


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
    """A converter that makes values of a type from JSON values, with all types checked.

    Knows str, int, float, bool, None, Literal, NewTypes of them, text types, unions of these, lists, sets, tuples of
    any length, mappings with text for keys, and dataclasses of all these. Keys that a dataclass does not have are
    ignored. A text type is a class whose `str()` gives the text, and whose class method `parse` reads it.
    """
    hint = _basic(hint)
    origin, arguments = get_origin(hint), tuple(map(_basic, get_args(hint)))
    if _is_text_type(hint):
        return _parsed(hint)
    if origin is Literal:
        return _choice(arguments)
    if origin in (Union, UnionType):
        if _SCALARS.issuperset(arguments):
            return _scalar(*arguments)
        return _union([converter(argument, defaults) for argument in arguments], NoneType in arguments)
    if origin in (list, tuple, frozenset):
        return _sequence(origin, converter(arguments[0], defaults))
    if origin in (dict, Mapping):
        return _mapping(converter(arguments[1], defaults))
    if is_dataclass(hint) and isinstance(hint, type):
        return _record(hint, defaults or {})
    return _scalar(hint)


class _Cell:
    """A column of rows. A value that is equal to that of the row before is converted, and kept in memory, once."""

    __slots__ = ("_convert", "_raw", "_value", "name")

    def __init__(self, name: str, convert: Converter) -> None:
        self.name = name
        self._convert = convert
        self._raw: object = self  # equal to no JSON value
        self._value: object = None

    def of(self, raw: object) -> object:
        if raw != self._raw or type(raw) is not type(self._raw):  # True == 1
            self._value = self._convert(raw)
            self._raw = raw
        return self._value


def row_converter(kind: type, columns: Sequence[str] | None = None, *, optional: bool = True) -> Converter:
    """A converter that makes records of a dataclass from rows: lists of values in the order of the columns.

    Columns that the dataclass does not have are ignored. Records may share values, mutable ones too.

    Args:
        kind: the dataclass.
        columns: the names of its fields; None: all, in their order.
        optional: whether a row may end before the last column, if the missing fields have defaults.
    """
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)] if columns is None else columns
    cells = [_Cell(name, converter(hints[name])) if name in hints else None for name in names]
    required = _required(kind) if optional else hints.keys()

    def convert(row: Sequence[object]) -> object:
        if len(row) > len(cells):
            raise ValueError(f"{len(row)} values for {len(cells)} columns")
        arguments = {}
        for cell, raw in zip(cells, row, strict=False):
            if cell is not None:
                try:
                    arguments[cell.name] = cell.of(raw)
                except ValueError as error:
                    raise ValueError(f"{cell.name}: {error}") from None
        if missing := required - arguments.keys():
            raise ValueError(f"lacks {', '.join(sorted(missing))}")
        return kind(**arguments)

    return convert


def _accepted(kinds: Collection[type]) -> frozenset[type]:
    """The types of the JSON values of a scalar of these types; a number without a fraction may be an integer."""
    return frozenset({*kinds, int} if float in kinds else kinds)


def _scalar(*kinds: type) -> Converter:
    accepted = _accepted(kinds)

    def convert(value: object) -> object:
        kind = type(value)
        if kind is str and str in accepted:
            return intern(cast(str, value))  # many records contain the same few texts
        if kind in accepted:
            return value
        raise _unexpected(kinds[0], value)

    return convert


def _basic(hint: Any) -> Any:  # noqa: ANN401 -- as of `converter`
    """The type of which a NewType is one."""
    return hint.__supertype__ if isinstance(hint, NewType) else hint


def _parsed(kind: Any) -> Converter:  # noqa: ANN401 -- a text type
    parse = lru_cache(maxsize=65536)(kind.parse)  # many records contain the same few texts

    def convert(value: object) -> object:
        if type(value) is not str:
            raise _unexpected(str, value)
        return parse(value)

    return convert


def _choice(choices: tuple[object, ...]) -> Converter:
    known = {choice: choice for choice in choices}

    def convert(value: object) -> object:
        if isinstance(value, str) and value in known:
            return known[value]
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
    unconverted = {name: _unconverted_types(hints[name]) for name in converters}
    stand_ins = defaults.get(kind, {})
    required = _required(kind) - stand_ins.keys()

    def convert(value: object) -> object:
        if not isinstance(value, dict):
            raise _unexpected(dict, value)
        if missing := required - value.keys():
            raise ValueError(f"lacks {', '.join(sorted(missing))}")
        arguments = dict(stand_ins)
        for name, item in value.items():
            if name in converters:
                if type(item) in unconverted[name]:  # spares a call: a report has millions of values
                    arguments[name] = item
                    continue
                try:
                    arguments[name] = converters[name](item)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
        return kind(**arguments)

    return convert


def _unconverted_types(hint: Any) -> frozenset[type]:  # noqa: ANN401 -- as of `converter`
    """The types of JSON values that need no conversion. Text does, because equal texts are kept in memory once."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return _accepted({kind for kind in map(_basic, kinds) if kind in _SCALARS}) - {str}


def _required(kind: type) -> frozenset[str]:
    """The fields of a dataclass that have no default."""
    return frozenset(
        field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING
    )


def _unexpected(kind: type, value: object) -> ValueError:
    return ValueError(f"expected {_TYPE_NAMES[kind]}, found {value!r:.40}")
