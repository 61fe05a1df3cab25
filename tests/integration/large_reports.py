"""Writes the reports of 22 shards of a large suite. The numbers are those of Sentry's first classification.

Of 32,772 tests 22,337 use only Postgres, 8,651 no service, 444 Snuba, 1,340 other services. Of the 2,329 tests in
tests/snuba only 114 used Snuba.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec.structs import replace
from suites import evidence, result

from tracer.classify.classification import assemble
from tracer.classify.model import Evidence, RunInfo, TestResult
from tracer.classify.services.config import load_config
from tracer.classify.via import Via
from tracer.reports import json_report
from tracer.reports.output import write_file
from tracer.trace.records import StaticFacts

SHARDS: Final = 22
TESTS: Final = 32_772
_SNUBA, _OTHERS, _POSTGRES_ONLY = (
    444,
    444 + 1_340,
    444 + 1_340 + 22_337,
)  # the numbers of tests are consecutive within a tier

PEAK_PROGRAM: Final = """
import atexit, runpy, sys
def print_peak():
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    print(status["VmHWM"].split()[0], file=sys.stderr)
atexit.register(print_peak)
runpy.run_module("tracer", run_name="__main__", alter_sys=True)
"""
"""Runs svc-trace and prints its peak memory in KiB. ru_maxrss would include the tests' process, which forks it."""


def write_reports(directory: Path) -> list[Path]:
    """Write a report for each shard. All tests of a file are in one shard."""
    rules = load_config(None, directory).rules
    shards: list[dict[str, TestResult]] = [{} for _ in range(SHARDS)]
    facts: list[list[StaticFacts]] = [[] for _ in range(SHARDS)]
    numbers: dict[str, tuple[int, int]] = {}  # file → shard, index in the shard's facts
    for number in range(TESTS):
        services = tuple(sorted(_services(number)))
        file = f"{_directory(number)}/test_{number // 15:04}.py"
        if file not in numbers:
            shard = len(numbers) % SHARDS
            numbers[file] = shard, len(facts[shard])
            facts[shard].append(StaticFacts(file, ("db", "request"), ("django_db",), ("unittest.case.TestCase",)))
        shard, place = numbers[file]
        shards[shard][f"{file}::EventsEndpointTest::test_handles_project_with_many_releases[{number}]"] = TestResult(
            outcome="passed",
            duration_s=round(0.01 + number / 1e6, 6),
            attempts=1,
            services=services,
            ambient=(),
            self_hosted=(),
            assumed=(),
            facts=place,
            evidence=tuple(_evidence(services, number)),
        )
    paths = []
    for shard, tests in enumerate(shards):
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
        )
        one = assemble(tests, tuple(facts[shard]), rules, run=run, run_evidence=(), generated_at="2026-11-20T22:00:00Z")
        paths.append(directory / f"shard-{shard}.json")
        write_file(paths[-1], json_report.render(one))
    return paths


def write_small_reports(directory: Path, reports: int) -> None:
    """Write reports of as many runs of the same three tests. The evidence of each has another time."""
    run = RunInfo(("pytest",), "libbpf", "6.18.0", "2026-11-20T21:00:00Z", 1.5, 0, True, 0, (), lacks_causes="")
    test = replace(result(["postgres"]), evidence=(replace(evidence("postgres"), first_s=0.123456),))
    one = assemble(
        {f"tests/test_a.py::test_{number}": test for number in range(3)},
        (),
        load_config(None, directory).rules,
        run=run,
        run_evidence=(),
        generated_at="2026-11-20T22:00:00Z",
    )
    text = b"".join(json_report.render(one))
    for number in range(reports):
        started_at = f"2026-11-20T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
        report = text.replace(b"2026-11-20T21:00:00Z", started_at.encode())
        (directory / f"{number}.json").write_bytes(report.replace(b"0.123456", b"0.%06d" % (number + 100_000)))


def _services(number: int) -> Iterator[str]:
    if number < _SNUBA:
        yield from ("snuba", "postgres")
        if number < 378:
            yield "redis"
    elif number < _OTHERS:
        yield from _other_services(number - _SNUBA)
    elif number < _POSTGRES_ONLY:
        yield "postgres"


def _other_services(number: int) -> Iterator[str]:
    members = {
        "postgres": range(901),
        "redis": range(1_100),
        "symbolicator": range(64),
        "bigtable": range(100, 136),
        "objectstore": range(200, 213),
        "redis-cluster": range(300, 303),
        "kafka": range(1_086, 1_340),
    }
    return (service for service, numbers in members.items() if number in numbers)


def _directory(number: int) -> str:
    if number < 114 or _OTHERS <= number < _OTHERS + 2_215:
        return f"tests/snuba/api_{number % 5}"
    return f"tests/sentry/component_{number // 15 % 40:02}"


def _evidence(services: tuple[str, ...], number: int) -> Iterator[Evidence]:
    """For each service: the session's connection, which all tests of the shard inherit, and the test's own use."""
    for service in services:
        direct = replace(evidence(service), protocol="postgres")
        connection = f"{service}_connection"
        yield replace(
            direct,
            how="inherited",
            via=Via("fixture", connection),
            phase="setup",
            fixture=connection,
            sends=12,
            bytes=4711,
            first_s=0.5,
        )
        for phase in ("setup", "call", "teardown"):
            yield replace(
                direct, phase=phase, connects=0, sends=number % 50, bytes=number, first_s=round(number / 1e6, 6)
            )
