"""The run's own cgroup: the tree begins in it, so the programs that are attached to it act on the tree only."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from tracer.errors import SvcTraceError, cannot_trace
from tracer.record.refusal.hierarchy import hierarchies

PREFIX: Final = "svc-trace-"
_NAME: Final = re.compile(rf"{PREFIX}[a-z0-9_]{{8}}")  # as mkdtemp makes them
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_REMOVAL_S: Final = 5.0
"""How long to try to remove a cgroup: its processes may fork while they are moved, or be about to end."""
_TURN_MS: Final = 10


class RunCgroup:
    """A cgroup (version 2) with the command in it. It is removed by `remove`, or by a later run.

    Its owner holds a lock on its directory (flock(2)). A directory without a lock belongs to a run that was killed.

    Attributes:
        directory: descriptor of its directory, with the lock.
    """

    def __init__(self, parent: Path, own: Path, pid: int) -> None:
        """Create it in `parent` and move the process `pid` into it; `own` is the cgroup from which that comes.

        Raises:
            OSError: it cannot be created there, or not have processes. Nothing is left of it.
        """
        with ExitStack() as resources:
            self._parent = _opened(parent, resources)
            self._homes = (_opened(own, resources), self._parent)
            self._name, self.directory = _make_locked(parent)
            resources.callback(os.close, self.directory)
            try:
                _move(pid, self.directory)
            except OSError:
                os.rmdir(self._name, dir_fd=self._parent)
                raise
            self._resources = resources.pop_all()

    @classmethod
    def create(cls, pid: int) -> Self:
        """One below the cgroup of this process if that is possible; otherwise, at the top of the hierarchy.

        Raises:
            SvcTraceError: no-cgroup.
        """
        problems = []
        try:
            for hierarchy in hierarchies():
                parents = dict.fromkeys((hierarchy.own, hierarchy.root))
                for parent in parents:
                    _remove_leftovers(parent)
                for parent in parents:
                    try:
                        return cls(parent, hierarchy.own, pid)
                    except OSError as error:
                        problems.append(f"{parent}: {error.strerror}")
        except OSError as error:
            problems.append(f"mount: {error.strerror}")
        raise _no_cgroup(problems)

    def remove(self) -> bool:
        """Remove it, as root. Processes that are still in it are moved to the cgroup from which the command came.

        Returns whether it is gone.
        """
        return _removed(self._parent, self._name, self._homes, time.monotonic() + _REMOVAL_S)

    @property
    def descriptors(self) -> set[int]:
        """All that `remove` needs."""
        return {self.directory, *self._homes}

    def close(self) -> None:
        """Give up the lock."""
        self._resources.close()


def _no_cgroup(problems: Sequence[str]) -> SvcTraceError:
    return cannot_trace(
        f"there is no place for a cgroup (version 2) of the run: {'; '.join(problems)}",
        "Run it as root outside of a container, or in one with --privileged, so that it may write to /sys/fs/cgroup.",
        "no-cgroup",
    )


def _opened(path: Path, resources: ExitStack) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    resources.callback(os.close, descriptor)
    return descriptor


def _make_locked(parent: Path) -> tuple[str, int]:
    """Make a directory and lock it; another run may find it before it is locked, and remove it.

    The tree may read the files in it, such as its limits. No other user may lock it: that needs to open it.
    """
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            lock = os.open(path, _DIRECTORY)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            path.chmod(0o711)
            return path.name, lock
        os.close(lock)


def _remove_leftovers(parent: Path) -> None:
    """Remove the cgroups of runs that were killed: by name ours, and not locked."""
    with ExitStack() as resources:
        home = _opened(parent, resources)
        for name in filter(_NAME.fullmatch, _directories(home)):
            with suppress(OSError), _directory(name, home) as directory:  # OSError: in use, or gone
                fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _removed(home, name, (home,), time.monotonic() + _REMOVAL_S)


def _removed(parent: int, name: str, homes: Sequence[int], until: float) -> bool:
    """Remove a cgroup with those below it; returns whether it is gone.

    Processes are moved to the first one of `homes` that may have processes.
    """
    while True:
        try:
            with _directory(name, parent) as directory:
                if not all(_removed(directory, below, homes, until) for below in _directories(directory)):
                    return False
                _vacate(directory, homes)
            os.rmdir(name, dir_fd=parent)
            return True
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > until:
                return False


def _directories(parent: int) -> list[str]:
    with os.scandir(parent) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def _vacate(directory: int, homes: Sequence[int]) -> None:
    """Move all processes of a cgroup away, and wait a moment for those that are ending."""
    events = os.open("cgroup.events", os.O_RDONLY, dir_fd=directory)
    try:
        os.read(events, 4096)  # what changes from now on wakes the poll below
        processes = _read("cgroup.procs", directory).split()
        for pid in map(int, processes):
            if pid:  # 0: in a pid namespace that is not below this one
                _move_home(pid, homes)
        os.lseek(events, 0, os.SEEK_SET)
        if b"populated 1" in os.read(events, 4096):
            poll = select.poll()
            poll.register(events, select.POLLPRI)
            poll.poll(_TURN_MS)
    finally:
        os.close(events)


def _move_home(pid: int, homes: Sequence[int]) -> None:
    for home in homes:
        try:
            _move(pid, home)
            return
        except ProcessLookupError:
            return
        except OSError:  # a cgroup that may not have processes any more
            continue


def _move(pid: int, directory: int) -> None:
    descriptor = os.open("cgroup.procs", os.O_WRONLY, dir_fd=directory)
    try:
        os.write(descriptor, b"%d" % pid)
    finally:
        os.close(descriptor)


def _read(name: str, directory: int) -> bytes:
    with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=directory), "rb") as file:
        return file.read()


@contextmanager
def _directory(name: str, parent: int) -> Iterator[int]:
    descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
