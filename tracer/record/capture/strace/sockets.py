"""What is known of the tree's sockets, and what the kernel says of them in /proc/net."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from tracer.record.capture.strace.arguments import Address
from tracer.record.capture.strace.tasks import Namespace
from tracer.trace.endpoint import canonical_host

_FAMILIES: Final = {"AF_UNIX": socket.AF_UNIX, "AF_INET": socket.AF_INET, "AF_INET6": socket.AF_INET6}
_PROTOCOLS: Final = {
    "IPPROTO_TCP": "tcp",
    "IPPROTO_MPTCP": "tcp",
    "IPPROTO_UDP": "udp",
    "IPPROTO_ICMP": "icmp",
    "IPPROTO_ICMPV6": "icmp",
    "IPPROTO_SCTP": "sctp",
    "IPPROTO_UDPLITE": "udplite",
}
_KINDS: Final = {"SOCK_STREAM": "tcp", "SOCK_DGRAM": "udp"}  # of the internet's, where no protocol is named
_UNIX_KINDS: Final = {"0001": "SOCK_STREAM", "0002": "SOCK_DGRAM", "0005": "SOCK_SEQPACKET"}  # /proc/net/unix, Type
_ESTABLISHED, _LISTENS = "01", "0A"  # TCP_ESTABLISHED, TCP_LISTEN in /proc/net/tcp
_ACCEPTS: Final = 1 << 16  # __SO_ACCEPTCON, Flags in /proc/net/unix


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to connect that runs."""

    since_ns: int
    process: int
    tid: int
    endpoint: str


@dataclass(eq=False, slots=True)
class Socket:
    """One socket."""

    inode: int
    family: int  # AF_UNIX, AF_INET, AF_INET6; 0: another
    kind: str  # SOCK_*
    protocol: str  # as in an endpoint
    network: Namespace
    own: Address | None = None
    peer: Address | None = None
    local: bool = False  # the peer is at an address of this machine
    listener: tuple[int, int] = (0, 0)  # pid and mark of the process that listens behind a unix socket
    served: bool = False  # the other side connected, or it is one of a pair: the tree is no client here
    attempt: Attempt | None = None
    listens: bool = False
    named: bool = False  # datagrams: its own address was told, or will be
    anywhere: bool = False  # it got its name while it had no peer: it is reached at each of the machine's addresses
    prefixes: int = 0  # how many were told
    server: tuple[int, int] = (0, 0)  # who listens here: pid and mark
    asked: Address | None = None  # datagrams: where the last one was sent
    handed_on: bool = False  # others may have it whom nobody saw receive it

    @property
    def is_stream(self) -> bool:
        """Whether it has one peer for good, and nothing is nothing."""
        return self.kind == "SOCK_STREAM"


def made(inode: int, arguments: str, network: Namespace) -> Socket:
    """A socket by the arguments of socket(2) or socketpair(2)."""
    family, kind, protocol, *_ = (*arguments.split(", "), "", "")
    kind = kind.partition("|")[0]
    number = _FAMILIES.get(family, 0)
    return Socket(inode, number, kind, _protocol(number, kind, protocol), network)


def _protocol(family: int, kind: str, protocol: str) -> str:
    if family == socket.AF_UNIX:
        return "unix"
    if protocol == "IPPROTO_IP" and kind in _KINDS:
        return _KINDS[kind]
    return _PROTOCOLS.get(protocol) or f"ip{int(getattr(socket, protocol, 0))}"


class Entry(NamedTuple):
    """A line of /proc/net."""

    family: int
    kind: str
    protocol: str
    own: Address | None
    peer: Address | None
    established: bool
    listens: bool


class KernelTables:
    """The sockets of one network namespace, as one of its tasks sees them in /proc/PID/net. Each table is read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, dict[int, Entry]] = {}

    def find(self, inode: int) -> Entry | None:
        """The socket with this inode number."""
        for name in ("tcp", "tcp6", "udp", "udp6", "unix"):
            if found := self._table(name).get(inode):
                return found
        return None

    def unix_names(self) -> dict[str, int]:
        """Name → inode number of all unix sockets that can be reached by a name."""
        names = {}
        for inode, entry in self._table("unix").items():
            if entry.own is not None and (entry.listens or entry.kind == "SOCK_DGRAM"):
                names[entry.own.path] = inode
        return names

    def hosts(self) -> set[str]:
        """This machine's own addresses (fib_trie; if_inet6: net/ipv6/addrconf.c)."""
        trie = self._lines("fib_trie")
        hosts = {line.split()[-1] for line, after in pairwise(trie) if after.split()[1:] == ["host", "LOCAL"]}
        for line in self._lines("if_inet6"):
            hosts.add(canonical_host(bytes.fromhex(line.split()[0])))
        return hosts

    def _lines(self, name: str) -> list[str]:
        try:
            return (self.folder / name).read_text("utf-8", "surrogateescape").splitlines()
        except OSError:  # gone, or a kernel without it
            return []

    def _table(self, name: str) -> dict[int, Entry]:
        table = self._read.get(name)
        if table is None:
            parse = _unix_entries if name == "unix" else _inet_entries
            table = self._read[name] = dict(parse(name, self._lines(name)[1:]))
        return table


def _inet_entries(name: str, lines: list[str]) -> Iterator[tuple[int, Entry]]:
    family = socket.AF_INET6 if name.endswith("6") else socket.AF_INET
    protocol = name.removesuffix("6")
    kind = "SOCK_STREAM" if protocol == "tcp" else "SOCK_DGRAM"
    for line in lines:
        words = line.split()
        own, peer, state, inode = _hex_address(family, words[1]), _hex_address(family, words[2]), words[3], words[9]
        connected = peer if peer.port else None
        yield int(inode), Entry(family, kind, protocol, own, connected, state == _ESTABLISHED, state == _LISTENS)


def _unix_entries(_: str, lines: list[str]) -> Iterator[tuple[int, Entry]]:
    for line in lines:
        words = line.split(None, 7)
        own = None
        if len(words) > 7:
            name = words[7]
            own = Address(socket.AF_UNIX, path=name)
        kind = _UNIX_KINDS.get(words[4], "")
        listens = bool(int(words[3], 16) & _ACCEPTS)
        yield int(words[6]), Entry(socket.AF_UNIX, kind, "unix", own, None, False, listens)


def _hex_address(family: int, text: str) -> Address:
    """Words of four bytes in the machine's byte order, a colon, the port (net/ipv4/tcp_ipv4.c, get_tcp4_sock)."""
    words, _, port = text.partition(":")
    packed = b"".join(int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8))
    return Address(family, canonical_host(packed), int(port, 16))
