"""The rows of a report's tables, as batches of Arrow's columns, and the name of its run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any, Final

import pyarrow as pa
from msgspec import to_builtins
from msgspec.structs import asdict

from tracer.classify.model import Classification
from tracer.reports.history.schemas import EVIDENCE, RUNS, TESTS
from tracer.trace.json_codec import dump

ROWS: Final = 1 << 15
"""The most rows of a batch, and of a row group: some 10 MB of a reader's memory."""

_Row = tuple[str | None, Any]
"""A node id, and the record with that row's fields."""


def run_id(report: Classification, repository: str) -> str:
    """The name of the run, or of the merged runs, such as `20261120T214500Z-3f9c2a71b0de4c55`.

    It depends on the repository, on when each run began, its command and duration, and on the node ids. So a report
    that is made again with other rules has the same name. It looks neither like a number nor like a date: engines
    guess the types of partitions.

    Raises:
        ValueError: the run's time is not one.
    """
    runs = [[run.started_at, run.duration_s, run.command] for run in report.each_run]
    digest = hashlib.sha256(dump([repository, runs, sorted(report.tests)])).hexdigest()
    return f"{_moment(report.run.started_at):%Y%m%dT%H%M%SZ}-{digest[:16]}"


def rows_of_runs(report: Classification, repository: str) -> Iterator[pa.RecordBatch]:
    """The one row of `runs`.

    Raises:
        ValueError: a time of the report is not one.
    """
    values = asdict(report.run) | {
        "repository": repository,
        "started_at": _moment(report.run.started_at),
        "generated_at": _moment(report.generated_at),
        "warnings": to_builtins(report.run.warnings),
        "refused": to_builtins(report.run.refused) or None,
        "total_tests": len(report.tests),
        "merged_runs": len(report.runs) or 1,
    }
    yield pa.record_batch([_array([values[column.name]], column.type) for column in RUNS], RUNS)


def rows_of_tests(report: Classification, repository: str) -> Iterator[pa.RecordBatch]:
    """The rows of `tests`, in the report's order."""
    yield from _batches(TESTS, report.tests.items(), report, repository)


def rows_of_evidence(report: Classification, repository: str) -> Iterator[pa.RecordBatch]:
    """The rows of `evidence`, in the report's order: those of the tests, then those outside of tests."""
    of_tests = ((nodeid, one) for nodeid, test in report.tests.items() for one in test.evidence)
    of_run = ((None, one) for one in report.run_evidence)
    yield from _batches(EVIDENCE, chain(of_tests, of_run), report, repository)


def _batches(
    schema: pa.Schema, rows: Iterable[_Row], report: Classification, repository: str
) -> Iterator[pa.RecordBatch]:
    remaining = iter(rows)
    started_at = _moment(report.run.started_at)
    while batch := list(islice(remaining, ROWS)):
        columns = (_values(column.name, batch, repository, started_at) for column in schema)
        yield pa.record_batch(
            [_array(values, column.type) for values, column in zip(columns, schema, strict=True)], schema
        )


def _values(name: str, rows: list[_Row], repository: str, started_at: datetime) -> list[Any]:
    match name:
        case "repository":
            return [repository] * len(rows)
        case "started_at":
            return [started_at] * len(rows)
        case "nodeid":
            return [nodeid for nodeid, _ in rows]
        case "used":
            return [record.is_need for _, record in rows]
        case "needed_below":
            return [record.needed_below or None for _, record in rows]
        case _:
            return [getattr(record, name) for _, record in rows]


def _array(values: list[Any], kind: Any) -> pa.Array:  # noqa: ANN401 -- pyarrow has no types
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # node ids and paths may contain lone surrogates, which UTF-8 cannot
        return pa.array([_escaped(value) for value in values], kind)


def _escaped(value: Any) -> Any:  # noqa: ANN401 -- a value of any column
    r"""A value whose texts have `\udc80` in place of a lone surrogate."""
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case list() | tuple():
            return [_escaped(item) for item in value]
        case dict():
            return {key: _escaped(item) for key, item in value.items()}
        case _:
            return value


def _moment(text: str) -> datetime:
    """A report's time, in UTC.

    Raises:
        ValueError: it is not a time, or lacks its time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r:.40} has no time zone")
    try:
        return moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError as error:
        raise ValueError(f"{text!r:.40} is out of range") from error
