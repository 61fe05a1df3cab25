"""Directories, mounts and names of processes."""

from __future__ import annotations

import pytest

from tracer.record.capture.strace.lines import Call
from tracer.record.capture.strace.tasks import Directories, Tree


@pytest.mark.parametrize(
    ("calls", "path", "expected"),
    [
        ([], "a/../b", "/srv/b"),
        ([("chdir", '"sub"')], "b", "/srv/sub/b"),
        ([("fchdir", "3</x y>")], "b", "/x y/b"),
        ([("chroot", '"/jail"')], "/b", "/jail/b"),
        ([("chroot", '"/jail"'), ("chroot", '"/inner"')], "/b", "/jail/inner/b"),
        ([("mount", '"/a", "/m", NULL, MS_BIND, NULL')], "/m/b", "/a/b"),
        ([("mount", '"/a", "/m", NULL, MS_RDONLY, NULL')], "/m/b", "/m/b"),
        ([("move_mount", '3</a>, "", AT_FDCWD, "/m", MOVE_MOUNT_F_EMPTY_PATH')], "/m/b", "/a/b"),
        ([("mount", '"/a", "/m", NULL, MS_BIND, NULL')], "/mb", "/mb"),
    ],
)
def test_paths_from_outside(calls: list[tuple[str, str]], path: str, expected: str) -> None:
    directories = Directories("/srv")
    for name, text in calls:
        directories.change(Call(7, 0, name, text, 0, "", 0))
    assert directories.from_outside(path) == expected


def test_long_names_are_cut_as_the_kernel_does() -> None:
    tree = Tree()
    tree.start(7, 0)
    tree.tasks[7].rename("a name of more than 15 bytes")
    assert tree.tasks[7].command == "a name of more "
