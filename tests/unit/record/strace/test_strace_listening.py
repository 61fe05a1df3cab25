"""LISTEN and LISTEN_END, and how a socket's own address is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from strace_logs import NO_PROC, STARTED, address, socket_events

from tracer.record.capture.protocol import Kind, SocketEvent
from tracer.record.capture.strace.lines import Call, Lines
from tracer.record.capture.strace.observer import Observer

TCP = "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3<socket:[5]>"
UDP = "socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = %s<socket:[%s]>"
BIND = f"bind(3<socket:[5]>, {address(0)}, 16) = 0"
NAME = f"getsockname(3<socket:[5]>, {address(8080)}, [16]) = 0"


def test_a_port_that_the_kernel_has_chosen() -> None:
    listen, close = "listen(3<socket:[5]>, 1) = 0", "close(3<socket:[5]>) = 0"
    assert socket_events(TCP, BIND, listen) == []
    assert socket_events(TCP, BIND, listen, NAME) == ["LISTEN 'tcp://127.0.0.1:8080' 0"]
    ended = ["LISTEN 'tcp://127.0.0.1:8080' 0", "LISTEN_END 'tcp://127.0.0.1:8080' 0"]
    assert socket_events(TCP, BIND, listen, NAME, close) == ended
    assert socket_events(TCP, BIND, listen, NAME, "shutdown(3<socket:[5]>, SHUT_RD) = 0", close) == ended


def test_an_answer_shows_where_the_question_came_from() -> None:
    calls = [
        UDP % (3, 5),
        f"bind(3<socket:[5]>, {address(53)}, 16) = 0",
        UDP % (4, 6),
        f'sendto(4<socket:[6]>, "q", 1, 0, {address(53)}, 16) = 1',
        f'sendto(3<socket:[5]>, "a", 1, 0, {address(8080)}, 16) = 1',
    ]
    assert socket_events(*calls) == [
        "LISTEN 'udp://127.0.0.1:53' 0",
        "SEND 'udp://127.0.0.1:53' 1 b'q'",
        "SEND 'udp://127.0.0.1:8080' 1 b'a'",
        "LISTEN 'udp://0.0.0.0:8080' 0",
    ]


@pytest.mark.parametrize(
    ("ending", "listens"), [([], ["LISTEN 'udp://0.0.0.0:8080' 0"]), (["close(3<socket:[5]>) = 0"], [])]
)
def test_the_kernels_tables_are_read_only_for_open_sockets(
    ending: list[str], listens: list[str], tmp_path: Path
) -> None:
    """After a socket is closed, its inode number may be another socket's."""
    table = tmp_path / "self/net/udp"
    table.parent.mkdir(parents=True)
    table.write_text("a head\n 1: 00000000:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 5 2 0 0\n")
    sent = f'sendto(3<socket:[5]>, "1", 1, 0, {address(53)}, 16) = 1'
    events = socket_events(UDP % (3, 5), sent, *ending, proc=tmp_path)
    assert events == ["SEND 'udp://127.0.0.1:53' 1 b'1'", *listens]


def test_a_unix_server_is_known_although_its_directory_is_gone(tmp_path: Path) -> None:
    """The directory was a symbolic link when the bind was read, and is removed before the connect is."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    name = f'{{sa_family=AF_UNIX, sun_path="{link}/server"}}, 50'
    observer, lines = Observer(NO_PROC), Lines(lambda ns: ns)
    observer.start(7, 0)
    calls = (
        "socket(AF_UNIX, SOCK_STREAM, 0) = 3<socket:[5]>",
        f"bind(3<socket:[5]>, {name}) = 0",
        "listen(3<socket:[5]>, 1) = 0",
        "socket(AF_UNIX, SOCK_STREAM, 0) = 4<socket:[6]>",
        f"connect(4<socket:[6]>, {name}) = 0",
    )
    log = STARTED + "".join(f"7 2.00000000{at} {call} <0.000000001>\n" for at, call in enumerate(calls))
    for item in lines.feed(log.encode()):
        if isinstance(item, Call) and item.name == "connect":
            link.unlink()
        observer.take(item)
    (event,) = (event for event in observer.events(0) if isinstance(event, SocketEvent))
    assert (event.kind, event.peer_pid) == (Kind.CONNECT_RESULT, 7)
