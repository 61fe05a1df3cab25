"""The sockets of the traced tree, and which of them a call means. Other modules apply the rules to them.

The rules are those of the probes, which explain them (probes/svc_trace.bpf.c, sockets.h).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tracer.record.capture.protocol import Event, Kind, SocketEvent
from tracer.record.capture.strace import arguments
from tracer.record.capture.strace.arguments import INTERNET, Address, SocketType
from tracer.record.capture.strace.descriptors import Descriptors
from tracer.record.capture.strace.kernel_tables import Entry, KernelTables
from tracer.record.capture.strace.lines import Begun, Call
from tracer.record.capture.strace.tasks import Task
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import UNKNOWN_GENERATION, HostPid, NetworkNamespace, PidGeneration, SocketInode

PidUse = tuple[HostPid, PidGeneration]
"""A process, by its pid as strace sees it."""
UNKNOWN: Final[PidUse] = (HostPid(0), UNKNOWN_GENERATION)


@dataclass(eq=False, slots=True)
class Socket:
    """One socket."""

    inode: SocketInode
    type: SocketType
    network: NetworkNamespace
    own: Address | None = None
    peer: Address | None = None
    local: bool = False  # the peer is at an address of this machine
    peer_process: PidUse = UNKNOWN  # unix: the process that listens at the peer's address
    accepted: bool = False  # the peer connected, so the tree is its server
    untracked: bool = False  # descriptors that no call showed may exist, because it was inherited or passed on
    attempt: SocketEvent | None = None  # the CONNECT of an attempt to connect that has not ended
    listens: bool = False  # tcp: a LISTEN without its LISTEN_END
    listening_process: PidUse = UNKNOWN
    receives: bool = False  # datagrams: its LISTEN was emitted, or waits for the address
    on_any_host: bool = False  # the kernel bound it while it had no peer, so it receives at all addresses
    prefixes: int = 0  # how many SEND events had one
    last_peer: Address | None = None  # datagrams: where the last one was sent to


class Sockets:
    """All sockets of one tree."""

    def __init__(self, emit: Callable[[Event], None], proc: Path, own_network: NetworkNamespace) -> None:
        self.emit = emit
        self.descriptors = Descriptors()
        self.by_inode: dict[int, Socket] = {}  # those that are open
        self.unknown = 0  # calls whose arguments were not understood
        self._proc = proc
        self._own_network = own_network

    def find(self, task: Task, call: Call | Begun) -> Socket | None:
        """The socket that a call uses."""
        if (used := arguments.socket_descriptor(call.arguments, call.name)) is None:
            return None
        descriptor, inode = used
        sock = self.by_inode.get(inode)
        if sock is None:
            self.descriptors.open(task.process.table, descriptor, inode, close_on_exec=False)
            sock = self.by_inode[inode] = self._unseen(task, inode)
        return sock

    def _unseen(self, task: Task, inode: SocketInode) -> Socket:
        """A socket that no call has shown: it was inherited or received, and only the kernel knows its type."""
        sock = Socket(inode, SocketType(0, "", ""), task.network, untracked=True)
        if entry := self.tables(task, sock.network).find(inode):
            sock.type, sock.own, sock.peer = entry.type, entry.own, entry.peer
            sock.local = sock.peer is not None and self.is_local(task, sock, sock.peer)
        return sock

    def is_local(self, task: Task, sock: Socket, address: Address) -> bool:
        """Whether an address belongs to this machine."""
        if address.is_loopback or address.family not in INTERNET:
            return address.is_loopback
        return address.host in self.tables(task, sock.network).hosts()

    def tables(self, task: Task, network: NetworkNamespace) -> KernelTables:
        """The kernel's tables of a network namespace as they are now, read through a task that is in it."""
        return KernelTables(self._directory(task, network))

    def _directory(self, task: Task, network: NetworkNamespace) -> Path:
        return self._proc / ("self" if network == self._own_network else str(task.host_tid)) / "net"

    def entries(self) -> Callable[[Socket, Task], Entry | None]:
        """A function that finds sockets in the kernel's tables. It reads each table once."""
        tables = cache(KernelTables)
        return lambda sock, task: tables(self._directory(task, sock.network)).find(sock.inode)

    def event(self, task: Task, sock: Socket, ns: int, kind: Kind, endpoint: Endpoint, result: int = 0) -> SocketEvent:
        """An event of a socket, to be emitted. Before a task's first one, its THREAD is emitted."""
        if not task.announced:
            task.announced = True
            self.emit(task.event(ns, Kind.THREAD))
        return SocketEvent(ns, kind, task.process.serial, task.tid, sock.inode, sock.network, endpoint, result)
