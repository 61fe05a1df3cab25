"""Runs the steps of action.yml, as GitHub does: docs/ci.md's workflow on the example suite, and hostile inputs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflow_steps import GITHUB, NOT_RUN_HERE, ROOT, TESTS, Project, blocks, passed, run_step

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can trace with every backend"),
]

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
WORKFLOW: dict[str, Any] = yaml.safe_load(blocks(GITHUB)[".github/workflows/with-action.yml"])
INSTALL, RUN = ACTION["runs"]["steps"]
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")  # https://docs.github.com/actions, `shell: bash`


def inputs_of(given: Mapping[str, str]) -> dict[str, str]:
    assert given.keys() <= ACTION["inputs"].keys()
    return {name: given.get(name, one.get("default", "")) for name, one in ACTION["inputs"].items()}


def replaced(text: str, inputs: Mapping[str, str]) -> str:
    """The value of a field that is one expression."""
    expression = re.fullmatch(r"\$\{\{ inputs\.(\w+) \}\}", text)
    assert expression is not None
    return inputs[expression[1]]


def run(
    step: Mapping[str, Any], directory: Path, given: Mapping[str, str], variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a step of the action."""
    assert step["shell"] == "bash"
    inputs = inputs_of(given)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SUDO_"))}
    environment |= {name: replaced(value, inputs) for name, value in step["env"].items()} | dict(variables)
    cwd = directory / replaced(step["working-directory"], inputs) if "working-directory" in step else directory
    return subprocess.run((*BASH, step["run"]), cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def outputs(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines()) if file.exists() else {}


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runner's temporary directory, in which the action has installed svc-trace, with probes and without."""
    directory = tmp_path_factory.mktemp("runner")
    variables = {"RUNNER_TEMP": str(directory), "GITHUB_ACTION_PATH": str(ROOT)}
    for do in ("trace", "select"):
        for _ in range(2):  # the second time, it is there
            done = run(INSTALL, directory, {"do": do}, variables)
            assert done.returncode == 0, done.stdout + done.stderr
    return directory


def test_the_shell_has_no_text_of_inputs() -> None:
    for step in (INSTALL, RUN):
        assert "${{" not in step["run"]
        assert all(replaced(value, inputs_of({})) is not None for value in step["env"].values())


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    for step in (INSTALL, RUN):
        script = tmp_path / "step.sh"
        script.write_text(f"#!/bin/bash\nset -eo pipefail\n{step['run']}")
        assert subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False).stdout == ""


def test_the_workflow_with_the_action(temporary: Path, tmp_path: Path, shop_services: dict[str, str]) -> None:
    project = Project(tmp_path, shop_services)
    directory = project.directory
    (directory / "svc-trace.baseline").touch()
    (directory / "ci").mkdir()
    statuses, found, said = [], {}, []
    for job in WORKFLOW["jobs"].values():
        for step in job["steps"]:
            variables = project.variables | {"RUNNER_TEMP": str(temporary), "GITHUB_OUTPUT": str(tmp_path / "output")}
            if step.get("uses", "").startswith("OWNER/svc-trace@"):
                done = run(RUN, directory, step["with"], variables)
                found = outputs(tmp_path / "output")
            elif "run" in step and not step["name"].startswith(NOT_RUN_HERE):
                assert (step["if"], found["count"]) == ("steps.tests.outputs.count != '0'", "30")
                done = run_step(step["run"], directory, **variables, SELECTED=found["selected"])
            else:
                continue
            statuses.append(done.returncode)
            said.append(done.stdout + done.stderr)
        shutil.copy(directory / "svc-trace.json.gz", directory / "ci")
    assert statuses == [0, 81, 0, 0], said
    assert found["report"] == str(directory / "ci" / "svc-trace.json.gz")
    assert "::warning file=tests/test_orders.py,line=39," in said[1]
    assert "blind spot" in project.summary.read_text()
    assert 0 < passed(said[3]) < TESTS


EVIL = (
    "$(touch owned)",
    "`touch owned`",
    "x; touch owned",
    "x); touch owned; (x",
    'x"; touch owned; "',
    "'$(touch owned)",
    "x\nselected=owned",
)


@pytest.mark.parametrize("do", ["trace", "merge", "validate", "select", "$(touch owned)"])
def test_no_input_is_executed(temporary: Path, tmp_path: Path, do: str) -> None:
    variables = {
        "RUNNER_TEMP": str(temporary),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    for text in EVIL:
        given = dict.fromkeys(ACTION["inputs"], text) | {"do": do, "directory": "."}
        assert run(RUN, tmp_path, given, variables).returncode != 0
        assert not (tmp_path / "owned").exists()
        assert "selected" not in outputs(tmp_path / "output")


def test_reports_are_merged(temporary: Path, tmp_path: Path, shop_services: dict[str, str]) -> None:
    project = Project(tmp_path, shop_services)
    variables = project.variables | {"RUNNER_TEMP": str(temporary), "GITHUB_OUTPUT": str(tmp_path / "output")}
    for number, file in enumerate(("tests/test_cart.py", "tests/test_pricing.py")):
        given = {
            "command": f"{sys.executable} -m pytest '{file}'",
            "report": f"part {number}.json",
            "backend": "strace",
        }
        done = run(RUN, tmp_path, given | {"directory": "project"}, variables)
        assert done.returncode == 0, done.stdout + done.stderr
    given = {"do": "merge", "reports": "'part 0.json'\n'part [1-9].json'", "options": "--expect 2 --strict"}
    done = run(RUN, tmp_path, given | {"directory": "project"}, variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert outputs(tmp_path / "output")["report"] == str(project.directory / "svc-trace.json.gz")
    assert "of 2 runs" in project.summary.read_text()


def test_what_is_missing_is_said(temporary: Path, tmp_path: Path) -> None:
    variables = {"RUNNER_TEMP": str(temporary), "GITHUB_OUTPUT": str(tmp_path / "output")}
    for given, problem in (
        ({}, "trace needs the input command"),
        ({"do": "select", "command": "'"}, "select needs the input command"),
        ({"do": "erase"}, "do is not trace, merge, validate or select"),
        ({"report": ""}, "report is not the path of a file"),
    ):
        done = run(RUN, tmp_path, given, variables)
        assert (done.returncode, done.stdout) == (64, f"::error title=svc-trace::{problem}\n")
