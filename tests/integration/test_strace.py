"""The backend strace for its users: without root, and with a strace that is missing, forbidden or killed."""

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
from launched import ADDED, User, new_user

from tracer.errors import ExitStatus

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user")]

TRACER = (sys.executable, "-m", "tracer", "-q", "--backend", "strace", "--")

ASK = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1]))).send(b'ask')"

# Prints what strace must not change of a process.
ITSELF = """
import json, os, signal, sys
print(json.dumps({"pid": os.getpid(), "parent": os.getppid(), "group": os.getpgid(0), "session": os.getsid(0),
    "descriptors": sorted(os.listdir("/proc/self/fd")), "stderr": os.readlink("/proc/self/fd/2"),
    "children": open(f"/proc/self/task/{os.getpid()}/children").read(),
    "ignored": [number for number in range(1, 32) if signal.getsignal(number) == signal.SIG_IGN],
    "environment": dict(os.environ)}))
"""


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with new_user() as made:
        yield made


def report_of(directory: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((directory / "svc-trace.json").read_text())
    return report


def test_an_ordinary_user_needs_no_more(user: User) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        own = (user.python, "-m", "tracer", "-q", "--backend", "strace", "--")
        done = user.run(*own, user.python, "-c", ASK, str(port))
    assert (done.returncode, done.stderr) == (0, b"")
    report = report_of(user.home)
    assert report["run"]["complete"] is True
    (evidence,) = report["run_evidence"]
    assert (evidence["endpoint"], evidence["sends"], evidence["bytes"]) == (f"tcp://127.0.0.1:{port}", 1, 3)


def test_the_command_is_as_without_strace(tmp_path: Path) -> None:
    def properties(*before: str) -> dict[str, Any]:
        command = [*before, sys.executable, "-I", "-S", "-c", ITSELF]
        done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, start_new_session=True, check=True)
        printed: dict[str, Any] = json.loads(done.stdout)
        assert printed["group"] == printed["session"]
        for name in ADDED:
            printed["environment"].pop(name, None)
        return printed

    bare, traced = properties(), properties(*TRACER)
    for name in ("descriptors", "stderr", "children", "ignored", "environment"):
        assert traced[name] == bare[name], name


def test_without_strace(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run([*TRACER, "/bin/true"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == ExitStatus.CANNOT_TRACE
    assert done.stderr.splitlines()[0].endswith("[no-strace]")
    assert "apt-get install strace" in done.stderr


def test_where_tracing_is_forbidden(tmp_path: Path) -> None:
    """A process that has a tracer cannot get another."""
    around = ["strace", "--follow-forks", "--trace=none", "--output=/dev/null"]
    done = subprocess.run([*around, *TRACER, "touch", "begun"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == ExitStatus.CANNOT_TRACE
    assert done.stderr.splitlines()[0].endswith("[ptrace-forbidden]")
    assert not (tmp_path / "begun").exists()


@pytest.mark.parametrize(
    ("option", "slug"), [("--nothing-knows-this", "strace-too-old"), ("--trace=nothing", "strace-too-old")]
)
def test_a_strace_that_lacks_an_option(option: str, slug: str, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    own = tmp_path / "strace"
    own.write_text(f'#!/bin/sh\nexec {strace} {option} "$@"\n')
    own.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([*TRACER, "true"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == ExitStatus.CANNOT_TRACE
    assert done.stderr.splitlines()[0].endswith(f"[{slug}]")


def test_a_strace_that_is_killed(tmp_path: Path) -> None:
    """The report says that it is not complete. The command's traced calls fail, but it can end."""
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


def test_a_strace_that_is_stopped_continues(tmp_path: Path) -> None:
    stop = """
import os, signal, socket
tracer = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("TracerPid"))
os.kill(int(tracer), signal.SIGSTOP)
socket.socket(type=socket.SOCK_DGRAM).sendto(b"count:1|c", ("127.0.0.1", 8125))
"""
    done = subprocess.run([*TRACER, sys.executable, "-c", stop], cwd=tmp_path, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    report = report_of(tmp_path)
    assert report["run"]["complete"] is True
    assert [evidence["service"] for evidence in report["run_evidence"]] == ["statsd"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_command(number: signal.Signals, tmp_path: Path) -> None:
    waiting = f"import signal; signal.signal({number:d}, signal.SIG_DFL); print('ready', flush=True); signal.pause()"
    with subprocess.Popen([*TRACER, sys.executable, "-c", waiting], cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
    assert process.returncode == 128 + number


NETWORKS = """
import ctypes, os, socket, subprocess

NEW_NETWORK = 0x40000000
PORT = 31280
libc = ctypes.CDLL(None)


def enter_a_new_network():
    assert libc.unshare(NEW_NETWORK) == 0
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def join(descriptor):
    assert libc.setns(descriptor, NEW_NETWORK) == 0


def child(function):
    ready, is_ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(end)
        function()
        os.write(is_ready, b".")
        os.read(may_end, 1)
        os._exit(0)
    assert os.read(ready, 1)
    return pid


may_end, end = os.pipe()


def serve():
    global listener
    listener = socket.create_server(("127.0.0.1", PORT))


def ask():
    socket.create_connection(("127.0.0.1", PORT)).send(b"ask")
"""

END = """
os.close(end)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""

MAKE_AND_JOIN = {
    "by its file": """
server = child(lambda: (enter_a_new_network(), serve()))
child(lambda: (join(os.open(f"/proc/{server}/ns/net", os.O_RDONLY)), ask()))
""",
    "by a pidfd": """
server = child(lambda: (enter_a_new_network(), serve()))
child(lambda: (join(os.pidfd_open(server)), ask()))
""",
    "by its name": """
def in_network(function):
    join(os.open(f"/run/netns/{name}", os.O_RDONLY))
    function()
name = f"truth{os.getpid()}"
subprocess.run(["ip", "netns", "add", name], check=True)
atexit.register(subprocess.run, ["ip", "netns", "del", name], check=True)
subprocess.run(["ip", "netns", "exec", name, "ip", "link", "set", "lo", "up"], check=True)
child(lambda: in_network(serve))
child(lambda: in_network(ask))
""",
    "again": """
outer = os.open("/proc/self/ns/net", os.O_RDONLY)
enter_a_new_network()
inner = os.open("/proc/self/ns/net", os.O_RDONLY)
serve()
join(outer)
join(inner)
ask()
join(outer)
""",
}


def trace_while_stopped(program: str, directory: Path) -> dict[str, Any]:
    """The report about a Python program. The tracer reads strace's lines when the program has ended, or is about to."""
    waiting = "import atexit, sys\natexit.register(print, flush=True)\nprint(flush=True); sys.stdin.readline()\n"
    arguments = [*TRACER, sys.executable, "-c", waiting + program]
    with subprocess.Popen(arguments, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        process.send_signal(signal.SIGSTOP)
        try:
            process.stdin.write(b"\n")
            process.stdin.close()
            assert process.stdout.readline() == b"\n"
        finally:
            process.send_signal(signal.SIGCONT)
    assert process.returncode == 0
    return report_of(directory)


@pytest.mark.parametrize("way", MAKE_AND_JOIN)
def test_networks_are_known_although_strace_is_read_late(way: str, tmp_path: Path) -> None:
    report = trace_while_stopped(f"{NETWORKS}{MAKE_AND_JOIN[way]}{END}", tmp_path)
    (evidence,) = report["run_evidence"]
    assert (evidence["endpoint"], evidence["bytes"], evidence.get("self_hosted")) == ("tcp://127.0.0.1:31280", 3, True)


def test_a_runner_of_another_pid_namespace_is_known_although_strace_is_read_late(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        body = f"import socket\ndef test_it(): socket.create_connection({server.getsockname()}).send(b'ask')\n"
        (tmp_path / "test_it.py").write_text(body)
        pytest_ = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
        command = ["unshare", "--pid", "--fork", *pytest_]
        report = trace_while_stopped(
            f"import subprocess\nsubprocess.run({command}, stdout=subprocess.DEVNULL, check=True)", tmp_path
        )
    assert report["run"]["complete"] is True
    (evidence,) = report["tests"]["test_it.py::test_it"]["evidence"]
    assert (evidence["thread"], evidence["bytes"]) == ("test", 3)
