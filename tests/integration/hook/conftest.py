"""The environments, and a check that nothing is left open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from environments import MINORS, OLDEST, environment_with, interpreter

from hook.suites import Environment
from tracer.record.run_directory import RunDirectory

NEWEST: Final = ("pytest", "pytest-xdist")


@pytest.fixture(scope="session")
def run_directory() -> Iterator[RunDirectory]:
    with RunDirectory() as directory:
        yield directory


@pytest.fixture(scope="session")
def newest(run_directory: RunDirectory) -> Environment:
    return Environment(environment_with(interpreter(MINORS[::-1]), NEWEST), run_directory)


@pytest.fixture(scope="session")
def oldest(run_directory: RunDirectory) -> Environment:
    return Environment(environment_with(interpreter(MINORS), OLDEST), run_directory)


@pytest.fixture(params=["oldest", "newest"])
def environment(request: pytest.FixtureRequest) -> Environment:
    chosen = request.getfixturevalue(request.param)
    assert isinstance(chosen, Environment)
    return chosen


@pytest.fixture(autouse=True)
def no_leaks(tmp_path: Path, run_directory: RunDirectory) -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names; one is of the listing itself
    yield
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert not [path for path in tmp_path.iterdir() if path.is_fifo()]
