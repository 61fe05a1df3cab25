"""Parses the arguments of system calls. No function raises; each returns None for text that it cannot parse."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from tracer.record.capture.bpf.wire import PROTOCOLS, decode_path
from tracer.trace.endpoint import Endpoint, canonical_host
from tracer.trace.ids import SocketInode

_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_ADDRESS: Final = rf'\{{sa_family=(?:[^{{}}"]|{_STRING})*\}}'
_POINTER: Final = "NULL|0x[0-9a-f]+"

_DESCRIPTOR: Final = re.compile(r"(\d{1,10})<([^<>]*)>")
_SOCKET: Final = re.compile(r"(\d{1,10})<socket:\[(\d{1,19})\]>")
_SPLICED: Final = re.compile(rf"[^,]*, [^,]*, {_SOCKET.pattern}")
_DESCRIPTOR_RANGE: Final = re.compile(r"(\d{1,10}), (\d{1,10}), (.+)")

_FIRST_STRING: Final = re.compile(rf'[^"]*({_STRING})', re.S)
_ESCAPE: Final = re.compile(rb"\\([0-7]{1,3}|x[0-9a-f]{2}|.)", re.S)
_ESCAPES: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"f": b"\f", b"v": b"\v"}

_INET: Final = re.compile(r'\{sa_family=AF_INET, sin_port=htons\((\d{1,5})\), sin_addr=inet_addr\("([\d.]{7,15})"\)\}')
_INET6: Final = re.compile(
    r"\{sa_family=AF_INET6, sin6_port=htons\((\d{1,5})\), sin6_flowinfo=[^,]*, "
    r'inet_pton\(AF_INET6, "([0-9a-f:.]{2,45})", &sin6_addr\), sin6_scope_id=[^}]*\}'
)
_UNIX: Final = re.compile(rf"\{{sa_family=AF_UNIX(?:, sun_path=(@?)({_STRING})(?:\.\.\.)?)?\}}", re.S)
_OTHER: Final = re.compile(_ADDRESS, re.S)
_SECOND: Final = r"\d+<[^<>]*>, "  # a pattern that begins with this matches the second argument
_SECOND_ADDRESS: Final = re.compile(rf"{_SECOND}({_ADDRESS})", re.S)
_SOCKET_ERROR: Final = re.compile(r"[^,]*, SOL_SOCKET, SO_ERROR, \[(\w+)\]")

_FAMILIES: Final = {"AF_UNIX": socket.AF_UNIX, "AF_INET": socket.AF_INET, "AF_INET6": socket.AF_INET6}
INTERNET: Final = frozenset({socket.AF_INET, socket.AF_INET6})
_DEFAULT_PROTOCOLS: Final = {"SOCK_STREAM": socket.IPPROTO_TCP, "SOCK_DGRAM": socket.IPPROTO_UDP}

_DATA: Final = rf"(?:(?P<data>{_STRING})(?:\.\.\.)?|{_POINTER})"
_VECTOR: Final = rf"(?:\[\{{iov_base={_DATA}, iov_len=\d+|\[\]|{_POINTER})"  # up to the end of its first element
_TO: Final = rf"(?P<to>{_ADDRESS}|{_POINTER})"
_MESSAGE: Final = rf"\{{msg_name={_TO}, msg_namelen=[^,]*, msg_iov={_VECTOR}"
_SENT: Final = {
    "write": re.compile(_SECOND + _DATA, re.S),
    "writev": re.compile(_SECOND + _VECTOR, re.S),
    "pwritev2": re.compile(_SECOND + _VECTOR, re.S),
    "send": re.compile(_SECOND + _DATA, re.S),
    "sendto": re.compile(rf"{_SECOND}{_DATA}, \d+, (?P<flags>[^,]+), {_TO}, \d+", re.S),
    "sendmsg": re.compile(_SECOND + _MESSAGE, re.S),
    "sendmmsg": re.compile(rf"{_SECOND}\[\{{msg_hdr={_MESSAGE}", re.S),
}
_SENT_MESSAGE: Final = re.compile(
    rf'\{{msg_hdr={_MESSAGE}(?:[^"]|{_STRING})*?\}}, msg_len=(?P<size>\d{{1,10}})\}}', re.S
)

_HOST_TID: Final = re.compile(r"(\d{1,10})(?: /\* (\d{1,10}) in strace's PID NS \*/)?")
_NAMESPACE: Final = re.compile(r"\d+<(\w+):\[(\d{1,19})\]>")
_PIDFD: Final = re.compile(r"\d+<pid:(\d{1,10})>")
_SENDER: Final = re.compile(rb"[\[+](\d{1,10}),(\d{1,10}),(\d{1,10}),")
_COMM_FILE: Final = re.compile(r"/proc/(?:\d{1,10}/task/)?(\d{1,10})/comm")
_MOUNT: Final = re.compile(rf"({_STRING}), ({_STRING}), [^,]*, ([A-Z_|]+)", re.S)
_MOVED_MOUNT: Final = re.compile(rf'\d{{1,10}}<([^<>]*)>, "", [^,]*, ({_STRING})', re.S)


def descriptor(text: str) -> tuple[int, str] | None:
    """The first argument, if it is an open descriptor: its number and its path."""
    match = _DESCRIPTOR.match(text)
    return (int(match[1]), string(f'"{match[2]}"')) if match else None


def socket_descriptor(text: str, call: str = "") -> tuple[int, SocketInode] | None:
    """The first argument, or the third of splice(2), if it is a socket: its descriptor and its inode number."""
    match = (_SPLICED if call == "splice" else _SOCKET).match(text)
    return (int(match[1]), SocketInode(int(match[2]))) if match else None


def socket_descriptors(text: str) -> Iterator[tuple[int, SocketInode]]:
    """All descriptors of sockets in a text, and their inode numbers. Data that was sent may look like one, too."""
    for match in _SOCKET.finditer(text):
        yield int(match[1]), SocketInode(int(match[2]))


def descriptor_range(text: str) -> tuple[range, str] | None:
    """The descriptors and the flags of close_range(2)."""
    match = _DESCRIPTOR_RANGE.fullmatch(text)
    return (range(int(match[1]), int(match[2]) + 1), match[3]) if match else None


def string_bytes(quoted: str) -> bytes:
    """The bytes of a string in double quotes, escaped as in C."""
    data = quoted[1:-1].encode("latin-1", "replace")
    return _ESCAPE.sub(_unescape, data) if b"\\" in data else data


def _unescape(match: re.Match[bytes]) -> bytes:
    text = match[1]
    if text.isdigit() and text < b"8":
        return bytes([int(text, 8) & 0xFF])
    if len(text) == 3:
        return bytes([int(text[1:], 16)])
    return _ESCAPES.get(text, text)


def string(quoted: str) -> str:
    """A path or a name in double quotes."""
    return string_bytes(quoted).decode("utf-8", "surrogateescape")


def first_string(text: str) -> str | None:
    """The first argument that is a string."""
    match = _FIRST_STRING.match(text)
    return string(match[1]) if match else None


class Address(NamedTuple):
    """A socket's address."""

    family: int  # AF_UNIX, AF_INET, AF_INET6; 0: another
    host: str = ""  # canonical text
    port: int = 0
    path: str = ""  # unix: as in an endpoint; empty: unnamed

    def endpoint(self, protocol: str) -> Endpoint:
        """The endpoint that has this address."""
        return _endpoint(self, protocol)

    @property
    def is_loopback(self) -> bool:
        """Whether it belongs to this machine in every network namespace."""
        return self.host.startswith("127.") or self.host == "::1"

    @property
    def is_any(self) -> bool:
        """Whether it is the unspecified address; connect(2) takes it as this machine's (ip(7))."""
        return self.host in ("0.0.0.0", "::")


@lru_cache(maxsize=4096)
def _endpoint(address: Address, protocol: str) -> Endpoint:
    if address.family == socket.AF_UNIX:
        return Endpoint("unix", path=address.path)
    return Endpoint(protocol, address.host, address.port)


@lru_cache(maxsize=4096)
def address(text: str) -> Address | None:
    """A `{sa_family=…}`."""
    if inet := _INET.fullmatch(text) or _INET6.fullmatch(text):
        family = socket.AF_INET if inet.re is _INET else socket.AF_INET6
        try:
            packed = socket.inet_pton(family, inet[2])
        except OSError:
            return None
        return Address(family, canonical_host(packed), int(inet[1]))
    if unix := _UNIX.fullmatch(text):
        return Address(socket.AF_UNIX, path=decode_path((b"\0" if unix[1] else b"") + string_bytes(unix[2] or "")))
    return Address(0) if _OTHER.fullmatch(text) else None


def second_address(text: str) -> Address | None:
    """The second argument, if it is an address."""
    match = _SECOND_ADDRESS.match(text)
    return address(match[1]) if match else None


class SocketType(NamedTuple):
    """A socket's family, kind and protocol."""

    family: int  # AF_UNIX, AF_INET, AF_INET6; 0: another
    kind: str  # SOCK_STREAM, SOCK_DGRAM, …; empty: unknown
    protocol: str  # as in an endpoint


def socket_type(text: str) -> SocketType:
    """The arguments of socket(2) or socketpair(2)."""
    name, kind, protocol, *_ = (*text.split(", "), "", "")
    family, kind = _FAMILIES.get(name, 0), kind.partition("|")[0]
    if family == socket.AF_UNIX:
        return SocketType(family, kind, "unix")
    number = int(getattr(socket, protocol, 0)) if protocol.startswith("IPPROTO_") else 0
    if protocol == "IPPROTO_IP":
        number = _DEFAULT_PROTOCOLS.get(kind, 0)
    return SocketType(family, kind, PROTOCOLS.get(number, f"ip{number}"))


def socket_error(text: str) -> int | None:
    """The errno that getsockopt(2) returned as SO_ERROR, or 0; None: the call was for another option."""
    match = _SOCKET_ERROR.match(text)
    if match is None or match[1] == "0":
        return 0 if match else None
    return int(getattr(errno, match[1], errno.EIO)) if match[1].startswith("E") else errno.EIO


class Sent(NamedTuple):
    """What a call sends."""

    data: bytes  # the first ≤ 32 bytes of its first buffer
    to: Address | None = None
    flags: str = ""


@lru_cache(maxsize=1024)  # a client's requests are often alike
def sent(call: str, text: str) -> Sent | None:
    """What write(2), writev(2), pwritev2(2), send(2), sendto(2) or sendmsg(2) sends, or sendmmsg(2) sends first."""
    match = _SENT[call].match(text)
    return _sent(match) if match else None


def sent_messages(text: str) -> Iterator[tuple[Sent, int]]:
    """The messages that sendmmsg(2) has sent, and how many bytes of each."""
    for match in _SENT_MESSAGE.finditer(text):
        yield _sent(match), int(match["size"])


def _sent(match: re.Match[str]) -> Sent:
    parts = match.groupdict("")
    return Sent(string_bytes(parts["data"]), address(parts.get("to", "")), parts.get("flags", ""))


def sender(text: str) -> tuple[int, int, int] | None:
    """The pid namespace, the pid and the tid at the beginning of a packet that write(2) sends (svc_trace_hook)."""
    written = sent("write", text)
    match = _SENDER.match(written.data) if written else None
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def host_tid(text: str) -> int | None:
    """A task's number as strace sees it, where a call returns or names the number in the caller's pid namespace."""
    match = _HOST_TID.match(text)
    return int(match[2] or match[1]) if match else None


def namespace(text: str) -> tuple[str, int]:
    """The first argument, if it is a namespace's file: its kind, as in /proc/PID/ns, and its inode number."""
    match = _NAMESPACE.match(text)
    return (match[1], int(match[2])) if match else ("", 0)


def pidfd(text: str) -> int | None:
    """The process of the first argument, if it is a pidfd: its number as strace sees it."""
    match = _PIDFD.match(text)
    return int(match[1]) if match else None


def comm_file(path: str) -> int | None:
    """The task that is renamed by a write to this file, as its own pid namespace numbers it."""
    match = _COMM_FILE.fullmatch(path)
    return int(match[1]) if match else None


def mount(call: str, text: str) -> tuple[str, str] | None:
    """The source and the target of a bind mount. The command mount calls move_mount(2) since version 2.39."""
    if call == "move_mount":
        moved = _MOVED_MOUNT.match(text)
        return (string(f'"{moved[1]}"'), string(moved[2])) if moved else None
    bound = _MOUNT.match(text)
    return (string(bound[1]), string(bound[2])) if bound and "MS_BIND" in bound[3] else None
