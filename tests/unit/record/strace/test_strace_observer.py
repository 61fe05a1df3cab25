"""From a log to its events, and no damaged log that makes the observer raise."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strace_logs import LOGS, STARTED, describe, observe, root_of

from tracer.record.capture.protocol import Kind, SocketEvent


@pytest.mark.parametrize("name", LOGS)
def test_events_of_a_log(name: str) -> None:
    log = LOGS[name]
    events, observer, lines = observe(log)
    expected = Path(__file__).with_name("data").joinpath(f"{name}.events").read_text().splitlines()
    assert [describe(event, root_of(log)) for event in events] == expected
    assert observer.unknown == lines.unknown == observer.blind == 0
    assert (observer.begun, observer.ended, observer.alive, observer.failed) == (True, True, False, 0)


def test_lineage_begins_at_a_runner() -> None:
    """A process that has written a boundary is a runner. What it starts afterwards has a lineage of its own."""
    log = """7 2.000000000 fork() = 8 <0.000000001>
8 3.000000000 fork() = 9 <0.000000001>
8 4.000000000 write(5</run/user/fifo>, "[1,8,8,0,[]]\\n", 13) = 13 <0.000000001>
8 5.000000000 fork() = 10 <0.000000001>
"""
    events, *_ = observe((STARTED + log).encode())
    lineages = {event.pid: event.lineage_ns for event in events if not isinstance(event, SocketEvent)}
    assert lineages == {7: 0, 8: 2_000_000_000, 9: 2_000_000_000, 10: 5_000_000_000}


def test_a_child_before_its_parent_has_returned() -> None:
    log = """7 2.000000000 vfork( <unfinished ...>
8 2.000000005 execve("/bin/true", ["true"], 0x1 /* 1 var */) = 0 <0.000000001>
8 2.000000009 +++ exited with 3 +++
7 2.000000010 <... vfork resumed>) = 8 <0.000000008>
"""
    events, observer, _ = observe((STARTED + log).encode())
    assert [describe(event, 7) for event in events] == [
        "EXEC 1 +0 python",
        "FORK 2 +1 python 1",
        "EXEC 2 +1 true",
        "EXIT 2 +1 true 768",
    ]
    assert observer.unknown == 0


def test_a_child_of_a_child_before_any_parent_has_returned(tmp_path: Path) -> None:
    """To find the first one's parent in /proc also explains the second one."""
    log = """7 2.000000000 vfork( <unfinished ...>
8 2.000000005 fork() = 9 <0.000000001>
9 2.000000009 execve("/bin/true", ["true"], 0x1 /* 1 var */) = 0 <0.000000001>
"""
    (tmp_path / "8").mkdir()
    (tmp_path / "8/status").write_text("Tgid:\t8\nPPid:\t7\nNSpid:\t8\n")
    events, observer, _ = observe((STARTED + log).encode(), tmp_path)
    assert [describe(event, 7) for event in events] == [
        "EXEC 1 +0 python",
        "FORK 2 +1 python 1",
        "FORK 3 +2 python 2",
        "EXEC 3 +2 true",
    ]
    assert observer.unknown == 0


@pytest.mark.parametrize("last", ["", "8 2.000000008 <... fork resumed> <unfinished ...>) = ?\n"])
def test_a_parent_that_is_killed_by_its_child_before_its_call_has_returned(last: str, tmp_path: Path) -> None:
    log = f"""7 2.000000000 fork() = 8 <0.000000001>
8 2.000000001 fork( <unfinished ...>
9 2.000000005 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3<socket:[77]> <0.000000001>
9 2.000000007 kill(8, SIGKILL) = 0 <0.000000001>
{last}8 2.000000009 +++ killed by SIGKILL +++
9 2.000000010 execve("/bin/true", ["true"], 0x1 /* 1 var */) = 0 <0.000000001>
9 2.000000011 +++ exited with 0 +++
"""
    (tmp_path / "9").mkdir()
    (tmp_path / "9/status").write_text("Tgid:\t9\nPPid:\t1\nNSpid:\t9\n")
    events, observer, _ = observe((STARTED + log).encode(), tmp_path)
    assert [describe(event, 7) for event in events] == [
        "EXEC 1 +0 python",
        "FORK 2 +1 python 1",
        "FORK 3 +2 python 2",
        "EXIT 2 +1 python 9",
        "EXEC 3 +2 true",
        "EXIT 3 +2 true 0",
    ]
    assert observer.unknown == 0


def test_a_command_that_cannot_be_executed() -> None:
    starter, command = STARTED.splitlines(keepends=True)
    command = command.replace("= 0", "= -1 EACCES (Permission denied)")
    _, observer, _ = observe(f"{starter}{command}7 1.000000009 +++ exited with 69 +++\n".encode())
    assert (observer.begun, observer.failed) == (False, errno.EACCES)


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("7 2.000000000 exit_group(3) = ?\n", "exited with 3"),
        ("7 2.000000000 kill(7, SIGKILL <unfinished ...>\n", "killed by SIGKILL"),
        ("7 2.000000000 kill(7, SIGKILL) = ?\n", "killed by SIGKILL"),
    ],
)
def test_a_process_ends_when_it_calls_exit_group(ending: str, status: str) -> None:
    """Not at the line about its end, which comes later: its children may have noticed before."""
    events, *_ = observe(f"{STARTED}{ending}7 9.000000000 +++ {status} +++\n".encode())
    assert (events[-1].kind, events[-1].ns) == (Kind.EXIT, 2_000_000_000)


def test_io_uring_is_counted() -> None:
    log = """7 2.000000000 io_uring_setup(1, {flags=0}) = 5<anon_inode:[io_uring]> <0.000000001>
7 2.000000001 io_uring_setup(1, {flags=0}) = -1 EPERM (Operation not permitted) <0.000000001>
"""
    assert observe((STARTED + log).encode())[1].blind == 1


def test_calls_of_unknown_tasks_are_counted() -> None:
    log = "8 1.000000000 close(3) = 0 <0.000000001>\n"
    assert observe((STARTED + log).encode())[1].unknown == 1


@given(st.sampled_from(sorted(LOGS)), st.data())
def test_a_damaged_log_never_raises(name: str, data: st.DataObject) -> None:
    """Lines that are missing, doubled or in other places, and parts of lines that replace others."""
    log = LOGS[name].splitlines(keepends=True)
    some = st.integers(0, len(log) - 1)
    for _ in range(data.draw(st.integers(1, 5))):
        at, other, cut = data.draw(some), data.draw(some), data.draw(st.integers(0, 200))
        mixed = log[at][:cut] + log[other][cut:]
        log[at] = data.draw(st.sampled_from([b"", log[other], mixed, log[at][cut:], log[at] * 2]))
    observe(b"".join(log), root=root_of(LOGS[name]))
