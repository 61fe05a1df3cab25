"""Runs a suite as a CI would, and compares what a plan predicts with what its shards take: scripts/ci-rehearsal."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import rehearsed_suite
import shard_services
from msgspec import Struct, to_builtins

_SHOP: Final = Path(__file__).resolve().parents[1] / "examples" / "shop"
_SVC_TRACE: Final = str(Path(sys.executable).with_name("svc-trace"))
_PYTEST: Final = (sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider")
_ENDED: Final = re.compile(r"^(tests/.*?) (PASSED|SKIPPED|XFAIL|XPASS|FAILED|ERROR)\b", re.MULTILINE)
_CLOSE: Final = 0.1
"""How far measured times may be from the plan's to be called close."""


class Shard(Struct, frozen=True):
    """What a shard did."""

    services: tuple[str, ...]  # those that it should start; sorted
    reachable: tuple[str, ...]  # those that accepted connections before and after its tests; sorted
    ready_s: Mapping[str, float]  # service → seconds until it answered
    total_s: float  # from the start of the services to the end of pytest
    tests: tuple[str, ...]  # node ids of the tests that ended, once for each time
    status: int  # pytest's


class Rehearsal(Struct, frozen=True):
    """What a plan predicted, and what its shards took; the same for shards that start every service."""

    plan: Mapping[str, Any]
    shards: tuple[Shard, ...]
    by_duration: tuple[Shard, ...]
    by_count: tuple[Shard, ...]

    def faults(self, suite: Iterable[str]) -> list[str]:
        """What must not happen in any shard, as sentences.

        Args:
            suite: the node ids of its tests.
        """
        found, known = [], Counter(list(suite))
        for name in ("shards", "by_duration", "by_count"):
            shards: Sequence[Shard] = getattr(self, name)
            found += [f"{name}: pytest ended with status {shard.status}" for shard in shards if shard.status]
            found += [
                f"{name}: a shard reached {', '.join(shard.reachable)} in place of {', '.join(shard.services)}"
                for shard in shards
                if shard.reachable != shard.services
            ]
            if Counter(test for shard in shards for test in shard.tests) != known:
                found.append(f"{name}: not every test ran exactly once")
        return found


class CI:
    """A CI that runs one suite in one directory."""

    def __init__(self, suite: Path, directory: Path, shards: int, delays_s: Mapping[str, float]) -> None:
        self._suite, self._directory, self._shards, self._delays_s = suite, directory, shards, delays_s

    def run_by_night(self) -> tuple[Path, dict[str, float]]:
        """Trace the suite in shards of whole files, as in docs/ci.md.

        Returns:
            The merged report, and the start-up costs that were measured, in seconds.
        """
        files = sorted(str(path.relative_to(self._suite)) for path in self._suite.rglob("test_*.py"))
        ready_s: dict[str, list[float]] = {}
        for number in range(self._shards):
            report = self._directory / f"svc-trace-{number + 1}.json.gz"
            tracer = (_SVC_TRACE, "--sudo", "--backend", "libbpf", "--strict", "--quiet", "-o", str(report), "--")
            command = (*tracer, *_PYTEST, "-v", *files[number :: self._shards])
            shard = self._run(shard_services.SERVICES, command)
            _report(f"by night, shard {number + 1}", shard)
            if shard.status:
                sys.exit(f"ci-rehearsal: the traced shard ended with status {shard.status}")
            for name, seconds in shard.ready_s.items():
                ready_s.setdefault(name, []).append(seconds)
        merged = self._directory / "svc-trace.json.gz"
        self._svc_trace("merge", f"{self._directory}/svc-trace-*.json.gz", "--expect", str(self._shards), "-o", merged)
        return merged, {name: round(median(times), 3) for name, times in ready_s.items()}

    def validate(self, report: Path) -> None:
        """Accept the findings of the first night, and check that there are no others."""
        baseline = self._directory / "svc-trace.baseline"
        gate = ("validate", report, "--fail-on", "loss,blind-spots")
        print(self._svc_trace(*gate, "--write-baseline", baseline, accepted=(0, 81)).stderr.strip())
        self._svc_trace(*gate, "--baseline", baseline)

    def plan(self, report: Path, costs_s: Mapping[str, float], name: str, *options: str) -> dict[str, Any]:
        """A plan's JSON; it writes the shards' files into a directory of this name."""
        unknown = sorted({service for test in _tests(report).values() for service in test["services"]} - set(costs_s))
        options += tuple(f"--start-up={service}={cost_s}" for service, cost_s in costs_s.items())
        options += tuple(f"--map={service}=" for service in unknown)  # they run in no shard
        where = ("--shards", str(self._shards), "-o", self._directory / name)
        print(self._svc_trace("plan", report, *where, *options).stdout if name == "plan" else "", end="")
        document: dict[str, Any] = json.loads(self._svc_trace("plan", report, *where, *options, "--format=json").stdout)
        return document

    def run_plan(self, name: str, plan: Mapping[str, Any]) -> tuple[Shard, ...]:
        """Run the shards of a plan, one after the other."""
        return tuple(
            self.run_shard(f"{name}, shard {number}", shard["services"], self._directory / name / f"shard-{number}.txt")
            for number, shard in enumerate(plan["shards"], 1)
        )

    def run_by_count(self, report: Path, services: Sequence[str]) -> tuple[Shard, ...]:
        """Run shards of equal numbers of tests, each with these services."""
        tests = list(_tests(report))
        shards = []
        for number in range(self._shards):
            path = self._directory / f"by-count-{number + 1}.txt"
            first, end = (len(tests) * edge // self._shards for edge in (number, number + 1))
            path.write_text("".join(f"{test}\n" for test in tests[first:end]))
            shards.append(self.run_shard(f"by count, shard {number + 1}", services, path))
        return tuple(shards)

    def run_shard(self, name: str, services: Sequence[str], arguments: Path) -> Shard:
        """Start the services of a shard, and run the tests of its file."""
        shard = self._run(services, (*_PYTEST, "-v", f"@{arguments}"))
        _report(name, shard)
        return shard

    def _run(self, services: Sequence[str], command: Sequence[str]) -> Shard:
        begin = time.monotonic()
        with shard_services.started(services, self._delays_s) as started:
            ready = time.monotonic()
            before = started.reachable()
            tests_begin = time.monotonic()
            done = subprocess.run(
                command,
                cwd=self._suite,
                env=os.environ | started.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            total_s = ready - begin + time.monotonic() - tests_begin
            after = started.reachable()
        if done.returncode:
            print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        return Shard(
            services=tuple(sorted(services)),
            reachable=tuple(sorted({*before, *after})),
            ready_s=started.ready_s,
            total_s=total_s,
            tests=tuple(test for test, _ in _ENDED.findall(done.stdout)),
            status=done.returncode,
        )

    def _svc_trace(self, *arguments: str | Path, accepted: Sequence[int] = (0,)) -> subprocess.CompletedProcess[str]:
        command = [_SVC_TRACE, *map(str, arguments)]
        done = subprocess.run(command, cwd=self._suite, capture_output=True, text=True, check=False)
        if done.returncode not in accepted:
            sys.exit(f"ci-rehearsal: {' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done


def _report(name: str, shard: Shard) -> None:
    services = ", ".join(f"{service} {shard.ready_s[service]:.1f} s" for service in shard.services)
    print(f"{name}: {len(shard.tests):,} tests, {shard.total_s:.1f} s; {services or 'no services'}", flush=True)


def _tests(report: Path) -> dict[str, Any]:
    document = json.loads(subprocess.run(("gzip", "-dc", report), capture_output=True, check=True).stdout)
    tests: dict[str, Any] = document["tests"]
    return tests


def rehearse(ci: CI) -> tuple[Rehearsal, list[str]]:
    """The rehearsal of a suite, and its faults."""
    report, costs_s = ci.run_by_night()
    ci.validate(report)
    plan = ci.plan(report, costs_s, "plan")
    shards = ci.run_plan("plan", plan)
    even = ci.plan(report, costs_s, "by-duration", "--tiers=1")
    by_duration = ci.run_plan("by-duration", even)
    by_count = ci.run_by_count(report, tuple(sorted({name for shard in even["shards"] for name in shard["services"]})))
    rehearsal = Rehearsal(plan, shards, by_duration, by_count)
    return rehearsal, rehearsal.faults(_tests(report))


def _print_times(rehearsal: Rehearsal) -> None:
    """The table, and what it shows."""
    plan = rehearsal.plan
    slowest_s = [
        max(shard.total_s for shard in shards)
        for shards in (rehearsal.shards, rehearsal.by_duration, rehearsal.by_count)
    ]
    rows = [
        (f"shard {number}: {', '.join(shard.services) or 'no services'}", planned["total_s"], shard.total_s)
        for number, (planned, shard) in enumerate(zip(plan["shards"], rehearsal.shards, strict=True), 1)
    ]
    rows += [
        ("this plan", plan["makespan_s"], slowest_s[0]),
        ("every service, split by duration", plan["everything_s"], slowest_s[1]),
        ("every service, split by number", plan["by_count_s"], slowest_s[2]),
    ]
    width = max(len(name) for name, _, _ in rows)
    print(f"\n{'':{width}} {'Predicted':>10} {'Measured':>10} {'Ratio':>6}")
    for name, predicted_s, measured_s in rows:
        print(f"{name:{width}} {predicted_s:8.1f} s {measured_s:8.1f} s {measured_s / predicted_s:6.2f}")
    machine_s = [sum(shard.total_s for shard in shards) for shards in (rehearsal.shards, rehearsal.by_duration)]
    print(f"\nmeasured: {slowest_s[0] / slowest_s[1] - 1:+.0%} wall clock, ", end="")
    print(f"{machine_s[0] / machine_s[1] - 1:+.0%} machine time compared with the split by duration")
    print(f"predicted: {plan['makespan_s'] / plan['everything_s'] - 1:+.0%} wall clock, ", end="")
    print(f"{plan['machine_s'] / plan['everything_machine_s'] - 1:+.0%} machine time")
    close = all(abs(measured_s / predicted_s - 1) <= _CLOSE for _, predicted_s, measured_s in rows)
    print(f"all measured times are within {_CLOSE:.0%} of the plan's: {'yes' if close else 'no'}")
    print(f"the plan is faster than both even splits: {'yes' if slowest_s[0] < min(slowest_s[1:]) else 'no'}")


def _cost(text: str) -> tuple[str, float]:
    name, _, seconds = text.partition("=")
    if name not in shard_services.SERVICES:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(shard_services.SERVICES)}")
    return name, float(seconds)


def main() -> None:
    """Rehearse a suite, and print the times."""
    parser = argparse.ArgumentParser(prog="scripts/ci-rehearsal", description=__doc__)
    parser.add_argument("suite", choices=["shop", "generated"], help="the example suite, or one of 3,000 tests")
    parser.add_argument("--tests", type=int, default=3_000, help="how many tests are generated")
    parser.add_argument("--shards", type=int, default=4, help="how many shards, by night and by day")
    parser.add_argument(
        "--start-up",
        type=_cost,
        action="append",
        default=[],
        metavar="SERVICE=SECONDS",
        help="how much longer a service takes to start than its server does here; may be repeated",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured to FILE")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="ci-rehearsal-") as temporary:
        directory = Path(temporary)
        suite = directory / "project"
        delays_s = dict(arguments.start_up)
        if arguments.suite == "shop":
            shutil.copytree(_SHOP, suite, ignore=shutil.ignore_patterns("__pycache__", ".pytest*", "*.json"))
        else:
            rehearsed_suite.write_suite(_SHOP, suite, arguments.tests)
            delays_s = rehearsed_suite.START_UP_S | delays_s
        load = os.getloadavg()[0]
        rehearsal, faults = rehearse(CI(suite, directory, arguments.shards, delays_s))
    if arguments.json:
        arguments.json.write_text(json.dumps(to_builtins(rehearsal)))
    _print_times(rehearsal)
    print(f"load average: {load:.1f} before, {os.getloadavg()[0]:.1f} after")
    for fault in faults:
        print(f"ci-rehearsal: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
