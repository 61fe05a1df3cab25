"""The backend strace as users meet it: without root, with nothing in its place, forbidden, killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from launched import User, new_user

from tracer.errors import ExitStatus

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user")]

TRACER = (sys.executable, "-m", "tracer", "-q", "--backend", "strace", "--")

ASK = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1]))).send(b'ask')"

# Says of itself what strace must not change.
ITSELF = """
import json, os, signal, sys
print(json.dumps({"pid": os.getpid(), "parent": os.getppid(), "group": os.getpgid(0), "session": os.getsid(0),
    "descriptors": sorted(os.listdir("/proc/self/fd")), "stderr": os.readlink("/proc/self/fd/2"),
    "children": open(f"/proc/self/task/{os.getpid()}/children").read(),
    "ignored": [number for number in range(1, 32) if signal.getsignal(number) == signal.SIG_IGN],
    "environment": {name: os.environ[name] for name in os.environ if name not in ("SVC_TRACE_FIFO", "PYTHONPATH")}}))
"""


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with new_user() as made:
        yield made


def report_of(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "svc-trace.json").read_text())
    return told


def test_an_ordinary_user_needs_no_more(user: User) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        own = (user.python, "-m", "tracer", "-q", "--backend", "strace", "--")
        done = user.run(*own, user.python, "-c", ASK, str(port))
    assert (done.returncode, done.stderr) == (0, b"")
    told = report_of(user.home)
    assert told["run"]["complete"] is True
    (evidence,) = told["run_evidence"]
    assert (evidence["endpoint"], evidence["sends"], evidence["bytes"]) == (f"tcp://127.0.0.1:{port}", 1, 3)


def test_the_command_is_as_it_would_be(tmp_path: Path) -> None:
    def say(*before: str) -> dict[str, Any]:
        command = [*before, sys.executable, "-I", "-S", "-c", ITSELF]
        done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, start_new_session=True, check=True)
        told: dict[str, Any] = json.loads(done.stdout)
        assert told["group"] == told["session"]
        return told

    bare, traced = say(), say(*TRACER)
    for name in ("descriptors", "stderr", "children", "ignored", "environment"):
        assert traced[name] == bare[name], name


def test_without_strace(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run([*TRACER, "/bin/true"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == ExitStatus.CANNOT_TRACE
    assert done.stderr.splitlines()[0].endswith("[no-strace]")
    assert "apt-get install strace" in done.stderr


def test_where_nobody_may_be_traced(tmp_path: Path) -> None:
    """Who is traced already cannot be traced by another."""
    around = ["strace", "--follow-forks", "--trace=none", "--output=/dev/null"]
    done = subprocess.run([*around, *TRACER, "touch", "begun"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == ExitStatus.CANNOT_TRACE
    assert done.stderr.splitlines()[0].endswith("[ptrace-forbidden]")
    assert not (tmp_path / "begun").exists()


@pytest.mark.parametrize(
    ("option", "slug"), [("--nothing-knows-this", "strace-too-old"), ("--trace=nothing", "strace-too-old")]
)
def test_a_strace_that_lacks_an_option(option: str, slug: str, tmp_path: Path) -> None:
    """Which it says itself."""
    strace = shutil.which("strace")
    own = tmp_path / "strace"
    own.write_text(f'#!/bin/sh\nexec {strace} {option} "$@"\n')
    own.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([*TRACER, "true"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == ExitStatus.CANNOT_TRACE
    assert done.stderr.splitlines()[0].endswith(f"[{slug}]")


def test_a_strace_that_is_killed(tmp_path: Path) -> None:
    """The report says that it is not complete. The command's calls fail; it ends by one that nobody looks at."""
    kill = """
import os, signal, time
tracer = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("TracerPid"))
os.kill(int(tracer), signal.SIGKILL)
while "TracerPid:\\t0" not in open("/proc/self/status").read(): pass
os._exit(7)
"""
    done = subprocess.run([*TRACER, sys.executable, "-c", kill], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
    run = report_of(tmp_path)["run"]
    assert run["complete"] is False
    assert "strace-died" in [warning["slug"] for warning in run["warnings"]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_command(number: signal.Signals, tmp_path: Path) -> None:
    waiting = f"import signal; signal.signal({number:d}, signal.SIG_DFL); print('ready', flush=True); signal.pause()"
    with subprocess.Popen([*TRACER, sys.executable, "-c", waiting], cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
    assert process.returncode == 128 + number
