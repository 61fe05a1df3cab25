"""Libraries that fake the time in a test: the hook's times are the kernel's."""

from __future__ import annotations

import time
from pathlib import Path

from environments import MINORS, environment_with, interpreter

from hook.suites import Environment, run
from tracer.record.boundary.messages import Close, Open, Phase
from tracer.record.run_directory import RunDirectory


def test_the_times_are_real(run_directory: RunDirectory, tmp_path: Path) -> None:
    python = environment_with(interpreter(MINORS[::-1]), ("pytest", "freezegun", "time-machine"))
    before_ns = time.monotonic_ns()
    reported = run(
        Environment(python, run_directory),
        tmp_path,
        """
        import time, freezegun, time_machine
        @pytest.fixture
        def frozen():
            with freezegun.freeze_time("2000-01-01"): yield
        @pytest.fixture
        def travelled():
            with time_machine.travel("2000-01-01", tick=False): yield
        def test_frozen(frozen): assert time.localtime().tm_year == 2000
        def test_travelled(travelled): assert time.localtime().tm_year == 2000
        @freezegun.freeze_time("2000-01-01")
        def test_frozen_in_the_call(): assert time.localtime().tm_year == 2000
        """,
    )
    assert reported.status == 0, reported.output
    times = [message.ns for message in reported.messages() if isinstance(message, Open | Phase | Close)]
    assert len(reported.tests()) == 3
    assert before_ns < times[0]
    assert times == sorted(set(times))
    assert times[-1] < time.monotonic_ns()
