"""The command as a child process: its start, its signals and its exit status."""

from __future__ import annotations

import errno
import json
import marshal
import os
import shutil
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from tracer.errors import ExitStatus, SvcTraceError
from tracer.record.boundary.fifo import Fifo
from tracer.record.capture.protocol import Wrapper
from tracer.record.invoker import Invoker

FORWARDED: Final = frozenset(
    {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
)
"""Signals that reach the command when they are sent to svc-trace."""

_STARTER: Final = Path(__file__).with_name("starter.py")


class Child:
    """The command's process. It waits, before the command's first instruction, until `release`.

    Attributes:
        pid: as this process sees it.
        lacks_causes: why it cannot be known which of the command's threads wakes which; empty: it can.
    """

    lacks_causes: str = ""

    def __init__(self, command: Sequence[str], invoker: Invoker) -> None:
        self._command = command
        self._invoker = invoker
        self._ended = False
        read_go, self._go = os.pipe()
        self._failed, write_failed = os.pipe()
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED | {signal.SIGCHLD})
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._go)
            os.close(self._failed)
            self._execute(read_go, write_failed)
        os.close(read_go)
        os.close(write_failed)

    def _execute(self, go: int, failed: int) -> None:
        try:
            with os.fdopen(go, "rb") as pipe:
                added = pipe.read()
            if not added:  # the tracer gave up or died
                os._exit(ExitStatus.CANNOT_TRACE)
            variables, wrapper, hidden = json.loads(added)
            if hidden:
                _hide(hidden, self._invoker, failed)
            with self._invoker.root():
                self._invoker.raise_limits()
            self._invoker.become()
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them; the command should not
                signal.signal(number, signal.SIG_DFL)
            environment = dict(self._invoker.environment) | variables
            program = _which(self._command[0], self._invoker.environment.get("PATH", os.defpath))
            words = list(self._command)
            if wrapper is not None:
                program, words, environment = _wrapped(wrapper, program, words, environment)
            self._invoker.set_limits()
            os.execve(program, words, environment)
        except OSError as error:
            os.write(failed, str(error.errno).encode())
        finally:
            os._exit(ExitStatus.CANNOT_TRACE)

    def release(
        self, added: Mapping[str, str], wrapper: Wrapper | None = None, hidden: Collection[str] = frozenset()
    ) -> None:
        """Let the command begin, with variables added to its environment; a `wrapper` executes it.

        `hidden` are paths of unix sockets that it does not see.

        Raises:
            SvcTraceError: the command cannot be executed (status 127 or 126, as a shell's), or the wrapper failed, or
                sockets cannot be hidden.
        """
        fields = (wrapper.arguments, str(wrapper.errors), dict(wrapper.environment)) if wrapper else None
        with os.fdopen(self._go, "wb") as pipe:
            pipe.write(json.dumps([dict(added), fields, sorted(hidden)]).encode())
        with os.fdopen(self._failed, "rb") as pipe:
            code = int(pipe.read() or 0)  # empty: closed by a successful exec
        if code == 0 and wrapper is not None:
            code = wrapper.exec_result()
        if code < 0:
            from tracer.record.refusal.hiding import cannot_hide

            raise cannot_hide(-code)
        if code:
            raise cannot_execute(self._command[0], code)

    def fifo(self, path: Path) -> Fifo:
        """The FIFO for the boundaries of the command's hooks, at this path, which does not exist yet."""
        return Fifo(path)

    def abandon(self) -> None:
        """Let a child that was never released end."""
        os.close(self._go)
        os.close(self._failed)

    def join(self) -> None:
        """Let signals act on the tracer again, without those that came too late for the child; wait for its end."""
        while signal.sigtimedwait(FORWARDED, 0):
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        if not self._ended:
            os.waitpid(self.pid, 0)
            self._ended = True

    def wait(self, seconds: float) -> signal.struct_siginfo | None:
        """Wait for the child's end, at most this long; return a signal for it, if one has come.

        If SIGSTOP and SIGCONT interrupt sigtimedwait(2) until its time is over, Python returns uninitialised memory as
        the signal. So the result of the first call means nothing. The second one does not wait.
        """
        signal.sigtimedwait({signal.SIGCHLD}, seconds)
        return signal.sigtimedwait(FORWARDED, 0)

    def pidfd(self) -> int:
        """A new descriptor of the command's process (pidfd_open(2))."""
        return os.pidfd_open(self.pid)

    def take(self, received: int, *, reached: bool) -> None:
        """Send the command a signal that the tracer received, unless it has `reached` the command already."""
        if not reached:
            os.kill(self.pid, received)

    def poll(self) -> int | None:
        """The exit status if the child has ended: its own, or 128 + the signal that killed it, as in a shell."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self._ended = True
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code


def _hide(paths: Sequence[str], invoker: Invoker, failed: int) -> None:
    from tracer.record.refusal.hiding import hide  # rarely needed

    try:
        hide(paths, invoker)
    except OSError as error:
        os.write(failed, b"%d" % -(error.errno or 0))
        os._exit(ExitStatus.CANNOT_TRACE)


def _which(program: str, path: str) -> str:
    """Find a program in the user's PATH, then in this interpreter's directory.

    Raises:
        FileNotFoundError: a bare name that is in none of these directories. The current one is not searched.
    """
    if os.sep in program:
        return program
    file = shutil.which(program, path=f"{path}{os.pathsep}{Path(sys.executable).parent}")
    if file is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
    return file


def _wrapped(
    wrapper: tuple[list[str], str, dict[str, str]], program: str, command: Sequence[str], environment: dict[str, str]
) -> tuple[str, list[str], dict[str, str]]:
    """The program, words and environment that execute a wrapper, and open its standard error.

    The wrapper executes the starter, which executes the command in its own environment.
    """
    arguments, errors, added = wrapper
    variables = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
    memory = os.memfd_create("command", 0)  # an environment may be longer than a pipe
    with os.fdopen(os.dup(memory), "wb") as file:
        marshal.dump((os.fsencode(program), [*map(os.fsencode, command)], variables), file)
    os.lseek(memory, 0, os.SEEK_SET)
    stderr = os.dup(2)
    os.set_inheritable(stderr, True)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), 2)
    words = [*arguments, sys.executable, "-I", "-S", "-B", str(_STARTER), str(memory), str(stderr)]
    return words[0], words, {**os.environ, **added}


def cannot_execute(program: str, code: int, where: str = "") -> SvcTraceError:
    """The error for a program that could not be executed; `code` is the errno."""
    if code == errno.ENOENT:
        return SvcTraceError(
            f"command not found{where}: {program}",
            hint="Give its path, or add its directory to PATH.",
            slug="command-not-found",
            exit_code=ExitStatus.NOT_FOUND,
        )
    return SvcTraceError(
        f"cannot execute {program}: {os.strerror(code)}",
        hint="Check its permissions and its first line (#!).",
        slug="command-not-executable",
        exit_code=ExitStatus.NOT_EXECUTABLE,
    )
