"""Attempts to connect, and how the end of one is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from strace_logs import address, socket_events

TCP = "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3<socket:[5]>"
UNIX = "socket(AF_UNIX, SOCK_STREAM, 0) = %s<socket:[%s]>"
BEGUN = f"connect(3<socket:[5]>, {address(80)}, 16) = -1 EINPROGRESS (Operation now in progress)"
CONNECT = "CONNECT 'tcp://127.0.0.1:80' 0 local"
SO_ERROR = "getsockopt(3<socket:[5]>, SOL_SOCKET, SO_ERROR, [%s], [4]) = 0"


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (SO_ERROR % "0", "0"),
        (SO_ERROR % "ECONNREFUSED", "ECONNREFUSED"),
        (f"getpeername(3<socket:[5]>, {address(80)}, [16]) = 0", "0"),
        (f"connect(3<socket:[5]>, {address(80)}, 16) = -1 EISCONN (…)", "0"),
        ("close(3<socket:[5]>) = 0", "ECANCELED"),
    ],
)
def test_calls_that_end_an_attempt(call: str, result: str) -> None:
    assert socket_events(TCP, BEGUN, call) == [CONNECT, f"CONNECT_RESULT 'tcp://127.0.0.1:80' {result}"]


def test_an_attempt_that_goes_on() -> None:
    failed = "getpeername(3<socket:[5]>, 0x1, [16]) = -1 ENOTCONN (Transport endpoint is not connected)"
    assert socket_events(TCP, BEGUN, failed) == [CONNECT]


def test_the_kernel_knows_that_an_attempt_has_succeeded(tmp_path: Path) -> None:
    table = tmp_path / "self/net/tcp"
    table.parent.mkdir(parents=True)
    table.write_text("a head\n 1: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000 00000000 0 0 5 2 0 0\n")
    assert socket_events(TCP, BEGUN, proc=tmp_path) == [CONNECT, "CONNECT_RESULT 'tcp://127.0.0.1:80' 0"]


def test_an_attempt_without_a_packet_has_only_a_result() -> None:
    call = f"connect(3<socket:[5]>, {address(80, '10.0.0.1')}, 16) = -1 ENETUNREACH (Network is unreachable)"
    assert socket_events(TCP, call) == ["CONNECT_RESULT 'tcp://10.0.0.1:80' ENETUNREACH"]


def test_the_unspecified_address_is_this_machine() -> None:
    call = f"connect(3<socket:[5]>, {address(80, '0.0.0.0')}, 16) = 0"
    assert socket_events(TCP, call) == [CONNECT, "CONNECT_RESULT 'tcp://127.0.0.1:80' 0"]


def test_a_unix_socket_is_named_as_its_server_bound_it() -> None:
    calls = [
        UNIX % (3, 5),
        'bind(3<socket:[5]>, {sa_family=AF_UNIX, sun_path="/nonexistent/a"}, 17) = 0',
        "listen(3<socket:[5]>, 1) = 0",
        UNIX % (4, 6),
        'chdir("/nonexistent") = 0',
        'connect(4<socket:[6]>, {sa_family=AF_UNIX, sun_path="b/../a"}, 9) = 0',
    ]
    assert socket_events(*calls) == ["CONNECT_RESULT 'unix:///nonexistent/a' 0"]
