"""Checks that the example suite passes untraced, that expected.toml is consistent, and that its servers clean up."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SHOP = EXAMPLES / "shop"
SERVICES = [sys.executable, str(EXAMPLES / "services.py")]
# Prints its environment, which has the servers' addresses, and ends when its stdin does.
COMMAND = "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.stdin.read(); sys.exit(7)"
GONE_S = 20.0


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return tomllib.loads((SHOP / "expected.toml").read_text())


def run_suite(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=SHOP, env=os.environ | environment, capture_output=True, text=True)


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["plain", "xdist"])
def test_suite_passes(shop_services: dict[str, str], options: tuple[str, ...], expected: dict[str, Any]) -> None:
    suite = run_suite(shop_services, *options)
    assert suite.returncode == 0, suite.stdout
    outcomes = Counter(test.get("outcome", "passed") for test in expected["tests"].values())
    counts = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in ("passed", "skipped", "xfailed"))
    assert f" {counts} in " in suite.stdout


def test_every_test_is_expected(shop_services: dict[str, str], expected: dict[str, Any]) -> None:
    collected = run_suite(shop_services, "--collect-only", "--quiet").stdout.splitlines()
    assert list(expected["tests"]) == [line for line in collected if "::" in line]


def test_expected_summary_adds_up(expected: dict[str, Any]) -> None:
    tests = expected["tests"]
    services = {nodeid: frozenset(test.get("services", ())) for nodeid, test in tests.items()}
    tiers = {"no_services": 0, "postgres_only": 0, "other_services": 0}
    for used in services.values():
        tiers["other_services" if used - {"postgres"} else "postgres_only" if used else "no_services"] += 1
    assert expected["summary"] == {
        "total_tests": len(tests),
        "services": Counter(service for used in services.values() for service in used),
        "tiers": tiers,
    }
    for service, validation in expected["validation"].items():
        assumed = {nodeid for nodeid, test in tests.items() if service in test.get("assumed", ())}
        observed = {nodeid for nodeid, used in services.items() if service in used}
        assert validation["confirmed"] == len(assumed & observed)
        assert set(validation["blind_spots"]) == observed - assumed
        assert set(validation["over_assumed"]) == assumed - observed


def name(process: psutil.Process) -> str:
    """A process's name; empty if the process has ended, as helpers of Postgres's start-up soon have."""
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def lives(process: psutil.Process) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True, slots=True)
class Started:
    """`services.py` while all its servers run."""

    process: subprocess.Popen[str]
    descendants: list[psutil.Process]
    directory: Path

    def remaining(self) -> list[psutil.Process]:
        """The descendants that have not ended within GONE_S."""
        _, alive = psutil.wait_procs(self.descendants, timeout=GONE_S)
        return [process for process in alive if lives(process)]


@contextmanager
def started(*arguments: str) -> Iterator[Started]:
    with subprocess.Popen(
        [*SERVICES, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        if line.startswith("{"):
            environment = json.loads(line)
        else:
            environment = dict(entry.split("=", 1) for entry in Path(line.strip()).read_text().splitlines())
        descendants = psutil.Process(process.pid).children(recursive=True)
        assert {"postgres", "redis-server"} <= {name(child) for child in descendants}
        yield Started(process, descendants, Path(environment["SHOP_POSTGRES_SOCKET_DIR"]).parent)


@pytest.mark.parametrize(
    ("end", "status"),
    [(None, 7), (signal.SIGINT, 128 + signal.SIGINT), (signal.SIGTERM, 128 + signal.SIGTERM)],
    ids=["command", "interrupt", "terminate"],
)
def test_servers_and_files_are_removed(end: signal.Signals | None, status: int) -> None:
    with started("--", sys.executable, "-c", COMMAND) as services:
        assert services.process.stdin
        if end is None:
            services.process.stdin.close()
        elif end == signal.SIGINT:  # Ctrl-C reaches the whole foreground group
            os.killpg(services.process.pid, end)
        else:
            services.process.send_signal(end)
        assert services.process.wait(GONE_S) == status
        assert services.remaining() == []
        assert not services.directory.exists()


def test_servers_end_with_a_killed_parent() -> None:
    with started("--", sys.executable, "-c", COMMAND) as services:
        services.process.kill()
        assert services.process.stdin
        services.process.stdin.close()
        assert services.remaining() == []
    shutil.rmtree(services.directory)  # a killed process cannot remove it


def test_env_file(tmp_path: Path) -> None:
    file = tmp_path / "services.env"
    with started("--env-file", str(file)) as services:
        assert file.read_text().count("SHOP_") == 6
        assert services.process.stdin
        services.process.stdin.close()
        assert services.process.wait(GONE_S) == 0
        assert services.remaining() == []
        assert not services.directory.exists()
    assert list(tmp_path.iterdir()) == []


def test_missing_server_is_named() -> None:
    command = [*SERVICES, "--", sys.executable, "-c", ""]
    failed = subprocess.run(command, env=os.environ | {"PATH": "/nonexistent"}, capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr == "services.py: redis-server is not installed: apt-get install redis-server\n"
