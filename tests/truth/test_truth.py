"""Every scenario, with every backend: its classification is the truth, and it runs as it does without svc-trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import pytest

from tracer.errors import SvcTraceError
from tracer.record.capture.backends import BACKENDS
from truth.differences import differences
from truth.runs import disturbances, run_bare, run_traced
from truth.scenario import ALONE, CAPABILITIES, SERVERS, Scenario, load, on_oldest

pytestmark = pytest.mark.kernel

SCENARIOS: Final = Path(__file__).parent / "scenarios"
FOLDERS: Final = sorted(path for path in SCENARIOS.glob("*/*") if path.is_dir() and path.name != "__pycache__")
SHOWN: Final = 50
"""Lines of a failure: a scenario may have thousands of tests."""


def cases() -> Iterator[object]:
    """Each scenario's directory, and whether it is run on the oldest pytest."""
    for folder in FOLDERS:
        name = folder.relative_to(SCENARIOS).as_posix()
        yield pytest.param(folder, False, id=name)
        with suppress(SvcTraceError):  # the test above shows it
            if load(folder).oldest:
                yield pytest.param(folder, True, id=f"{name}-oldest")


def failure(scenario: Scenario, wrong: list[str], output: str) -> Iterator[str]:
    """Shown when a scenario fails."""
    yield f"{scenario.folder.relative_to(SCENARIOS)}: {scenario.says}"
    yield from islice((f"  {line}" for line in wrong), SHOWN)
    if len(wrong) > SHOWN:
        yield f"  and {len(wrong) - SHOWN} more"
    yield f"The traced run said:\n{output}"


def surroundings_of(scenario: Scenario) -> str:
    """The fixture that has what a scenario needs."""
    for need in scenario.needs:
        if need in ALONE:
            return f"with_{need}"
    return "with_servers" if {*SERVERS} & {*scenario.needs} else "plain"


@pytest.mark.parametrize(("folder", "oldest"), [*cases()])
def test_is_true(
    backend: str,
    folder: Path,
    oldest: bool,
    tmp_path: Path,
    bare_runs: Path,
    request: pytest.FixtureRequest,
    require: Callable[[str], None],
) -> None:
    scenario = on_oldest(load(folder)) if oldest else load(folder)
    for need in scenario.needs:
        if need in BACKENDS[backend]().blind_to:
            pytest.skip(f"{backend} does not see {need}")
        if need in CAPABILITIES:
            require(need)
    surroundings = request.getfixturevalue(surroundings_of(scenario))
    traced, report = run_traced(scenario, backend, surroundings, tmp_path / "traced")
    wrong = ["there is no report"] if report is None else [*differences(scenario, report)]
    if scenario.only_traced is None:
        bare = run_bare(scenario, surroundings, tmp_path / "bare", bare_runs)
        wrong += disturbances(traced, bare)
    if wrong:
        pytest.fail("\n".join(failure(scenario, wrong, traced.output)), pytrace=False)
