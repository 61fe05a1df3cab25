"""Files in a directory like /tmp, in which another user was first."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tracer.reports.output import write_file
from tracer.trace.destination import check_writable, make_directory
from tracer.trace.file import TraceWriter

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as two users"),
]

VICTIM, ATTACKER = 60001, 60002  # users without an account


def as_user(uid: int, function: Callable[[], object]) -> str:
    """Call a function as this user in a child; returns its error, or an empty text."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            function()
        except BaseException as error:
            os.write(writing, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123 -- a descriptor
        problem = pipe.read().decode()
    os.waitpid(child, 0)
    return problem


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory like /tmp, which both users can reach. Below tmp_path, another pytest might make it root's alone."""
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o1777)
        yield Path(directory)


@pytest.fixture(params=[VICTIM, 0], ids=["user", "root"])
def victim(request: pytest.FixtureRequest) -> int:
    uid: int = request.param
    return uid


def write_trace(path: Path) -> None:
    TraceWriter(path).close()


def write_report(path: Path) -> None:
    write_file(path, [b"data"])


WRITERS = [write_report, write_trace, check_writable]


@pytest.mark.parametrize("write", WRITERS)
def test_another_users_link_is_refused(write: Callable[[Path], None], victim: int, shared: Path) -> None:
    mine, path = shared / "mine", shared / "r"
    assert as_user(victim, lambda: mine.write_bytes(b"old")) == ""
    assert as_user(ATTACKER, lambda: path.symlink_to(mine)) == ""
    assert "symbolic link" in as_user(victim, lambda: write(path))
    assert mine.read_bytes() == b"old"


@pytest.mark.parametrize("write", WRITERS)
def test_another_users_file_is_refused(write: Callable[[Path], None], victim: int, shared: Path) -> None:
    """Its owner could read what is written, and root could replace it."""
    path = shared / "r"
    assert as_user(ATTACKER, lambda: path.write_bytes(b"theirs")) == ""
    assert f"belongs to user {ATTACKER}" in as_user(victim, lambda: write(path))
    assert path.read_bytes() == b"theirs"


@pytest.mark.parametrize("kind", ["file", "link", "fifo"])
def test_another_users_partial_trace_is_refused(kind: str, victim: int, shared: Path) -> None:
    mine, partial = shared / "mine", shared / "t.partial"
    assert as_user(victim, lambda: mine.write_bytes(b"old")) == ""
    make = {
        "file": lambda: partial.write_bytes(b"theirs"),
        "link": lambda: partial.symlink_to(mine),
        "fifo": lambda: os.mkfifo(partial),
    }
    assert as_user(ATTACKER, make[kind]) == ""
    assert "another file is in the way" in as_user(victim, lambda: write_trace(shared / "t"))
    assert mine.read_bytes() == b"old"
    assert not (shared / "t").exists()


def test_a_name_that_nothing_has_is_no_obstacle(victim: int, shared: Path) -> None:
    assert as_user(victim, lambda: write_report(shared / "r")) == ""
    assert as_user(victim, lambda: write_report(shared / "r")) == ""  # its own file is replaced
    assert as_user(victim, lambda: write_trace(shared / "t")) == ""
    assert {path.name: path.stat().st_uid for path in shared.iterdir()} == {"r": victim, "t": victim}


def test_another_users_directory_is_refused(victim: int, shared: Path) -> None:
    """Its owner could read what is written there, and replace it."""
    theirs = shared / "d"
    assert as_user(ATTACKER, theirs.mkdir) == ""
    assert f"belongs to user {ATTACKER}" in as_user(victim, lambda: make_directory(theirs))


def test_another_users_link_to_a_directory_is_refused(victim: int, shared: Path) -> None:
    mine = shared / "mine"
    assert as_user(victim, mine.mkdir) == ""
    assert as_user(ATTACKER, lambda: (shared / "d").symlink_to(mine)) == ""
    assert "symbolic link" in as_user(victim, lambda: make_directory(shared / "d"))
    assert not list(mine.iterdir())
