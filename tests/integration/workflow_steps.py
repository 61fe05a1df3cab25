"""The shell steps of workflows, and the example suite as a user's project in which they run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
GITHUB, GITLAB, JENKINS = ((ROOT / "docs" / name).read_text() for name in ("ci.md", "ci-gitlab.md", "ci-jenkins.md"))
NOT_RUN_HERE = ("CHANGE: ", "GitHub: ")  # steps that a user changes, or that need GitHub itself
TESTS = 47  # of the example suite


def blocks(page: str) -> dict[str, str]:
    """The files in a page: the name in the first line → the text."""
    found = re.findall(r"^```(?:yaml|groovy)\n(?:#|//) (.*?)\n(.*?)^```", page, re.M | re.S)
    assert found
    return dict(found)


def shell(job: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The shell steps of a job that need no change: name, text."""
    for step in job["steps"]:
        if "run" in step and not step["name"].startswith(NOT_RUN_HERE):
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
        self.variables = {**services, "HOME": str(home), "GITHUB_STEP_SUMMARY": str(home / "summary.md")}
        self.summary = home / "summary.md"

    def do(self, job: Mapping[str, Any], **variables: str) -> dict[str, subprocess.CompletedProcess[str]]:
        """Run all steps of a job of GitHub's, also after a step that failed."""
        environment = {name: str(value) for name, value in job.get("env", {}).items()} | self.variables | variables
        return {name: run_step(text, self.directory, **environment) for name, text in shell(job)}

    def run(self, script: str | Sequence[str], status: int = 0, **variables: str) -> str:
        """Run a script of GitLab's or Jenkins', and return its output. GitLab joins the lines of a `script`."""
        text = script if isinstance(script, str) else "\n".join(script)
        done = run_step(text, self.directory, **self.variables, **variables)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout


def passed(output: str) -> int:
    """The number of tests that ran, by pytest's last line."""
    return sum(int(number) for number in re.findall(r"(\d+) (?:passed|skipped|xfailed)", output))
