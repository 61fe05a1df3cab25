"""`svc-trace --enter`: commands in real containers, which runc's own `exec` starts."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from containers import Container, container
from launched import User, new_user

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.probes,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make containers and trace"),
]

LIMIT_S = 60
PROGRAM = (sys.executable, "-m", "tracer")
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:anyio")
SUITE = """
import socket
from concurrent.futures import ThreadPoolExecutor
import pytest

def ask(family, address, request=b"*1\\r\\n$4\\r\\nPING\\r\\n"):
    with socket.socket(family) as connection:
        connection.connect(address)
        connection.sendall(request)
        assert connection.recv(100)

def test_none(): pass

def test_inside(): ask(socket.AF_INET, ("127.0.0.1", 6379))

def test_outside(): ask(socket.AF_UNIX, "/app/outside.sock", b"hello")

@pytest.fixture(scope="module")
def pool():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(len, "").result()
        yield pool

@pytest.mark.parametrize("number", [1, 2])
def test_pool(pool, number): pool.submit(ask, socket.AF_INET, ("127.0.0.1", 6379)).result()

def test_fails(): assert False
"""
RULES = """
[services.outside]
unix = ["*/outside.sock"]
"""


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "user namespace"])
def box(request: pytest.FixtureRequest) -> Iterator[Container]:
    with TemporaryDirectory() as directory, container(Path(directory), user_namespace=request.param) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_stays(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A run leaves no file, neither here nor in the container, and no process there."""
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("TMPDIR", str(own))
    before = processes(request.getfixturevalue("box")) if "box" in request.fixturenames else None
    yield
    assert list(own.iterdir()) == []
    if before is not None:
        box = request.getfixturevalue("box")
        assert list(box.tmp.iterdir()) == []
        assert processes(box) == before


def processes(box: Container) -> str:
    """The command lines of the processes in a container, except for those that list them."""
    lines = box.run("sh", "-c", "for one in /proc/[0-9]*; do tr '\\0' ' ' <$one/cmdline; echo; done").splitlines()
    return "\n".join(line for line in lines if line and not line.startswith(("sh -c for", "tr ")))


def svc_trace(
    box: Container | tuple[str, ...], *command: str, directory: Path, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    enter = box.exec if isinstance(box, Container) else box
    words = [*PROGRAM, *options, "--enter", " ".join(enter), "--", *command]
    return subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def report_in(directory: Path) -> dict[str, Any]:
    return dict(json.loads((directory / "svc-trace.json").read_text()))


@pytest.fixture
def outside(box: Container) -> Iterator[None]:
    """A server that is not in the container, at a socket that it shares."""
    serve = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o777);"
        "s.listen(); print(flush=True)\nwhile True:\n c, _ = s.accept()\n c.recv(100)\n c.sendall(b'yes')"
    )
    path = box.app / "outside.sock"
    with subprocess.Popen([sys.executable, "-c", serve, path], stdout=subprocess.PIPE) as server:
        assert server.stdout
        assert server.stdout.readline()
        yield
        server.kill()
    path.unlink()


@pytest.mark.usefixtures("outside")
def test_a_suite_in_a_container(box: Container, backend: str, tmp_path: Path) -> None:
    (box.app / "test_it.py").write_text(SUITE)
    (tmp_path / "svc-trace.toml").write_text(RULES)
    done = svc_trace(box, *PYTEST, directory=tmp_path, options=("--backend", backend, "--strict"))
    assert done.returncode == 1, done.stderr
    assert "1 failed, 5 passed" in done.stdout
    report = report_in(tmp_path)
    assert report["run"]["complete"]
    assert report["run"]["command"] == [*box.exec, *PYTEST]
    assert {name.partition("::")[2]: test["services"] for name, test in report["tests"].items()} == {
        "test_none": [],
        "test_inside": ["redis"],
        "test_outside": ["outside"],
        "test_pool[1]": ["redis"],
        "test_pool[2]": ["redis"],
        "test_fails": [],
    }
    (evidence,) = report["tests"]["test_it.py::test_pool[2]"]["evidence"]
    assert (evidence["how"], evidence["asked"]) == ("direct", True)


IDENTITY = """
import json, os
with open("/proc/self/status") as lines:
    status = {name: value.split() for name, value in (line.split(":", 1) for line in lines)}
kept = "Uid Gid Groups NStgid SigBlk SigIgn CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Seccomp_filters"
own = {name: status.get(name) for name in kept.split()}
own["NStgid"] = len(own["NStgid"])
print(json.dumps([own, {name: os.readlink("/proc/self/ns/" + name) for name in os.listdir("/proc/self/ns")},
    open("/proc/self/cgroup").read(), os.getcwd(), os.umask(0), sorted(os.listdir("/proc/self/fd"))[:-1],
    os.getsid(0) == os.getpid(), {name: value for name, value in os.environ.items() if name not in
                                  ("SVC_TRACE_FIFO", "PYTHONPATH", "PIP_EXCLUDE", "PWD")}]))
"""


def test_the_command_gets_what_the_entering_command_gives(box: Container, tmp_path: Path) -> None:
    """Its ids, capabilities, filters, namespaces, cgroups, directory, descriptors and variables are those of runc."""
    expected = json.loads(box.run(sys.executable, "-c", IDENTITY))
    done = svc_trace(box, sys.executable, "-c", IDENTITY, directory=tmp_path)
    assert json.loads(done.stdout) == expected
    assert expected[-1]["GREETING"] == "hello"


def test_options_of_the_entering_command_apply(box: Container, tmp_path: Path) -> None:
    """They can leave no other directory for temporary files than /dev/shm, as in a container that is read-only."""
    box.tmp.chmod(0o755)
    *words, name = box.exec
    enter = (*words, "--user", "12:34", "--env", "PYTHONPATH=/x", "--env", "TMPDIR=/none", "--cwd", "/usr", name)
    code = "import os; print(os.getuid(), os.getgid(), os.environ['PYTHONPATH'], os.getcwd())"
    done = svc_trace(enter, sys.executable, "-c", code, directory=tmp_path)
    assert done.returncode == 0, done.stderr
    uid, gid, path, directory = done.stdout.split()
    assert (uid, gid, directory) == ("12", "34", "/usr")
    assert path.startswith("/dev/shm/svc-trace-")
    assert path.endswith("/plugins:/x")
    assert box.run("ls", "/dev/shm") == ""
    box.tmp.chmod(0o1777)


def test_plugins_that_are_not_loaded_by_themselves(box: Container, tmp_path: Path) -> None:
    *words, name = box.exec
    (box.app / "test_it.py").write_text("def test_it(): pass")
    enter = (*words, "--env", "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1", name)
    assert svc_trace(enter, *PYTEST, directory=tmp_path).returncode == 0
    assert list(report_in(tmp_path)["tests"]) == ["test_it.py::test_it"]


def test_standard_streams(box: Container, tmp_path: Path) -> None:
    words = [*PROGRAM, "-q", "--enter", " ".join(box.exec), "--", "sh", "-c", "tr a-z A-Z; echo wrong >&2"]
    done = subprocess.run(words, cwd=tmp_path, input="hello", capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("HELLO", "wrong\n", 0)


@pytest.mark.parametrize(
    ("enter", "command", "status", "message"),
    [
        (("EXEC",), ("true ", "no-such-program"), 127, "command not found in the container: true "),
        (("EXEC", "-x"), ("true",), 69, "-x` ended with status "),
        (("false",), ("true",), 69, "`false` ended with status 1"),
        (("true",), ("true",), 69, "`true` ended with status 0"),
        (("no-such-engine", "exec", "web"), ("true",), 127, "command not found: no-such-engine"),
        (("yes",), ("true",), 69, "`yes` ended with status "),
        (("/etc/passwd",), ("true",), 126, "cannot execute /etc/passwd: Permission denied"),
    ],
)
def test_what_cannot_be_entered(
    enter: tuple[str, ...], command: tuple[str, ...], status: int, message: str, box: Container, tmp_path: Path
) -> None:
    words = tuple(part for word in enter for part in (box.exec if word == "EXEC" else (word,)))
    done = svc_trace(words, *command, directory=tmp_path)
    assert done.returncode == status, done.stderr
    assert f"svc-trace: error: {message}" in done.stderr or message in done.stderr
    assert not (tmp_path / "svc-trace.json").exists()


def test_a_terminal(box: Container, tmp_path: Path) -> None:
    """Ctrl-C in the container's terminal reaches the command only; it interrupts it once."""
    *words, name = box.exec
    enter = " ".join((*words, "--tty", name))
    code = (
        "import os, signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
        "print('ready', os.isatty(0), os.isatty(1), flush=True)\n"
        "signal.sigwait({signal.SIGINT})\n"
        "print('received', 1 + len(signal.sigpending()))\n"
        "sys.exit(7)\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execv(sys.executable, [*PROGRAM, "-q", "--enter", enter, "--", sys.executable, "-c", code])
    said = b""
    while b"ready" not in said or not said.endswith(b"\n"):
        said += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    with suppress(OSError):  # the end of the terminal
        while part := os.read(terminal, 1000):
            said += part
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert b"ready True True" in said
    assert b"received 1" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_the_entering_command_passes_on(number: int, box: Container, tmp_path: Path) -> None:
    assert status_after_signal(box.exec, number, box, tmp_path) == 40 + number


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_ends_only_the_entering_command(number: int, box: Container, tmp_path: Path) -> None:
    """`docker exec` without a terminal ends at SIGINT with status 0; the command in the container goes on."""
    client = tmp_path / "client.py"
    client.write_text(
        "import os, signal, subprocess, sys\n"
        "own = subprocess.Popen(sys.argv[1:], start_new_session=True)\n"
        "for number in signal.SIGINT, signal.SIGTERM: signal.signal(number, lambda *_: os._exit(0))\n"
        "sys.exit(own.wait())\n"
    )
    enter = (sys.executable, str(client), *box.exec)
    assert status_after_signal(enter, number, box, tmp_path) == 128 + number
    assert (box.app / "received").read_text() == str(number)


def status_after_signal(enter: tuple[str, ...], number: int, box: Container, directory: Path) -> int:
    """The status of a run that gets a signal as soon as its command can take it. The command takes it, and ends."""
    code = (
        "import pathlib, signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {2, 15})\n"
        "print('ready', flush=True)\n"
        "number = signal.sigwait({2, 15})\n"
        "pathlib.Path('/app/received').write_text(str(int(number)))\n"
        "sys.exit(40 + number)\n"
    )
    (box.app / "received").unlink(missing_ok=True)
    words = [*PROGRAM, "-q", "--enter", " ".join(enter), "--", sys.executable, "-c", code]
    with subprocess.Popen(
        words, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, process_group=0
    ) as run:
        assert run.stdout
        assert run.stdout.readline() == "ready\n"
        run.send_signal(number)
        return run.wait(LIMIT_S)


def test_a_suite_that_removes_the_directory(box: Container, tmp_path: Path) -> None:
    (box.app / "test_it.py").write_text(
        "import os, pathlib, shutil\ndef test_it(): shutil.rmtree(pathlib.Path(os.environ['SVC_TRACE_FIFO']).parent)\n"
    )
    assert svc_trace(box, *PYTEST, directory=tmp_path).returncode == 0
    run = report_in(tmp_path)["run"]
    assert not run["complete"]
    assert "damaged-run-directory" in [warning["slug"] for warning in run["warnings"]]


def test_the_next_run_removes_what_a_killed_one_left(box: Container, tmp_path: Path) -> None:
    """The command of the killed run goes on, and its directory stays as long as it runs."""
    code = "print('ready', flush=True); import sys; sys.stdin.read()"
    words = [*PROGRAM, "-q", "--enter", " ".join(box.exec), "--", sys.executable, "-c", code]
    with subprocess.Popen(words, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdin
        assert run.stdout
        assert run.stdout.readline() == "ready\n"
        run.kill()
        run.wait()
        (left,) = box.tmp.iterdir()
        assert svc_trace(box, "true", directory=tmp_path).returncode == 0
        assert list(box.tmp.iterdir()) == [left]
        run.stdin.close()
        assert run.stdout.read() == ""  # the end of the command
    until_ended(box)
    assert svc_trace(box, "true", directory=tmp_path).returncode == 0


def until_ended(box: Container) -> None:
    """Wait until only the first process is left."""
    until = time.monotonic() + LIMIT_S
    while "sys.stdin.read()" in processes(box):
        assert time.monotonic() < until


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    for options in ("--only", ""), ("--backend", "strace"):
        done = svc_trace(("env",), "true", directory=tmp_path, options=options)
        assert done.returncode == 64
        assert "--enter" in done.stderr
    for enter in ("'", ""):
        done = subprocess.run([*PROGRAM, "--enter", enter, "--", "true"], capture_output=True, text=True, check=False)
        assert done.returncode == 64
        assert "--enter" in done.stderr


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    with new_user() as made:
        yield made


def test_everything_is_entered_as_the_user(user: User) -> None:
    """Also the programs that make and remove the directory. The user's own processes show their Python."""
    log = user.home / "log"
    entrance = user.home / "entrance"
    entrance.write_text(f'#!/bin/sh\n{{ id -ru; id -u; id -Gn; }} >>{log}\nexec "$@"\n')
    entrance.chmod(0o755)
    suite = user.home / "test_it.py"
    suite.write_text(f"import os\ndef test_it(): assert os.getuid() == {user.uid}")
    user.take_over()
    pytest_of_tests = f"import sys; sys.path[:0] = {sys.path!r}; import pytest; sys.exit(pytest.main())"
    command = (user.program, "--sudo", "--enter", "./entrance", "--", user.python, "-c", pytest_of_tests)
    done = user.run(*command)
    assert done.returncode == 0, done.stderr
    ids = log.read_text().splitlines()
    names = subprocess.run(["id", "-Gn", user.name], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    assert ids[0::3] == ids[1::3] == [str(user.uid)] * 3
    assert [sorted(one.split()) for one in ids[2::3]] == [sorted(names)] * 3
    report = report_in(user.home)
    assert report["run"]["complete"]
    assert report["run"]["lacks_causes"] == ""
    assert user.files_of_others() == []


def test_an_ordinary_user_is_told_to_become_root(user: User) -> None:
    done = user.run(user.program, "--enter", "env", "--", "true")
    assert done.returncode == 69
    assert b"--sudo" in done.stderr


def test_the_process_in_a_container_may_be_out_of_the_users_sight(user: User, box: Container) -> None:
    """Then the run says that causes are unknown; all else is as it should be."""
    (box.app / "test_it.py").write_text("import socket\ndef test_it(): socket.create_connection(('127.0.0.1', 6379))")
    enter = "sudo " + " ".join(box.exec)
    done = user.run(user.program, "--sudo", "--enter", enter, "--", *PYTEST)
    assert done.returncode == 0, done.stderr
    report = report_in(user.home)
    assert report["run"]["complete"]
    assert "may not look" in report["run"]["lacks_causes"]
    assert report["tests"]["test_it.py::test_it"]["services"] == ["redis"]
