"""The rows of a trace file: the lists of values in which its records are written."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
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

_FREQUENT: Final = frozenset(get_args(Process | Thread | Span | Attempt | Instance | Listen | Flow))
"""The records that are encoded and decoded as rows, without another object."""
_SHARED: Final[Mapping[type[Record], tuple[str, ...]]] = {
    Span: ("tid", "subject"),
    Attempt: ("nodeid", "outcomes", "instances"),
    Instance: ("name", "scope", "baseid", "node", "requires"),
    Flow: ("tid", "socket", "network", "prefixes", "heads", "errors"),
}
"""Fields whose values many records have in common."""
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
    return defstruct(record_type.__name__, _members(record_type))


@cache
def _by_position(record_type: type[Record]) -> type[Struct]:
    """A type with the fields of a record, which is decoded from its row."""
    tag = _TAGS[record_type]
    return defstruct(tag, _members(record_type), array_like=True, forbid_unknown_fields=True, tag=tag)


def _members(record_type: type[Record]) -> list[Any]:
    return [
        (field.name, field.type, *(() if field.required else (default_of(field),))) for field in fields(record_type)
    ]


_OTHERS: Final = {_by_position(kind): kind for kind in _TAGS if kind not in _FREQUENT}


def row_of(record: Record) -> object:
    """What is encoded as the row of a record."""
    return record if type(record) in _FREQUENT else (_TAGS[type(record)], *astuple(record))


class Rows:
    """The rows of one file, as records."""

    def __init__(self, columns: Mapping[str, list[str]]) -> None:
        """`columns`: tag → the names of its columns, as the file's header has them."""
        self._columns = {tag: [_EARLIER_NAMES.get(name, name) for name in names] for tag, names in columns.items()}
        current = [kind for kind, tag in _TAGS.items() if self._columns.get(tag) == [*COLUMNS[tag]]]
        rows = tuple(kind if kind in _FREQUENT else _by_position(kind) for kind in current)
        self._decoder = decoder(reduce(or_, rows)) if rows else None
        self._values: dict[object, object] = {}  # shared values, by themselves; mappings by their items

    def records(self, lines: bytes) -> list[Record] | None:
        """The records of many lines, decoded at once; None: not all have the columns of this version, or are valid."""
        if self._decoder is None or has_long_numbers(lines):
            return None
        try:
            rows = self._decoder.decode_lines(lines)
            if len(rows) != lines.count(b"\n"):
                return None  # one was cut off, or is not on a line of its own
            return [self._checked(row) for row in rows]
        except (ValueError, RecursionError):
            return None

    def record(self, line: bytes) -> Record | None:
        """The record of a line; None for a tag that this version does not know.

        Raises:
            NotJsonError: it is not JSON, perhaps because it was cut off.
            ValueError: it is no record.
        """
        if records := self.records(line):
            return records[0]
        try:
            row = load(line)
        except ValueError:
            raise NotJsonError("not JSON") from None
        check_numbers(line, row)
        return self._named(row)

    def _named(self, row: object) -> Record | None:
        """The record of a row, whose values are found by their columns' names."""
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
            named = convert(dict(zip(columns, values, strict=False)), _by_name(record_type))
            return self._checked(record_type(*astuple(named)))
        except ValueError as error:
            raise ValueError(f"{tag}: {error}") from None

    def _checked(self, row: Any) -> Record:  # noqa: ANN401 -- a record, or a row of `_by_position`
        """The record of a row. Values that many records have are kept in memory once."""
        kind = type(row)
        record: Record = row
        if kind in _OTHERS:
            record = _OTHERS[kind](*astuple(row))
        check_record(record)
        for name in _SHARED.get(kind, ()):
            value = getattr(record, name)
            key = (dict, *value.items()) if type(value) is dict else value
            force_setattr(record, name, self._values.setdefault(key, value))
        return record
