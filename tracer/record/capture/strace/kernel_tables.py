"""The kernel's own tables of sockets in /proc/net. They are read for what no call of the tree shows."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from tracer.record.capture.strace.arguments import Address, SocketType
from tracer.trace.endpoint import canonical_host

_UNIX_KINDS: Final = {"0001": "SOCK_STREAM", "0002": "SOCK_DGRAM", "0005": "SOCK_SEQPACKET"}  # /proc/net/unix, Type
_ESTABLISHED, _LISTENS = "01", "0A"  # TCP_ESTABLISHED, TCP_LISTEN in /proc/net/tcp
_ACCEPTS: Final = 1 << 16  # __SO_ACCEPTCON, Flags in /proc/net/unix


class Entry(NamedTuple):
    """A socket in a table."""

    type: SocketType
    own: Address | None
    peer: Address | None
    established: bool
    listens: bool


class KernelTables:
    """The sockets of one network namespace, as one of its tasks sees them in /proc/PID/net. Each table is read once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._read: dict[str, dict[int, Entry]] = {}

    def find(self, inode: int) -> Entry | None:
        """The socket with this inode number."""
        for name in ("tcp", "tcp6", "udp", "udp6", "unix"):
            if entry := self._table(name).get(inode):
                return entry
        return None

    def unix_names(self) -> set[str]:
        """The names of all unix sockets that can be connected to."""
        entries = self._table("unix").values()
        return {entry.own.path for entry in entries if entry.own and (entry.listens or entry.type.kind == "SOCK_DGRAM")}

    def hosts(self) -> set[str]:
        """This machine's own addresses (fib_trie; if_inet6: net/ipv6/addrconf.c)."""
        trie = self._lines("fib_trie")
        hosts = {line.split()[-1] for line, after in pairwise(trie) if after.split()[1:] == ["host", "LOCAL"]}
        return hosts | {canonical_host(bytes.fromhex(line.split()[0])) for line in self._lines("if_inet6")}

    def _lines(self, name: str) -> list[str]:
        try:
            return (self.directory / name).read_text("utf-8", "surrogateescape").splitlines()
        except OSError:  # the task is gone, or the kernel does not have this table
            return []

    def _table(self, name: str) -> dict[int, Entry]:
        table = self._read.get(name)
        if table is None:
            lines = self._lines(name)[1:]
            table = self._read[name] = dict(_unix_entries(lines) if name == "unix" else _inet_entries(name, lines))
        return table


def _inet_entries(name: str, lines: list[str]) -> Iterator[tuple[int, Entry]]:
    family = socket.AF_INET6 if name.endswith("6") else socket.AF_INET
    protocol = name.removesuffix("6")
    type_ = SocketType(family, "SOCK_STREAM" if protocol == "tcp" else "SOCK_DGRAM", protocol)
    for line in lines:
        words = line.split()
        own, peer, state, inode = _hex_address(family, words[1]), _hex_address(family, words[2]), words[3], words[9]
        yield int(inode), Entry(type_, own, peer if peer.port else None, state == _ESTABLISHED, state == _LISTENS)


def _unix_entries(lines: list[str]) -> Iterator[tuple[int, Entry]]:
    for line in lines:
        words = line.split(None, 7)
        own = Address(socket.AF_UNIX, path=words[7]) if len(words) > 7 else None
        type_ = SocketType(socket.AF_UNIX, _UNIX_KINDS.get(words[4], ""), "unix")
        yield int(words[6]), Entry(type_, own, None, False, bool(int(words[3], 16) & _ACCEPTS))


def _hex_address(family: int, text: str) -> Address:
    """Words of four bytes in the machine's byte order, a colon, the port (net/ipv4/tcp_ipv4.c, get_tcp4_sock)."""
    words, _, port = text.partition(":")
    packed = b"".join(int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8))
    return Address(family, canonical_host(packed), int(port, 16))
