from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tracer.errors import ExitStatus, SvcTraceError
from tracer.reports.output import write_file
from tracer.trace.destination import check_writable, make_directory
from tracer.trace.file import TraceWriter

Write = Callable[[Path], None]


def write_report(path: Path) -> None:
    write_file(path, [b"data"])


def write_trace(path: Path) -> None:
    TraceWriter(path).close()


@pytest.fixture(params=[write_report, write_trace, check_writable], ids=["report", "trace", "check"])
def write(request: pytest.FixtureRequest) -> Write:
    """A function that writes a file, or checks before the run that it can be written."""
    function: Write = request.param
    return function


def assert_refused(write: Write, path: Path, reason: str) -> None:
    with pytest.raises(SvcTraceError, match=reason) as raised:
        write(path)
    assert (raised.value.slug, raised.value.exit_code) == ("cannot-write", ExitStatus.CANNOT_WRITE)


def test_a_fifo_is_refused_and_not_waited_for(write: Write, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r")
    assert_refused(write, tmp_path / "r", "neither a regular file")


def test_a_socket_is_refused(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # its path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("r")
        assert_refused(write, Path("r"), "neither a regular file")


@pytest.fixture
def open_directory(tmp_path: Path) -> Path:
    """A directory like /tmp."""
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(0o1777)
    return directory


def test_a_link_where_others_may_write_is_refused(write: Write, tmp_path: Path, open_directory: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (open_directory / "r").symlink_to(tmp_path / "target")
    assert_refused(write, open_directory / "r", "symbolic link")
    assert (tmp_path / "target").read_bytes() == b"old"


def test_a_link_that_leads_there_is_refused(write: Write, tmp_path: Path, open_directory: Path) -> None:
    (open_directory / "second").symlink_to(tmp_path / "target")
    (tmp_path / "first").symlink_to(open_directory / "second")
    assert_refused(write, tmp_path / "first", "symbolic link")
    assert not (tmp_path / "target").exists()


def test_links_in_a_circle_are_refused(write: Write, tmp_path: Path) -> None:
    (tmp_path / "r").symlink_to("r")
    assert_refused(write, tmp_path / "r", "Too many levels")


def test_a_link_of_ones_own_stays_one(write: Write, tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "r").symlink_to("artifacts/r")
    write(tmp_path / "r")
    assert (tmp_path / "r").is_symlink()
    assert (tmp_path / "artifacts" / "r").exists() == (write is not check_writable)


def test_a_trace_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """It contains first bytes of connections, and so passwords."""
    before = os.umask(0)
    try:
        writer = TraceWriter(tmp_path / "t")
        assert (tmp_path / "t.partial").stat().st_mode & 0o777 == 0o600
        writer.close()
    finally:
        os.umask(before)
    assert (tmp_path / "t").stat().st_mode & 0o777 == 0o600


def test_a_report_has_the_usual_mode(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_report(tmp_path / "r")
    finally:
        os.umask(before)
    assert (tmp_path / "r").stat().st_mode & 0o777 == 0o640


def test_the_partial_trace_of_an_earlier_run_is_replaced(tmp_path: Path) -> None:
    left = tmp_path / "t.partial"
    left.write_bytes(b"left")
    with left.open("rb") as file:
        write_trace(tmp_path / "t")
        assert file.read() == b"left"  # another file
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_what_else_is_at_the_partial_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "t.partial").symlink_to("target")
    assert_refused(write_trace, tmp_path / "t", "another file is in the way")
    assert (tmp_path / "target").read_bytes() == b"old"


def test_a_file_that_was_replaced_while_it_was_written_is_not_put_in_place(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        (partial,) = tmp_path.glob(".svc-trace-*.partial")
        partial.unlink()
        partial.write_bytes(b"another's")
        yield b"data"

    with pytest.raises(SvcTraceError, match="another file is at"):
        write_file(tmp_path / "r", parts())
    assert not (tmp_path / "r").exists()


def test_a_descriptor_of_the_process_is_written_to(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/stderr"):
        check_writable(Path(name))
        write_report(Path(name))
    assert capfd.readouterr() == ("data" * 4, "data")
    assert not Path("-").exists()


def test_a_character_device_is_written_to() -> None:
    check_writable(Path("/dev/null"))
    write_report(Path("/dev/null"))
    assert_refused(write_report, Path("/dev/full"), "No space left")
    assert_refused(write_trace, Path("/dev/null"), "not a regular file")


def test_a_directory_is_made_once(tmp_path: Path) -> None:
    for _ in range(2):
        assert make_directory(tmp_path / "d") == tmp_path / "d"
    assert (tmp_path / "d").is_dir()


def test_a_directory_may_be_a_link_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "d").symlink_to("elsewhere")
    assert make_directory(tmp_path / "d") == tmp_path / "elsewhere"
    assert (tmp_path / "d").is_symlink()
    assert (tmp_path / "elsewhere").is_dir()


def test_a_directorys_link_where_others_may_write_is_refused(tmp_path: Path, open_directory: Path) -> None:
    (open_directory / "d").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic link"):
        make_directory(open_directory / "d")
    assert not (tmp_path / "target").exists()


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(b"old")
    with pytest.raises(NotADirectoryError):
        make_directory(tmp_path / "d")
    assert (tmp_path / "d").read_bytes() == b"old"
