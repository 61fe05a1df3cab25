"""The command as svc-trace starts it: whose it is, what it inherits, its streams, its signals, its exit status."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

import pytest
from launched import ADDED, SYSTEM_PATH, User, new_user

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make users and trace"),
]

AS_ROOT = (sys.executable, "-m", "tracer", "-q", "--")

IDENTITY = """
import json, os
def status(pid):
    with open(f"/proc/{pid}/status") as lines:
        return {name: value.split() for name, value in (line.split(":", 1) for line in lines)}
print(json.dumps({"ids": [*os.getresuid(), *os.getresgid()], "environment": dict(os.environ), "own": status("self"),
                  "parent": status(os.getppid()), "directory": os.getcwd(), "umask": os.umask(0)}))
"""
INHERITED = (
    "Uid",
    "Gid",
    "Groups",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
)


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with new_user() as made:
        yield made


@pytest.fixture
def root(tmp_path: Path) -> dict[str, str]:
    """Root's environment, without any sudo behind it, and with a directory of its own for temporary files."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SUDO_", "PYTEST_"))}
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return kept | {"TMPDIR": str(temporary)}


def owner_of(path: Path) -> int | None:
    """The uid; None: another worker's run has just removed or renamed it."""
    with suppress(FileNotFoundError):
        return path.lstat().st_uid
    return None


@pytest.fixture(autouse=True)
def _no_folder_stays(request: pytest.FixtureRequest, root: dict[str, str]) -> Iterator[None]:
    yield
    assert list(Path(root["TMPDIR"]).iterdir()) == []
    if "user" in request.fixturenames:
        owner = request.getfixturevalue("user").uid
        assert [path for path in Path("/tmp").glob("*svc-trace-*") if owner_of(path) == owner] == []


class Streams(TypedDict):
    """A process's standard streams, as subprocess takes them."""

    stdin: int
    stdout: int
    stderr: int


def start_as_root(root: dict[str, str], directory: Path, *command: str) -> subprocess.Popen[bytes]:
    """Start a traced command without sudo, with pipes for its streams."""
    streams: Streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*AS_ROOT, *command], env=root, cwd=directory, **streams)


def identity(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


@pytest.mark.parametrize("assignments", [(), ("GIVEN=to sudo",)], ids=["plain", "with a variable"])
def test_the_command_is_the_users_own(user: User, assignments: tuple[str, ...]) -> None:
    program = ("python", "-c", IDENTITY)  # found by the user's PATH, which is not sudo's
    bare = identity(user.run(*program))
    traced = identity(user.run(*user.svc_trace(*assignments), *program))
    environment = traced["environment"]
    assert set(environment) >= ADDED
    given = dict(assignment.split("=", 1) for assignment in assignments)
    assert {name: value for name, value in environment.items() if name not in ADDED} == bare["environment"] | given
    for field in INHERITED:
        assert traced["own"][field] == bare["own"][field], field
    assert (traced["ids"], traced["directory"]) == (bare["ids"], bare["directory"])
    assert traced["ids"] == [user.uid] * 3 + [user.gid] * 3


def test_the_tracer_gives_up_root_too(user: User) -> None:
    traced = identity(user.run(*user.svc_trace(), "python", "-c", IDENTITY))
    tracer = traced["parent"]
    assert tracer["Name"] == ["python"]
    assert tracer["Uid"] == [str(user.uid)] * 4  # real, effective, saved, file system
    assert tracer["Gid"] == [str(user.gid)] * 4
    assert sorted(map(int, tracer["Groups"])) == sorted(user.groups)
    assert {int(tracer[name][0], 16) for name in ("CapPrm", "CapEff", "CapAmb")} == {0}


def test_what_a_run_writes_is_the_users(user: User) -> None:
    assert user.run(*user.svc_trace(), "true").returncode == 0
    assert (user.home / "svc-trace.json").stat().st_uid == user.uid


def test_the_runs_directory_is_the_users(backend: str, user: User) -> None:
    own = (user.python, "-m", "tracer", "-q", "--backend", backend, "--")
    foreign = 'cd "${SVC_TRACE_FIFO%/*}" && find . ! -user "$(id -u)" -o ! -group "$(id -g)"; ls'
    done = user.run("sudo", "-n", *own, "sh", "-c", foreign)
    assert done.stderr == b""
    assert {*done.stdout.decode().split()} >= {"boundaries", "plugins", "trace.svctrace.partial"}
    assert b"./" not in done.stdout


def test_without_sudo_root_stays_root(root: dict[str, str], tmp_path: Path) -> None:
    traced = identity(
        subprocess.run([*AS_ROOT, sys.executable, "-c", IDENTITY], env=root, cwd=tmp_path, capture_output=True)
    )
    assert traced["ids"] == [0] * 6
    assert {name: value for name, value in traced["environment"].items() if name not in ADDED} == root


def test_a_command_beside_the_interpreter_is_found(user: User) -> None:
    beside = Path(user.python).with_name("only-here")
    beside.write_text("#!/bin/sh\necho found\n")
    beside.chmod(0o755)
    done = user.run(*user.svc_trace(), "only-here", env=user.environment | {"PATH": SYSTEM_PATH})
    assert (done.returncode, done.stdout) == (0, b"found\n")


def test_the_folder_of_the_interpreter_does_not_hide_the_users_path(user: User) -> None:
    own = user.home / "own"
    own.mkdir()
    for name in (own / "twice", Path(user.python).with_name("twice")):
        name.write_text('#!/bin/sh\necho "$0"\n')
        name.chmod(0o755)
    done = user.run(*user.svc_trace(), "twice", env=user.environment | {"PATH": f"{own}:{SYSTEM_PATH}"})
    assert done.stdout.decode() == f"{own}/twice\n"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 3"), 3),
        (("sh", "-c", "kill -TERM $$"), 128 + signal.SIGTERM),
        (("sh", "-c", "kill -KILL $$"), 128 + signal.SIGKILL),
        (("no-such-command",), 127),
        (("./no-such-file",), 127),
        (("a-file",), 127),  # the current directory is not on PATH
        (("./a-file",), 126),
        (("./",), 126),
        (("./a-script",), 9),
    ],
)
def test_the_exit_status_is_the_commands(
    command: tuple[str, ...], status: int, root: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "a-file").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "a-script").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "a-script").chmod(0o755)
    done = subprocess.run([*AS_ROOT, *command], env=root, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    if status in (126, 127):
        assert_two_lines(done.stderr, "command-not-found" if status == 127 else "command-not-executable")
    else:
        assert done.stderr == ""


def assert_two_lines(stderr: str, slug: str) -> None:
    wrong, hint = stderr.splitlines()
    assert wrong.startswith("svc-trace: error: ")
    assert wrong.endswith(f"[{slug}]")
    assert hint.strip()


def test_another_users_run_is_no_obstacle(user: User) -> None:
    with tempfile.TemporaryDirectory(prefix="svc-trace-", dir="/tmp") as theirs:
        done = user.run(*user.svc_trace(), "true")
        assert (done.returncode, done.stderr) == (0, b"")
        assert Path(theirs).exists()


def test_a_name_in_the_current_folder_is_not_executed(root: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "here").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "here").chmod(0o755)
    done = subprocess.run([*AS_ROOT, "here"], env=root, cwd=tmp_path, capture_output=True)
    assert done.returncode == 127


@pytest.mark.parametrize("sudo", [False, True], ids=["root", "sudo"])
def test_streams_are_the_commands_own(sudo: bool, user: User, root: dict[str, str], tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    command = ("sh", "-c", "cat; echo problem >&2")
    with (
        user.start(*user.svc_trace(), *command, stdin=subprocess.PIPE)
        if sudo
        else start_as_root(root, tmp_path, *command)
    ) as process:
        assert process.communicate(data) == (data, b"problem\n")
    assert process.returncode == 0


def test_a_broken_pipe_kills_the_command_as_it_should(root: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        f"{' '.join(AS_ROOT)} yes | head -n1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        env=root,
        cwd=tmp_path,
        capture_output=True,
    )
    assert done.stdout == b"y\n141\n"


# Ends with 5 if it got exactly one SIGINT. SIGUSR1 to the tracer comes back, and not before what was sent earlier.
COUNT = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGUSR1})
print("terminal" if all(map(os.isatty, range(3))) else "no terminal", flush=True)
assert signal.sigwait({signal.SIGINT, signal.SIGUSR1}) == signal.SIGINT
print("interrupted", flush=True)
assert signal.sigwait({signal.SIGINT, signal.SIGUSR1}) == signal.SIGUSR1
sys.exit(5)
"""


@pytest.mark.parametrize("sudo", [False, True], ids=["root", "sudo"])
def test_an_interrupt_from_the_keyboard_comes_once(
    sudo: bool, user: User, root: dict[str, str], tmp_path: Path
) -> None:
    terminal, inner = pty.openpty()
    streams: Streams = {"stdin": inner, "stdout": inner, "stderr": inner}
    ctty = ("setsid", "--ctty")  # its own session, with the terminal as the controlling one
    if sudo:
        process = user.start(*ctty, *user.svc_trace(), "python", "-c", COUNT, **streams)
    else:
        process = subprocess.Popen([*ctty, *AS_ROOT, sys.executable, "-c", COUNT], env=root, cwd=tmp_path, **streams)
    os.close(inner)
    with open(terminal, "rb") as output, process:  # noqa: PTH123 - a file descriptor
        assert output.readline() == b"terminal\r\n"
        os.write(terminal, b"\x03")
        assert any(line.endswith(b"interrupted\r\n") for line in iter(output.readline, b""))
        process.send_signal(signal.SIGUSR1)  # would come after a second SIGINT
    assert process.returncode == 5


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]
)
def test_a_signal_for_the_tracer_reaches_the_command(number: int, root: dict[str, str], tmp_path: Path) -> None:
    wait = f"""
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {{{number:d}}})
print("ready", flush=True)
raise SystemExit(100 + signal.sigwait({{{number:d}}}))
"""
    with start_as_root(root, tmp_path, sys.executable, "-c", wait) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
    assert process.returncode == 100 + number


def test_what_sudo_is_told_to_end_ends(user: User) -> None:
    with user.start(*user.svc_trace(), "sh", "-c", "echo ready; read forever", stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        process.wait()
    assert process.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)  # depends on the version of sudo


@pytest.fixture
def start_waiting(root: dict[str, str], tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts a traced command that says `ready`, and `done` when its stdin ends."""
    started = []

    def start() -> subprocess.Popen[bytes]:
        process = start_as_root(root, tmp_path, "sh", "-c", "echo ready; cat; echo done")
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in started:
        with process:
            pass


def test_a_killed_tracer_leaves_the_command_and_one_folder(
    start_waiting: Callable[[], subprocess.Popen[bytes]], root: dict[str, str]
) -> None:
    killed = start_waiting()
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    assert killed.communicate() == (b"done\n", b"")
    (left,) = Path(root["TMPDIR"]).iterdir()
    assert left.name.startswith("svc-trace-")
    after = start_waiting()
    assert not left.exists()
    assert after.communicate() == (b"done\n", b"")
    assert after.returncode == 0


def test_a_run_leaves_the_folder_of_another(
    start_waiting: Callable[[], subprocess.Popen[bytes]], root: dict[str, str]
) -> None:
    first = start_waiting()
    (directory,) = Path(root["TMPDIR"]).iterdir()
    second = start_waiting()
    assert second.communicate() == (b"done\n", b"")
    assert {path.name for path in directory.iterdir()} >= {"boundaries", "plugins"}
    assert first.communicate() == (b"done\n", b"")
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_pause_of_the_tracer_sends_the_command_no_signal(tmp_path: Path) -> None:
    """As by Ctrl-Z and fg. Each pause is longer than the tracer waits for a signal."""
    with subprocess.Popen([*AS_ROOT, "cat"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"\n"
        for _ in range(20):
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            time.sleep(0.03)
            process.send_signal(signal.SIGCONT)
            os.waitid(os.P_PID, process.pid, os.WCONTINUED)
        process.stdin.close()
    assert process.returncode == 0
