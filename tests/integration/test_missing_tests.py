"""Tests that are not in the report: its first line says so, and the run is not complete."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel

TRACER = (sys.executable, "-m", "tracer", "--strict", "--")
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
SERVER = """
from execnet.gateway_base import get_execmodel
from execnet.script import socketserver
socketserver.execmodel = get_execmodel("thread")
listening = socketserver.bind_and_listen("127.0.0.1:0", socketserver.execmodel)
print(listening.getsockname()[1], flush=True)
socketserver.startserver(listening)
"""


def traced(directory: Path, *command: str, **environment: str) -> tuple[str, dict[str, Any]]:
    """Trace a command with --strict; return how the first line ends, and the report."""
    done = subprocess.run(
        (*TRACER, *command),
        cwd=directory,
        env=os.environ | {"COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    report: dict[str, Any] = json.loads((directory / "svc-trace.json").read_text())
    assert done.returncode == (0 if report["run"]["complete"] else 80), done.stdout + done.stderr
    first = re.search(r"^svc-trace: (.*) in .* s, traced by \w+: (.*)$", done.stderr, re.MULTILINE)
    assert first is not None, done.stderr
    return f"{first[1]}: {first[2]}", report


def slugs(report: dict[str, Any]) -> list[str]:
    return [warning["slug"] for warning in report["run"]["warnings"]]


@pytest.mark.parametrize(
    ("where", "first"),
    [
        ("test", "2 tests: NOT COMPLETE, 3 tests missing"),
        ("last", "5 tests: complete"),  # all tests are known, and one of them is crashed
        ("collection", "no tests: NOT COMPLETE, tests missing"),
    ],
)
def test_a_process_that_leaves_quietly(tmp_path: Path, where: str, first: str) -> None:
    (tmp_path / "test_it.py").write_text(
        f"where = {where!r}\n"
        "import os\n"
        "import pytest\n\n"
        "@pytest.mark.parametrize('number', range(5))\n"
        "def test_it(number):\n"
        "    if number == {'test': 1, 'last': 4}[where]:\n"
        "        os._exit(0)\n\n"
        "if where == 'collection':\n"
        "    os._exit(0)\n"
    )
    line, report = traced(tmp_path, *PYTEST)
    assert line == first
    assert slugs(report) == ["unfinished-session"]


@pytest.mark.parametrize("local", [(), ("--tx", "popen")])
def test_a_worker_elsewhere(tmp_path: Path, local: tuple[str, ...]) -> None:
    """It runs in a server of execnet outside of the traced tree."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.parametrize('number', range(6))\ndef test_it(number): pass\n"
    )
    server = subprocess.Popen([sys.executable, "-c", SERVER], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    with server:
        assert server.stdout is not None
        worker = f"socket=127.0.0.1:{server.stdout.readline().strip()}//chdir={tmp_path}"
        try:
            line, report = traced(tmp_path, *PYTEST, "--dist", "load", *local, "--tx", worker)
        finally:
            server.kill()
    missing = 6 - len(report["tests"])
    assert missing == 6 if not local else 0 < missing < 6
    tests = f"{6 - missing} tests" if local else "no tests"
    assert line == f"{tests}: NOT COMPLETE, {missing} tests missing"
    assert report["run"]["missing_tests"] == missing
    assert slugs(report) == ["untraced-workers"]


def test_a_controller_that_dies(tmp_path: Path) -> None:
    """It does not know how many tests its workers had still to run."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.parametrize('number', range(6))\ndef test_it(number): pass\n"
    )
    (tmp_path / "conftest.py").write_text(
        "import os\n\n"
        "def pytest_runtest_logreport(report):\n"
        "    if hasattr(report, 'worker_id'):\n"
        "        os._exit(0)\n"
    )
    line, report = traced(tmp_path, *PYTEST, "-n", "1")
    assert line.endswith("NOT COMPLETE, tests missing")
    assert report["run"]["missing_tests"] is None
