"""Where cgroup v2 is, and where in it a process is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracer.record.refusal.hierarchy import _below, mounts, own_cgroup

HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:5 master:2 - cgroup2 cgroup2 rw
"""
CONTAINER = "733 730 0:26 /docker/0a /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n"
TWO = CONTAINER + "90 1 0:26 /a\\040b /mnt/c\\134d rw - cgroup2 none rw\n91 1 0:26 / /mnt/ro rw - cgroup2 none ro\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HYBRID, [(Path("/sys/fs/cgroup/unified"), "/")]),
        (CONTAINER, []),
        (TWO, [(Path("/mnt/c\\d"), "/a b")]),
    ],
)
def test_mounts_that_can_be_written(text: str, expected: list[tuple[Path, str]]) -> None:
    assert [*mounts(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9:name=systemd:/\n4:memory:/a\n0::/user.slice/b:c\n", "/user.slice/b:c"),
        ("0::/\n", "/"),
        ("4:memory:/a\n", "/"),  # version 2 was never mounted
    ],
)
def test_the_own_cgroup(text: str, expected: str) -> None:
    assert own_cgroup(text) == expected


@pytest.mark.parametrize(
    ("within", "own", "expected"),
    [
        ("/", "/", ""),
        ("/", "/a/b", "a/b"),
        ("/a", "/a/b", "b"),
        ("/a", "/a", ""),
        ("/a", "/ab", ""),  # elsewhere, from here on: the mount's root
        ("/docker/0a", "/", ""),
        ("/", "/../other", ""),
        ("/", "/a/gone (deleted)", ""),
    ],
)
def test_the_own_directory(within: str, own: str, expected: str, tmp_path: Path) -> None:
    for name in ("a/b", "b", "ab"):
        (tmp_path / name).mkdir(parents=True)
    assert _below(tmp_path, within, own) == tmp_path / expected
