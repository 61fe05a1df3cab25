"""strace's text, turned into system calls and ends of tasks. Two lines about the same call become one `Call`.

With `backend.OPTIONS`, a line is `TID SECONDS.NANOSECONDS CALL(ARGUMENTS) = RESULT <SECONDS.NANOSECONDS>`. No text
makes this raise: lines that are not understood are counted.
"""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

LINE_LIMIT: Final = 1 << 20
"""Bytes of a line. The longest call, a sendmmsg of 1,024 messages (UIO_MAXIOV), takes some 300,000."""


class Call(NamedTuple):
    """A system call that has ended. All times are CLOCK_MONOTONIC ns."""

    tid: int  # as strace sees it
    ns: int  # when it began
    name: str
    arguments: str
    result: int | None  # negative: -errno; None: it did not return, or is to be restarted
    note: str  # what strace writes after the result
    end_ns: int

    @property
    def returned(self) -> str:
        """The result as strace writes it, such as `3<socket:[5]>`."""
        return f"{self.result}{self.note}"


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
    """Another thread of the process executed a program, and has taken this task's place and its number."""

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
_RUNNING_CONNECT: Final = re.compile(r"(connect)\((.*\d)")  # its arguments end with the length of the address
_EXITED: Final = re.compile(r"\+\+\+ exited with (\d{1,3}) \+\+\+")
_KILLED: Final = re.compile(r"\+\+\+ killed by (\w+)( \(core dumped\))? \+\+\+")
_SUPERSEDED: Final = re.compile(r"\+\+\+ superseded by execve in pid (\d{1,10}) \+\+\+")
_CORE_DUMPED: Final = 0x80  # WCOREDUMP (wait(2))
_ERROR: Final = re.compile(r" (E[A-Z0-9]+)")


class Lines:
    """Takes bytes, returns items.

    Attributes:
        unknown: lines that were not understood.
    """

    def __init__(self, monotonic: Callable[[int], int]) -> None:
        """`monotonic`: converts strace's times to CLOCK_MONOTONIC ns."""
        self.unknown = 0
        self._monotonic = monotonic
        self._partial = b""  # the last line, whose end has not come yet
        self._last_partial = b""  # the same at the last call of `running`
        self._unfinished: dict[int, tuple[int, str]] = {}  # task → when its call began, and the first part of its text

    def feed(self, data: bytes) -> Iterator[Item]:
        """The items that this completes; `data` may end anywhere."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if line:
                yield from self._line(line.decode("latin-1"))
        if len(self._partial) > LINE_LIMIT:
            self.unknown += 1
            self._partial = b""

    def running(self) -> Iterator[Begun]:
        """The connect(2) that has been running since the last call of this, if there is one: it may take minutes.

        strace writes the arguments when a call begins, and the rest of the line when it ends.
        """
        before, self._last_partial = self._last_partial, self._partial
        if self._partial and self._partial == before:
            text = self._partial.decode("latin-1")
            if (head := _HEAD.match(text)) and (begun := _RUNNING_CONNECT.fullmatch(text, head.end())):
                yield Begun(int(head[1]), self._time(head), begun[1], begun[2])

    def _time(self, head: re.Match[str]) -> int:
        return self._monotonic(int(head[2]) * 1_000_000_000 + int(head[3]))

    def _line(self, line: str) -> Iterator[Item]:
        head = _HEAD.match(line)
        if head is None:
            self.unknown += 1
            return
        tid, ns, text = int(head[1]), self._time(head), line[head.end() :]
        if text.startswith("<... ") and (resumed := _RESUMED.match(text)):
            ns, first_part = self._unfinished.pop(tid, (ns, f"{resumed[1]}("))
            text = first_part + text[resumed.end() :]
        if call := _CALL.fullmatch(text):
            yield _call(tid, ns, call)
        elif text.startswith("---"):  # a signal
            pass
        elif unfinished := _UNFINISHED.fullmatch(text):
            # After `pid changed to N`, the second part comes from task N: see `Superseded`.
            self._unfinished[tid] = ns, f"{unfinished[1]}({unfinished[2]}"
            yield Begun(tid, ns, unfinished[1], unfinished[2])
        elif (status := _status(text)) is not None:
            self._unfinished.pop(tid, None)
            yield Ended(tid, ns, status)
        elif superseded := _SUPERSEDED.fullmatch(text):
            by = int(superseded[1])
            if by in self._unfinished:
                self._unfinished[tid] = self._unfinished.pop(by)
            yield Superseded(tid, ns, by)
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


def _status(text: str) -> int | None:
    """The wait status of a task that has ended; None: the line is about something else."""
    if exited := _EXITED.fullmatch(text):
        return int(exited[1]) << 8
    if (killed := _KILLED.fullmatch(text)) and (number := _signal(killed[1])):
        return number | (_CORE_DUMPED if killed[2] else 0)
    return None


def _signal(name: str) -> int:
    """A signal's number; 0: there is no such signal. strace writes `SIGRT_5` for the real-time signals."""
    if name.startswith("SIGRT_") and name[6:].isdecimal():
        return 32 + int(name[6:]) if int(name[6:]) < 33 else 0
    return int(getattr(signal, name, 0)) if name.startswith("SIG") else 0
