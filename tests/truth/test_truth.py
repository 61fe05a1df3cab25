"""Runs each scenario with each backend. The report must be the truth, and the run must equal a bare run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import pytest

from tracer.errors import SvcTraceError
from tracer.record.capture.backends import BACKENDS
from truth.differences import differences, differences_of_trial
from truth.received import disagreements
from truth.runs import disturbances, run_bare, run_traced, run_trial
from truth.scenario import ALONE, CAPABILITIES, SERVERS, Scenario, load, on_oldest

pytestmark = pytest.mark.kernel

SCENARIOS: Final = Path(__file__).parent / "scenarios"
TRIALS: Final = "verify"
"""The group of scenarios whose truth is verdicts."""
DIRECTORIES: Final = sorted(path for path in SCENARIOS.glob("*/*") if path.is_dir() and path.name != "__pycache__")
SHOWN: Final = 50
"""Differences that a failure prints; a scenario may have thousands."""


def cases(trials: bool = False) -> Iterator[object]:
    """Each scenario's directory, and whether the scenario runs on the oldest pytest. Either trials or all others."""
    for directory in DIRECTORIES:
        if (directory.parent.name == TRIALS) != trials:
            continue
        name = directory.relative_to(SCENARIOS).as_posix()
        yield pytest.param(directory, False, id=name)
        with suppress(SvcTraceError):  # the case above fails with it
            if load(directory).oldest:
                yield pytest.param(directory, True, id=f"{name}-oldest")


def failure(scenario: Scenario, lines: list[str], output: str) -> Iterator[str]:
    """The lines that are printed when a scenario fails."""
    yield f"{scenario.directory.relative_to(SCENARIOS)}: {scenario.says}"
    yield from islice((f"  {line}" for line in lines), SHOWN)
    if len(lines) > SHOWN:
        yield f"  and {len(lines) - SHOWN} more"
    yield f"The traced run printed:\n{output}"


def surroundings_of(scenario: Scenario) -> str:
    """The name of the fixture with the servers that a scenario needs."""
    for need in scenario.needs:
        if need in ALONE:
            return f"with_{need}"
    return "with_servers" if {*SERVERS} & {*scenario.needs} else "plain"


def check_needs(scenario: Scenario, backend: str, require: Callable[[str], None]) -> None:
    """Skip what this machine or the backend cannot have."""
    for need in scenario.needs:
        if need in BACKENDS[backend]().blind_to:
            pytest.skip(f"{backend} does not see {need}")
        if need in CAPABILITIES:
            require(need)


@pytest.mark.parametrize(("directory", "oldest"), [*cases()])
def test_is_true(
    backend: str,
    directory: Path,
    oldest: bool,
    tmp_path: Path,
    bare_runs: Path,
    request: pytest.FixtureRequest,
    require: Callable[[str], None],
) -> None:
    scenario = on_oldest(load(directory)) if oldest else load(directory)
    check_needs(scenario, backend, require)
    surroundings = request.getfixturevalue(surroundings_of(scenario))
    before = surroundings.received()
    traced, report = run_traced(scenario, backend, surroundings, tmp_path / "traced")
    lines = ["svc-trace wrote no report"] if report is None else [*differences(scenario, report)]
    if report is not None and scenario.complete and scenario.uncounted is None:
        lines += disagreements(tmp_path / "traced" / "trace.svctrace", before, surroundings.received)
    if scenario.only_traced is None:
        bare = run_bare(scenario, surroundings, tmp_path / "bare", bare_runs)
        lines += disturbances(traced, bare)
    if lines:
        pytest.fail("\n".join(failure(scenario, lines, traced.output)), pytrace=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can refuse services")
@pytest.mark.parametrize(("directory", "oldest"), [*cases(trials=True)])
def test_verdicts_are_true(
    backend: str,
    directory: Path,
    oldest: bool,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    require: Callable[[str], None],
) -> None:
    scenario = on_oldest(load(directory)) if oldest else load(directory)
    check_needs(scenario, backend, require)
    surroundings = request.getfixturevalue(surroundings_of(scenario))
    finished, trial = run_trial(scenario, backend, surroundings, tmp_path / "trial")
    lines = ["svc-trace wrote no verdicts"] if trial is None else [*differences_of_trial(scenario, trial)]
    if finished.exit_status != 0:
        lines.append(f"svc-trace ended with status {finished.exit_status}")
    if lines:
        pytest.fail("\n".join(failure(scenario, lines, finished.output)), pytrace=False)
