"""The files of an exported run: `DIRECTORY/TABLE/run=ID/part-0.parquet`, the layout that Hive began."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from tracer.classify.model import Classification
from tracer.reports.history.rows import ROWS, rows_of_evidence, rows_of_runs, rows_of_tests, run_id
from tracer.reports.history.schemas import SCHEMAS
from tracer.trace.destination import make_directory, replacing
from tracer.trace.storage import cannot_write

_ROWS_OF: Final = {"evidence": rows_of_evidence, "tests": rows_of_tests, "runs": rows_of_runs}
"""Table → its rows, in the order of writing: a run that is in `runs` has all its rows."""


def write_run(report: Classification, repository: str, directory: Path) -> str:
    """Write a report's rows below a directory, and return the run's name. Files of the same run are replaced.

    Raises:
        SvcTraceError: a file or directory cannot be written. No file is half written.
        ValueError: a time of the report is not one.
    """
    run = run_id(report, repository)
    for table, rows in _ROWS_OF.items():
        path = directory
        try:
            for path in (directory, directory / table, directory / table / f"run={run}"):
                make_directory(path)
            path = path / "part-0.parquet"
            _write(path, SCHEMAS[table], rows(report, repository))
        except OSError as error:
            raise cannot_write(path, error) from error
    return run


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with replacing(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch, row_group_size=ROWS)
