"""Merges 22 reports with 32,772 tests in all, and prints, selects and limits memory as a large suite's nightly does."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from shlex import quote, split

import pytest
from large_reports import PEAK_PROGRAM, write_reports, write_small_reports

PEAK_MB = 300
SMALL_REPORTS = 10_000
SMALL_REPORTS_S = 10
SERVICES = """\
| Service | Tests | % |
| --- | ---: | ---: |
| postgres | 23,682 | 72% |
| redis | 1,478 | 4.5% |
| snuba | 444 | 1.4% |
| kafka | 254 | 0.8% |
| symbolicator | 64 | 0.2% |
| bigtable | 36 | 0.1% |
| objectstore | 13 | <0.1% |
| redis-cluster | 3 | <0.1% |
"""
COMBINATIONS = {
    "postgres": 22_337,
    "": 8_651,
    "postgres,redis": 901 - 64 - 36 - 13 - 3,
    "postgres,redis,snuba": 378,
    "kafka": 254 - 14,
    "redis": 1_100 - 901 - 14,
    "postgres,snuba": 444 - 378,
    "postgres,redis,symbolicator": 64,
}
"""The largest, as `large_reports.py` makes them: services → tests."""
OTHERS = "and 4 more combinations (66 tests)"  # 36 + 14 + 13 + 3
SANITY_CHECK = "| `tests/snuba` | 2,329 |"
TERMINAL = """
Service         Tests      %
postgres       23,682    72%
redis           1,478   4.5%
snuba             444   1.4%
kafka             254   0.8%
symbolicator       64   0.2%
bigtable           36   0.1%
objectstore        13  <0.1%
redis-cluster       3  <0.1%
"""
DIRECTORIES = """
tests/sentry  30,443 tests
  postgres 21,353 (70%), redis 1,364 (4.5%), snuba 330 (1.1%), kafka 254 (0.8%),
  symbolicator 64 (0.2%), and 3 more
tests/snuba  2,329 tests
  postgres 2,329 (100%), redis 114 (4.9%), snuba 114 (4.9%)
"""


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The merged report. `merge` must not use more than PEAK_MB."""
    directory = tmp_path_factory.mktemp("shards")
    write_reports(directory)
    output = directory / "merged.json"
    arguments = ("merge", str(directory / "shard-*.json"), "-o", str(output), "--format", "json")
    command = [sys.executable, "-I", "-c", PEAK_PROGRAM, *arguments]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    assert int(done.stderr) / 1024 <= PEAK_MB
    return output


def printed(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "tracer", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_tables_on_the_terminal(merged: Path) -> None:
    text = printed("report", merged, "--directories", "2")
    assert TERMINAL in text
    assert DIRECTORIES in text
    assert OTHERS in text


def test_tables_in_markdown(merged: Path) -> None:
    text = printed("report", merged, "--format", "markdown")
    assert SERVICES in text
    (sanity,) = [line for line in text.splitlines() if line.startswith(SANITY_CHECK)]
    assert "snuba 114 (4.9%)" in sanity


def test_combinations(merged: Path) -> None:
    text = printed("report", merged, "--format", "markdown")
    for services, tests in COMBINATIONS.items():
        command = f"svc-trace select {quote(str(merged))} --exactly {quote(services)}"
        assert f"| {' + '.join(services.split(',')) or 'none'} | {tests:,} | `{command}` |\n" in text
        assert len(printed(*split(command)[1:]).splitlines()) == tests
    assert OTHERS in text


def test_tables_in_json(merged: Path) -> None:
    summary = json.loads(merged.read_text())["summary"]
    assert summary["total_tests"] == 32_772
    assert summary["directories"]["tests/snuba"] == {
        "tests": 2_329,
        "services": {"postgres": 2_329, "redis": 114, "snuba": 114},
        "tiers": {"postgres_only": 2_215, "snuba_tier": 114},
    }


def test_select_reads_the_merged_report(merged: Path) -> None:
    assert len(printed("select", merged, "--tier", "postgres_only").splitlines()) == 22_337
    rest = printed("select", merged, "--within", "postgres,snuba,redis", "--invert")
    assert len(rest.splitlines()) == 254 + 64 + 36 + 13 + 3


def test_export_of_the_merged_report(merged: Path, tmp_path: Path) -> None:
    """Prints its time; it needs no more memory than `merge` may use."""
    arguments = ("export", str(merged), "-o", str(tmp_path / "history"))
    command = [sys.executable, "-I", "-c", PEAK_PROGRAM, *arguments]
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.monotonic() - begin
    print(f"{seconds:.2f} s, or {seconds / 3.2772:.2f} s for each 10,000 tests; {int(done.stderr) // 1024} MB")
    assert done.stdout.startswith("svc-trace: 1 run, 32,772 tests: ")
    assert int(done.stderr) / 1024 <= PEAK_MB


def children_s() -> float:
    """The CPU time of this process's children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_many_small_reports_of_the_same_tests(tmp_path: Path) -> None:
    """The time grew with the square of the number of reports before: 10,000 took minutes, 1,000 took 2 s."""
    write_small_reports(tmp_path, SMALL_REPORTS)
    before_s = children_s()
    text = printed("merge", str(tmp_path / "*.json"), "-o", tmp_path / "merged.json.gz", "--expect", str(SMALL_REPORTS))
    assert children_s() - before_s <= SMALL_REPORTS_S
    assert "3 tests of 10,000 runs" in text
