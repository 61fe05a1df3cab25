"""Arguments: addresses, descriptors and bytes, exactly as they were given; and no text that breaks it."""

from __future__ import annotations

import socket
from collections.abc import Callable

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
    assert found.endpoint("tcp") == endpoint
    assert arguments.named(f"3<socket:[5]>, {text}, 16") == expected


@pytest.mark.parametrize(
    "text",
    ["NULL", "0x7ffc", "", "{sa_data=1}", "{sa_family=AF_INET, sin_port=htons(5)", INET.replace("10.0", "999.0")],
)
def test_what_is_no_address(text: str) -> None:
    assert arguments.address(text) is None


@pytest.mark.parametrize(
    "text", ['{sa_family=AF_UNSPEC, sa_data="\\0\\0"}', "{sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}"]
)
def test_other_families(text: str) -> None:
    assert arguments.address(text) == Address(0)


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (arguments.sent_by_write, '3<socket:[5]>, "a\\0\\1772", 4', Sent(b"a\0\1772", None)),
        (arguments.sent_by_write, '3<socket:[5]>, "\\"\\\\\\n\\33[0m"..., 400', Sent(b'"\\\n\33[0m', None)),
        (
            arguments.sent_by_vector,
            '3<socket:[5]>, [{iov_base="one", iov_len=3}, {iov_base="two", iov_len=3}], 2',
            Sent(b"one", None),
        ),
        (
            arguments.sent_by_vector,
            '3<socket:[5]>, [{iov_base=NULL, iov_len=0}, {iov_base="two", iov_len=3}], 2',
            Sent(b"", None),
        ),
        (arguments.sent_to, '3<socket:[5]>, "ask", 3, MSG_NOSIGNAL, NULL, 0', Sent(b"ask", None, "MSG_NOSIGNAL")),
        (arguments.sent_to, f'3<socket:[5]>, "ask", 3, 0, {INET}, 16', Sent(b"ask", TO, "0")),
        (arguments.sent_to, '3<socket:[5]>, "a, 3, 0, NULL", 13, 0, NULL, 0', Sent(b"a, 3, 0, NULL", None, "0")),
        (
            arguments.sent_message,
            '3<socket:[5]>, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="one", iov_len=3}], '
            "msg_iovlen=1, msg_controllen=0, msg_flags=0}, 0",
            Sent(b"one", None),
        ),
        (
            arguments.sent_message,
            f"3<socket:[5]>, {{msg_name={INET}, msg_namelen=16, msg_iov=NULL, msg_iovlen=0, "
            "msg_controllen=0, msg_flags=0}, 0",
            Sent(b"", TO),
        ),
    ],
)
def test_what_was_sent(read: Callable[[str], Sent | None], text: str, expected: Sent) -> None:
    assert read(text) == expected


def test_each_message_of_several() -> None:
    message = (
        'msg_hdr={msg_name=%s, msg_namelen=16, msg_iov=[{iov_base="%s", iov_len=9}], '
        "msg_iovlen=1, msg_controllen=0, msg_flags=0}"
    )
    trap = "}, msg_len=77}, {msg_hdr={msg_name=NULL"
    text = f"3<socket:[5]>, [{{{message % (INET, trap)}, msg_len=9}}, {{{message % ('NULL', 'b')}, msg_len=1}}], 2, 0"
    assert [*arguments.sent_messages(text)] == [(Sent(trap.encode(), TO), 9), (Sent(b"b", None), 1)]


def test_descriptors() -> None:
    assert arguments.socket_of("3<socket:[5]>, 1") == (3, 5)
    assert arguments.socket_of("3</socket:[5]>, 1") is None
    assert arguments.descriptor("3</a\\74b\\76\\303\\244>, 1") == (3, "/a<b>ä")
    assert arguments.descriptor("3, 1") is None


@given(st.binary(max_size=32))
def test_every_string_comes_back(data: bytes) -> None:
    """As strace's string_quote() writes it: octal, as short as the next character allows."""
    escapes = {0x22: '\\"', 0x5C: "\\\\", 0x0C: "\\f", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x0B: "\\v"}
    text = ""
    for at, byte in enumerate(data):
        followed = data[at + 1 : at + 2].isdigit()
        text += escapes.get(byte) or (
            chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}" if followed else f"\\{byte:o}"
        )
    assert arguments.text_bytes(f'"{text}"') == data


READERS: list[Callable[[str], object]] = [
    arguments.address, arguments.socket_of, arguments.descriptor, arguments.named, arguments.sent_by_write,
    arguments.sent_by_vector, arguments.sent_to, arguments.sent_message,
    lambda text: [*arguments.sent_messages(text)], lambda text: [*arguments.sockets_of(text)],
]  # fmt: skip
PIECES = [
    "3<socket:[5]>, ", '"a\\0"', '"', "\\", "{", "}", "[", "]", ", ", "NULL", INET, INET6, "...", "0x1", "٣", "é",
    "{sa_family=AF_UNIX, sun_path=@", "{msg_name=", "[{msg_hdr=", "msg_namelen=0, ", "msg_iov=[{iov_base=",
    ", iov_len=3}", "}, msg_len=3}",
]  # fmt: skip


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_no_text_makes_any_of_it_raise(text: str) -> None:
    for read in READERS:
        read(text)
