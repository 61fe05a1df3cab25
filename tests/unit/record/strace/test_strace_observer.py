"""From a real log to exactly these events; and no log, however damaged, that breaks it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strace_logs import LOGS

from tracer.record.capture.protocol import Event, Kind, SocketEvent
from tracer.record.capture.strace.lines import Lines
from tracer.record.capture.strace.observer import Observer

FIFO = "/run/user/fifo"
PORT_53 = '{sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.1")}'
NOWHERE = Path("/nonexistent")  # in the place of /proc: these processes are long gone


def root_of(log: bytes) -> int:
    return int(log.split(b" ", 1)[0])


def observe(log: bytes, root: int, proc: Path = NOWHERE) -> tuple[list[Event], Observer, Lines]:
    observer, lines = Observer(lambda ns: ns, proc), Lines()
    observer.fifo = FIFO
    observer.plant(root, 0)
    for item in lines.feed(log):
        observer.take(item)
    return observer.events(0), observer, lines


def tell(event: Event, root: int) -> str:
    """An event in a line; tasks are told by their distance from the first."""
    who = f"{event.kind.name} {event.process} +{event.tid - root}"
    if isinstance(event, SocketEvent):
        result = errno.errorcode[-event.result] if event.result < 0 else event.result
        sent = f" {event.prefix!r}" if event.kind == Kind.SEND else ""
        return f"{who} {event.endpoint!r} {result}{sent}{' local' if event.local else ''}"
    facts = {Kind.FORK: event.parent, Kind.EXIT: event.status}
    return f"{who} {event.command} {facts.get(event.kind, '')}".rstrip()


@pytest.mark.parametrize("name", LOGS)
def test_a_log_tells_its_events(name: str) -> None:
    log = LOGS[name]
    events, observer, lines = observe(log, root_of(log))
    told = [tell(event, root_of(log)) for event in events]
    assert told == Path(__file__).with_name("data").joinpath(f"{name}.events").read_text().splitlines()
    assert observer.unknown == lines.unknown == observer.blind == 0
    assert (observer.begun, observer.ended, observer.alive, observer.failed) == (True, True, False, 0)


def test_sends_carry_what_was_sent() -> None:
    log = LOGS["traffic"]
    sends = [event for event in observe(log, root_of(log))[0] if event.kind == Kind.SEND]
    assert isinstance(sends[0], SocketEvent)
    assert (sends[0].head, sends[0].prefix, sends[0].result) == (b"ask\n\0", b"ask\n\0", 5)


def test_a_runner_is_known_by_its_boundary() -> None:
    """What it starts afterwards begins a line of its own."""
    log = b"""7 1.000000000 execve("/bin/env", ["env"], 0x1 /* 1 var */) = 0 <0.000000001>
7 1.000000001 execve("/bin/python", ["python"], 0x1 /* 1 var */) = 0 <0.000000001>
7 2.000000000 fork() = 8 <0.000000001>
8 3.000000000 fork() = 9 <0.000000001>
8 4.000000000 write(5</run/user/fifo>, "[1,8,8,0,[]]\\n", 13) = 13 <0.000000001>
8 5.000000000 fork() = 10 <0.000000001>
"""
    events, *_ = observe(log, 7)
    lines = {event.pid: event.lineage_ns for event in events if not isinstance(event, SocketEvent)}
    assert lines == {7: 0, 8: 2_000_000_000, 9: 2_000_000_000, 10: 5_000_000_000}


def test_a_child_may_speak_before_its_parent_has_returned() -> None:
    log = b"""7 1.000000000 execve("/bin/env", ["env"], 0x1 /* 1 var */) = 0 <0.000000001>
7 1.000000001 execve("/bin/python", ["python"], 0x1 /* 1 var */) = 0 <0.000000001>
7 2.000000000 vfork( <unfinished ...>
8 2.000000005 execve("/bin/true", ["true"], 0x1 /* 1 var */) = 0 <0.000000001>
8 2.000000009 +++ exited with 3 +++
7 2.000000010 <... vfork resumed>) = 8 <0.000000008>
"""
    events, observer, _ = observe(log, 7)
    assert [tell(event, 7) for event in events] == [
        "EXEC 1 +0 python",
        "FORK 2 +1 python 1",
        "EXEC 2 +1 true",
        "EXIT 2 +1 true 768",
    ]
    assert observer.unknown == 0


def test_a_command_that_cannot_be_executed() -> None:
    log = b"""7 1.000000000 execve("/bin/env", ["env"], 0x1 /* 1 var */) = 0 <0.000000001>
7 1.000000001 execve("/etc/passwd", ["passwd"], 0x1 /* 1 var */) = -1 EACCES (Permission denied) <0.000000001>
7 1.000000009 +++ exited with 69 +++
"""
    _, observer, _ = observe(log, 7)
    assert (observer.begun, observer.failed) == (False, errno.EACCES)


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("7 2.000000000 exit_group(3) = ?\n", "exited with 3"),
        ("7 2.000000000 kill(7, SIGKILL <unfinished ...>\n", "killed by SIGKILL"),
        ("7 2.000000000 kill(7, SIGKILL) = ?\n", "killed by SIGKILL"),
    ],
)
def test_a_process_ends_when_it_says_so(ending: str, status: str) -> None:
    """Not when strace hears of it: its children may have noticed before."""
    log = f"""7 1.000000000 execve("/bin/env", ["env"], 0x1 /* 1 var */) = 0 <0.000000001>
7 1.000000001 execve("/bin/python", ["python"], 0x1 /* 1 var */) = 0 <0.000000001>
{ending}7 9.000000000 +++ {status} +++
"""
    events, *_ = observe(log.encode(), 7)
    assert (events[-1].kind, events[-1].ns) == (Kind.EXIT, 2_000_000_000)


@pytest.mark.parametrize(
    ("ending", "told"),
    [("", ["udp://0.0.0.0:8080"]), ("7 3.000000000 close(3<socket:[5]>) = 0 <0.000000001>\n", [])],
)
def test_the_kernel_is_asked_only_for_sockets_that_are_there(ending: str, told: list[str], tmp_path: Path) -> None:
    """The number of one that is gone may be another's by now."""
    log = f"""7 1.000000000 execve("/bin/env", ["env"], 0x1 /* 1 var */) = 0 <0.000000001>
7 1.000000001 execve("/bin/python", ["python"], 0x1 /* 1 var */) = 0 <0.000000001>
7 2.000000000 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3<socket:[5]> <0.000000001>
7 2.000000001 sendto(3<socket:[5]>, "1", 1, 0, {PORT_53}, 16) = 1 <0.000000001>
{ending}"""
    table = tmp_path / "self/net/udp"
    table.parent.mkdir(parents=True)
    table.write_text("a head\n 1: 00000000:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 5 2 0 0\n")
    events, observer, lines = observe(log.encode(), 7, tmp_path)
    listens = [event for event in events if isinstance(event, SocketEvent) and event.kind == Kind.LISTEN]
    assert [event.endpoint for event in listens] == told
    assert observer.unknown == lines.unknown == 0


def test_a_ring_is_told() -> None:
    log = b"""7 1.000000000 execve("/bin/env", ["env"], 0x1 /* 1 var */) = 0 <0.000000001>
7 1.000000001 execve("/bin/python", ["python"], 0x1 /* 1 var */) = 0 <0.000000001>
7 2.000000000 io_uring_setup(1, {flags=0}) = 5<anon_inode:[io_uring]> <0.000000001>
7 2.000000001 io_uring_setup(1, {flags=0}) = -1 EPERM (Operation not permitted) <0.000000001>
"""
    assert observe(log, 7)[1].blind == 1


def test_nobodys_calls_are_counted() -> None:
    log = b"8 1.000000000 close(3) = 0 <0.000000001>\n"
    assert observe(log, 7)[1].unknown == 1


@given(st.sampled_from(sorted(LOGS)), st.data())
def test_a_damaged_log_breaks_nothing(name: str, data: st.DataObject) -> None:
    """Lines that are missing, that come twice or elsewhere, and pieces of them in the place of others."""
    log = LOGS[name].splitlines(keepends=True)
    some = st.integers(0, len(log) - 1)
    for _ in range(data.draw(st.integers(1, 5))):
        at, other, cut = data.draw(some), data.draw(some), data.draw(st.integers(0, 200))
        mixed = log[at][:cut] + log[other][cut:]
        log[at] = data.draw(st.sampled_from([b"", log[other], mixed, log[at][cut:], log[at] * 2]))
    observe(b"".join(log), root_of(LOGS[name]))
