"""The process that waits in a container: which one is taken, and what is opened of it."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from struct import unpack

import pytest

from tracer.record.entering.entrance import Place, inside
from tracer.record.entering.waiting import BOUNDARIES, GO, Waiting, find_waiting

SECRET = "2a0c5d0e-5b0f-4a45-9a7e-3f0d3c7f4d0a"
LIMIT_S = 60
OWN_NAMESPACE = Path("/proc/self/ns/pid").stat().st_ino


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def make_directory(path: Path, secret: str = SECRET) -> Path:
    path.mkdir()
    (path / "secret").write_text(f"{secret}\n")
    for name in ("go", "boundaries"):
        os.mkfifo(path / name)
    return path


@contextmanager
def waits(directory: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """The real script, in a process that waits, or has ended."""
    with subprocess.Popen(inside("wait.sh", str(directory), *command), stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def until_written(directory: Path) -> None:
    """Wait until the process has written the secret, which can be read only once."""
    fifo = os.open(directory / "boundaries", os.O_RDONLY | os.O_NONBLOCK)
    until = time.monotonic() + LIMIT_S
    while not unpack("i", fcntl.ioctl(fifo, termios.FIONREAD, bytes(4)))[0]:
        assert time.monotonic() < until
    os.close(fifo)


def found(place: Place, *command: str) -> Waiting:
    words = inside("wait.sh", place.directory, *command)
    until = time.monotonic() + LIMIT_S
    while not (waiting := find_waiting(place, words)):
        assert time.monotonic() < until
    return waiting


def test_it_becomes_the_command_when_it_is_released(processes: ExitStack, tmp_path: Path) -> None:
    directory = make_directory(tmp_path / "d")
    process = processes.enter_context(waits(directory, "sh", "-c", "echo $$ $SVC_TRACE_FIFO"))
    waiting = found(Place(SECRET, OWN_NAMESPACE, str(directory)), "sh", "-c", "echo $$ $SVC_TRACE_FIFO")
    assert (waiting.pid, waiting.has_program, waiting.is_alive) == (process.pid, True, True)
    assert os.path.samestat(waiting.boundaries.stat(), (directory / "boundaries").stat())
    waiting.release()
    assert process.communicate()[0].decode().split() == [str(process.pid), str(directory / "boundaries")]
    assert not waiting.is_alive
    waiting.close()
    waiting.close()


def test_a_program_that_is_missing_is_known_before(processes: ExitStack, tmp_path: Path) -> None:
    directory = make_directory(tmp_path / "d")
    processes.enter_context(waits(directory, "no-such-program"))
    waiting = found(Place(SECRET, OWN_NAMESPACE, str(directory)), "no-such-program")
    assert not waiting.has_program
    waiting.close()


def test_a_process_that_does_not_know_the_secret_is_not_taken(processes: ExitStack, tmp_path: Path) -> None:
    """Another user sees the command line, and can start one with the same: its FIFOs are others."""
    own = make_directory(tmp_path / "own", "forged")
    directory = make_directory(tmp_path / "d")
    forged = processes.enter_context(waits(own, "true"))
    until_written(own)
    with pytest.raises(PermissionError):
        Waiting(forged.pid, SECRET)
    words = inside("wait.sh", str(own), "true")
    assert find_waiting(Place(SECRET, OWN_NAMESPACE, str(own)), words) is None
    real = processes.enter_context(waits(directory, "true"))
    waiting = found(Place(SECRET, OWN_NAMESPACE, str(directory)), "true")
    assert waiting.pid == real.pid
    waiting.close()


def test_a_process_of_another_pid_namespace_is_not_looked_at(processes: ExitStack, tmp_path: Path) -> None:
    directory = make_directory(tmp_path / "d")
    processes.enter_context(waits(directory, "true"))
    until_written(directory)
    words = inside("wait.sh", str(directory), "true")
    assert find_waiting(Place(SECRET, OWN_NAMESPACE + 1, str(directory)), words) is None
    found(Place(SECRET, OWN_NAMESPACE, str(directory)), "true").close()


@pytest.mark.parametrize("number", [GO, BOUNDARIES])
@pytest.mark.parametrize("kind", ["file", "device", "socket", "closed"])
def test_what_is_no_fifo_is_not_opened(kind: str, number: int, tmp_path: Path) -> None:
    with ExitStack() as stack:
        pipe = {GO: os.pipe(), BOUNDARIES: os.pipe()}
        os.write(pipe[BOUNDARIES][1], f"{SECRET}\n".encode())
        for end in (*pipe[GO], *pipe[BOUNDARIES]):
            stack.callback(os.close, end)
        (tmp_path / "file").touch()
        wrong = {
            "file": lambda: os.open(tmp_path / "file", os.O_RDWR),
            "device": lambda: os.open("/dev/null", os.O_RDWR),
            "socket": lambda: socket.socket().detach(),
        }.get(kind)
        given = {one: ends[0 if one == BOUNDARIES else 1] for one, ends in pipe.items()} | {
            number: wrong() if wrong else -1
        }
        if wrong:
            stack.callback(os.close, given[number])
        read, write = os.pipe()
        pid = os.posix_spawn(
            "/bin/cat",
            ["cat"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, read, 0),
                *((os.POSIX_SPAWN_DUP2, fd, one) for one, fd in given.items() if fd >= 0),
            ],
        )
        os.close(read)
        with pytest.raises(OSError, match=r"not a FIFO|No such file"):
            Waiting(pid, SECRET)
        os.close(write)
        os.waitpid(pid, 0)


def test_a_process_that_has_ended_is_not_taken() -> None:
    with subprocess.Popen("true") as process:
        process.wait()
    with pytest.raises(ProcessLookupError):
        Waiting(process.pid, SECRET)
