"""Whole runs under adverse conditions: classification and exit status must be correct."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.kernel

TRACER = (sys.executable, "-m", "tracer")


def test_a_tracer_that_is_stopped_during_a_thousand_tests_attributes_correctly(tmp_path: Path) -> None:
    """It reads all their boundaries and sends in one turn."""
    (tmp_path / "test_it.py").write_text(
        """
import os, signal, socket
import psutil
import pytest

statsd = socket.socket(type=socket.SOCK_DGRAM)

@pytest.mark.parametrize("number", range(1000))
def test_it(number):
    tracer = os.getppid()
    if number == 0: os.kill(tracer, signal.SIGSTOP)
    statsd.sendto(b"count:1|c", ("127.0.0.1", 8125))
    if number == 999: os.kill(tracer, signal.SIGCONT)
"""
    )
    command = (*TRACER, "-q", "-o", "report.json", "--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["run"]["complete"]
    assert report["summary"]["services"] == {"statsd": 1000}
    assert report["run_evidence"] == []
    assert {one["sends"] for test in report["tests"].values() for one in test["evidence"]} == {1}


def test_the_command_inherits_no_descriptor_of_the_tracer(backend: str, tmp_path: Path) -> None:
    """A program, link or map of root's would let it read the kernel's memory."""
    command = (sys.executable, "-c", "import os; print(*sorted(os.listdir('/proc/self/fd')))")
    tracer = (*TRACER, "-q", "--backend", backend, "-o", str(tmp_path / "report.json"), "--")
    bare, traced = (subprocess.run([*words, *command], capture_output=True, check=True) for words in ((), tracer))
    assert traced.stdout == bare.stdout


def test_a_report_that_cannot_be_written_is_an_error_before_the_command_starts(tmp_path: Path) -> None:
    command = (*TRACER, "-o", str(tmp_path / "none" / "report.json"), "--", "touch", str(tmp_path / "began"))
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 73
    assert "[cannot-write]" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_summary_that_cannot_be_printed_does_not_change_the_exit_status(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        command = (*TRACER, "-o", str(tmp_path / "report.json"), "--", "sh", "-c", "exit 3")
        assert subprocess.run(command, stderr=full, check=False).returncode == 3
    assert json.loads((tmp_path / "report.json").read_text())["run"]["exit_status"] == 3


def test_a_pytest_that_outlives_the_command_makes_the_run_incomplete(tmp_path: Path) -> None:
    """Its test waits until svc-trace has ended."""
    go = tmp_path / "go"
    os.mkfifo(go)
    (tmp_path / "test_it.py").write_text(
        "import os\n\n"
        "def test_it():\n"
        "    os.write(int(os.environ['SAID']), b'1')\n"
        "    open('go', 'rb', buffering=0).read(1)\n"
    )
    script = """
import os, subprocess, sys
said, say = os.pipe()
subprocess.Popen([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], pass_fds=(say,),
                 env=os.environ | {"SAID": str(say)})
os.close(say)
os.read(said, 1)
"""
    command = (*TRACER, "-q", "--strict", "-o", "report.json", "--", sys.executable, "-c", script)
    with (
        go.open("r+b", buffering=0) as gate,
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as run,
    ):
        run.wait()
        gate.write(b"1")
        output, _ = run.communicate()  # until pytest has ended, which has the same stdout
    assert run.returncode == 80
    assert "1 passed" in output
    report = json.loads((tmp_path / "report.json").read_text())
    assert not report["run"]["complete"]
    assert "unfinished-session" in {warning["slug"] for warning in report["run"]["warnings"]}


def test_a_worker_that_is_interrupted_after_its_session_has_lost_nothing(tmp_path: Path) -> None:
    """It waits until execnet sends SIGINT, 5 s after the controller asked for the end.

    The controller asks for it as soon as the worker waits. By then the worker's plugins may have worked for seconds.
    """
    os.mkfifo(tmp_path / "waiting")
    (tmp_path / "test_it.py").write_text("def test_it(): pass")
    (tmp_path / "conftest.py").write_text(
        "import pathlib, threading\n"
        "import pytest\n\n"
        "waiting = pathlib.Path(__file__).with_name('waiting')\n\n"
        "@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_sessionfinish(session):\n"
        "    if not hasattr(session.config, 'workerinput'):\n"
        "        waiting.read_text()\n\n"
        "@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_unconfigure(config):\n"
        "    if hasattr(config, 'workerinput'):\n"
        "        try:\n"
        "            waiting.write_text('')\n"
        "            threading.Event().wait()\n"
        "        except KeyboardInterrupt:\n"
        "            pathlib.Path('interrupted').touch()\n"
        "            raise\n"
    )
    command = (*TRACER, "-q", "--strict", "--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n1")
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "interrupted").exists()
    report = json.loads((tmp_path / "svc-trace.json").read_text())
    assert report["run"]["warnings"] == []
    assert [test["outcome"] for test in report["tests"].values()] == ["passed"]


def test_an_endpoint_that_no_rule_names_has_the_name_of_its_listener(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import os, socket\n\n"
        "def test_it():\n"
        "    with socket.create_connection(('127.0.0.1', int(os.environ['PORT']))) as connection:\n"
        "        connection.sendall(b'ours')\n"
    )
    with socket.create_server(("0.0.0.0", 0)) as server:
        environment = os.environ | {"PORT": str(server.getsockname()[1])}
        command = (*TRACER, "-q", "--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    report = json.loads((tmp_path / "svc-trace.json").read_text())
    (evidence,) = report["tests"]["test_it.py::test_it"]["evidence"]
    assert evidence["service"] == f"unknown:tcp://127.0.0.1:{environment['PORT']}"
    assert evidence["listener"] == psutil.Process().name()


def test_a_tracer_that_cannot_keep_up_warns_of_lost_events(tmp_path: Path) -> None:
    """It is stopped while the command sends more datagrams to an address than the ring buffer has room for."""
    script = """
import os, signal, socket
os.kill(os.getppid(), signal.SIGSTOP)
statsd = socket.socket(type=socket.SOCK_DGRAM)
for _ in range(100_000): statsd.sendto(b"count:1|c", ("127.0.0.1", 8125))
os.kill(os.getppid(), signal.SIGCONT)
"""
    command = (*TRACER, "-q", "--strict", "--backend", "libbpf", "--", sys.executable, "-c", script)
    run = subprocess.run(command, cwd=tmp_path, check=False)
    assert run.returncode == 80
    report = json.loads((tmp_path / "svc-trace.json").read_text())["run"]
    assert not report["complete"]
    assert "lost-events" in {warning["slug"] for warning in report["warnings"]}


def test_a_pytest_on_an_old_python_is_reported_as_unsupported(tmp_path: Path) -> None:
    """Its version is changed in the child: with a real one, see integration/hook/test_loading.py."""
    (tmp_path / "old.py").write_text("import sys\nsys.version_info = (3, 7, 17)\n")
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    pytest = f"{sys.executable} -m pytest --assert=plain -p no:cacheprovider"
    for script, tests in ((f"{pytest} -p old", 0), (f"{pytest} -p old && {pytest}", 1)):
        command = (*TRACER, "-q", "-o", "report.json", "--", "sh", "-c", script)
        few_plugins = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # they need modules that 3.7 needs
        subprocess.run(command, cwd=tmp_path, env=few_plugins, check=True, capture_output=True)
        report = json.loads((tmp_path / "report.json").read_text())
        assert len(report["tests"]) == tests
        (warning,) = report["run"]["warnings"]
        assert warning["slug"] == "unsupported-pytest"
        assert "Python 3.7.17:" in warning["message"]
