"""Finds the process that waits in the container to become the command, and takes its FIFOs.

The container is not trusted. Root enters none of its namespaces, executes none of its programs and follows none of its
paths: it takes descriptors that the process has open, looks at what they are before it opens them, and accepts FIFOs.
The process is the one that knows the run's secret, so no other user can put another process in its place.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from tracer.record.boundary.fifo import Fifo
from tracer.record.entering.entrance import Place
from tracer.record.names.regular_file import handle_of

GO, BOUNDARIES = 8, 9
"""The descriptors of the FIFOs in the process that waits (wait.sh)."""
_MISSING: Final = "missing"
_ANSWER_LIMIT: Final = 4096


class Waiting:
    """A process that waits. Everything is closed by `close`.

    Attributes:
        pid: its pid in this process's pid namespace. It is certain to be its own as long as `is_alive`.
        has_program: whether the container has the command's program.
        pidfd: a descriptor of it.
        boundaries: the FIFO, by a path of this process.
    """

    def __init__(self, pid: int, secret: str) -> None:
        """Take the FIFOs of a process.

        Raises:
            OSError: it has ended, has no such FIFOs, or does not know the secret (yet).
        """
        self.pid = pid
        with ExitStack() as opened:
            self.pidfd = os.pidfd_open(pid)
            opened.callback(os.close, self.pidfd)
            boundaries = opened.enter_context(_fifo_of(pid, BOUNDARIES))
            reading = os.open(f"/proc/self/fd/{boundaries}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                answer = os.read(reading, _ANSWER_LIMIT).decode(errors="replace").split()
            finally:
                os.close(reading)
            if not answer or answer[0] != secret:
                raise PermissionError(errno.EPERM, "it does not know the secret")
            self.has_program = answer[1:] != [_MISSING]
            go = opened.enter_context(_fifo_of(pid, GO))
            self._go = os.open(f"/proc/self/fd/{go}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            opened.callback(os.close, self._go)
            if not self.is_alive:
                raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
            self.boundaries = Path(f"/proc/self/fd/{boundaries}")
            self._opened = opened.pop_all()

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return not poll.poll(0)

    def release(self) -> None:
        """Let it become the command."""
        os.write(self._go, b"go\n")

    def close(self) -> None:
        """Close what was taken."""
        self._opened.close()


class TakenFifo(Fifo):
    """A FIFO in the container. Its directory cannot be looked at from here: what happened to it is known at the end."""

    damaged = False  # also the hook
    was_silenced = False

    def __init__(self, path: Path) -> None:
        """`path`: of this process's own descriptor."""
        self._open(path)

    def is_displaced(self) -> bool:
        """Whether hooks could not report, as far as that is known."""
        return self.damaged

    @property
    def silenced(self) -> bool:
        """Whether any hook has stopped reporting, as far as that is known."""
        return self.was_silenced

    def _remove(self) -> None:
        """Do nothing: it is removed with its directory."""


def find_waiting(place: Place, words: Sequence[str]) -> Waiting | None:
    """The process in the place's pid namespace that has this command line, and the secret; None: there is none yet.

    To be called as root.
    """
    command_line = b"".join(os.fsencode(word) + b"\0" for word in words)
    for pid in _pids_in(place.namespace):
        with suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes() == command_line:
                return Waiting(pid, place.secret)
    return None


def _pids_in(namespace: int) -> Iterator[int]:
    for name in os.listdir("/proc"):  # noqa: PTH208 -- many times a second
        if name.isdecimal():
            with suppress(OSError):  # it has ended
                if os.stat(f"/proc/{name}/ns/pid").st_ino == namespace:  # noqa: PTH116
                    yield int(name)


@contextmanager
def _fifo_of(pid: int, number: int) -> Iterator[int]:
    """A handle of a FIFO that a process has open."""
    with handle_of(f"/proc/{pid}/fd/{number}") as handle:
        if not stat.S_ISFIFO(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a FIFO")
        yield handle
