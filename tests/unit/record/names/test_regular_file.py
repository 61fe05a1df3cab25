from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tracer.record.names.regular_file import handle_of, read_regular


def test_a_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with handle_of(path) as handle:
        assert (read_regular(handle, 4), read_regular(handle, 10), read_regular(handle, 99)) == (
            b"0123",
            *[b"0123456789"] * 2,
        )


@pytest.mark.parametrize("kind", ["fifo", "socket", "directory", "device"])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with handle_of(path) as handle, pytest.raises(OSError, match="not a regular file"):
        read_regular(handle, 10)


def test_a_file_of_the_kernel_that_says_it_is_empty_is_not_read() -> None:
    with handle_of("/proc/self/stat") as handle:
        assert read_regular(handle, 10) == b""


def test_a_link_is_not_followed_if_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("secret")
    (tmp_path / "link").symlink_to("target")
    with handle_of(tmp_path / "link", os.O_NOFOLLOW) as handle, pytest.raises(OSError, match="not a regular file"):
        read_regular(handle, 10)
    with handle_of(tmp_path) as directory, handle_of("link", directory=directory) as handle:
        assert read_regular(handle, 10) == b"secret"


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    before = [*Path("/proc/self/fd").iterdir()]
    with handle_of(tmp_path) as handle, pytest.raises(OSError, match="not a regular file"):
        read_regular(handle, 10)
    with pytest.raises(FileNotFoundError), handle_of(tmp_path / "none"):
        pass
    assert [*Path("/proc/self/fd").iterdir()] == before
