"""strace's times as CLOCK_MONOTONIC, also near a moment at which CLOCK_REALTIME is set."""

from __future__ import annotations

import time

import pytest

from tracer.record.capture.strace import clock as module
from tracer.record.capture.strace.clock import Clock, _Offset

HOUR = 3_600_000_000_000


def test_now() -> None:
    clock = Clock()
    before, realtime = time.monotonic_ns(), time.time_ns()
    assert abs(clock.monotonic(realtime) - before) < 50_000_000
    assert clock.read() >= before


@pytest.mark.parametrize("set_by", [HOUR, -HOUR])
def test_a_clock_that_was_set(set_by: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monotonic, realtime = time.monotonic_ns(), time.time_ns()
    offset = monotonic - realtime
    monkeypatch.setattr(module, "_offset", lambda: _Offset(offset - set_by, 1))
    clock.read()
    assert abs(clock.monotonic(realtime) - monotonic) < 50_000_000  # before it was set
    assert abs(clock.monotonic(realtime + set_by) - monotonic) < 50_000_000  # and after
