"""strace's text, line by line: calls, whole again where another task came in between, and ends of tasks.

The text is what `backend.OPTIONS` ask for: `PID SECONDS.NANOSECONDS CALL(ARGUMENTS) = RESULT <SECONDS.NANOSECONDS>`.
Times are CLOCK_REALTIME ns. No input makes it raise: a line that makes no sense is counted.
"""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Iterator
from typing import Final, NamedTuple

LINE_LIMIT: Final = 1 << 20
"""Bytes of a line. The longest call, a sendmmsg of 1,024 messages (UIO_MAXIOV), takes some 300,000."""
CONNECTS: Final = " connect("
"""The one call that is told before it ends: it may take minutes."""


class Call(NamedTuple):
    """A system call that has ended."""

    tid: int  # as strace sees it
    ns: int  # when it began
    name: str
    arguments: str
    result: int | None  # negative: -errno; None: it did not return, or will be restarted
    note: str  # what stands behind the result
    end_ns: int


class Begun(NamedTuple):
    """A system call that has not ended yet; its `Call` follows, with the same time."""

    tid: int
    ns: int
    name: str
    arguments: str


class Ended(NamedTuple):
    """A task has ended."""

    tid: int
    ns: int
    status: int  # wait status


class Superseded(NamedTuple):
    """Another thread of a process executed a program, and has taken this task's place and its number."""

    tid: int
    ns: int
    by: int


Item = Call | Begun | Ended | Superseded

_HEAD: Final = re.compile(r"(\d{1,10}) +(\d{1,12})\.(\d{9}) ")
_CALL: Final = re.compile(
    r"(\w+)\((.*)\) += (?:(-?\d{1,19})|0x([0-9a-f]{1,16})|\?)((?:<[^<>]*>(?:\(deleted\))?)?(?: [^<>]*)?)"
    r"(?: <(\d{1,12})\.(\d{9})>)?",
    re.S,
)
_UNFINISHED: Final = re.compile(r"(\w+)\((.*?)(?: <unfinished \.\.\.>| <pid changed to \d+ \.\.\.>)", re.S)
_RESUMED: Final = re.compile(r"<\.\.\. (\w+) resumed>")
_BEGUN: Final = re.compile(r"(\w+)\((.*\d)")  # a connect's arguments end with the length of its address
_EXITED: Final = re.compile(r"\+\+\+ exited with (\d{1,3}) \+\+\+")
_KILLED: Final = re.compile(r"\+\+\+ killed by (\w+)( \(core dumped\))? \+\+\+")
_SUPERSEDED: Final = re.compile(r"\+\+\+ superseded by execve in pid (\d{1,10}) \+\+\+")
_CORE_DUMPED: Final = 0x80  # WCOREDUMP (wait(2))
_ERROR: Final = re.compile(r" (E[A-Z0-9]+)")


class Lines:
    """Bytes in, items out.

    Attributes:
        unknown: lines that no strace has written, as far as is known here.
    """

    def __init__(self) -> None:
        self.unknown = 0
        self._rest = b""  # of the last line, whose end has not come
        self._seen = b""  # what it was when it was last looked at
        self._unfinished: dict[int, tuple[int, str]] = {}  # task → when its call began, and what was said of it

    def feed(self, data: bytes) -> Iterator[Item]:
        """What this completes; `data` may end anywhere."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest
        for line in lines:
            if line:
                yield from self._line(line.decode("latin-1"))
        if len(rest) > LINE_LIMIT:
            self.unknown += 1
            self._rest = b""

    def running(self) -> Iterator[Begun]:
        """The connect that has run since the last call of this, if one has.

        strace writes what a call is given when it begins, and the rest of the line when it ends.
        """
        before, self._seen = self._seen, self._rest
        if self._rest and self._rest == before:
            text = self._rest.decode("latin-1")
            if CONNECTS in text and (head := _HEAD.match(text)) and (begun := _BEGUN.fullmatch(text[head.end() :])):
                yield Begun(int(head[1]), int(head[2]) * 1_000_000_000 + int(head[3]), begun[1], begun[2])

    def _line(self, line: str) -> Iterator[Item]:
        head = _HEAD.match(line)
        if head is None:
            self.unknown += 1
            return
        tid, ns = int(head[1]), int(head[2]) * 1_000_000_000 + int(head[3])
        text = line[head.end() :]
        if text.startswith("<... ") and (resumed := _RESUMED.match(text)):
            ns, before = self._unfinished.pop(tid, (ns, f"{resumed[1]}("))
            text = before + text[resumed.end() :]
        if call := _CALL.fullmatch(text):
            yield _call(tid, ns, call)
        elif text.startswith("---"):  # a signal
            pass
        elif unfinished := _UNFINISHED.fullmatch(text):
            # With `pid changed to N` it goes on as another task: see `Superseded`.
            self._unfinished[tid] = ns, f"{unfinished[1]}({unfinished[2]}"
            yield Begun(tid, ns, unfinished[1], unfinished[2])
        elif exited := _EXITED.fullmatch(text):
            self._unfinished.pop(tid, None)
            yield Ended(tid, ns, int(exited[1]) << 8)
        elif (killed := _KILLED.fullmatch(text)) and (number := _signal(killed[1])):
            self._unfinished.pop(tid, None)
            yield Ended(tid, ns, number | (_CORE_DUMPED if killed[2] else 0))
        elif superseded := _SUPERSEDED.fullmatch(text):
            if (begun := self._unfinished.pop(int(superseded[1]), None)) is not None:
                self._unfinished[tid] = begun
            yield Superseded(tid, ns, int(superseded[1]))
        else:
            self.unknown += 1


def _call(tid: int, ns: int, match: re.Match[str]) -> Call:
    name, arguments, decimal, hexadecimal, note, seconds, nanoseconds = match.groups()
    end_ns = ns if seconds is None else ns + int(seconds) * 1_000_000_000 + int(nanoseconds)
    result: int | None = None
    if decimal is not None:
        result = int(decimal)
        if result == -1:
            error = _ERROR.match(note)
            result = -int(getattr(errno, error[1], errno.EINVAL)) if error else None
    elif hexadecimal is not None:
        result = int(hexadecimal, 16)
    return Call(tid, ns, name, arguments, result, note, end_ns)


def _signal(name: str) -> int:
    """Its number; 0 if it is none. strace writes `SIGRT_5` for what is no name of its own."""
    if name.startswith("SIGRT_") and name[6:].isdecimal():
        return 32 + int(name[6:]) if int(name[6:]) < 33 else 0
    return int(getattr(signal, name, 0)) if name.startswith("SIG") else 0
