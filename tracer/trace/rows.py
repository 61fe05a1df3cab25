"""The rows of a trace file: the lists of values in which its records are written."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from sys import intern
from typing import Any, Final, get_args

from msgspec import NODEFAULT, Struct, defstruct
from msgspec.structs import FieldInfo, astuple, fields, force_setattr

from tracer.trace.checks import check_numbers, check_record, has_long_numbers
from tracer.trace.json_codec import convert, decoder, load
from tracer.trace.records import (
    Attempt,
    End,
    Flow,
    HostName,
    Instance,
    Listen,
    Listener,
    Process,
    Record,
    Refused,
    Run,
    RunWarning,
    Span,
    StaticFacts,
    Thread,
)

RECORD_TYPES: Final[Mapping[str, type[Record]]] = {
    "run": Run,
    "process": Process,
    "thread": Thread,
    "span": Span,
    "facts": StaticFacts,
    "attempt": Attempt,
    "instance": Instance,
    "listen": Listen,
    "flow": Flow,
    "listener": Listener,
    "host": HostName,
    "refused": Refused,
    "warning": RunWarning,
    "end": End,
}
_EARLIER_NAMES: Final = {"owner": "listener", "line_ns": "lineage_ns"}
"""Tags and columns of traces that an earlier version wrote → their names now."""

_Frequent = Process | Thread | Span | Attempt | Instance | Listen | Flow
"""The records that are encoded and decoded as rows, without another object."""
_FREQUENT: Final = frozenset(get_args(_Frequent))
_SHARED: Final[Mapping[type[Record], tuple[str, ...]]] = {
    Span: ("subject",),
    Attempt: ("nodeid", "outcomes"),
    Instance: ("name", "scope", "baseid", "node"),
    Flow: ("heads", "errors"),
}
"""Fields whose values many records have in common."""
_EMPTY: Final[Mapping[str, Any]] = {}
_DECODER: Final = decoder(_Frequent)
_TAGS: Final = {record_type: tag for tag, record_type in RECORD_TYPES.items()}
COLUMNS: Final = {tag: record_type.__struct_fields__ for tag, record_type in RECORD_TYPES.items()}


class NotJsonError(ValueError):
    """A line is not JSON."""


def default_of(field: FieldInfo) -> Any:  # noqa: ANN401 -- of any field's type
    """A field's default; NODEFAULT, which equals no value, if there is none."""
    return field.default if field.default_factory is NODEFAULT else field.default_factory()


@cache
def _by_name(record_type: type[Record]) -> type[Struct]:
    """A type with the fields of a record, whose values are found by their names."""
    members: list[Any] = [
        (field.name, field.type, *(() if field.required else (default_of(field),))) for field in fields(record_type)
    ]
    return defstruct(record_type.__name__, members)


def row_of(record: Record) -> object:
    """What is encoded as the row of a record."""
    return record if type(record) in _FREQUENT else (_TAGS[type(record)], *astuple(record))


class Rows:
    """The rows of one file, as records."""

    def __init__(self, columns: Mapping[str, list[str]]) -> None:
        """`columns`: tag → the names of its columns, as the file's header has them."""
        self._columns = {tag: [_EARLIER_NAMES.get(name, name) for name in names] for tag, names in columns.items()}
        self._is_current = all(self._columns.get(_TAGS[kind]) == [*COLUMNS[_TAGS[kind]]] for kind in _FREQUENT)
        self._before: dict[str, list[object]] = {}  # tag → values of the last row

    def record(self, line: bytes) -> Record | None:
        """The record of a line; None for a tag that this version does not know.

        Raises:
            NotJsonError: it is not JSON, perhaps because it was cut off.
            ValueError: it is no record.
        """
        if self._is_current:
            try:
                record: Record = _DECODER.decode(line)
                if not has_long_numbers(line):
                    check_record(record)
                    _share(record)
                    return record
            except (ValueError, RecursionError):
                pass  # another record, or one that is not valid; below, the values are found by their columns' names
        try:
            row = load(line)
        except ValueError:
            raise NotJsonError("not JSON") from None
        check_numbers(line, row)
        return self._named(row)

    def _named(self, row: object) -> Record | None:
        """The record of a row.

        A text, and a value that is equal to that of the last row with this tag, is kept in memory once.
        """
        if not isinstance(row, list) or not row or not isinstance(row[0], str):
            raise ValueError("a record is a list that begins with its tag")
        tag, *values = row
        if tag not in self._columns:
            raise ValueError(f"the header has no columns for {tag!r:.40}")
        record_type = RECORD_TYPES.get(str(_EARLIER_NAMES.get(tag, tag)))
        if record_type is None:
            return None
        columns = self._columns[tag]
        try:
            if len(values) > len(columns):
                raise ValueError(f"{len(values)} values for {len(columns)} columns")
            last = self._before.get(tag, ())
            values[: len(last)] = map(_shared, values, last)
            self._before[tag] = values
            named = convert(dict(zip(columns, values, strict=False)), _by_name(record_type))
            record: Record = record_type(*astuple(named))
            check_record(record)
            return record
        except ValueError as error:
            raise ValueError(f"{tag}: {error}") from None


def _share(record: Record) -> None:
    """Keep the texts that many records have, and empty objects, in memory once."""
    for name in _SHARED.get(type(record), ()):
        value = getattr(record, name)
        if type(value) is str:
            force_setattr(record, name, intern(value))
        elif value == _EMPTY:
            force_setattr(record, name, _EMPTY)


def _shared(value: object, last: object) -> object:
    if value == last and type(value) is type(last):  # True == 1
        return last
    if type(value) is list:
        return [_shared(item, None) for item in value]
    return intern(value) if type(value) is str else value
