"""The FIFO's reading end."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tracer.record.boundary.fifo import READ_LIMIT, Fifo


@pytest.fixture(autouse=True)
def no_leaks(tmp_path: Path) -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, of which one is the listing's own
    yield
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert not [path for path in tmp_path.iterdir() if path.is_fifo()]


def writing_end(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_NONBLOCK)


def test_it_is_its_makers_alone_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    with Fifo(path) as fifo:
        status = path.stat()
        assert stat.S_ISFIFO(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert fifo.read() == b""
    assert not path.exists()


def test_closing_twice_or_after_the_path_is_gone_is_fine(tmp_path: Path) -> None:
    fifo = Fifo(tmp_path / "fifo")
    fifo.path.unlink()
    fifo.close()
    fifo.close()


def test_another_file_at_its_path_is_noticed_and_left_alone(tmp_path: Path) -> None:
    with Fifo(tmp_path / "fifo") as fifo:
        assert not fifo.is_displaced()
        fifo.path.unlink()
        assert fifo.is_displaced()
        fifo.path.write_text("another file")
        assert fifo.is_displaced()
    assert fifo.path.read_text() == "another file"


def test_a_taken_path_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    path.write_text("another file")
    with pytest.raises(FileExistsError):
        Fifo(path)
    assert path.read_text() == "another file"


def test_writers_come_and_go(tmp_path: Path) -> None:
    with Fifo(tmp_path / "fifo") as fifo:
        for word in (b"one", b"two"):
            end = writing_end(fifo.path)
            os.write(end, word)
            os.close(end)
            assert fifo.read() == word
            assert fifo.read() == b""


def test_one_read_takes_all_there_is_but_no_flood(tmp_path: Path) -> None:
    with Fifo(tmp_path / "fifo") as fifo:
        end = writing_end(fifo.path)
        written = 0
        with suppress(BlockingIOError):
            while True:
                written += os.write(end, b"x" * 4096)
        os.close(end)
        assert 65536 <= written < READ_LIMIT
        assert len(fifo.read()) == written


def test_a_writer_hears_of_the_end(tmp_path: Path) -> None:
    with Fifo(tmp_path / "fifo") as fifo:
        end = writing_end(fifo.path)
    with pytest.raises(BrokenPipeError):
        os.write(end, b"late")
    os.close(end)


def test_children_do_not_inherit_it(tmp_path: Path) -> None:
    with Fifo(tmp_path / "fifo") as fifo:
        ends = [Path("/proc/self/fd", fd) for fd in os.listdir("/proc/self/fd")]  # noqa: PTH208
        ours = [int(end.name) for end in ends if end.exists() and end.samefile(fifo.path)]
        assert len(ours) == 2
        assert not any(os.get_inheritable(fd) for fd in ours)
