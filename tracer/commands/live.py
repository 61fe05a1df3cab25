"""`svc-trace run --live`: a line below the command's output that shows how far the run is."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import Final, Self

from rich.cells import set_cell_size

from tracer.classify.services.config import Config
from tracer.classify.services.identify import Identifier
from tracer.classify.services.protocols import recognise
from tracer.errors import counted, printable
from tracer.trace.records import Attempt, Flow, Record

_INTERVAL_NS: Final = 250_000_000
_FEWEST_ROWS: Final = 5
"""Of a terminal that has a line to spare."""

# Escape sequences: see "XTerm Control Sequences", and DEC's manual of the VT220.
_SAVE, _RESTORE = "\x1b7", "\x1b8"  # DECSC, DECRC: the cursor, and the attributes of what comes next
_DOWN_AND_UP: Final = "\x1bD\x1b[A"  # IND: scrolls in the last row; then up again: the cursor is above the last row
_ALL_ROWS_SCROLL: Final = "\x1b[r"  # DECSTBM; it moves the cursor


def _upper_rows_scroll(rows: int) -> str:
    return f"{_DOWN_AND_UP}{_SAVE}\x1b[1;{rows - 1}r{_RESTORE}"


def _last_row(rows: int, text: str) -> str:
    return f"{_SAVE}\x1b[{rows};1H\x1b[0;2m{text}\x1b[0m\x1b[K{_RESTORE}"


class LastRow:
    """The last row of a terminal, while the rows above it scroll, as in apt's display of progress.

    A write to a terminal is not mixed with those of other programs, and never waits here: a terminal that was stopped
    (Ctrl-S) would stop the tracer.
    """

    def __init__(self, terminal: str) -> None:
        """`terminal`: the path of its device.

        Raises:
            OSError: it cannot be opened.
        """
        self._fd = os.open(terminal, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        self._rows = 0  # the number of the last row; 0: it is not set apart
        self._unwritten = b""

    def show(self, text: str) -> None:
        """Replace the row by a text, cut to its width. If the terminal takes nothing now, or is too small: nothing."""
        size = os.get_terminal_size(self._fd)
        self._write("")
        if self._unwritten or size.lines < _FEWEST_ROWS:
            return
        set_apart = "" if size.lines == self._rows else _upper_rows_scroll(size.lines)
        self._rows = size.lines
        self._write(set_apart + _last_row(size.lines, set_cell_size(printable(text), size.columns - 1).rstrip()))

    def close(self) -> None:
        """Erase the row, and let all rows scroll."""
        if self._rows:
            self._write(f"{_last_row(self._rows, '')}{_SAVE}{_ALL_ROWS_SCROLL}{_RESTORE}")
        os.close(self._fd)

    def _write(self, text: str) -> None:
        """Write what is left from before, and a text. A part of an escape sequence must not stay alone."""
        self._unwritten += text.encode()
        with suppress(BlockingIOError):
            self._unwritten = self._unwritten[os.write(self._fd, self._unwritten) :]


class Live:
    """Shows how many tests have ended, and which services they used, in the last row of the terminal of stderr.

    A watcher of a run. A terminal that fails, or is gone, ends the display, and nothing else.
    """

    def __init__(self, config: Config) -> None:
        """Raises:
        OSError: stderr's terminal cannot be opened.
        """
        self._row: LastRow | None = LastRow(os.ttyname(sys.stderr.fileno()))
        self._identifier = Identifier(config)
        self._tests = 0
        self._services: dict[str, None] = {}  # in the order in which they were first used
        self._began_ns = time.monotonic_ns()
        self._shown_ns = 0

    def saw(self, record: Record) -> None:
        """Take a record of the trace."""
        if isinstance(record, Attempt):
            self._tests += 1
        elif isinstance(record, Flow):
            protocol = recognise(map(bytes.fromhex, record.prefixes))
            found = self._identifier.service_of(record.endpoint, protocol, record.host or None)
            if not found.ignored:
                self._services[found.name] = None

    def turned(self) -> None:
        """Show the state anew, four times in a second."""
        now_ns = time.monotonic_ns()
        if self._row is None or now_ns - self._shown_ns < _INTERVAL_NS:
            return
        self._shown_ns = now_ns
        try:
            self._row.show(self._text(now_ns))
        except OSError:
            self._end()

    def _text(self, now_ns: int) -> str:
        minutes, seconds = divmod((now_ns - self._began_ns) // 1_000_000_000, 60)
        services = ", ".join(self._services) or "none"
        return f"svc-trace: {minutes}:{seconds:02}, {counted(self._tests, 'test')}; services so far: {services}"

    def _end(self) -> None:
        row, self._row = self._row, None
        if row is not None:
            with suppress(OSError):
                row.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
