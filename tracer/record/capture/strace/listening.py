"""Sockets that can be reached. A LISTEN event waits until the socket's own address is known."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Final

from tracer.record.capture.protocol import Kind, SocketEvent
from tracer.record.capture.strace import arguments
from tracer.record.capture.strace.arguments import Address
from tracer.record.capture.strace.kernel_tables import Entry
from tracer.record.capture.strace.lines import Call
from tracer.record.capture.strace.sockets import UNKNOWN, PidUse, Socket, Sockets
from tracer.record.capture.strace.tasks import Task
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import PidGeneration

_CLOSED_LIMIT: Final = 256
"""Sockets that were closed before their own addresses were known, and wait for an answer that shows them."""


class Listening:
    """The sockets of one tree that other sockets can connect or send to."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        self._bound: dict[str, Socket] = {}  # name, as from outside → the unix socket of the tree that was bound last
        self._without_address: dict[Socket, tuple[SocketEvent, Task]] = {}  # LISTEN events that wait, and their tasks
        self.without_descriptor: dict[Socket, Task] = {}  # untracked sockets, and the last tasks that had them

    def bind(self, task: Task, sock: Socket, call: Call) -> None:
        """A socket's own address was set. It can receive datagrams from now on."""
        address = arguments.second_address(call.arguments)
        if address is None or sock.type.family == 0:
            return
        sock.own = address
        if sock.type.family == socket.AF_UNIX and address.path:
            path = address.path
            if not path.startswith("@"):
                path = task.process.directories.from_outside(path)
                self._bound[os.path.realpath(path)] = sock
            self._bound[path] = sock  # by this one, too: a symbolic link in it may be removed soon
        if sock.type.kind == "SOCK_DGRAM":
            self.receive(task, sock, call.end_ns)

    def listen(self, task: Task, sock: Socket, call: Call) -> None:
        """A stream socket can be connected to from now on."""
        sock.listening_process = (task.process.host_pid, PidGeneration(task.process.serial))
        if sock.type.protocol == "tcp" and not sock.listens:
            sock.listens = True
            self._begin(task, sock, call.end_ns)

    def shutdown(self, task: Task, sock: Socket, call: Call) -> None:
        """A socket no longer listens, unless the call was for writing."""
        if "SHUT_WR" not in call.arguments:
            self.end(task, sock, call.end_ns)

    def getsockname(self, _: Task, sock: Socket, call: Call) -> None:
        """The port or the name that the kernel has chosen is known."""
        if address := arguments.second_address(call.arguments):
            self._set_own_address(sock, address)

    def receive(self, task: Task, sock: Socket, ns: int) -> None:
        """A datagram socket can receive from now on."""
        sock.receives = True
        self._begin(task, sock, ns)

    def _begin(self, task: Task, sock: Socket, ns: int) -> None:
        event = self._sockets.event(task, sock, ns, Kind.LISTEN, Endpoint(sock.type.protocol))
        if sock.own is not None and _is_complete(sock.own):
            self._sockets.emit(event._replace(endpoint=sock.own.endpoint(sock.type.protocol)))
        else:
            self._without_address[sock] = event, task

    def end(self, task: Task, sock: Socket, ns: int) -> None:
        """A socket no longer listens, if it did."""
        if not sock.listens:
            return
        sock.listens = False
        self.without_descriptor.pop(sock, None)
        if self._without_address.pop(sock, None) is None and sock.own is not None:
            endpoint, process = sock.own.endpoint(sock.type.protocol), task.process.serial
            event = SocketEvent(ns, Kind.LISTEN_END, process, task.tid, sock.inode, sock.network, endpoint, 0)
            self._sockets.emit(event)

    def _set_own_address(self, sock: Socket, address: Address) -> None:
        if not _is_complete(address):
            return
        if sock.own is None and sock.on_any_host:
            address = address._replace(host="::" if sock.type.family == socket.AF_INET6 else "0.0.0.0")
        elif sock.own is not None and sock.own.host:
            address = address._replace(host=sock.own.host)
        sock.own = address
        if waiting := self._without_address.pop(sock, None):
            event, _ = waiting
            self._sockets.emit(event._replace(endpoint=address.endpoint(sock.type.protocol)))

    def answered(self, sock: Socket, peer: Address) -> None:
        """A datagram was sent to `peer`. It may answer another socket, whose own address `peer` is then."""
        if sock.own is None:
            return
        for other in self._without_address:
            if other is not sock and other.last_peer is not None and _reaches(other.last_peer, sock.own):
                self._set_own_address(other, peer)
                break

    def unix_server(self, task: Task, sock: Socket, address: Address) -> tuple[Address, PidUse]:
        """The name that the server of a unix socket has bound, and its process, or UNKNOWN.

        The client's path may be relative to other directories, or a symbolic link.
        """
        path = address.path
        if not path.startswith("@"):
            path = task.process.directories.from_outside(path)
            path = path if path in self._bound else os.path.realpath(path)
        server = self._bound.get(path)
        if server is not None and self._sockets.descriptors.is_open(server.inode) and server.own is not None:
            return server.own, server.listening_process
        names = self._sockets.tables(task, sock.network).unix_names()
        name = path if path in names else address.path
        return Address(socket.AF_UNIX, path=name), UNKNOWN

    def complete(self, now_ns: int, entry_of: Callable[[Socket, Task], Entry | None]) -> None:
        """Take own addresses and ends of listening from the kernel's tables."""
        for sock, (_, task) in list(self._without_address.items()):
            if self._sockets.by_inode.get(sock.inode) is sock and (entry := entry_of(sock, task)) and entry.own:
                self._set_own_address(sock, entry.own)
        for sock, task in list(self.without_descriptor.items()):
            entry = entry_of(sock, task)
            if entry is None or not entry.listens:
                self.end(task, sock, now_ns)
                del self._sockets.by_inode[sock.inode]
        while len(self._without_address) > _CLOSED_LIMIT:
            oldest = next(iter(self._without_address))
            if oldest.inode in self._sockets.by_inode:
                break
            del self._without_address[oldest]


def _is_complete(address: Address) -> bool:
    """Whether an address is sufficient to reach a socket."""
    return bool(address.port or address.path)


def _reaches(to: Address, own: Address) -> bool:
    """Whether data sent to an address arrives at a socket with this own address."""
    return to.path == own.path and to.port == own.port and (own.is_any or to.host == own.host)
