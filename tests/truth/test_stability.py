"""Runs of a suite have the same classification, although threads and processes of earlier tests go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from truth.runs import run_traced
from truth.scenario import load
from truth.test_truth import SCENARIOS, surroundings_of

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize(
    "name",
    [
        "clients/leaked_pollers",  # threads and a process that send again and again
        "kafka/consumer_left_running",
        "processes/process_pools",  # forked workers
    ],
)
def test_runs_do_not_differ(backend: str, name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A false cause changes about one of 25 runs of a suite with leaked threads (docs/attribution.md, "Limits").

    So of at most four runs, two have to be equal.
    """
    scenario = load(SCENARIOS / name)
    surroundings = request.getfixturevalue(surroundings_of(scenario))

    reports: list[Path] = []
    for run in ("first", "second", "third", "fourth"):
        run_traced(scenario, backend, surroundings, tmp_path / run)
        report = tmp_path / run / "report.json"
        if any(not _differences(earlier, report) for earlier in reports):
            return
        reports.append(report)
    pytest.fail(_differences(reports[0], reports[1]))


def _differences(earlier: Path, later: Path) -> str:
    command = (sys.executable, "-m", "tracer", "diff", "--exit-code", earlier, later)
    compared = subprocess.run(command, capture_output=True, text=True, check=False)
    return compared.stdout + compared.stderr if compared.returncode else ""
