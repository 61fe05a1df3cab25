"""The arguments of calls, as strace writes them. No text makes any of this raise: what makes no sense is None."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from tracer.record.capture.bpf.wire import decode_path
from tracer.trace.endpoint import Endpoint, canonical_host

_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_ADDRESS: Final = rf'\{{sa_family=(?:[^{{}}"]|{_STRING})*\}}'
_POINTER: Final = "NULL|0x[0-9a-f]+"
_DATA: Final = rf"(?:({_STRING})(?:\.\.\.)?|{_POINTER})"
_VECTOR: Final = rf"(?:\[\{{iov_base={_DATA}, iov_len=\d+|\[\]|{_POINTER})"  # up to the end of its first element
_MESSAGE: Final = rf"\{{msg_name=({_ADDRESS}|{_POINTER}), msg_namelen=[^,]*, msg_iov={_VECTOR}"

_DESCRIPTOR: Final = re.compile(r"(\d{1,10})<([^<>]*)>")
_SOCKET: Final = re.compile(r"(\d{1,10})<socket:\[(\d{1,19})\]>")
_ESCAPE: Final = re.compile(rb"\\([0-7]{1,3}|x[0-9a-f]{2}|.)", re.S)
_ESCAPES: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"f": b"\f", b"v": b"\v"}
_AFTER_DESCRIPTOR: Final = r"\d+<[^<>]*>, "
_NAMED: Final = re.compile(rf"{_AFTER_DESCRIPTOR}({_ADDRESS})", re.S)
_INET: Final = re.compile(r'\{sa_family=AF_INET, sin_port=htons\((\d{1,5})\), sin_addr=inet_addr\("([\d.]{7,15})"\)\}')
_INET6: Final = re.compile(
    r"\{sa_family=AF_INET6, sin6_port=htons\((\d{1,5})\), sin6_flowinfo=[^,]*, "
    r'inet_pton\(AF_INET6, "([0-9a-f:.]{2,45})", &sin6_addr\), sin6_scope_id=[^}]*\}'
)
_UNIX: Final = re.compile(rf"\{{sa_family=AF_UNIX(?:, sun_path=(@?)({_STRING})(?:\.\.\.)?)?\}}", re.S)
_OTHER: Final = re.compile(_ADDRESS, re.S)
_WRITE: Final = re.compile(rf"{_AFTER_DESCRIPTOR}{_DATA}", re.S)
_WRITE_VECTOR: Final = re.compile(rf"{_AFTER_DESCRIPTOR}{_VECTOR}", re.S)
_SENDTO: Final = re.compile(rf"{_AFTER_DESCRIPTOR}{_DATA}, \d+, ([^,]+), ({_ADDRESS}|{_POINTER}), \d+", re.S)
_SENDMSG: Final = re.compile(rf"{_AFTER_DESCRIPTOR}{_MESSAGE}", re.S)
_SENDMMSG: Final = re.compile(rf'\{{msg_hdr={_MESSAGE}(?:[^"]|{_STRING})*?\}}, msg_len=(\d{{1,10}})\}}', re.S)


class Address(NamedTuple):
    """A socket's address."""

    family: int  # AF_UNIX, AF_INET, AF_INET6; 0: another
    host: str = ""  # canonical text
    port: int = 0
    path: str = ""  # unix: as in an endpoint; empty: it has no name

    def endpoint(self, protocol: str) -> str:
        """The text of the endpoint that has this address."""
        return _endpoint(self, protocol)

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine's in every network namespace."""
        return self.host.startswith("127.") or self.host == "::1"

    @property
    def is_any(self) -> bool:
        """Whether it is no host's in particular; to connect there leads to this machine (ip(7))."""
        return self.host in ("0.0.0.0", "::")


class Sent(NamedTuple):
    """What a call was given to send."""

    data: bytes  # the first ≤ 32 bytes of what is its first piece
    to: Address | None
    flags: str = ""


@lru_cache(maxsize=4096)
def _endpoint(address: Address, protocol: str) -> str:
    if address.family == socket.AF_UNIX:
        return str(Endpoint("unix", path=address.path))
    return str(Endpoint(protocol, address.host, address.port))


def text_bytes(quoted: str | None) -> bytes:
    """The bytes of a string in double quotes, escaped as in C."""
    if quoted is None:
        return b""
    data = quoted[1:-1].encode("latin-1", "replace")
    return _ESCAPE.sub(_unescape, data) if b"\\" in data else data


def _unescape(match: re.Match[bytes]) -> bytes:
    text = match[1]
    if text.isdigit():
        return bytes([int(text, 8) & 0xFF])
    if len(text) == 3:
        return bytes([int(text[1:], 16)])
    return _ESCAPES.get(text, text)


@lru_cache(maxsize=4096)
def address(text: str) -> Address | None:
    """A `{sa_family=…}`; None: it is none."""
    if inet := _INET.fullmatch(text) or _INET6.fullmatch(text):
        family = socket.AF_INET if inet.re is _INET else socket.AF_INET6
        try:
            packed = socket.inet_pton(family, inet[2])
        except OSError:
            return None
        return Address(family, canonical_host(packed), int(inet[1]))
    if unix := _UNIX.fullmatch(text):
        return Address(socket.AF_UNIX, path=decode_path((b"\0" if unix[1] else b"") + text_bytes(unix[2])))
    return Address(0) if _OTHER.fullmatch(text) else None


def socket_of(arguments: str) -> tuple[int, int] | None:
    """The first argument, if it is a socket: its descriptor and its inode number."""
    found = _SOCKET.match(arguments)
    return (int(found[1]), int(found[2])) if found else None


def sockets_of(arguments: str) -> Iterator[tuple[int, int]]:
    """All that may be descriptors of sockets, and their inode numbers: what was sent may look like that, too."""
    for found in _SOCKET.finditer(arguments):
        yield int(found[1]), int(found[2])


def descriptor(arguments: str) -> tuple[int, str] | None:
    """The first argument, if it is an open descriptor: its number and its path."""
    found = _DESCRIPTOR.match(arguments)
    return (int(found[1]), text_bytes(f'"{found[2]}"').decode("utf-8", "surrogateescape")) if found else None


def named(arguments: str) -> Address | None:
    """The address that is the second argument."""
    found = _NAMED.match(arguments)
    return address(found[1]) if found else None


def sent_by_write(arguments: str) -> Sent | None:
    """What write(2) was given."""
    found = _WRITE.match(arguments)
    return Sent(text_bytes(found[1]), None) if found else None


def sent_by_vector(arguments: str) -> Sent | None:
    """What writev(2) or pwritev2(2) was given."""
    found = _WRITE_VECTOR.match(arguments)
    return Sent(text_bytes(found[1]), None) if found else None


@lru_cache(maxsize=1024)  # a client's requests are often alike
def sent_to(arguments: str) -> Sent | None:
    """What sendto(2) was given."""
    found = _SENDTO.match(arguments)
    return Sent(text_bytes(found[1]), address(found[3]), found[2]) if found else None


def sent_message(arguments: str) -> Sent | None:
    """What sendmsg(2) was given."""
    found = _SENDMSG.match(arguments)
    return Sent(text_bytes(found[2]), address(found[1])) if found else None


def sent_messages(arguments: str) -> Iterator[tuple[Sent, int]]:
    """What sendmmsg(2) was given, and the bytes of each message that it sent."""
    for found in _SENDMMSG.finditer(arguments):
        yield Sent(text_bytes(found[2]), address(found[1])), int(found[3])
