"""`svc-trace verify -- CMD`: whole trials of the example suite, with real servers, and of small suites."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil
import pytest
from kernel.leaks import mounts, unloading
from kernel.refusal.refused import hierarchy_root

from tracer.classify.model import TestVerdict
from tracer.record.refusal.hierarchy import own_cgroup
from tracer.reports.verify_json import read_verification

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="only root can refuse services")]

SHOP = Path(__file__).parents[2] / "examples" / "shop"
CONFIG = str(SHOP / "pyproject.toml")
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
BY_CLIENT = {
    *("tests/test_cache.py::test_price", "tests/test_cache.py::test_price_expires"),
    *("tests/test_cache.py::test_key_ignores_case", "tests/test_cache.py::test_another_thread_sees_the_price"),
    *("tests/test_cart.py::TestCart::test_add", "tests/test_cart.py::TestCart::test_line"),
}
"""The tests that need Redis. Their client's fixture pings it."""
OF_KAFKA = {
    "tests/test_events.py::test_producer_of_its_own": None,
    "tests/test_events.py::TestSharedProducer::test_nothing_is_left_to_send": "fixture:producer@tests",
    "tests/test_events.py::TestSharedProducer::test_events_of_an_order_stay_together": "fixture:producer@tests",
    "tests/test_events.py::test_event_is_read_back": "fixture:producer@tests",
    "tests/test_orders.py::test_save_publishes": None,
    "tests/test_orders.py::TestCheckout::test_stores_the_order": None,  # no rule says so
}


def svc_trace(
    directory: Path, *arguments: str | Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tracer", *arguments]
    environment = os.environ | (env or {})
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def verified(directory: Path, *arguments: str | Path, env: Mapping[str, str] | None = None) -> dict[str, TestVerdict]:
    """The verdicts of a trial that is completed."""
    output = directory / "svc-trace-verify.json"
    done = svc_trace(directory, "verify", "-o", output, *arguments, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(read_verification(output).tests)


def verdicts(tests: Mapping[str, TestVerdict]) -> dict[str, tuple[str, str | None]]:
    """Name of a test → its verdict, and through what, or the reason."""
    return {name.partition("::")[2]: (one.verdict, one.reason or one.through) for name, one in tests.items()}


@contextmanager
def used_outside(url: str) -> Iterator[list[bytes]]:
    """A client outside of the tree, which uses Redis all the time. Yields the answers."""
    host, _, port = url.removeprefix("redis://").partition(":")
    answers: list[bytes] = []
    ended = threading.Event()

    def use() -> None:
        while not ended.is_set():
            with socket.create_connection((host, int(port))) as client:
                client.sendall(b"PING\r\n")
                answers.append(client.recv(64))

    thread = threading.Thread(target=use)
    thread.start()
    try:
        yield answers
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["one process", "two workers"])
def test_the_example_tolerates_a_flush_and_needs_its_cache(
    workers: tuple[str, ...], shop_services: dict[str, str], tmp_path: Path
) -> None:
    command = ("--config", CONFIG, "--", *PYTEST, "--flush-redis", "--rootdir", str(SHOP), str(SHOP), *workers)
    with used_outside(shop_services["SHOP_REDIS_URL"]) as answers:
        tests = verified(tmp_path, "--without", "redis", *command, env=shop_services)
    assert set(answers) == {b"+PONG\r\n"}
    found = {name: (one.verdict, one.through) for name, one in tests.items() if one.verdict != "undecided"}
    assert len(found) == 45
    assert found == {
        name: ("needs", "fixture:redis_client@tests") if name in BY_CLIENT else ("tolerates", "fixture:flush_redis")
        for name in found
    }
    assert {name: one.reason for name, one in tests.items() if one.verdict == "undecided"} == {
        "tests/test_orders.py::test_customer_is_found_in_any_case": "failed"
    }


def test_the_hidden_producer_of_the_example_needs_kafka(shop_services: dict[str, str], tmp_path: Path) -> None:
    """And `--against`, which replaces the first run; the tier of the tests that need only Postgres."""
    command = ("--config", CONFIG, "--", *PYTEST, "--rootdir", str(SHOP), str(SHOP))
    services = shop_services | {"SHOP_KAFKA_TIMEOUT_S": "5"}
    tests = verified(tmp_path, "--without", "kafka", "--sample", "5", "--keep", tmp_path, *command, env=services)
    assert {name: one.through for name, one in tests.items() if one.verdict == "needs"} == OF_KAFKA
    others = [one.verdict for name, one in tests.items() if name not in OF_KAFKA]
    assert others == ["unaffected"] * 5
    report = tmp_path / "with.json"
    tests = verified(tmp_path, "--without", "search", "--sample", "0", "--against", report, *command, env=services)
    assert {one.verdict for one in tests.values()} == {"needs"}
    assert len(tests) == 2
    for strict in ((), ("--strict",)):
        arguments = ("verify", "--tier", "postgres_only", *strict, "--against", report, *command)
        done = svc_trace(tmp_path, *arguments, env=services)
        assert done.returncode == 0, done.stderr
        assert "14 of 15 tests of tier postgres_only pass with only postgres" in done.stdout
        assert "1 test does not pass with all services either" in done.stdout


SUITE = {
    "svc-trace.toml": """
        [services.cache]
        ports = [PORT]
        [[tiers]]
        name = "plain"
        within = []
        [[tiers]]
        name = "cached"
        within = ["cache"]
        [[tiers]]
        name = "rest"
        """,
    "conftest.py": """
        import pathlib, socket
        pathlib.Path("cgroup").write_text(pathlib.Path("/proc/self/cgroup").read_text())
        def ask():
            with socket.create_connection(("127.0.0.1", PORT)) as client:
                client.sendall(b"ask")
                assert client.recv(1)
        """,
    "test_it.py": """
        import pathlib
        from conftest import ask
        seen = []
        def test_needs():
            ask()
            seen.append(1)
        def test_depends_on_another():
            assert seen
        def test_flaky():
            runs = pathlib.Path("runs")
            runs.write_text(runs.read_text() + "." if runs.exists() else ".")
            try:
                ask()
            except ConnectionRefusedError:
                assert len(runs.read_text()) % 4
        def test_plain(): pass
        """,
}


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[Path]:
    """A suite, and the service that it uses."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                client, _ = server.accept()
                with client:
                    if client.recv(100) == b"end":
                        return
                    client.sendall(b"!")

        thread = threading.Thread(target=serve)
        thread.start()
        for name, text in SUITE.items():
            (tmp_path / name).write_text(dedent(text).replace("PORT", str(server.getsockname()[1])))
        yield tmp_path
        with socket.create_connection(server.getsockname()) as client:
            client.sendall(b"end")
        thread.join()


def test_a_test_that_needs_a_service_through_another_test_is_a_surprise(suite: Path) -> None:
    done = svc_trace(suite, "verify", "--without", "cache", "--", *PYTEST)
    assert done.returncode == 0, done.stderr
    document = json.loads((suite / "svc-trace-verify.json").read_text())
    assert document["surprises"] == ["test_it.py::test_depends_on_another"]
    assert "Surprises: 1 test failed without cache, but did not use it" in done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("svc-trace: run")]
    assert lines == [
        "svc-trace: run 1 of 2, with all services",
        "svc-trace: run 2 of 2, without cache: 2 tests that used it, and a sample of 2 others",
    ]


def test_nothing_of_a_trial_remains(suite: Path) -> None:
    verified(suite, "--without", "cache", "--", *PYTEST)
    cgroup = (suite / "cgroup").read_text().split("0::")[1].strip()
    assert "svc-trace-" in cgroup
    assert not (hierarchy_root() / cgroup.lstrip("/")).exists()
    assert {path.name for path in suite.iterdir()} - {"__pycache__"} == {
        *SUITE,
        "cgroup",
        "runs",
        "svc-trace-verify.json",
    }


def test_only_what_differs_is_repeated(suite: Path) -> None:
    """Without the service, one test fails in its second run only: its fourth run passes."""
    options = ("--without", "cache", "--sample", "0", "--keep", "reports")
    assert verdicts(verified(suite, *options, "--", *PYTEST)) == {
        "test_needs": ("needs", None),
        "test_flaky": ("tolerates", None),
    }
    assert {path.name for path in (suite / "reports").iterdir()} == {"with.json", "without.json"}
    (suite / "runs").write_text("..")
    tests = verified(suite, *options, "--repeat", "5", "--", *PYTEST)
    assert verdicts(tests) == {"test_needs": ("needs", None), "test_flaky": ("undecided", "flaky")}
    assert read_verification(suite / "svc-trace-verify.json").runs_without == 6
    assert {path.name for path in (suite / "reports").iterdir()} == {
        *("with.json", "without.json"),
        *(f"{kind}-{number}.json" for kind in ("with", "without") for number in range(2, 7)),
    }
    again = json.loads((suite / "reports" / "without-3.json").read_text())
    assert list(again["tests"]) == ["test_it.py::test_needs"]


@pytest.mark.parametrize("where", ["ini", "environment"])
def test_options_that_end_a_session_are_overridden(where: str, suite: Path) -> None:
    if where == "ini":
        (suite / "pytest.ini").write_text("[pytest]\naddopts = -x\n")
    environment = {"PYTEST_ADDOPTS": "--maxfail=1"} if where == "environment" else {}
    tests = verified(suite, "--without", "cache", "--", *PYTEST, env=environment)
    assert len(tests) == 4
    assert not [one for one in tests.values() if one.reason is not None]


def test_a_tier_whose_tests_need_others(suite: Path) -> None:
    """The first run's report has it from before a test began to use the service."""
    command = ("--", *PYTEST, "-k", "needs or plain")
    before = suite / "test_it.py"
    text = before.read_text()
    before.write_text(text.replace("ask()\n    seen", "seen"))
    assert svc_trace(suite, "-q", *command).returncode == 0
    before.write_text(text)
    done = svc_trace(suite, "verify", "--tier", "plain", "--against", "svc-trace.json", *command)
    assert done.returncode == 87, done.stderr
    assert "[tier-broken]" in done.stderr
    assert "1 of 2 tests of tier plain pass with no service" in done.stdout
    assert "  cache: tcp://127.0.0.1:" in done.stdout
    assert "    test_it.py::test_needs\n" in done.stdout
    assert svc_trace(suite, "verify", "--tier", "cached", *command).returncode == 0


def test_a_run_that_has_no_tests_ends_the_trial(suite: Path) -> None:
    done = svc_trace(suite, "verify", "--without", "cache", "--", "true")
    assert done.returncode == 80
    assert "[no-tests]" in done.stderr
    assert "run 2" not in done.stderr


def test_a_command_that_does_not_exist(suite: Path) -> None:
    done = svc_trace(suite, "verify", "--without", "cache", "--", "missing-program")
    assert done.returncode == 127
    assert "command not found: missing-program" in done.stderr


def test_an_interrupt_ends_the_trial_and_keeps_the_report(suite: Path) -> None:
    (suite / "test_slow.py").write_text(
        dedent("""
        import time
        def test_waits():
            try:
                from conftest import ask
                ask()
            except ConnectionRefusedError:
                print("waiting", flush=True)
                while True:  # not pause(): the signal may come just before it
                    time.sleep(0.1)
        """)
    )
    command = [sys.executable, "-m", "tracer", "verify", "--without", "cache", "--", *PYTEST, "-s", "test_slow.py"]
    with subprocess.Popen(command, cwd=suite, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        next(line for line in lines if "waiting" in line)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    (kept,) = (line.split()[-1] for line in rest.splitlines() if "--against" in line)
    report: dict[str, Any] = json.loads(Path(kept).read_text())
    assert list(report["tests"]) == ["test_slow.py::test_waits"]
    Path(kept).unlink()
    Path(kept).with_name("without.json").unlink(missing_ok=True)
    Path(kept).parent.rmdir()


def test_a_killed_trial_and_one_more_leave_nothing(suite: Path) -> None:
    """Neither a cgroup, nor programs, nor mounts: both processes of svc-trace are killed in the run without."""
    (suite / "test_slow.py").write_text(
        dedent("""
        import os, signal
        from conftest import ask
        def test_waits():
            try:
                ask()
            except ConnectionRefusedError:
                print("waiting", os.getpid(), flush=True)
                signal.pause()
        """)
    )
    before = mounts(suite)
    trial = (sys.executable, "-m", "tracer", "verify", "--without", "cache", "--keep", "reports", "--", *PYTEST)
    with unloading("prog"), unloading("link"):
        with subprocess.Popen((*trial, "-s", "test_slow.py"), cwd=suite, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            waiting = next(line for line in iter(process.stderr.readline, "") if "waiting" in line)
            cgroup = hierarchy_root() / own_cgroup((suite / "cgroup").read_text()).lstrip("/")
            assert cgroup.name.startswith("svc-trace-")
            (run,) = psutil.Process(process.pid).children()
            others = run.children()
            process.kill()
            run.kill()
            os.kill(int(waiting.split()[-1]), signal.SIGKILL)
            _, alive = psutil.wait_procs([run, *others], timeout=60)
            assert not alive
        verified(suite, "--without", "cache", "--", *PYTEST, "test_it.py")
        assert not cgroup.exists()
    assert mounts(suite) == before
