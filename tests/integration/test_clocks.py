"""Clocks that are not the kernel's: of svc-trace itself, and of the suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tracer.errors import ExitStatus

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can create time namespaces"),
]

TRACER: Final = (sys.executable, "-m", "tracer", "-q", "--strict")
PYTEST: Final = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
TIME_NAMESPACE: Final = ("unshare", "--time", "--monotonic", "100000", "--fork")
LONG_AGO: Final = ("faketime", "2000-01-01 00:00:00")
STARTS_LONG_AGO: Final = ("faketime", "-f", "@2000-01-01 00:00:00")  # each process begins at that time
SUITE: Final = """
import socket

def test_it():
    socket.socket(type=socket.SOCK_DGRAM).sendto(b"count:1|c", ("127.0.0.1", 8125))
"""


def run(directory: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_it.py").write_text(SUITE)
    return subprocess.run(
        command, cwd=directory, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def report(directory: Path) -> dict[str, Any]:
    written: dict[str, Any] = json.loads((directory / "svc-trace.json").read_text())
    return written


@pytest.mark.parametrize(
    ("before", "name"),
    [
        *((before, name) for before in (TIME_NAMESPACE, LONG_AGO) for name in ("libbpf", "bcc")),
        (STARTS_LONG_AGO, "strace"),
    ],
)
def test_svc_trace_refuses_to_run_with_another_clock(tmp_path: Path, before: tuple[str, ...], name: str) -> None:
    done = run(tmp_path, *before, *TRACER, "--backend", name, "--", "touch", "begun")
    assert done.returncode == ExitStatus.CANNOT_TRACE, done.stderr
    assert "[wrong-clock]" in done.stderr
    assert not (tmp_path / "begun").exists()


@pytest.mark.parametrize("before", [TIME_NAMESPACE, LONG_AGO])
def test_strace_traces_correctly_if_all_clocks_are_shifted_alike(tmp_path: Path, before: tuple[str, ...]) -> None:
    """CLOCK_REALTIME is the clock of strace, so only the offset between two clocks of one process matters."""
    done = run(tmp_path, *before, *TRACER, "--", *PYTEST)
    assert done.returncode == 0, done.stdout + done.stderr
    assert report(tmp_path)["run"]["backend"] == "strace"
    assert report(tmp_path)["summary"]["services"] == {"statsd": 1}


@pytest.mark.parametrize("before", [LONG_AGO, STARTS_LONG_AGO])
def test_a_suite_with_a_faked_clock_is_noticed(backend: str, tmp_path: Path, before: tuple[str, ...]) -> None:
    done = run(tmp_path, *TRACER, "--backend", backend, "--", *before, *PYTEST)
    assert done.returncode == ExitStatus.INCOMPLETE, done.stdout + done.stderr
    assert [warning["slug"] for warning in report(tmp_path)["run"]["warnings"]] == ["wrong-clock"]


@pytest.mark.parametrize("before", [LONG_AGO, STARTS_LONG_AGO])
def test_the_remedy_for_libfaketime(backend: str, tmp_path: Path, before: tuple[str, ...]) -> None:
    command = (*TRACER, "--backend", backend, "--", *before, *PYTEST)
    done = run(tmp_path, *command, FAKETIME_DONT_FAKE_MONOTONIC="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert report(tmp_path)["run"]["warnings"] == []
    assert report(tmp_path)["summary"]["services"] == {"statsd": 1}
