"""Merges 22 reports with 32,772 tests in all, and prints, selects and limits memory as a large suite's nightly does."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

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
TIERS = """\
| Tier | Tests | % |
| --- | ---: | ---: |
| no_services | 8,651 | 26% |
| postgres_only | 22,337 | 68% |
| snuba_tier | 444 | 1.4% |
| other_services | 1,340 | 4.1% |
"""
SANITY_CHECK = "| `tests/snuba` | 2,329 |"
TERMINAL = """
Service         Tests      %    Tier             Tests     %
postgres       23,682    72%    no_services      8,651   26%
redis           1,478   4.5%    postgres_only   22,337   68%
snuba             444   1.4%    snuba_tier         444  1.4%
kafka             254   0.8%    other_services   1,340  4.1%
symbolicator       64   0.2%
bigtable           36   0.1%
objectstore        13  <0.1%
redis-cluster       3  <0.1%

tests/sentry  30,443 tests
  postgres 21,353 (70%), redis 1,364 (4.5%), snuba 330 (1.1%), kafka 254 (0.8%),
  symbolicator 64 (0.2%), and 3 more
  no_services 8,651 (28%), postgres_only 20,122 (66%), snuba_tier 330 (1.1%),
  other_services 1,340 (4.4%)
tests/snuba  2,329 tests
  postgres 2,329 (100%), redis 114 (4.9%), snuba 114 (4.9%)
  postgres_only 2,215 (95%), snuba_tier 114 (4.9%)
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
    assert TERMINAL in "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def test_tables_in_markdown(merged: Path) -> None:
    text = printed("report", merged, "--format", "markdown")
    assert SERVICES in text
    assert TIERS in text
    (sanity,) = [line for line in text.splitlines() if line.startswith(SANITY_CHECK)]
    assert "snuba 114 (4.9%)" in sanity
    assert "postgres_only 2,215 (95%)" in sanity


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


def test_many_small_reports_of_the_same_tests(tmp_path: Path) -> None:
    """The time grew with the square of the number of reports before: 10,000 took minutes, 1,000 took 2 s."""
    write_small_reports(tmp_path, SMALL_REPORTS)
    begin = time.monotonic()
    text = printed("merge", str(tmp_path / "*.json"), "-o", tmp_path / "merged.json.gz", "--expect", str(SMALL_REPORTS))
    assert time.monotonic() - begin <= SMALL_REPORTS_S
    assert "3 tests of 10,000 runs" in text
