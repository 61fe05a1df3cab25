"""What others may see of a run while it lasts."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from tracer.trace.file import TraceWriter
from tracer.trace.records import Record


class Watcher(AbstractContextManager["Watcher"], Protocol):
    """Sees a run while it lasts, as a context manager. It must not wait: the tracer would lose events."""

    def saw(self, record: Record) -> None:
        """Take a record that was written to the trace: as a rule, when its span has closed."""

    def turned(self) -> None:
        """A turn of the recorder has ended; there are at least ten in a second."""


class WatchedTraceWriter(TraceWriter):
    """A writer of traces that shows each record to a watcher."""

    def __init__(self, path: Path, watcher: Watcher, *, renamed: bool = True) -> None:
        super().__init__(path, renamed=renamed)
        self._watcher = watcher

    def write(self, record: Record) -> None:
        """Append one record."""
        super().write(record)
        self._watcher.saw(record)
