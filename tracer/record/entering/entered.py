"""The command in a container, in place of a `Child` on this machine."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from tracer.record.capture.protocol import Wrapper
from tracer.record.entering.entrance import Entrance, inside
from tracer.record.entering.waiting import TakenFifo, Waiting, find_waiting
from tracer.record.invoker import Invoker
from tracer.record.launch import Child, cannot_execute
from tracer.record.run_directory import hook_files

_TURN_S: Final = 0.01
_LONGEST_S: Final = 60
"""How long the entering command may take to start a process."""
_UNREADABLE: Final = "svc-trace's user may not look where the processes in the container have their Python"


class Entered:
    """The command's process in a container, and the entering command, which has its streams and its exit status.

    The entering command is a child of the tracer, but not traced. The process is traced, but no child of the tracer.
    """

    def __init__(self, words: Sequence[str], command: Sequence[str], invoker: Invoker) -> None:
        """Make the run's directory in the container. `words`: the entering command.

        Raises:
            SvcTraceError: it does not enter a container, or nothing can be written there.
        """
        self._entrance = Entrance(words, invoker)
        self._program = command[0]
        self._invoker = invoker
        self._place = self._entrance.prepare(hook_files())
        self._own_words = inside("wait.sh", self._place.directory, *command)
        self._waiting: Waiting | None = None
        self._fifo: TakenFifo | None = None
        self._status: int | None = None  # of the entering command, which has ended
        self._received: int | None = None  # a signal that the entering command got, and perhaps did not pass on
        self._senders: list[subprocess.Popen[bytes]] = []
        self._begun = self._removed = False
        self.lacks_causes = ""
        try:
            self._child = Child([*words, *self._own_words], invoker)
        except BaseException:
            self._remove()
            raise

    @property
    def pid(self) -> int:
        """The pid of the command's process, as this process sees it; known after `fifo`."""
        assert self._waiting
        return self._waiting.pid

    def fifo(self, _: Path) -> TakenFifo:
        """Start the entering command, and take the FIFO in the container as soon as the process waits there.

        Raises:
            SvcTraceError: cannot-enter; or the container does not have the command's program.
        """
        self._begun = True
        self._child.release({})
        until = time.monotonic() + _LONGEST_S
        while True:
            with self._invoker.root():
                self._waiting = find_waiting(self._place, self._own_words)
            if self._waiting:
                break
            if received := self._child.wait(_TURN_S):
                self._end_child(received.si_signo)
            if (status := self._child.poll()) is not None:
                self._status = status
                raise self._entrance.cannot_enter(f"ended with status {status} before the command began")
            if time.monotonic() > until:
                raise self._entrance.cannot_enter("starts no process that svc-trace can see on this machine")
        if not self._waiting.has_program:
            raise cannot_execute(self._program, errno.ENOENT, " in the container")
        with self._invoker.root():
            self._fifo = TakenFifo(self._waiting.boundaries)
        try:
            Path(f"/proc/{self.pid}/maps").open().close()  # as the user, who reads those of its processes later
        except OSError:
            self.lacks_causes = _UNREADABLE
        return self._fifo

    def release(
        self, added: Mapping[str, str], wrapper: Wrapper | None = None, hidden: Collection[str] = frozenset()
    ) -> None:
        """Let the command begin. Its shell adds the variables; there is no wrapper, and nothing is hidden.

        Raises:
            SvcTraceError: cannot-enter. The process has ended, so another one may have got its pid.
        """
        assert self._waiting
        if not self._waiting.is_alive:
            raise self._entrance.cannot_enter("started a process that ended before the command began")
        self._waiting.release()

    def abandon(self) -> None:
        """Let a command that was never released end."""
        if not self._begun:
            self._child.abandon()
            return
        self._senders.append(self._entrance.signal(self._place.directory, "KILL"))
        if self._status is None and not self._waiting:
            self._end_child(signal.SIGTERM)

    def _end_child(self, number: int) -> None:
        with self._invoker.root(), suppress(OSError):
            os.kill(self._child.pid, number)

    def join(self) -> None:
        """Wait for the entering command's end, and remove what is in the container."""
        for sender in self._senders:
            with suppress(subprocess.TimeoutExpired):
                sender.wait(_LONGEST_S)
        self._child.join()
        self._remove()
        if self._waiting:
            self._waiting.close()

    def pidfd(self) -> int:
        """A new descriptor of the command's process."""
        assert self._waiting
        return os.dup(self._waiting.pidfd)

    def wait(self, seconds: float) -> signal.struct_siginfo | None:
        """As `Child.wait`."""
        return self._child.wait(seconds)

    def take(self, received: int, *, reached: bool) -> None:
        """Send a signal to the entering command, as without svc-trace, unless it has `reached` that already.

        If the entering command ends before the command, as `docker exec` without a terminal does, the command gets the
        signal, too.
        """
        self._received = received
        if self._status is None and not reached:
            with suppress(PermissionError):  # such as sudo, which has root's ids
                os.kill(self._child.pid, received)

    def poll(self) -> int | None:
        """The exit status of the entering command, as `Child.poll`, if it and the command have ended."""
        assert self._waiting
        assert self._fifo
        if self._status is None:
            self._status = self._child.poll()
        if self._status is None:
            return None
        if self._waiting.is_alive:
            if self._received is not None:
                name = signal.Signals(self._received).name.removeprefix("SIG")
                self._senders.append(self._entrance.signal(self._place.directory, name))
                self._status = 128 + self._received  # as in a shell; docker's own may be 0
                self._received = None
            return None
        self._remove()
        return self._status

    def _remove(self) -> None:
        """Remove the run's directory in the container, and note what has happened to it."""
        if self._removed:
            return
        self._removed = True
        ending = self._entrance.remove(self._place.directory)
        if self._fifo:
            self._fifo.damaged, self._fifo.was_silenced = ending.damaged, ending.silenced
