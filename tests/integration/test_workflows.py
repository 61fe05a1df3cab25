"""Runs the shell steps of the workflows in docs/ci.md and .github/workflows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can trace with every backend"),
]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ci.md").read_text()
BLOCKS: list[dict[str, Any]] = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)]
NIGHT, DAY, WEEKLY = BLOCKS
NIGHTLY: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "nightly.yml").read_text())
SHARDS = NIGHT["jobs"]["trace"]["strategy"]["matrix"]["shard"]
YOURS = "CHANGE: "


def shell(job: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The shell steps of a job that a user does not have to change: name, text."""
    for step in job["steps"]:
        if "run" in step and not step["name"].startswith(YOURS):
            yield step["name"], step["run"]


def run_step(text: str, directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does without `shell`: https://docs.github.com/actions, `jobs.<job_id>.steps[*].shell`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SUDO_"))}
    return subprocess.run(
        ["bash", "-e", "-c", text],
        cwd=directory,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


class Project:
    """The example suite as a user's project, in which the steps to change are already done."""

    def __init__(self, home: Path, services: Mapping[str, str]) -> None:
        self.directory = home / "project"
        shutil.copytree(
            ROOT / "examples" / "shop",
            self.directory,
            ignore=shutil.ignore_patterns("__pycache__", "*.json", ".pytest*"),
        )
        for link in (self.directory / ".venv", home / "svc-trace"):
            link.symlink_to(sys.prefix)
        self._variables = {**services, "HOME": str(home), "GITHUB_STEP_SUMMARY": str(home / "summary.md")}
        self.summary = home / "summary.md"

    def do(self, job: Mapping[str, Any], **variables: str) -> dict[str, subprocess.CompletedProcess[str]]:
        """Run all steps of a job, also after a step that failed."""
        environment = {name: str(value) for name, value in job.get("env", {}).items()} | self._variables | variables
        return {name: run_step(text, self.directory, **environment) for name, text in shell(job)}


def test_the_users_workflow(tmp_path: Path, shop_services: dict[str, str]) -> None:
    project = Project(tmp_path, shop_services)
    trace, report = NIGHT["jobs"]["trace"], NIGHT["jobs"]["report"]
    (project.directory / "shards").mkdir()
    for shard in SHARDS:
        (done,) = project.do(trace, SHARD=str(shard), SHARDS=str(len(SHARDS))).values()
        assert done.returncode == 0, done.stdout + done.stderr
        name = f"svc-trace-{shard}.json.gz"
        (project.directory / name).rename(project.directory / "shards" / name)

    first = project.do(report)
    assert {name: done.returncode for name, done in first.items()} == {
        "Merge the shards": 0,
        "Compare with last night's report": 0,  # there is none yet
        "Check the assumptions": 81,
    }
    page = project.summary.read_text()
    assert "test_saved_order_is_announced" in page or "kafka" in page
    merged = project.directory / "svc-trace.json.gz"

    (accept,) = re.findall(r"^```\n(svc-trace validate .*--write-baseline.*)\n```", PAGE, re.M)
    accepted = run_step(accept, project.directory, PATH=f"{sys.prefix}/bin:{os.environ['PATH']}")
    assert accepted.returncode == 0, accepted.stderr
    (project.directory / "last").mkdir()
    shutil.copy(merged, project.directory / "last")
    assert {name: done.returncode for name, done in project.do(report).items()} == dict.fromkeys(first, 0)

    ran = 0
    (job,) = DAY["jobs"].values()
    for variant in job["strategy"]["matrix"]["include"]:
        (done,) = project.do(job, SELECT=variant["select"]).values()
        assert done.returncode == 0, done.stdout + done.stderr
        ran += sum(int(number) for number in re.findall(r"(\d+) (?:passed|skipped|xfailed)", done.stdout))
    assert ran == 47

    (done,) = project.do(WEEKLY["jobs"]["verify"], WITHOUT="redis").values()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "need redis" in project.summary.read_text()
    assert (project.directory / "verify-redis.json").exists()


def test_names_of_steps_are_unique() -> None:
    for workflow in (NIGHT, DAY, WEEKLY, NIGHTLY):
        for job in workflow["jobs"].values():
            names = [step["name"] for step in job["steps"] if "run" in step]
            assert len(set(names)) == len(names)


LESS: dict[str, dict[str, str]] = {
    "tests": {"TESTS": "tests/unit/test_layers.py"},
    "kernels": {"KERNEL": "6.1", "BACKEND": "libbpf", "TESTS": "tests/kernel/test_features.py"},
    "soak": {"ROUNDS": "1", "TESTS": "-k same_local_port --backend libbpf"},
    "fresh": {"SUITE": "bookworm"},
    "wheels": {},
    "services": {},
    "fleet": {"ENGINE": "duckdb"},
}
"""Variables with which the steps of this project's nightly do everything, but on fewer tests."""


@pytest.mark.parametrize("job", NIGHTLY["jobs"])
def test_this_projects_nightly(job: str, tmp_path: Path) -> None:
    for _, text in shell(NIGHTLY["jobs"][job]):
        done = run_step(text, ROOT, GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"), **LESS[job])
        assert done.returncode == 0, done.stdout + done.stderr
