"""The trace file: a header line, then one JSON list in each line.

    {"schema":"svc-trace-trace/1","columns":{"span":["id","parent","process",…],…}}
    ["run",["pytest","-q"],"libbpf","6.18.0",1763676000.0,81273645,"/home/me/project"]
    ["span",12,11,3,4711,"test",81299000,81399000,"tests/test_a.py::test_b"]

Line 1 is the header. It names the columns of each tag. Each further line is a record: a list of its tag and its values,
in the order of the header's columns. Trailing values may be left out if they are the default.

Find a value by its column's name in the header, never by a fixed position. Skip tags and columns that you do not know.
If the header lacks a column, take the default. The file is UTF-8, packed by gzip; svc-trace reads unpacked files, too.
Text that is not Unicode, such as a file name in another encoding, contains escaped lone surrogates (PEP 383).
"""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tracer.errors import ExitStatus, SvcTraceError
from tracer.trace.checks import PROCESS_DEPTH, SPAN_DEPTH, check_nesting
from tracer.trace.destination import PRIVATE, create, destination, put_in_place, remove_leftover
from tracer.trace.garbage import uncollected
from tracer.trace.ids import InstanceId, SpanId
from tracer.trace.input_file import InputFile, open_input
from tracer.trace.json_codec import convert, dump_lines, load
from tracer.trace.records import (
    PHASES,
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
    Trace,
)
from tracer.trace.rows import COLUMNS, RECORD_TYPES, NotJsonError, Rows, row_of
from tracer.trace.storage import cannot_write, partial_path

SCHEMA: Final = "svc-trace-trace/1"
_LEVEL: Final = 1
"""Of gzip, the fastest: rows that differ in a few digits shrink to a sixth by it, and to an eighth by the slowest."""


_ROWS_AT_ONCE: Final = 512
"""Rows that are encoded together."""


class TraceWriter:
    """Writes a trace, buffered, to `PATH.partial`; `close()` renames it to PATH. Only its owner can read it.

    As a context manager it closes at the end of the block. When the block raises, the partial file is kept under that
    name: what was recorded can still be read.

    Raises:
        SvcTraceError: the file cannot be created, written or renamed.
    """

    def __init__(self, path: Path, *, renamed: bool = True) -> None:
        """`renamed`: False leaves the file at `PATH.partial`."""
        self._renamed = renamed
        try:
            self.path = destination(path)
            if self.path.is_char_device():
                raise OSError(None, "not a regular file")
            self._partial = partial_path(self.path)
            remove_leftover(self._partial)
            self._file = create(self._partial, PRIVATE)
        except OSError as error:
            raise cannot_write(path, error) from error
        packed = gzip.GzipFile("", "wb", _LEVEL, self._file, mtime=0)
        self._lines = io.BufferedWriter(packed, 1 << 16)
        self._rows: list[object] = [{"schema": SCHEMA, "columns": COLUMNS}]  # that are not written yet
        self._write_rows()

    def write(self, record: Record) -> None:
        """Append one record."""
        rows = self._rows
        rows.append(row_of(record))
        if len(rows) == _ROWS_AT_ONCE:
            self._write_rows()

    def fileno(self) -> int:
        """The descriptor of the open file. It leads to the trace even if the path does not any more."""
        return self._file.fileno()

    def close(self) -> None:
        """Write out what is buffered and put the file in its place. A second call does nothing."""
        if self._file.closed:
            return
        try:
            written = os.fstat(self._file.fileno())
            self._close()
            if self._renamed:
                put_in_place(written, self._partial, self.path)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        if not self._file.closed:
            with suppress(OSError):  # the error on its way already says what is wrong
                self._close()

    def _close(self) -> None:
        with self._file:
            self._lines.write(dump_lines(self._rows))
            self._rows.clear()
            self._lines.close()

    def _write_rows(self) -> None:
        try:
            self._lines.write(dump_lines(self._rows))
            self._rows.clear()
        except OSError as error:
            self._file.raw.close()  # without what is buffered: after a gap, the rest could not be unpacked
            raise cannot_write(self.path, error) from error


@uncollected()
def read_trace(path: Path, file: InputFile | None = None) -> Trace:
    """Read a whole trace, also one that was cut off (its `end` is None).

    Args:
        path: the trace's.
        file: the trace, if it is open already.

    Of several records with one id the last stands.

    Raises:
        SvcTraceError: not a trace; names the file and the line.
    """
    records: dict[type[Record], list[Any]] = {record_type: [] for record_type in RECORD_TYPES.values()}
    with open_input(path) if file is None else nullcontext(file) as opened:
        for batch in _batches(path, opened):
            for record in batch:
                records[type(record)].append(record)
    if not records[Run]:
        raise _bad_trace(f"{path}, line 2", "it has no run")
    instances = {instance.id: instance for instance in records[Instance]}
    processes = {process.id: process for process in records[Process]}
    spans = {span.id: span for span in records.pop(Span)}
    try:
        check_nesting("process", processes, PROCESS_DEPTH)
        check_nesting("span", spans, SPAN_DEPTH)
    except ValueError as error:
        raise _bad_trace(str(path), str(error)) from error
    return Trace(
        run=records[Run][-1],
        processes=processes,
        threads={(thread.process, thread.tid): thread for thread in records[Thread]},
        spans=_needed_spans(spans, instances, records[Flow]),
        facts=tuple(records[StaticFacts]),
        attempts=tuple(records[Attempt]),
        instances=instances,
        listens=tuple(records[Listen]),
        flows=tuple(records[Flow]),
        warnings=tuple(records[RunWarning]),
        end=records[End][-1] if records[End] else None,
        listeners=tuple(records[Listener]),
        host_names=tuple(records[HostName]),
        refused=tuple(records[Refused]),
    )


def _needed_spans(
    spans: Mapping[SpanId, Span], instances: Mapping[InstanceId, Instance], flows: Iterable[Flow]
) -> dict[SpanId, Span]:
    """The spans without the phases and function-scoped fixtures that contain no flow and no other span: most of them.

    No rule of attribution uses those.
    """

    def is_phase_or_function_scoped(span: Span) -> bool:
        if span.kind != "fixture":
            return span.kind in PHASES
        instance = instances.get(span.subject) if isinstance(span.subject, int) else None
        return instance is None or instance.scope == "function"

    wanted = [id_ for flow in flows for id_ in flow.spans]
    wanted += [span.id for span in spans.values() if not is_phase_or_function_scoped(span)]
    needed: set[SpanId] = set()
    for id_ in wanted:
        while id_ in spans and id_ not in needed:
            needed.add(id_)
            id_ = spans[id_].parent
    return {id_: span for id_, span in spans.items() if id_ in needed}


def read_records(path: Path) -> Iterator[Record]:
    """The records of a trace in the order of the file.

    Raises:
        SvcTraceError: not a trace; names the file and the line.
    """
    with open_input(path) as file:
        for batch in _batches(path, file):
            yield from batch


def _batches(path: Path, file: InputFile) -> Iterator[Iterable[Record]]:
    """The records, many at a time: much of what a record costs does not depend on its number."""
    number = 1
    try:
        rows = Rows(_columns(next(file.lines(), b"")))
        for lines in file.batches():
            if (batch := rows.records(lines)) is not None:
                number += len(batch)
                yield batch
                continue
            for line in io.BytesIO(lines):
                number += 1
                try:
                    record = rows.record(line)
                except NotJsonError:
                    if not line.endswith(b"\n"):  # the last one, cut off
                        return
                    raise
                if record is not None:
                    yield (record,)
    except ValueError as error:
        raise _bad_trace(f"{path}, line {number}", str(error)) from error


def is_trace(file: InputFile) -> bool:
    """Whether an open file begins as a trace of any version does. It stays to be read."""
    try:
        header = load(file.head().partition(b"\n")[0])
    except ValueError:
        return False
    return str(_schema(header)).startswith("svc-trace-trace/")


def _columns(header: bytes) -> dict[str, list[str]]:
    """Tag → the names of its columns."""
    try:
        value = load(header)
    except ValueError:
        raise ValueError("not a trace: no header") from None
    if (schema := _schema(value)) != SCHEMA:
        raise ValueError(f"not a trace that this version reads: its schema is {schema!r:.40}, not {SCHEMA!r}")
    columns: dict[str, list[str]] = convert(value.get("columns"), dict[str, list[str]])
    return columns


def _schema(header: object) -> object:
    return header.get("schema") if isinstance(header, dict) else None


def _bad_trace(place: str, problem: str) -> SvcTraceError:
    return SvcTraceError(
        f"{place}: {problem}",
        hint="Name a trace that `svc-trace --trace` wrote with this version, or record it again.",
        slug="bad-trace",
        exit_code=ExitStatus.BAD_INPUT,
    )
