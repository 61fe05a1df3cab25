"""Sessions: how the hook is loaded, what it writes first and last, where it shows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hook.suites import Environment, plain, run
from tracer.record.boundary.fifo import Fifo
from tracer.record.boundary.messages import Close, Hello, Open, Phase, Results, Worker


def test_an_empty_test(environment: Environment, tmp_path: Path) -> None:
    reported = run(environment, tmp_path, "def test_a(): pass\ndef test_b(): pass")
    assert reported.steps() == plain("test_a") + plain("test_b")
    assert (reported.status, reported.lost, reported.malformed) == (0, 0, 0)
    first, *_ = reported.messages()
    assert isinstance(first, Hello)
    assert first.worker is None
    opened = [message for message in reported.messages() if isinstance(message, Open)]
    assert [message.kind for message in opened] == ["conftest", "session", "collection", "test", "test"]
    assert opened[1].subject == str(tmp_path / "suite")
    assert opened[2].subject == "test_it.py"
    writes = [[type(message).__name__ for message in packet.messages] for packet in reported.packets[-5:]]
    assert writes == [["Open"], ["Phase"], ["Phase"], ["Close"], ["Close"]]  # the last is the session's
    times = [message.ns for message in reported.messages() if isinstance(message, Open | Phase | Close)]
    assert times == sorted(times)


def test_the_workers_of_xdist_and_the_controller_say_which_they_are(newest: Environment, tmp_path: Path) -> None:
    reported = run(newest, tmp_path, "@pytest.mark.parametrize('n', range(6))\ndef test_a(n): assert n", "-n2")
    assert reported.status == 1
    assert {message.worker for message in reported.messages() if isinstance(message, Hello)} == {None}
    pids: dict[str | None, int] = {
        message.worker: packet.pid
        for packet in reported.packets
        for message in packet.messages
        if isinstance(message, Worker)
    }
    assert set(pids) == {"gw0", "gw1"}
    (controller,) = {packet.pid for packet in reported.packets}.difference(pids.values())
    hello, _, _, _, opened, *results, closed = reported.messages(controller)
    assert [type(message) for message in (hello, opened, closed)] == [Hello, Open, Close]
    assert {type(message) for message in results} == {Results}
    assert sum(message.tests for message in results if isinstance(message, Results)) == 6


def test_without_a_conftest_a_worker_says_at_once_which_it_is(newest: Environment, tmp_path: Path) -> None:
    reported = run(newest, tmp_path, "def test_a(): pass", "-n2", "--noconftest")
    assert {message.worker for message in reported.messages() if isinstance(message, Hello)} == {None, "gw0", "gw1"}
    assert not [message for message in reported.messages() if isinstance(message, Worker)]


def test_the_wrappers_of_a_conftest_run_within_the_spans(environment: Environment, tmp_path: Path) -> None:
    reported = run(
        environment,
        tmp_path,
        "def test_a(): pass",
        conftest="""
        import os, pytest
        outermost = pytest.hookimpl(hookwrapper=True, tryfirst=True)
        @outermost
        def pytest_runtest_setup(): yield from noted("setup")
        @outermost
        def pytest_runtest_call(): yield from noted("call")
        @outermost
        def pytest_runtest_teardown(): yield from noted("teardown")
        def noted(phase):
            note(phase, "skipped")
            yield
            note(phase, "failed")
        def note(*words):
            with open(os.environ["SVC_TRACE_FIFO"], "a") as fifo:
                fifo.write('[0,1,1,0,[["report",0,"%s","%s"]]]\\n' % words)
        """,
    )
    assert reported.steps() == [
        *("test_a", "setup skipped", "setup failed", "call", "call skipped", "call failed"),
        *("teardown", "teardown skipped", "teardown failed", "-test_a"),
    ]


def test_it_does_nothing_without_its_fifo(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_a(): pass")
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, tmp_path / "missing"):
        status, output = environment.run(tmp_path, fifo=path)
        assert status == 0, output
    assert file.read_text() == ""


@pytest.mark.parametrize("options", ["", "-I", "-E"])
def test_a_pytest_that_lost_the_path_runs_without_it(environment: Environment, tmp_path: Path, options: str) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(): pass")
    hooked = environment.run_directory.hook_environment({}) | {"PYTHONPATH": "src"}
    with Fifo(tmp_path / "fifo") as fifo:
        subprocess.run(
            [environment.python, *options.split(), "-m", "pytest", "-p", "no:cacheprovider"],
            cwd=tmp_path,
            env=hooked | {"SVC_TRACE_FIFO": str(fifo.path)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        assert fifo.read() == b""


def test_the_hook_is_in_no_traceback(environment: Environment, tmp_path: Path) -> None:
    source = """
        @pytest.fixture
        def broken(): raise ValueError("at set-up")
        @pytest.fixture
        def breaks():
            yield
            raise ValueError("at tear-down")
        def test_set_up(broken): pass
        def test_tear_down(breaks): pass
        def test_call(): assert 0
    """
    reported = run(environment, tmp_path, source)
    assert reported.output.count("ValueError") >= 2
    assert "svc_trace_hook/" not in reported.output
