"""The command as a child: whose it is, what it inherits, its signals and its exit status."""

from __future__ import annotations

import errno
import json
import marshal
import os
import pwd
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tracer.errors import ExitStatus, SvcTraceError
from tracer.record.capture.protocol import Before

FORWARDED: Final = frozenset(
    {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
)
"""Signals that reach the command when they are sent to svc-trace."""

_STARTER: Final = Path(__file__).with_name("starter.py")
_RESET_BY_SUDO: Final = frozenset({"PATH", "HOME", "MAIL", "LOGNAME", "USER", "SHELL"})


@dataclass(frozen=True, slots=True)
class Invoker:
    """Who asked for the run. The command runs as this user, in this environment; so does the tracer, once loaded."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    environment: Mapping[str, str]

    @classmethod
    def find(cls) -> Invoker:
        """The user behind `sudo`, with the environment sudo took away; without sudo, the current user."""
        own = dict(os.environ)
        if os.geteuid() != 0 or "SUDO_UID" not in own:
            return cls(os.geteuid(), os.getegid(), tuple(os.getgroups()), own)
        uid = int(own["SUDO_UID"])
        gid = int(own.get("SUDO_GID", str(uid)))
        try:
            user = pwd.getpwuid(uid)
        except KeyError:  # a user that only sudo knows of
            return cls(uid, gid, (gid,), _restore(own, {}))
        account = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "SHELL": user.pw_shell}
        return cls(uid, gid, tuple(os.getgrouplist(user.pw_name, gid)), _restore(own, account))

    def become(self) -> None:
        """Give up root for good: groups, then gid, then uid, each real, effective and saved."""
        if os.geteuid() == 0 and self.uid != 0:
            os.setgroups(self.groups)
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)

    def which(self, program: str) -> str:
        """Find a program as the user's shell would; failing that, next to this interpreter.

        Raises:
            FileNotFoundError: a bare name that is in none of these folders. The current one is not searched.
        """
        if os.sep in program:
            return program
        path = self.environment.get("PATH", os.defpath)
        found = shutil.which(program, path=f"{path}{os.pathsep}{Path(sys.executable).parent}")
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
        return found


def _restore(own: dict[str, str], account: dict[str, str]) -> dict[str, str]:
    """What the user's environment was before sudo: sudo itself still has it, in /proc/PID/environ.

    What was given to sudo on its command line (`sudo NAME=value svc-trace …`) is kept.
    """
    kept = {name: value for name, value in own.items() if not name.startswith("SUDO_")}
    before = _environment_of_sudo()
    if before is not None:
        return before | {name: value for name, value in kept.items() if name not in _RESET_BY_SUDO}
    if sys.prefix != sys.base_prefix:
        kept["VIRTUAL_ENV"] = sys.prefix
        kept["PATH"] = f"{Path(sys.prefix, 'bin')}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept | account


def _environment_of_sudo() -> dict[str, str] | None:
    import psutil  # only needed here, and slow to import

    for ancestor in psutil.Process().parents():
        try:
            if Path(ancestor.exe()).name in ("sudo", "sudo-rs"):
                return ancestor.environ()
        except (psutil.Error, OSError):
            continue
    return None


class Child:
    """The command's process. It stands still, before its first instruction, until `release`."""

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
            self._invoker.become()
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them; the command should not
                signal.signal(number, signal.SIG_DFL)
            variables, before = json.loads(added)
            environment = dict(self._invoker.environment) | variables
            program = self._invoker.which(self._command[0])
            if before is not None:
                _execute_behind(Before(*before), program, self._command, environment)
            os.execve(program, list(self._command), environment)
        except OSError as error:
            os.write(failed, str(error.errno).encode())
        finally:
            os._exit(ExitStatus.CANNOT_TRACE)

    def release(self, added: Mapping[str, str], before: Before | None = None) -> None:
        """Let the command begin, with variables added to its environment, behind what has to stand `before` it.

        Raises:
            SvcTraceError: the command cannot be executed (status 127 or 126, as a shell's).
        """
        with os.fdopen(self._go, "wb") as pipe:
            pipe.write(json.dumps([dict(added), before]).encode())
        with os.fdopen(self._failed, "rb") as pipe:
            code = pipe.read()  # closed by a successful exec
        if code:
            raise self.cannot_execute(int(code))

    def cannot_execute(self, code: int) -> SvcTraceError:
        """The error of a command that could not be executed, by the errno."""
        return _cannot_execute(self._command[0], code)

    def abandon(self) -> None:
        """Let a child that was never released end."""
        os.close(self._go)
        os.close(self._failed)

    def unblock_signals(self) -> None:
        """Let signals be the tracer's own again; those that came too late for the child are nobody's."""
        while signal.sigtimedwait(FORWARDED, 0):
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def join(self) -> None:
        """Wait for the child's end, whatever happened to the tracer."""
        if not self._ended:
            self.unblock_signals()
            os.waitpid(self.pid, 0)
            self._ended = True

    def wait(self, seconds: float) -> signal.struct_siginfo | None:
        """Wait for the child's end or a signal, at most so long."""
        return signal.sigtimedwait(FORWARDED | {signal.SIGCHLD}, seconds)

    def poll(self) -> int | None:
        """The exit status if the child has ended: its own, or 128 + the signal that killed it, as a shell says it."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self._ended = True
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def forward(self, number: int) -> None:
        """Send the child a signal."""
        os.kill(self.pid, number)


def _execute_behind(before: Before, program: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Execute something else, which executes the starter, which executes the command as it has to be."""
    variables = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
    memory = os.memfd_create("command", 0)  # an environment may be longer than a pipe
    with os.fdopen(os.dup(memory), "wb") as file:
        marshal.dump((os.fsencode(program), [*map(os.fsencode, command)], variables), file)
    os.lseek(memory, 0, os.SEEK_SET)
    stderr = os.dup(2)
    os.set_inheritable(stderr, True)
    os.dup2(os.open(before.errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), 2)
    words = [*before.words, sys.executable, "-I", "-S", str(_STARTER), str(memory), str(stderr)]
    os.execve(words[0], words, {**os.environ, **before.environment})


def _cannot_execute(program: str, code: int) -> SvcTraceError:
    if code == errno.ENOENT:
        return SvcTraceError(
            f"command not found: {program}",
            hint="give its path, or check that PATH holds its folder",
            slug="command-not-found",
            exit_code=ExitStatus.NOT_FOUND,
        )
    return SvcTraceError(
        f"cannot execute {program}: {os.strerror(code)}",
        hint="check its permissions and its first line (#!)",
        slug="command-not-executable",
        exit_code=ExitStatus.NOT_EXECUTABLE,
    )
