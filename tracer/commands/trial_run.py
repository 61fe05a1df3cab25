"""One run of a trial, in a process of its own: a run gives up root for good, and the next one needs it again."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from tracer.classify.classification import classify
from tracer.classify.model import Classification
from tracer.classify.services.config import Config
from tracer.commands.own_process import in_own_process
from tracer.record.capture.backends import StartingBackend
from tracer.record.invoker import Invoker
from tracer.record.refusal.refusing import refusing
from tracer.record.refusal.targets import Refusal, Target
from tracer.record.run import RunOptions, Trial, record
from tracer.reports import json_report
from tracer.reports.json_report import read_classification
from tracer.reports.output import write_file
from tracer.trace.file import read_trace

_REHEARSED: Final = Refusal((Target(ports=range(1, 2)),))  # tcpmux, which is not in use any more


def say(line: str) -> None:
    """Print a line for the user."""
    click.echo(f"svc-trace: {line}", err=True)


class Runs(Struct, frozen=True):
    """What all runs of a trial have in common."""

    command: tuple[str, ...]
    configuration: Config
    backend: str
    invoker: Invoker

    def rehearse(self) -> None:
        """Check that services can be refused here, before a run that may take long.

        Raises:
            SvcTraceError: they cannot; says what is missing.
        """
        in_own_process(self._rehearse)

    def run(self, output: Path, tests: frozenset[str] | None = None, refusal: Refusal | None = None) -> Classification:
        """Run the command, and write the report. The command's stdout is svc-trace's stderr.

        Args:
            output: where the report is written.
            tests: node ids of the tests to run; None: all.
            refusal: what is refused to the command.

        Raises:
            SvcTraceError: as `record`, and if the report cannot be written.
            OSError: as `record`.
            click.exceptions.Exit: a signal ended the trial, or an unknown error, whose traceback was printed.
        """
        options = RunOptions(self.command, output, refusal=refusal, trial=Trial(tests))
        in_own_process(lambda: self._trace(options))
        return read_classification(output)

    def _trace(self, options: RunOptions) -> None:
        with self.invoker.root():
            loaded = StartingBackend(self.backend, say).result()
        with closing(loaded), record(options, loaded, self.invoker, say) as recorded:
            trace = read_trace(recorded.trace)
            report = classify(trace, self.configuration, generated_at=datetime.now(UTC), take_flows=True)
            write_file(options.output, json_report.render(report))

    def _rehearse(self) -> None:
        with refusing(_REHEARSED, os.getpid(), self.invoker):
            pass
