"""When sockets end."""

from __future__ import annotations

import pytest
from strace_logs import address, socket_events

LISTENING = [
    "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3<socket:[5]>",
    f"bind(3<socket:[5]>, {address(80)}, 16) = 0",
    "listen(3<socket:[5]>, 1) = 0",
]
CLOSE = "close(3<socket:[5]>) = 0"
PASS_ON = (
    'sendmsg(9<socket:[8]>, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="1", iov_len=1}], msg_iovlen=1, '
    "msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[3<socket:[5]>]}], "
    "msg_controllen=24, msg_flags=0}, 0) = 1"
)
PAIR = "socketpair(AF_UNIX, SOCK_STREAM, 0, [9<socket:[8]>, 10<socket:[9]>]) = 0"


@pytest.mark.parametrize(
    "calls",
    [
        [CLOSE],
        ["close(3<socket:[5]>) = -1 EINTR (Interrupted system call)"],
        ["close_range(3, 4294967295, 0) = 0"],
        ["dup2(1</dev/null>, 3<socket:[5]>) = 3</dev/null>"],
        ["dup(3<socket:[5]>) = 4<socket:[5]>", CLOSE, "close(4<socket:[5]>) = 0"],
        ["fcntl(3<socket:[5]>, F_SETFD, FD_CLOEXEC) = 0", 'execve("/bin/true", ["true"], 0x1 /* 1 var */) = 0'],
        ["close_range(3, 3, CLOSE_RANGE_CLOEXEC) = 0", 'execve("/bin/true", ["true"], 0x1 /* 1 var */) = 0'],
        [PAIR, PASS_ON, CLOSE],  # closed everywhere by the kernel's tables, which do not have it
    ],
)
def test_calls_that_close_the_last_descriptor(calls: list[str]) -> None:
    assert socket_events(*LISTENING, *calls)[1:] == ["LISTEN_END 'tcp://127.0.0.1:80' 0"]


@pytest.mark.parametrize(
    "calls",
    [
        ["close(4<socket:[6]>) = 0"],
        ["fcntl(3<socket:[5]>, F_DUPFD_CLOEXEC, 0) = 4<socket:[5]>", CLOSE],
        ["fcntl(3<socket:[5]>, F_SETFD, 0) = 0", 'execve("/bin/true", ["true"], 0x1 /* 1 var */) = 0'],
        ["close_range(4, 5, 0) = 0"],
        ["clone(child_stack=NULL, flags=SIGCHLD) = 8", CLOSE],
    ],
)
def test_calls_that_leave_a_descriptor(calls: list[str]) -> None:
    assert socket_events(*LISTENING, *calls)[1:] == []
