import time

import freezegun
import pytest
import time_machine
from peers import alpha, beta, delta, gamma


@freezegun.freeze_time("2001-01-01")
def test_freezegun():
    assert time.time() == 978307200
    alpha.ask()


@time_machine.travel(0, tick=False)
def test_time_machine():
    assert time.time() == 0
    beta.ask()


@pytest.fixture
def patched(monkeypatch):
    for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"):
        monkeypatch.setattr(time, name, lambda: 7)
    gamma.ask()


def test_patched(patched):
    assert time.monotonic_ns() == 7
    gamma.ask()


@pytest.fixture
def frozen():
    with freezegun.freeze_time("2001-01-01"):
        delta.ask()
        yield
        beta.ask()


def test_frozen_from_set_up_to_teardown(frozen):
    alpha.ask()


def test_after():
    delta.ask()
