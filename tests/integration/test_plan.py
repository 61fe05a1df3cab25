"""A plan of the example suite: real pytest runs its shards, which together have exactly the suite's tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

SHOP = Path(__file__).parents[2] / "examples" / "shop"
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
COSTS = ("--start-up", "kafka=4", "--start-up", "postgres=2", "--start-up", "redis=1", "--start-up", "search=3")


@pytest.fixture(scope="module")
def report(shop_services: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "shop.json"
    command = [sys.executable, "-m", "tracer", "-q", "-o", str(path), "--", *PYTEST, "-q"]
    subprocess.run(command, cwd=SHOP, env=os.environ | shop_services, check=True, capture_output=True)
    return path


def plan(report: Path, *options: str | Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tracer", "plan", str(report), *COSTS, *map(str, options), "--format", "json"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    document: dict[str, Any] = json.loads(printed)
    return document


def run(services: dict[str, str], arguments: Path) -> list[str]:
    """The node ids of the tests that pytest runs with a shard's file; all pass."""
    command = [*PYTEST, "-v", f"@{arguments}"]
    done = subprocess.run(command, cwd=SHOP, env=os.environ | services, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    return re.findall(r"^(tests/.*?) (?:PASSED|SKIPPED|XFAIL)\b", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("unit", ["test", "class", "file"])
def test_the_shards_files_have_each_test_once(
    report: Path, shop_services: dict[str, str], tmp_path: Path, unit: str
) -> None:
    known = json.loads(report.read_text())["tests"]
    document = plan(report, "--shards", "4", "--by", unit, "-o", tmp_path)
    ran: Counter[str] = Counter()
    files = sorted(tmp_path.glob("shard-*.txt"), key=lambda path: int(path.stem.rpartition("-")[2]))
    assert len(files) == len(document["shards"]) > 1
    for path, shard in zip(files, document["shards"], strict=True):
        tests = run(shop_services, path)
        assert sorted(tests) == sorted(shard["tests"])
        ran.update(tests)
    assert ran == Counter(known.keys())


def test_a_shard_has_the_services_of_its_tests(report: Path) -> None:
    known = json.loads(report.read_text())["tests"]
    for shard in plan(report, "--shards", "4")["shards"]:
        used = {service for test in shard["tests"] for service in known[test]["services"]}
        assert {service for service in used if not service.startswith("unknown:")} <= set(shard["services"])


def test_the_reports_set_ups_are_those_of_the_suite(report: Path) -> None:
    found = json.loads(report.read_text())
    names = {one["via"]: one["scope"] for one in found["set_ups"]}
    assert names["fixture:producer@tests"] == "session"
    assert names["module:tests/test_orders.py"] == "import"
    assert 0 < found["run"]["session_s"] < found["run"]["duration_s"]
    shared = [test["shared_s"] for test in found["tests"].values() if "shared_s" in test]
    assert sum(shared) < found["run"]["duration_s"]
