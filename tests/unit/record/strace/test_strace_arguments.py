"""Addresses, descriptors and data, exactly as a call had them, and no text that makes a function raise."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.record.capture.strace import arguments
from tracer.record.capture.strace.arguments import Address, Sent

INET = '{sa_family=AF_INET, sin_port=htons(5432), sin_addr=inet_addr("10.0.0.1")}'
INET6 = (
    "{sa_family=AF_INET6, sin6_port=htons(1), sin6_flowinfo=htonl(0), "
    'inet_pton(AF_INET6, "%s", &sin6_addr), sin6_scope_id=0}'
)
TO = Address(socket.AF_INET, "10.0.0.1", 5432)


@pytest.mark.parametrize(
    ("text", "expected", "endpoint"),
    [
        (INET, TO, "tcp://10.0.0.1:5432"),
        (INET6 % "::1", Address(socket.AF_INET6, "::1", 1), "tcp://[::1]:1"),
        (INET6 % "::ffff:10.0.0.1", Address(socket.AF_INET6, "10.0.0.1", 1), "tcp://10.0.0.1:1"),
        (
            INET6.replace("sin6_scope_id=0", 'sin6_scope_id=if_nametoindex("lo")') % "fe80::1",
            Address(socket.AF_INET6, "fe80::1", 1),
            "tcp://[fe80::1]:1",
        ),
        ('{sa_family=AF_UNIX, sun_path="/a b,\\"c\\""}', Address(socket.AF_UNIX, path='/a b,"c"'), 'unix:///a b,"c"'),
        ('{sa_family=AF_UNIX, sun_path=@"a\\0b\\n"}', Address(socket.AF_UNIX, path="@a@b\n"), "unix://@a@b\n"),
        ("{sa_family=AF_UNIX}", Address(socket.AF_UNIX), "unix://"),
    ],
)
def test_addresses(text: str, expected: Address, endpoint: str) -> None:
    found = arguments.address(text)
    assert found == expected
    assert str(found.endpoint("tcp")) == endpoint
    assert arguments.second_address(f"3<socket:[5]>, {text}, 16") == expected


@pytest.mark.parametrize(
    "text",
    ["NULL", "0x7ffc", "", "{sa_data=1}", "{sa_family=AF_INET, sin_port=htons(5)", INET.replace("10.0", "999.0")],
)
def test_other_texts_are_no_addresses(text: str) -> None:
    assert arguments.address(text) is None


@pytest.mark.parametrize(
    "text", ['{sa_family=AF_UNSPEC, sa_data="\\0\\0"}', "{sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}"]
)
def test_other_families(text: str) -> None:
    assert arguments.address(text) == Address(0)


@pytest.mark.parametrize(
    ("call", "text", "expected"),
    [
        ("write", '3<socket:[5]>, "a\\0\\1772", 4', Sent(b"a\0\1772", None)),
        ("write", '3<socket:[5]>, "\\"\\\\\\n\\33[0m"..., 400', Sent(b'"\\\n\33[0m', None)),
        (
            "writev",
            '3<socket:[5]>, [{iov_base="one", iov_len=3}, {iov_base="two", iov_len=3}], 2',
            Sent(b"one", None),
        ),
        (
            "writev",
            '3<socket:[5]>, [{iov_base=NULL, iov_len=0}, {iov_base="two", iov_len=3}], 2',
            Sent(b"", None),
        ),
        ("sendto", '3<socket:[5]>, "ask", 3, MSG_NOSIGNAL, NULL, 0', Sent(b"ask", None, "MSG_NOSIGNAL")),
        ("sendto", f'3<socket:[5]>, "ask", 3, 0, {INET}, 16', Sent(b"ask", TO, "0")),
        ("sendto", '3<socket:[5]>, "a, 3, 0, NULL", 13, 0, NULL, 0', Sent(b"a, 3, 0, NULL", None, "0")),
        (
            "sendmsg",
            '3<socket:[5]>, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="one", iov_len=3}], '
            "msg_iovlen=1, msg_controllen=0, msg_flags=0}, 0",
            Sent(b"one", None),
        ),
        (
            "sendmsg",
            f"3<socket:[5]>, {{msg_name={INET}, msg_namelen=16, msg_iov=NULL, msg_iovlen=0, "
            "msg_controllen=0, msg_flags=0}, 0",
            Sent(b"", TO),
        ),
    ],
)
def test_sent_data(call: str, text: str, expected: Sent) -> None:
    assert arguments.sent(call, text) == expected


def test_messages_of_sendmmsg() -> None:
    message = (
        'msg_hdr={msg_name=%s, msg_namelen=16, msg_iov=[{iov_base="%s", iov_len=9}], '
        "msg_iovlen=1, msg_controllen=0, msg_flags=0}"
    )
    trap = "}, msg_len=77}, {msg_hdr={msg_name=NULL"
    text = f"3<socket:[5]>, [{{{message % (INET, trap)}, msg_len=9}}, {{{message % ('NULL', 'b')}, msg_len=1}}], 2, 0"
    assert arguments.sent("sendmmsg", text) == Sent(trap.encode(), TO)
    assert [*arguments.sent_messages(text)] == [(Sent(trap.encode(), TO), 9), (Sent(b"b", None), 1)]


def test_descriptors() -> None:
    assert arguments.socket_descriptor("3<socket:[5]>, 1") == (3, 5)
    assert arguments.socket_descriptor("3</socket:[5]>, 1") is None
    assert arguments.descriptor("3</a\\74b\\76\\303\\244>, 1") == (3, "/a<b>ä")
    assert arguments.descriptor("3, 1") is None


@pytest.mark.parametrize(
    ("text", "family", "kind", "protocol"),
    [
        ("AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP", socket.AF_INET, "SOCK_STREAM", "tcp"),
        ("AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6", socket.AF_INET6, "SOCK_DGRAM", "icmp"),
        ("AF_INET, SOCK_STREAM, IPPROTO_MPTCP", socket.AF_INET, "SOCK_STREAM", "tcp"),
        ("AF_INET, SOCK_RAW, IPPROTO_RAW", socket.AF_INET, "SOCK_RAW", "ip255"),
        ("AF_UNIX, SOCK_SEQPACKET, 0", socket.AF_UNIX, "SOCK_SEQPACKET", "unix"),
        ("AF_NETLINK, SOCK_RAW, NETLINK_ROUTE", 0, "SOCK_RAW", "ip0"),
        ("AF_VSOCK, SOCK_STREAM, 0", 0, "SOCK_STREAM", "ip0"),
    ],
)
def test_socket_types(text: str, family: int, kind: str, protocol: str) -> None:
    assert arguments.socket_type(text) == (family, kind, protocol)


def test_socket_errors() -> None:
    option = "3<socket:[5]>, SOL_SOCKET, %s, [%s], [4]"
    assert arguments.socket_error(option % ("SO_ERROR", "0")) == 0
    assert arguments.socket_error(option % ("SO_ERROR", "ECONNREFUSED")) == errno.ECONNREFUSED
    assert arguments.socket_error(option % ("SO_TYPE", "1")) is None


def test_tasks_in_other_pid_namespaces() -> None:
    assert arguments.host_tid("2 /* 12 in strace's PID NS */, SIGKILL") == 12
    assert arguments.host_tid("2, SIGKILL") == 2


@given(st.binary(max_size=32))
def test_strings(data: bytes) -> None:
    """As strace's string_quote() writes them: octal, as short as the next character allows."""
    escapes = {0x22: '\\"', 0x5C: "\\\\", 0x0C: "\\f", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x0B: "\\v"}
    text = ""
    for at, byte in enumerate(data):
        followed = data[at + 1 : at + 2].isdigit()
        text += escapes.get(byte) or (
            chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}" if followed else f"\\{byte:o}"
        )
    assert arguments.string_bytes(f'"{text}"') == data


READERS: list[Callable[[str], object]] = [
    arguments.address, arguments.comm_file, arguments.descriptor, arguments.descriptor_range, arguments.first_string,
    arguments.host_tid, arguments.namespace, arguments.second_address, arguments.socket_descriptor,
    arguments.sender, arguments.socket_error, arguments.socket_type,
    lambda text: [*arguments.sent_messages(text)], lambda text: [*arguments.socket_descriptors(text)],
    *(partial(arguments.sent, call) for call in ("write", "writev", "pwritev2")),
    *(partial(arguments.sent, call) for call in ("send", "sendto", "sendmsg", "sendmmsg")),
    *(partial(arguments.mount, call) for call in ("mount", "move_mount")),
    lambda text: arguments.socket_descriptor(text, "splice"),
]  # fmt: skip
PIECES = [
    "3<socket:[5]>, ", '"a\\0"', '"', "\\", "{", "}", "[", "]", ", ", "NULL", INET, INET6, "...", "0x1", "٣", "é",
    "{sa_family=AF_UNIX, sun_path=@", "{msg_name=", "[{msg_hdr=", "msg_namelen=0, ", "msg_iov=[{iov_base=",
    ", iov_len=3}", "}, msg_len=3}", "AF_INET, ", "SOCK_STREAM", "IPPROTO_", "SOL_SOCKET, SO_ERROR, [", "MS_BIND",
]  # fmt: skip


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_no_text_makes_a_function_raise(text: str) -> None:
    for read in READERS:
        read(text)


def test_an_escaped_digit_that_is_not_octal_is_itself() -> None:
    """Found by scripts/fuzz: it was a ValueError."""
    assert arguments.string_bytes(r'"\8\9\101"') == b"89A"
