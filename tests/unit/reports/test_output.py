from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracer.errors import ExitStatus, SvcTraceError
from tracer.reports.output import write_file


def test_a_file_is_put_in_its_place(tmp_path: Path) -> None:
    for data in (b"first", b"second"):
        write_file(tmp_path / "r", [data[:2], data[2:]])
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("r", data)]


def test_a_name_that_ends_in_gz_is_packed_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a.json.gz", "b.json.gz"):
        write_file(tmp_path / name, [b"data"] * 1000)
    packed = (tmp_path / "a.json.gz").read_bytes()
    assert gzip.decompress(packed) == b"data" * 1000
    assert (tmp_path / "b.json.gz").read_bytes() == packed


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    link = tmp_path / "r"
    link.symlink_to("artifacts/r")
    write_file(link, [b"data"])
    assert link.is_symlink()
    assert (tmp_path / "artifacts" / "r").read_bytes() == b"data"


def test_what_is_no_regular_file_is_written_to(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        write_file(Path(f"/dev/fd/{writing}"), [b"data"])
        assert os.read(reading, 100) == b"data"
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("name", ["missing/r", "missing/r.gz", "directory"])
def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(SvcTraceError) as raised:
        write_file(tmp_path / name, [b"data"])
    assert (raised.value.slug, raised.value.exit_code) == ("cannot-write", ExitStatus.CANNOT_WRITE)
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]
    assert not list((tmp_path / "directory").iterdir())


def test_a_file_whose_parts_end_in_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"new"
        raise RuntimeError

    (tmp_path / "r").write_bytes(b"old")
    with pytest.raises(RuntimeError):
        write_file(tmp_path / "r", parts())
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("r", b"old")]
