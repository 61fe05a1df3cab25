"""strace's clock, read as the boundaries' one."""

from __future__ import annotations

import time
from typing import NamedTuple


class _Offset(NamedTuple):
    """What has to be added to CLOCK_REALTIME, and how far it may be from the truth."""

    ns: int
    error_ns: int


class Clock:
    """CLOCK_REALTIME as CLOCK_MONOTONIC, ns. They run alike (both are slewed), until somebody sets the former.

    Around that moment either offset may be the right one: no time that was told can lie ahead.
    """

    def __init__(self) -> None:
        self._offsets = [_offset()]  # the newest last
        self._now_ns = 0

    def read(self) -> int:
        """Read both clocks; returns CLOCK_MONOTONIC ns. What is told until the next reading was told by now."""
        new, last = _offset(), self._offsets[-1]
        if abs(new.ns - last.ns) > new.error_ns + last.error_ns:
            self._offsets.append(new)
        elif new.error_ns < last.error_ns:
            self._offsets[-1] = new
        self._now_ns = time.monotonic_ns()
        return self._now_ns

    def monotonic(self, realtime_ns: int) -> int:
        """A time that strace has told."""
        if len(self._offsets) == 1:
            return realtime_ns + self._offsets[0].ns
        times = [realtime_ns + offset.ns for offset in self._offsets]
        return max((ns for ns in times if ns <= self._now_ns), default=min(times))


def _offset() -> _Offset:
    """The best of a few pairs of readings: whoever reads may be interrupted between the two."""
    readings = []
    for _ in range(5):
        before = time.monotonic_ns()
        realtime = time.time_ns()
        after = time.monotonic_ns()
        readings.append(_Offset((before + after) // 2 - realtime, (after - before) // 2 + 1))
    return min(readings, key=lambda offset: offset.error_ns)
