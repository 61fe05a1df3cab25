"""Runs the shell steps of the workflows in docs/ci*.md and .github/workflows."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from workflow_steps import GITHUB, GITLAB, JENKINS, ROOT, TESTS, Project, blocks, passed, run_step, shell

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can trace with every backend"),
]

WORKFLOWS: dict[str, dict[str, Any]] = {Path(name).stem: yaml.safe_load(text) for name, text in blocks(GITHUB).items()}
NIGHTLY: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "nightly.yml").read_text())


def test_githubs_workflows(tmp_path: Path, shop_services: dict[str, str]) -> None:
    project = Project(tmp_path, shop_services)
    trace, report = (WORKFLOWS["services"]["jobs"][name] for name in ("trace", "report"))
    shards = trace["strategy"]["matrix"]["shard"]
    (project.directory / "shards").mkdir()
    for shard in shards:
        (done,) = project.do(trace, SHARD=str(shard), SHARDS=str(len(shards))).values()
        assert done.returncode == 0, done.stdout + done.stderr
        name = f"svc-trace-{shard}.json.gz"
        (project.directory / name).rename(project.directory / "shards" / name)

    first = project.do(report)
    assert {name: done.returncode for name, done in first.items()} == {
        "Merge the shards": 0,
        "Compare with the last report": 0,  # there is none yet
        "Check the assumptions": 81,
    }
    assert "kafka" in project.summary.read_text()
    assert "::warning file=tests/test_orders.py,line=39," in first["Check the assumptions"].stdout
    merged = project.directory / "svc-trace.json.gz"

    (accept,) = re.findall(r"^```\n(svc-trace validate .*--write-baseline.*)\n```", GITHUB, re.M)
    accepted = run_step(accept, project.directory, PATH=f"{sys.prefix}/bin:{os.environ['PATH']}")
    assert accepted.returncode == 0, accepted.stderr
    for place in ("last", "ci"):
        (project.directory / place).mkdir()
        shutil.copy(merged, project.directory / place)
    assert {name: done.returncode for name, done in project.do(report).items()} == dict.fromkeys(first, 0)

    (job,) = WORKFLOWS["tests"]["jobs"].values()
    outputs = []
    for variant in job["strategy"]["matrix"]["include"]:
        (done,) = project.do(job, SELECT=variant["select"]).values()
        assert done.returncode == 0, done.stdout + done.stderr
        outputs.append(done.stdout)
    assert all(map(passed, outputs))
    assert sum(map(passed, outputs)) == TESTS

    plan, test = (WORKFLOWS["planned"]["jobs"][name] for name in ("plan", "test"))
    output = tmp_path / "output"
    shutil.rmtree(project.directory / "shards")
    (done,) = project.do(plan, GITHUB_OUTPUT=str(output)).values()
    assert done.returncode == 0, done.stdout + done.stderr
    matrix = json.loads(output.read_text().removeprefix("matrix="))
    outputs = []
    for shard in matrix["include"]:
        (done,) = project.do(test, FILE=shard["file"]).values()
        assert done.returncode == 0, done.stdout + done.stderr
        outputs.append(done.stdout)
    assert sum(map(passed, outputs)) == TESTS

    (done,) = project.do(WORKFLOWS["needs"]["jobs"]["verify"], WITHOUT="redis").values()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "need redis" in project.summary.read_text()
    assert (project.directory / "verify-redis.json").exists()


def test_a_job_for_which_no_test_is_selected_runs_none(tmp_path: Path, shop_services: dict[str, str]) -> None:
    project = Project(tmp_path, shop_services)
    (project.directory / "ci").mkdir()
    project.run(
        "~/svc-trace/bin/svc-trace -o ci/svc-trace.json.gz -- .venv/bin/python -m pytest -q tests/test_orders.py"
    )
    lines = ["tests/test_orders.py::TestCheckout::test_stores_the_order"]
    (project.directory / "collected.txt").write_text("\n".join(lines))
    gitlab = yaml.safe_load(blocks(GITLAB)[".gitlab-ci.yml"])["tests"]["script"]
    assert "collect-only" in gitlab[0]
    assert project.run(gitlab[1:], SELECT="--exactly search") == ""


def test_gitlabs_pipelines(tmp_path: Path, shop_services: dict[str, str]) -> None:
    project = Project(tmp_path, shop_services)
    files = {name: yaml.safe_load(text) for name, text in blocks(GITLAB).items()}
    by_night, by_day = files[".gitlab-ci.yml, by night"], files[".gitlab-ci.yml, by day"]
    shards = by_night["trace"]["parallel"]
    assert by_night["report"]["variables"]["SHARDS"] == shards
    for shard in range(1, shards + 1):
        project.run(by_night["trace"]["script"], CI_NODE_INDEX=str(shard), CI_NODE_TOTAL=str(shards))
    project.run(by_night["report"]["script"], status=81, SHARDS=str(shards))
    issues = json.loads((project.directory / by_night["report"]["artifacts"]["reports"]["codequality"]).read_text())
    assert {"path": "tests/test_orders.py", "lines": {"begin": 39}} in [issue["location"] for issue in issues]

    (project.directory / "ci").mkdir()
    for place in ("ci/svc-trace.json.gz", "last.json.gz"):
        shutil.copy(project.directory / "svc-trace.json.gz", project.directory / place)
    tests = files[".gitlab-ci.yml"]["tests"]
    variants = tests["parallel"]["matrix"]
    assert sum(passed(project.run(tests["script"], SELECT=one["SELECT"])) for one in variants) == TESTS

    shutil.rmtree(project.directory / "shards")
    project.run(by_day["plan"]["script"])
    planned = yaml.safe_load((project.directory / "shards.yml").read_text())
    child = files["ci/shard.yml"]["shard"]
    matrix = planned[child["extends"]]["parallel"]["matrix"]
    assert sum(passed(project.run(child["script"], SHARD_FILE=one["SHARD_FILE"])) for one in matrix) == TESTS


def test_jenkins_pipelines(tmp_path: Path, shop_services: dict[str, str]) -> None:
    project = Project(tmp_path, shop_services)
    scripts = {
        name: [dedent(one) for one in re.findall(r"sh '''\n(.*?)'''", text, re.S)]
        for name, text in blocks(JENKINS).items()
    }
    trace, report = scripts["Jenkinsfile.services"]
    (shards,) = re.findall(r"^def shards = (\d+)$", blocks(JENKINS)["Jenkinsfile.services"], re.M)
    (project.directory / "shards").mkdir()
    for shard in range(1, int(shards) + 1):
        project.run(trace, SHARD=str(shard), SHARDS=shards)
        name = f"svc-trace-{shard}.json.gz"
        (project.directory / name).rename(project.directory / "shards" / name)
    project.run(report, status=81, SHARDS=shards)
    (results,) = re.findall(r"junit testResults: '(.*?)'", blocks(JENKINS)["Jenkinsfile.services"])
    assert len([*ElementTree.parse(project.directory / results).iter("testcase")]) == TESTS

    for place in ("ci", "last"):
        (project.directory / place).mkdir()
        shutil.copy(project.directory / "svc-trace.json.gz", project.directory / place)
    (tests,) = scripts["Jenkinsfile"]
    variants = re.findall(r"'(--within [^']*)'", blocks(JENKINS)["Jenkinsfile"])
    assert len(variants) == 2
    assert sum(passed(project.run(tests, SELECT=one)) for one in variants) == TESTS

    shutil.rmtree(project.directory / "shards")
    plan, shard_tests = scripts["Jenkinsfile.planned"]
    project.run(plan)
    planned = json.loads((project.directory / "matrix.json").read_text())["include"]
    assert sum(passed(project.run(shard_tests, FILE=one["file"])) for one in planned) == TESTS


def test_names_of_steps_are_unique() -> None:
    for workflow in (*WORKFLOWS.values(), NIGHTLY):
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
    "rehearsal": {"COUNT": "50"},
    "fleet": {"ENGINE": "duckdb"},
}
"""Variables with which the steps of this project's nightly do everything, but on fewer tests."""


@pytest.mark.parametrize("job", NIGHTLY["jobs"])
def test_this_projects_nightly(job: str, tmp_path: Path) -> None:
    for _, text in shell(NIGHTLY["jobs"][job]):
        done = run_step(text, ROOT, GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"), **LESS[job])
        assert done.returncode == 0, done.stdout + done.stderr
