"""Two runs of a suite have the same classification, although threads and processes of earlier tests go on."""

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
def test_two_runs_do_not_differ(backend: str, name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    scenario = load(SCENARIOS / name)
    surroundings = request.getfixturevalue(surroundings_of(scenario))
    for run in ("first", "second"):
        run_traced(scenario, backend, surroundings, tmp_path / run)
    reports = [str(tmp_path / run / "report.json") for run in ("first", "second")]
    command = (sys.executable, "-m", "tracer", "diff", "--exit-code", *reports)
    compared = subprocess.run(command, capture_output=True, text=True, check=False)
    assert compared.returncode == 0, compared.stdout + compared.stderr
