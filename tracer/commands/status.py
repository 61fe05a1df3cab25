"""Lines on a terminal that say what svc-trace is doing, and that disappear again."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Self

_ERASE_LINE = "\r\x1b[K"


def obeys_escapes() -> bool:
    """Whether stderr is a terminal that understands escape sequences."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in {"", "dumb"}


class Status:
    """A line on stderr, while no other program writes to it. The end of the block erases it."""

    def __init__(self, *, quiet: bool) -> None:
        self._possible = not quiet and obeys_escapes()
        self._shown = False

    def say(self, doing: str) -> None:
        """Replace the line."""
        if self._possible:
            self._write(f"{_ERASE_LINE}svc-trace: {doing} …")
            self._shown = True

    def clear(self) -> None:
        """Erase the line: something else will be printed."""
        if self._shown:
            self._write(_ERASE_LINE)
            self._shown = False

    def _write(self, text: str) -> None:
        with suppress(OSError):  # the terminal is gone
            sys.stderr.write(text)
            sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
