"""strace's lines become calls, wherever the text is cut, and no input makes this raise."""

from __future__ import annotations

import errno
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strace_logs import LOGS

from tracer.record.capture.strace.lines import LINE_LIMIT, Begun, Call, Ended, Item, Lines, Superseded

SECOND = 1_000_000_000
NS = 1795276348 * SECOND + 5


def items(*lines: str) -> tuple[list[Item], int]:
    parser = Lines(int)
    found = [*parser.feed("".join(f"7 1795276348.000000005 {line}\n" for line in lines).encode())]
    return found, parser.unknown


def call(line: str) -> Call:
    (found,), unknown = items(line)
    assert isinstance(found, Call)
    assert unknown == 0
    return found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("getpid() = 7 <0.000000002>", Call(7, NS, "getpid", "", 7, "", NS + 2)),
        ("close(3</a b>) = 0 <1.000000000>", Call(7, NS, "close", "3</a b>", 0, "", NS + SECOND)),
        (
            "fcntl(3</a>, F_GETFL) = 0x8000 (flags O_RDONLY) <0.000000001>",
            Call(7, NS, "fcntl", "3</a>, F_GETFL", 0x8000, " (flags O_RDONLY)", NS + 1),
        ),
        ("dup(3</a>) = 4</a>(deleted) <0.000000001>", Call(7, NS, "dup", "3</a>", 4, "</a>(deleted)", NS + 1)),
        (
            "fork() = 2 /* 12 in strace's PID NS */ <0.000000001>",
            Call(7, NS, "fork", "", 2, " /* 12 in strace's PID NS */", NS + 1),
        ),
        (
            'write(1</a>, ") = 5 <0.1>", 11) = 11 <0.000000001>',
            Call(7, NS, "write", '1</a>, ") = 5 <0.1>", 11', 11, "", NS + 1),
        ),
        ("exit_group(0)           = ?", Call(7, NS, "exit_group", "0", None, "", NS)),
    ],
)
def test_a_call_in_one_line(line: str, expected: Call) -> None:
    assert call(line) == expected


@pytest.mark.parametrize(
    ("note", "result"),
    [
        ("-1 ENOENT (No such file or directory)", -errno.ENOENT),
        ("-1 EAGAIN (Resource temporarily unavailable)", -errno.EAGAIN),
        ("-1 (errno 18446744073709551613)", None),
        ("? ERESTARTSYS (To be restarted if SA_RESTART is set)", None),
        ("?", None),
    ],
)
def test_results(note: str, result: int | None) -> None:
    assert call(f"connect(3<socket:[5]>, NULL, 16) = {note} <0.000000001>").result == result


def test_a_call_in_two_lines() -> None:
    first, second, third = items(
        "recvfrom(3<socket:[5]>,  <unfinished ...>",
        '<... recvfrom resumed>"ab", 2, 0, NULL, NULL) = 2 <0.000000009>',
        "close(4</a> <unfinished ...>",
    )[0]
    assert first == Begun(7, NS, "recvfrom", "3<socket:[5]>, ")
    assert second == Call(7, NS, "recvfrom", '3<socket:[5]>, "ab", 2, 0, NULL, NULL', 2, "", NS + 9)
    assert isinstance(third, Begun)


def test_calls_of_two_tasks_in_two_lines_each() -> None:
    lines = Lines(int)
    text = b"""7 1.000000000 close(3</a> <unfinished ...>
8 1.000000001 close(4</b> <unfinished ...>
7 1.000000002 <... close resumed>) = 0 <0.000000002>
8 1.000000003 <... close resumed>) = 0 <0.000000002>
"""
    ended = [item for item in lines.feed(text) if isinstance(item, Call)]
    assert [(item.tid, item.arguments) for item in ended] == [(7, "3</a>"), (8, "4</b>")]
    assert lines.unknown == 0


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("+++ exited with 0 +++", 0),
        ("+++ exited with 255 +++", 255 << 8),
        ("+++ killed by SIGKILL +++", signal.SIGKILL),
        ("+++ killed by SIGABRT (core dumped) +++", signal.SIGABRT | 0x80),
        ("+++ killed by SIGRT_2 +++", 34),
    ],
)
def test_ends_of_tasks(line: str, status: int) -> None:
    assert items(line) == ([Ended(7, NS, status)], 0)


def test_a_thread_that_executes_takes_the_number_of_the_first_thread() -> None:
    lines = Lines(int)
    text = b"""9 1.000000000 execve("/a", ["a"], 0x1 /* 3 vars */ <pid changed to 7 ...>
7 1.000000001 +++ superseded by execve in pid 9 +++
7 1.000000002 <... execve resumed>) = 0 <0.000000002>
"""
    begun, superseded, executed = lines.feed(text)
    assert isinstance(begun, Begun)
    assert superseded == Superseded(7, SECOND + 1, 9)
    assert executed == Call(7, SECOND, "execve", '"/a", ["a"], 0x1 /* 3 vars */', 0, "", SECOND + 2)
    assert lines.unknown == 0


def test_signals_are_ignored() -> None:
    assert items("--- SIGCHLD {si_signo=SIGCHLD, si_pid=8} ---", "--- stopped by SIGTSTP ---") == ([], 0)


def test_a_connect_that_runs() -> None:
    lines = Lines(int)
    text = b"7 1.000000000 connect(3<socket:[5]>, {sa_family=AF_INET, sin_port=htons(1)}, 16"
    assert [*lines.feed(text), *lines.running()] == []  # it may end at once
    (begun,) = lines.running()
    assert begun == Begun(7, SECOND, "connect", "3<socket:[5]>, {sa_family=AF_INET, sin_port=htons(1)}, 16")
    (ended,) = lines.feed(b") = 0 <0.500000000>\n")
    assert isinstance(ended, Call)
    assert (ended.ns, ended.end_ns) == (SECOND, SECOND + SECOND // 2)
    assert lines.unknown == 0


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "7 1.000000000",
        "7 1.000000000 ",
        "7 1.000000000 close(3",
        "7 1.0 close(3) = 0",
        "+++ exited with 0 +++",
        "7 1.000000000 +++ killed by NOTHING +++",
        "7 1.000000000 +++ killed by SIGRT_99 +++",
    ],
)
def test_other_lines_are_counted(line: str) -> None:
    lines = Lines(int)
    assert [*lines.feed(line.encode() + b"\n")] == []
    assert lines.unknown == (line != "")


def test_a_line_that_is_too_long() -> None:
    lines = Lines(int)
    assert [*lines.feed(b"7 1.000000000 write(" + b"x" * LINE_LIMIT)] == []
    assert lines.unknown == 1
    assert [*lines.feed(b"\n7 1.000000000 +++ exited with 0 +++\n")] == [Ended(7, SECOND, 0)]


@given(st.binary())
def test_no_bytes_make_this_raise(data: bytes) -> None:
    lines = Lines(int)
    for _ in [*lines.feed(data), *lines.running(), *lines.running()]:
        pass


@given(st.sampled_from(sorted(LOGS)), st.lists(st.integers(1, 5000), max_size=20))
def test_a_log_in_pieces(name: str, sizes: list[int]) -> None:
    data = LOGS[name][:20_000]
    whole, parts = Lines(int), Lines(int)
    expected = [item for item in whole.feed(data) if not isinstance(item, Begun)]
    found = []
    at = 0
    for size in (*sizes, len(data)):
        found += [item for item in parts.feed(data[at : at + size]) if not isinstance(item, Begun)]
        at += size
    assert found == expected
    assert parts.unknown == whole.unknown == 0
