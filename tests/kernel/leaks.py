"""What a test may leave behind: nothing. Other sessions and workers are at work on the same machine."""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

GRACE_S: Final = 20.0
"""How long to wait: the kernel frees programs some time after their last user is gone, without notice."""


def open_files() -> dict[str, str]:
    """This process's: descriptor → what it is."""
    files = {}
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own
            files[entry.name] = str(entry.readlink())
    return files


def temporary_files() -> set[Path]:
    """The session's own: no other program, session or worker has this directory."""
    return set(Path(tempfile.gettempdir()).iterdir())


def mounts(directory: Path) -> list[str]:
    """What svc-trace can leave mounted: cgroup version 2, and what hides sockets. Others may come and go meanwhile."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if " - cgroup2 " in line or str(directory) in line]


@contextmanager
def unloading(kind: str, grace_s: float = GRACE_S) -> Iterator[None]:
    """Fail if what is done in here leaks BPF programs (`prog`) or links (`link`).

    Programs of other sessions do not count, nor those that appear after the end. The kernel may free the others late.
    """
    before = _bpf_ids(kind)
    yield
    leaked = _bpf_ids(kind) - before
    until = time.monotonic() + grace_s
    while leaked := leaked & _bpf_ids(kind) - _held_by_others(kind):
        assert time.monotonic() < until, f"BPF {kind}s are left: {leaked}"
        time.sleep(0.005)


def _bpf_ids(kind: str) -> set[int]:
    """All of the machine."""
    library = ctypes.CDLL("libbpf.so.1")
    next_id = getattr(library, f"bpf_{kind}_get_next_id")
    number, ids = ctypes.c_uint32(0), set()
    while next_id(number, ctypes.byref(number)) == 0:
        ids.add(number.value)
    return ids


def _held_by_others(kind: str) -> set[int]:
    """What a process has open that this session did not start."""
    numbers: set[int] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ends while we look, or is out of our reach
            if not _started_by_this_session(process):
                for file in (process / "fdinfo").iterdir():
                    numbers.update(map(int, re.findall(rf"^{kind}_id:\t(\d+)$", file.read_text(), re.MULTILINE)))
    return numbers


def _started_by_this_session(process: Path) -> bool:
    """Whether a process of /proc is ours, with any parent: it inherited the session's temporary directory."""
    own = f"TMPDIR={tempfile.gettempdir()}".encode()
    return int(process.name) == os.getpid() or own in (process / "environ").read_bytes().split(b"\0")
