"""Plans a large suite, and prints the figures: `python scripts/plan_bench.py [DIRECTORY]`.

The suite has 32,772 tests in 22 reports and five services, which take 45, 60, 20, 5 and 2 s to start. Then it predicts
what its authors measured for the suite of the test classification at getsentry/sentry: 79 % of the tests need only
Postgres, Snuba and what it brings take 4 to 5 minutes per shard, and two tiers saved 19 % of the wall clock.

The reports are written into DIRECTORY, by default one for temporary files that is removed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

from tracer.classify.classification import assemble
from tracer.classify.model import Evidence, RunInfo, SetUp, TestResult
from tracer.classify.services.rules import Rules
from tracer.classify.via import Via
from tracer.reports import json_report
from tracer.reports.output import write_file
from tracer.trace.endpoint import Endpoint
from tracer.trace.records import StaticFacts

TESTS: Final = 32_772
SHARDS: Final = 22
IN_FILE: Final = 15
COSTS: Final = {"search": 45, "queue": 60, "postgres": 20, "redis": 5, "statsd": 2}
_SESSION_S: Final = 25.0  # a Django project's start and the creation of its database

_PEAK: Final = """
import atexit, runpy, sys, time
def print_peak():
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    print("peak", status["VmHWM"].split()[0], time.process_time(), file=sys.stderr)
atexit.register(print_peak)
runpy.run_module("tracer", run_name="__main__", alter_sys=True)
"""
"""Runs svc-trace and prints its peak memory in KiB, and its CPU time in seconds."""


def write_reports(directory: Path, services: Mapping[str, float]) -> list[Path]:
    """Write a report for each shard, with whole files.

    Args:
        directory: where.
        services: service → the part of the files in which most tests use it; `postgres`: of all tests.
    """
    random = Random(20)
    paths = []
    files = -(-TESTS // IN_FILE)
    for shard in range(SHARDS):
        set_ups = [SetUp(Via("fixture", "database"), "session", "", None, 8.0)]
        facts: list[StaticFacts] = []
        tests: dict[str, TestResult] = {}
        for file in range(shard, files, SHARDS):
            path = f"tests/component_{file % 40:02}/test_{file:04}.py"
            facts.append(StaticFacts(path, ("db", "request"), ("django_db",), ("unittest.case.TestCase",)))
            set_ups.append(SetUp(Via("module", path), "import", path, None, round(random.lognormvariate(-3, 1), 6)))
            used = [name for name, part in services.items() if name != "postgres" and random.random() < part]
            for number in range(file * IN_FILE, min(TESTS, (file + 1) * IN_FILE)):
                own = [name for name in used if random.random() < 0.8]
                if own or random.random() < services["postgres"]:
                    own.append("postgres")
                nodeid = f"{path}::EventsEndpointTest::test_handles_project_with_many_releases[{number}]"
                tests[nodeid] = _test(own, len(facts) - 1, len(set_ups) - 1, round(random.lognormvariate(-1, 1), 6))
        run = RunInfo(
            command=("pytest", f"--shard={shard}"),
            backend="libbpf",
            kernel="6.18.0",
            started_at=f"2026-11-20T21:45:{shard:02}Z",
            duration_s=872.4,
            exit_status=0,
            complete=True,
            lost_events=0,
            warnings=(),
            lacks_causes="",
            session_s=_SESSION_S,
        )
        one = assemble(
            tests,
            tuple(facts),
            Rules(),
            run=run,
            run_evidence=(),
            generated_at="2026-11-20T22:00:00Z",
            set_ups=tuple(set_ups),
        )
        paths.append(directory / f"shard-{shard}.json")
        write_file(paths[-1], json_report.render(one))
    return paths


def _test(services: list[str], facts: int, module: int, duration_s: float) -> TestResult:
    return TestResult(
        outcome="passed",
        duration_s=duration_s,
        services=tuple(sorted(services)),
        ambient=(),
        self_hosted=(),
        assumed=(),
        facts=facts,
        set_ups=(0, module) if "postgres" in services else (module,),
        evidence=tuple(one for service in services for one in _evidence(service)),
    )


def _evidence(service: str) -> Iterator[Evidence]:
    for phase in ("setup", "call", "teardown"):
        yield Evidence(
            service=service,
            endpoint=Endpoint("tcp", "127.0.0.1", 5432),
            how="direct",
            via=None,
            phase=phase,
            fixture=None,
            thread="test",
            command="pytest",
            strength="sent",
            connects=0,
            sends=3,
            bytes=300,
            errno=None,
            first_s=0.001,
        )


def plan(reports: list[Path], *options: str) -> dict[str, Any]:
    """A plan's JSON, with its time and peak memory."""
    command = [sys.executable, "-I", "-c", _PEAK, "plan", *map(str, reports), "--shards", str(SHARDS), *options]
    begin = time.monotonic()
    done = subprocess.run([*command, "--format", "json"], capture_output=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    document["took_s"] = time.monotonic() - begin
    peak, cpu = done.stderr.decode().rpartition("peak ")[2].split()
    document["peak_mb"], document["cpu_s"] = int(peak) / 1024, float(cpu)
    return document


def main() -> None:
    """Print the figures."""
    with TemporaryDirectory() as temporary:
        directory = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        directory.mkdir(exist_ok=True)
        costs = [option for name, cost in COSTS.items() for option in ("--start-up", f"{name}={cost}")]
        reports = write_reports(
            directory, {"search": 0.1, "queue": 0.05, "redis": 0.1, "statsd": 0.02, "postgres": 0.7}
        )
        for name, options in {
            "tests": [],
            "files": ["--by", "file"],
            "tests, 4 workers": ["--workers", "4"],
            "tests, one by one": ["--one-by-one"],
        }.items():
            one = plan(reports, *costs, *options)
            _check(one)
            print(f"{TESTS:,} tests, {SHARDS} shards, {name}: {_figures(one)}")
        print()
        reports = write_reports(directory, {"snuba": 0.21, "postgres": 0.9})
        for snuba in (240, 300):
            costs = ["--start-up", f"snuba={snuba}", "--start-up", "postgres=30"]
            one = plan(reports, *costs, "--by", "file", "--tiers", "2")
            print(f"Snuba in {snuba} s, two tiers: {_figures(one)}")
            print("  measured with two tiers: -19% wall clock, -19% machine minutes")


def _check(one: Mapping[str, Any]) -> None:
    """Each test in exactly one shard."""
    planned = [test for shard in one["shards"] for test in shard["tests"]]
    assert len(planned) == len(set(planned)) == TESTS


def _figures(one: Mapping[str, Any]) -> str:
    ratio = one["makespan_s"] / one["lower_bound_s"]
    changes = [
        f"{100 * (one[new] / one[old] - 1):+.0f}% {what}"
        for new, old, what in (
            ("makespan_s", "everything_s", "wall clock"),
            ("machine_s", "everything_machine_s", "machine minutes"),
            ("makespan_s", "by_count_s", "wall clock than by number of tests"),
        )
    ]
    took = f"{one['took_s']:.1f} s ({one['cpu_s']:.1f} s of CPU), {one['peak_mb']:.0f} MB"
    return f"{took}; {one['makespan_s'] / 60:.1f} min, {ratio:.3f} times the lower bound; {', '.join(changes)}"


if __name__ == "__main__":
    main()
