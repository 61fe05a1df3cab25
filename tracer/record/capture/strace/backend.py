"""The backend: strace before the command, and a FIFO that it writes to."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from tracer.errors import SvcTraceError, cannot_trace
from tracer.record.capture.doctor.checks import Check
from tracer.record.capture.doctor.machine import program
from tracer.record.capture.protocol import Before, Capture, Event
from tracer.record.capture.strace.clock import Clock
from tracer.record.capture.strace.lines import Lines
from tracer.record.capture.strace.observer import Observer
from tracer.trace.records import RunWarning

OPTIONS: Final = (
    *("--follow-forks", "--seccomp-bpf", "--string-limit=32", "--columns=1", "--quiet=attach,personality"),
    *("--decode-fds=path", "--decode-pids=pidns", "--abbrev=execve,execveat"),
    *("--absolute-timestamps=format:unix,precision:ns", "--syscall-times=ns"),
)
"""strace(1). With `path`, a socket is told by its inode number; with `socket` it would be by its addresses."""
CAPACITY: Final = 1 << 20  # bytes of the pipe; if it is full, the tree waits
READ_LIMIT: Final = 8 << 20  # bytes taken by one `drain`
PATIENCE_S: Final = 10.0
"""How long strace may be silent about what has happened: on a busy machine it is the last to run."""
_POLL_MS: Final = 20


class StraceCapture(Capture):
    """`Capture` by ptrace(2) and a seccomp filter: without privileges."""

    name = "strace"
    blind_to: frozenset[str] = frozenset({"io_uring"})

    def __init__(self) -> None:
        self._clock = Clock()
        self._lines = Lines()
        self._observer = Observer(self._clock.monotonic)
        self._program = ""
        self._command = 0  # its pid
        self._fd = -1  # of the FIFO
        self._folder = Path()
        self._heard = False  # strace has written
        self._over = False  # it has ended

    @staticmethod
    def checks() -> Iterable[Check]:
        """Whether it is there; whether it may trace is a question to the machine."""
        yield program("strace", "strace")

    def start(self) -> None:
        """See that strace can do here what it will have to.

        Raises:
            SvcTraceError: no-strace, strace-too-old, ptrace-forbidden or strace-failed.
        """
        found = shutil.which("strace")
        if found is None:
            raise cannot_trace(
                "strace is not installed", "install it: apt-get install strace, or dnf install strace", "no-strace"
            )
        self._program = found
        user = _invoking_user()
        tried = subprocess.run(
            [*self._words(Path(os.devnull)), "true"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            user=user,
            check=False,
        )
        if tried.returncode:
            raise _refusal(tried.stderr.decode(errors="replace"))

    def _words(self, output: Path) -> tuple[str, ...]:
        calls = ",".join(f"?{name}" for name in self._observer.calls)  # not every architecture has them all
        return self._program, *OPTIONS, f"--trace={calls}", f"--output={output}"

    def plant(self, pid: int) -> None:
        """Nothing to be done yet: strace will be executed by the child itself."""
        self.close()
        self._lines, self._observer = Lines(), Observer(self._clock.monotonic)
        self._heard = self._over = False
        self._command = pid
        self._observer.plant(pid, time.monotonic_ns())

    def expect_boundaries(self, inode: int) -> None:
        """Nothing: strace tells files by their paths."""

    def before(self, fifo: Path) -> Before:
        """strace, out of the command's session: neither Ctrl-C nor a signal to the command's group reaches it."""
        self._observer.fifo = str(fifo)
        self._folder = fifo.parent
        output = self._folder / "strace"
        os.mkfifo(output, 0o600)
        self._fd = os.open(output, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        with suppress(OSError):  # the user's pipes may hold too much already
            fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, CAPACITY)
        strace, *options = self._words(output)
        # With TZ, localtime(3), which strace calls for each time that it tells, does not look for /etc/localtime.
        return Before((strace, "--daemonize=session", *options), str(self._errors), {"TZ": "UTC0"})

    @property
    def _errors(self) -> Path:
        return self._folder / "strace-errors"

    def started(self) -> int:
        """Wait until strace has executed the command; returns the errno with which it could not, or 0.

        Raises:
            SvcTraceError: strace itself failed.
        """
        until = time.monotonic() + PATIENCE_S
        while not (self._observer.begun or self._observer.failed or self._over):
            ended = os.waitid(os.P_PID, self._command, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            self._wait()
            if time.monotonic() > until or (ended and not self._heard):
                break
        if self._observer.begun or self._observer.failed:
            return self._observer.failed
        raise _refusal(self._said())

    def drain(self) -> Iterable[Event]:
        """What strace has told since the last call."""
        now_ns = self._clock.read()
        self._read()
        for item in self._lines.running():
            self._observer.take(item)
        return self._observer.events(now_ns)

    def catch_up(self) -> None:
        """Wait for strace to tell the command's end, of which it hears first, and its own if nobody is left."""
        until = time.monotonic() + PATIENCE_S
        while not (self._over or (self._observer.ended and self._observer.alive)) and time.monotonic() < until:
            if self._wait():
                until = time.monotonic() + PATIENCE_S

    def _wait(self) -> bool:
        """Wait for something to read, a moment at most, and read it; returns whether there was something."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        ready = poll.poll(_POLL_MS)
        self._clock.read()
        self._read()
        return bool(ready)

    def _read(self) -> None:
        left = READ_LIMIT
        while left > 0 and not self._over and self._fd >= 0:
            try:
                data = os.read(self._fd, CAPACITY)
            except BlockingIOError:
                break
            if not data:
                if self._heard:  # before, strace has not opened it yet
                    self._over = True
                    self.close()
                break
            self._heard = True
            left -= len(data)
            for item in self._lines.feed(data):
                self._observer.take(item)

    @property
    def _died(self) -> bool:
        """Whether strace ended before those that it traced."""
        return self._over and self._observer.alive

    def lost_events(self) -> int:
        """What strace could not see, and what could not be understood of what it wrote."""
        return self._lines.unknown + self._observer.unknown + self._observer.blind + self._died

    def warnings(self) -> Iterator[RunWarning]:
        """What there is to know about events that were lost."""
        if self._observer.blind:
            yield RunWarning(
                "unseen-io-uring",
                "the command used io_uring, which strace cannot see into: some tests may use more than is told here",
                "trace it with --backend libbpf, or switch io_uring off",
            )
        if self._died:
            yield RunWarning(
                "strace-died",
                f"strace ended before the command did: {self._said() or 'it said nothing'}",
                "look for who killed it, or for a lack of memory; what the command did afterwards is not told",
            )
        if unknown := self._lines.unknown + self._observer.unknown:
            yield RunWarning(
                "unknown-calls",
                f"{unknown:,} of strace's lines could not be understood: some tests may use more than is told here",
                "please report this with the version of strace (strace --version)",
            )

    def _said(self) -> str:
        """The last line that strace wrote to its standard error."""
        with suppress(OSError):
            lines = self._errors.read_text(errors="replace").splitlines()
            return next((line for line in reversed(lines) if line.startswith("strace")), "")
        return ""

    def close(self) -> None:
        """Listen no longer. What the tree has left running goes on under strace, and somebody has to read that."""
        if self._fd < 0:
            return
        if self._heard and not self._over:
            os.set_blocking(self._fd, True)
            os.posix_spawnp(
                "cat",
                ["cat"],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, self._fd, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
                setsid=True,
            )
        os.close(self._fd)
        self._fd = -1


def _invoking_user() -> int | None:
    """As whom strace will run; None: as whoever runs this."""
    user = os.environ.get("SUDO_UID", "0")
    return int(user) if os.geteuid() == 0 and user.isdecimal() and user != "0" else None


def _refusal(said: str) -> SvcTraceError:
    """What strace's complaint means."""
    lines = [line for line in said.splitlines() if line.strip()]
    line = lines[0] if lines else "it said nothing"
    if "option" in line or "invalid" in line:
        return cannot_trace(
            f"this strace is too old: {line}", "install strace 6.0 or later, or use another backend", "strace-too-old"
        )
    if any(word in said for word in ("PTRACE_", "ptrace", "Operation not permitted")):
        return cannot_trace(f"nobody may be traced here: {line}", _permission_hint(), "ptrace-forbidden")
    return cannot_trace(f"strace failed: {line}", "try it alone: strace -f --seccomp-bpf true", "strace-failed")


def _permission_hint() -> str:
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")  # Documentation/admin-guide/LSM/Yama.rst
    with suppress(OSError, ValueError):
        if int(scope.read_text()) > 1:
            return "Yama forbids it: sudo sysctl kernel.yama.ptrace_scope=1 (from 3, it takes a reboot)"
    return "in a container, start it with --cap-add SYS_PTRACE, or with a seccomp profile that allows ptrace"
