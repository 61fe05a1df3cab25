"""`svc-trace export`: reports as tables, for questions about many nights and many repositories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from tracer.classify.model import Classification
from tracer.commands.inputs import matching_paths
from tracer.errors import SvcTraceError, cannot_trace, counted
from tracer.reports.json_report import read_classification


@click.command("export")
@click.argument("reports", metavar="REPORT...", nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["parquet"]),
    default="parquet",
    show_default=True,
    help="The files' format. It needs pyarrow: pip install 'svc-trace[parquet]'.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="The directory of the tables; it is created unless it exists.",
)
@click.option("--repository", default="", metavar="NAME", help="A name for the column `repository` of all rows.")
def command(reports: tuple[str, ...], form: str, output: Path, repository: str) -> int:
    """Add REPORTs to tables of runs, tests and evidence, for DuckDB, Spark and others.

    A REPORT is a path or a quoted pattern (`'nights/**/svc-trace.json.gz'`), plain or gzip. A merged report is one run.
    A run that is in the tables already is replaced.
    """
    write_run = _writer()
    runs: dict[str, int] = {}  # run → its tests
    for path in matching_paths(reports):
        run, tests = _export(path, repository, output, write_run)
        runs[run] = tests
    click.echo(f"svc-trace: {counted(len(runs), 'run')}, {counted(sum(runs.values()), 'test')}: {output}")
    return 0


def _writer() -> Callable[[Classification, str, Path], str]:
    """The function that writes a run.

    Raises:
        SvcTraceError: pyarrow cannot be imported.
    """
    try:
        from tracer.reports.history.partition import write_run
    except ImportError as error:
        raise cannot_trace(
            f"Parquet needs pyarrow, which cannot be imported: {error}",
            "Install it where svc-trace is installed: pip install 'svc-trace[parquet]'.",
            "no-pyarrow",
        ) from error
    return write_run


def _export(
    path: Path, repository: str, output: Path, write_run: Callable[[Classification, str, Path], str]
) -> tuple[str, int]:
    """Export one report; returns its run and number of tests. The report is not kept."""
    report = read_classification(path)
    try:
        return write_run(report, repository, output), len(report.tests)
    except ValueError as error:
        raise SvcTraceError(
            f"cannot export {path}: {error}",
            hint="Name a report that svc-trace wrote, or make it again from its trace with `svc-trace report`.",
            slug="bad-report",
        ) from error
