"""Converts strace's times, which are CLOCK_REALTIME, to the clock of all events, CLOCK_MONOTONIC."""

from __future__ import annotations

import time
from typing import NamedTuple


class _Offset(NamedTuple):
    """CLOCK_MONOTONIC minus CLOCK_REALTIME."""

    ns: int
    error_ns: int  # at most


class Clock:
    """Both clocks. Both are slewed alike, so their offset is constant until CLOCK_REALTIME is set.

    For a time near that moment, either offset may be correct. The one is chosen that gives no time in the future.
    """

    def __init__(self) -> None:
        self._offsets = [_offset()]  # the newest last
        self._now_ns = 0

    def read(self) -> int:
        """Read both clocks before strace's text is read; returns CLOCK_MONOTONIC ns."""
        new, last = _offset(), self._offsets[-1]
        if abs(new.ns - last.ns) > new.error_ns + last.error_ns:
            self._offsets.append(new)
        elif new.error_ns < last.error_ns:
            self._offsets[-1] = new
        self._now_ns = time.monotonic_ns()
        return self._now_ns

    def monotonic(self, realtime_ns: int) -> int:
        """A time from strace's text as CLOCK_MONOTONIC ns."""
        if len(self._offsets) == 1:
            return realtime_ns + self._offsets[0].ns
        times = [realtime_ns + offset.ns for offset in self._offsets]
        return max((ns for ns in times if ns <= self._now_ns), default=min(times))


def _offset() -> _Offset:
    """The most exact of five readings: another process may run between the reading of the two clocks."""
    readings = []
    for _ in range(5):
        before = time.monotonic_ns()
        realtime = time.time_ns()
        after = time.monotonic_ns()
        readings.append(_Offset((before + after) // 2 - realtime, (after - before) // 2 + 1))
    return min(readings, key=lambda offset: offset.error_ns)
