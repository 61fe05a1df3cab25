"""SEND events: which calls send, to which peer, and with which data."""

from __future__ import annotations

import pytest
from strace_logs import LOGS, address, observe, socket_events

from tracer.record.capture.protocol import Kind, SocketEvent

TCP = "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3<socket:[5]>"
CONNECT = f"connect(3<socket:[5]>, {address(80)}, 16) = 0"
PEER = "'tcp://127.0.0.1:80'"
CONNECTED = [f"CONNECT {PEER} 0 local", f"CONNECT_RESULT {PEER} 0"]


def test_head_and_prefix() -> None:
    sends = [event for event in observe(LOGS["traffic"])[0] if event.kind == Kind.SEND]
    assert isinstance(sends[0], SocketEvent)
    assert (sends[0].head, sends[0].prefix, sends[0].result) == (b"ask\n\0", b"ask\n\0", 5)


@pytest.mark.parametrize(
    ("call", "event"),
    [
        ('write(3<socket:[5]>, "ask", 3) = 2', "2 b'as'"),
        ('send(3<socket:[5]>, "ask", 3, 0) = 3', "3 b'ask'"),
        (f'sendto(3<socket:[5]>, "ask", 3, 0, {address(81)}, 16) = 3', "3 b'ask'"),  # TCP ignores the address
        ('sendto(3<socket:[5]>, "ask", 3, 0, NULL, 0) = -1 EPIPE (Broken pipe)', "EPIPE b''"),
        ("sendfile(3<socket:[5]>, 4</file>, NULL, 9) = 9", "9 b''"),
        ("sendfile64(3<socket:[5]>, 4</file>, NULL, 9) = 9", "9 b''"),
        ("splice(4<pipe:[9]>, NULL, 3<socket:[5]>, NULL, 9, 0) = 9", "9 b''"),
    ],
)
def test_calls_that_send(call: str, event: str) -> None:
    assert socket_events(TCP, CONNECT, call) == [*CONNECTED, f"SEND {PEER} {event} local"]


@pytest.mark.parametrize(
    "call",
    [
        'sendto(3<socket:[5]>, "ask", 3, 0, NULL, 0) = -1 EAGAIN (Resource temporarily unavailable)',
        'write(3<socket:[5]>, "", 0) = 0',
        'write(4</file>, "ask", 3) = 3',
        "splice(3<socket:[5]>, NULL, 4<pipe:[9]>, NULL, 9, 0) = 9",
    ],
)
def test_calls_that_do_not_send(call: str) -> None:
    assert socket_events(TCP, CONNECT, call) == CONNECTED


def test_only_the_first_sends_have_a_prefix() -> None:
    sends = ['write(3<socket:[5]>, "ask", 3) = 3'] * 5
    assert [event.split()[3] for event in socket_events(TCP, CONNECT, *sends)[2:]] == [*["b'ask'"] * 4, "b''"]


def test_a_server_does_not_send() -> None:
    accept = "accept4(3<socket:[5]>, NULL, NULL, 0) = 4<socket:[6]>"
    assert socket_events(TCP, accept, 'write(4<socket:[6]>, "answer", 6) = 6') == []


@pytest.mark.parametrize(
    ("result", "events"),
    [
        ("= 3", [*CONNECTED, f"SEND {PEER} 3 b'ask' local"]),
        ("= -1 ECONNREFUSED (…)", [CONNECTED[0], f"CONNECT_RESULT {PEER} ECONNREFUSED"]),
        ("= -1 EINPROGRESS (…)", [*CONNECTED, f"SEND {PEER} 4 b'more' local"]),  # without a cookie, without the data
    ],
)
def test_fast_open(result: str, events: list[str]) -> None:
    first = f'sendto(3<socket:[5]>, "ask", 3, MSG_FASTOPEN, {address(80)}, 16) {result}'
    more = ['write(3<socket:[5]>, "more", 4) = 4'] if "EINPROGRESS" in result else []
    assert socket_events(TCP, first, *more) == events
