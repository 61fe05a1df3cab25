"""The backend: strace executes the command, and writes to a FIFO what it observes."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tracer.errors import SvcTraceError, cannot_trace
from tracer.record.capture.checks import Check
from tracer.record.capture.protocol import Backend, Event, Loaded, Session, Wrapper
from tracer.record.capture.strace.clock import Clock
from tracer.record.capture.strace.lines import Lines
from tracer.record.capture.strace.observer import Observer
from tracer.record.invoker import Invoker
from tracer.trace.records import RunWarning

OPTIONS: Final = (
    *("--follow-forks", "--seccomp-bpf", "--string-limit=512", "--columns=1", "--quiet=attach,personality"),
    *("--decode-fds=path,pidfd", "--decode-pids=pidns", "--abbrev=execve,execveat"),
    *("--absolute-timestamps=format:unix,precision:ns", "--syscall-times=ns"),
)
"""strace(1), 5.15 for decode-pids. With `path`, strace prints a socket's inode number; with `socket`, its addresses.
The first 512 bytes of most requests contain the name of the host."""
CAPACITY: Final = 1 << 20  # bytes of the pipe; if it is full, the tree waits
READ_LIMIT: Final = 8 << 20  # bytes read by one `drain`
PATIENCE_S: Final = 10.0
"""How long strace may write nothing about what has happened: on a busy machine it is the last to run."""
_TIME: Final = re.compile(rb"^(\d+)\.(\d{9}) ", re.MULTILINE)
_POLL_MS: Final = 20
_SILENCE_S: Final = 0.5  # after so long without output, look whether strace was stopped
_INSTALL: Final = "Install it: apt-get install strace, or dnf install strace."


class StraceBackend(Backend):
    """`Backend` with ptrace(2) and a seccomp filter: without privileges."""

    name = "strace"
    blind_to: frozenset[str] = frozenset({"io_uring", "answers"})

    def checks(self) -> Iterator[Check]:
        """The program. Whether it may trace is a question about the machine."""
        path = shutil.which("strace")
        yield Check("strace", path is not None, path or "not in PATH", _INSTALL)

    def start(self) -> StraceLoaded:
        """Trace a small program for a trial, as the invoking user.

        Raises:
            SvcTraceError: no-strace, strace-too-old, ptrace-forbidden, strace-failed or wrong-clock.
        """
        program = shutil.which("strace")
        if program is None:
            raise cannot_trace("strace is not installed", _INSTALL, "no-strace")
        invoker = Invoker.find()
        privileged = os.geteuid() == 0
        before_ns = time.time_ns()
        trial = subprocess.run(
            [*_arguments(program, Observer()), "true"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            user=invoker.uid if privileged else None,
            group=invoker.gid if privileged else None,
            extra_groups=invoker.groups if privileged else None,
            check=False,
        )
        if trial.returncode:
            raise _refusal(trial.stderr.decode(errors="replace"))
        _check_clock(trial.stderr, before_ns, time.time_ns())
        return StraceLoaded(program)


@dataclass(frozen=True, slots=True)
class StraceLoaded(Loaded):
    """strace, which can trace here."""

    program: str  # its path
    name: str = "strace"
    privileged: bool = False
    lacks_causes: str = "strace does not show which thread wakes which"

    def trace(self, pid: int, fifo: Path, *, causes: bool = True) -> StraceSession:
        """Create the FIFO that strace writes to. The child itself executes strace."""
        return StraceSession(self.program, pid, fifo)

    def close(self) -> None:
        """Do nothing: nothing is loaded."""


class StraceSession(Session):
    """The events of one command, from strace's output."""

    def __init__(self, program: str, pid: int, fifo: Path) -> None:
        """Open the FIFO for strace's output. `fifo`: the one for boundaries, which strace prints by its path."""
        self._clock = Clock()
        self._lines = Lines(self._clock.monotonic)
        self._observer = Observer()
        self._observer.start(pid, time.monotonic_ns())
        self._observer.fifo = str(fifo)
        self._command = pid
        self._started = False  # strace has written something
        self._ended = False  # it has closed the FIFO
        self._strace = 0  # its pid, once it traces the command
        self._heard = time.monotonic()  # when it last wrote, or was last looked at
        self._errors = fifo.with_name("strace-errors")
        output = fifo.with_name("strace")
        os.mkfifo(output, 0o600)
        self._fd = os.open(output, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        with suppress(OSError):  # the user's pipes may be at their limit
            fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, CAPACITY)
        # --daemonize: outside of the command's session and process group, so that their signals do not reach strace.
        name, *options = _arguments(program, self._observer)
        arguments = (name, "--daemonize=session", f"--output={output}", *options)
        # With TZ, localtime(3), which strace calls for each time that it prints, does not look for /etc/localtime.
        self.wrapper = Wrapper(arguments, self._errors, {"TZ": "UTC0"}, self._exec_result)

    def _exec_result(self) -> int:
        """Wait until strace has executed the command; returns 0, or the errno with which that failed.

        Raises:
            SvcTraceError: strace itself failed.
        """
        until = time.monotonic() + PATIENCE_S
        while not (self._observer.begun or self._observer.failed or self._ended):
            exited = os.waitid(os.P_PID, self._command, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            self._wait()
            if time.monotonic() > until or (exited and not self._started):
                break
        if self._observer.begun or self._observer.failed:
            self._strace = _tracer_of(self._command)
            return self._observer.failed
        raise _refusal(self._last_error())

    def drain(self) -> Iterable[Event]:
        """The events since the last call."""
        now_ns = self._clock.read()
        self._read()
        self._continue_strace()
        for item in self._lines.running():
            self._observer.take(item)
        return self._observer.events(now_ns)

    def catch_up(self) -> None:
        """Wait until strace has written the command's end, and its own last line if no descendant is left."""
        until = time.monotonic() + PATIENCE_S
        while not (self._ended or (self._observer.ended and self._observer.alive)) and time.monotonic() < until:
            if self._wait():
                until = time.monotonic() + PATIENCE_S

    def _wait(self) -> bool:
        """Wait for output, at most a moment, and read it; returns whether there was any."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        ready = poll.poll(_POLL_MS)
        self._clock.read()
        self._read()
        self._continue_strace()
        return bool(ready)

    def _continue_strace(self) -> None:
        """If a process stopped strace (SIGSTOP), let it continue.

        The tree stops with it: at its next traced call, or at a signal, which the kernel reports to strace first. So
        the command would never end, not even by SIGTERM.
        """
        now = time.monotonic()
        if self._ended or not self._strace or now - self._heard < _SILENCE_S:
            return
        self._heard = now
        with suppress(OSError):  # it has ended
            if Path(f"/proc/{self._strace}/stat").read_text().rpartition(") ")[2].startswith("T"):  # proc_pid_stat(5)
                os.kill(self._strace, signal.SIGCONT)

    def _read(self) -> None:
        left = READ_LIMIT
        while left > 0 and not self._ended and self._fd >= 0:
            try:
                data = os.read(self._fd, CAPACITY)
            except BlockingIOError:
                break
            if not data:
                if self._started:  # otherwise strace has not opened it yet
                    self._ended = True
                    self.close()
                break
            self._started = True
            self._heard = time.monotonic()
            left -= len(data)
            for item in self._lines.feed(data):
                self._observer.take(item)

    @property
    def _died(self) -> bool:
        """Whether strace ended before the processes that it traced."""
        return self._ended and self._observer.alive

    def lost(self) -> int:
        """Count what strace cannot observe, and output that could not be parsed."""
        return self._lines.unknown + self._observer.unknown + self._observer.blind + self._died

    def warnings(self) -> Iterator[RunWarning]:
        """Why events were lost."""
        if self._observer.blind:
            yield RunWarning(
                "unseen-io-uring",
                "the command used io_uring, which strace cannot observe: some tests may use more than is reported",
                "Trace it with --backend libbpf, or switch io_uring off.",
            )
        if self._died:
            yield RunWarning(
                "strace-died",
                f"strace ended before the command did: {self._last_error() or 'it gave no reason'}",
                "Find out what killed it, or whether memory was short; later events of the command are missing.",
            )
        if unknown := self._lines.unknown + self._observer.unknown:
            yield RunWarning(
                "unknown-calls",
                f"{unknown:,} of strace's lines could not be parsed: some tests may use more than is reported",
                "Report this with the version of strace (strace --version).",
            )

    def _last_error(self) -> str:
        """The last line that strace wrote to its standard error."""
        with suppress(OSError):
            lines = self._errors.read_text(errors="replace").splitlines()
            return next((line for line in reversed(lines) if line.startswith("strace")), "")
        return ""

    def close(self) -> None:
        """Stop reading. Descendants that still run stay under strace, so `cat` goes on emptying its FIFO."""
        if self._fd < 0:
            return
        if self._started and not self._ended:
            os.set_blocking(self._fd, True)
            os.posix_spawnp(
                "sh",
                ["sh", "-c", "exec cat >/dev/null 2>&1"],
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, self._fd, 0)],
                setsid=True,
            )
        os.close(self._fd)
        self._fd = -1


def _arguments(program: str, observer: Observer) -> tuple[str, ...]:
    """The command line of strace, without the command."""
    calls = ",".join(f"?{name}" for name in observer.calls)  # `?`: some architectures lack some
    return program, *OPTIONS, f"--trace={calls}"


def _tracer_of(pid: int) -> int:
    """The pid of the process that traces this one (proc_pid_status(5)); 0: none, or the process has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("TracerPid:"):
                return int(line.split()[1])
    return 0


def _check_clock(output: bytes, before_ns: int, after_ns: int) -> None:
    """Check the times in strace's output of the trial: strace must read the tracer's CLOCK_REALTIME.

    In a time namespace it does: that shifts other clocks only. A library that fakes the time may differ.
    """
    times = [int(seconds) * 10**9 + int(ns) for seconds, ns in _TIME.findall(output)]
    if not all(before_ns <= one <= after_ns for one in times):
        raise cannot_trace(
            "the clock of svc-trace is not strace's, so tests and their sends cannot be joined",
            "Run svc-trace without libfaketime (LD_PRELOAD).",
            "wrong-clock",
        )


def _refusal(output: str) -> SvcTraceError:
    """The error for strace's own message."""
    lines = [line for line in output.splitlines() if line.strip()]
    line = lines[0] if lines else "it gave no reason"
    if "option" in line or "invalid" in line:
        return cannot_trace(
            f"this strace is too old: {line}", "Install strace 5.15 or later, or use another backend.", "strace-too-old"
        )
    if any(word in output for word in ("PTRACE_", "ptrace", "Operation not permitted")):
        return cannot_trace(f"tracing is forbidden here: {line}", _permission_hint(), "ptrace-forbidden")
    return cannot_trace(f"strace failed: {line}", "Try it alone: strace -f --seccomp-bpf true.", "strace-failed")


def _permission_hint() -> str:
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")  # Documentation/admin-guide/LSM/Yama.rst
    with suppress(OSError, ValueError):
        if int(scope.read_text()) > 1:
            return "Allow it in Yama: sudo sysctl kernel.yama.ptrace_scope=1 (from 3, only after a reboot)."
    return "Start the container with --cap-add SYS_PTRACE, or with a seccomp profile that allows ptrace."
