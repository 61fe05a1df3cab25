"""Attempts to connect. TCP emits CONNECT when one begins and CONNECT_RESULT at its end; others only the latter."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Final

from tracer.record.capture.protocol import Kind
from tracer.record.capture.strace import arguments
from tracer.record.capture.strace.arguments import INTERNET, Address
from tracer.record.capture.strace.kernel_tables import Entry
from tracer.record.capture.strace.lines import Begun, Call
from tracer.record.capture.strace.listening import Listening
from tracer.record.capture.strace.sockets import Socket, Sockets
from tracer.record.capture.strace.tasks import Task

_BEFORE_FIRST_PACKET: Final = frozenset(
    {-errno.ENETUNREACH, -errno.EADDRNOTAVAIL, -errno.EADDRINUSE, -errno.EACCES, -errno.EPERM, -errno.EINVAL}
)
"""Errors that end an attempt by TCP before the kernel sends anything."""
_GOES_ON: Final = frozenset({-errno.EINPROGRESS, -errno.EALREADY, -errno.EINTR})
_NO_ATTEMPT: Final = frozenset({-errno.EISCONN, -errno.EALREADY, -errno.ENOTSOCK, -errno.EFAULT, -errno.EBADF})


class Connecting:
    """The attempts of one tree's sockets."""

    def __init__(self, sockets: Sockets, listening: Listening) -> None:
        self._sockets = sockets
        self._listening = listening
        self._unfinished: dict[Socket, Task] = {}  # attempts that go on after the call, and the tasks that began them

    def connect_begun(self, task: Task, begun: Begun) -> None:
        """The call has begun; it may take minutes."""
        sock, address = self._sockets.find(task, begun), arguments.second_address(begun.arguments)
        if sock and address and sock.type.protocol == "tcp" and address.family in INTERNET and not sock.peer:
            self._begin(task, sock, address, begun.ns)

    def connect(self, task: Task, sock: Socket, call: Call) -> None:
        """The call has ended; the attempt may go on."""
        address, result = arguments.second_address(call.arguments), call.result
        if address is None or (result in _NO_ATTEMPT and not sock.attempt):
            return
        if address.family == socket.AF_UNSPEC:
            if result == 0:  # the socket has no peer any longer, and does not listen
                self.end(sock, call.end_ns, -errno.ECANCELED)
                self._listening.end(task, sock, call.end_ns)
                sock.peer, sock.local = None, False
        elif sock.type.protocol == "tcp":
            if address.family in INTERNET:
                self._connect_tcp(task, sock, call, address)
        elif result is None or result in _GOES_ON:
            pass
        elif sock.type.family in INTERNET and address.family in INTERNET:
            if result == 0:
                self._set_peer(task, sock, address)
            self._emit_result(task, sock, call.end_ns, address, result)
        elif sock.type.family == address.family == socket.AF_UNIX:
            if result == 0:
                address, sock.peer_process = self._listening.unix_server(task, sock, address)
                sock.peer = address
            self._emit_result(task, sock, call.end_ns, address, result)

    def _connect_tcp(self, task: Task, sock: Socket, call: Call, address: Address) -> None:
        result = call.result
        if sock.attempt is None:
            if sock.peer:
                return  # this call asks for the result of an attempt whose end was emitted before
            if result is not None and result in _BEFORE_FIRST_PACKET:
                self._emit_result(task, sock, call.end_ns, address, result)
                return
            self._begin(task, sock, address, call.ns)
        if result is None or result in _GOES_ON:  # interrupted, or without blocking
            self._unfinished[sock] = task
        else:
            self.end(sock, call.end_ns, 0 if result == -errno.EISCONN else result)

    def fast_open(self, task: Task, sock: Socket, address: Address, ns: int) -> None:
        """An attempt by sendto(2) with MSG_FASTOPEN."""
        self._begin(task, sock, address, ns)
        self._unfinished[sock] = task

    def _begin(self, task: Task, sock: Socket, address: Address, ns: int) -> None:
        """An attempt by TCP begins; until it fails, the address is the socket's peer."""
        endpoint = self._set_peer(task, sock, address).endpoint(sock.type.protocol)
        sock.attempt = self._sockets.event(task, sock, ns, Kind.CONNECT, endpoint)._replace(local=sock.local)
        self._sockets.emit(sock.attempt)

    def _set_peer(self, task: Task, sock: Socket, address: Address) -> Address:
        if address.is_any:
            address = address._replace(host="127.0.0.1" if address.family == socket.AF_INET else "::1")
        sock.peer, sock.local = address, self._sockets.is_local(task, sock, address)
        return address

    def end(self, sock: Socket, ns: int, result: int) -> None:
        """The socket's attempt, if it has one, has ended; `result` is 0 or -errno."""
        attempt, sock.attempt = sock.attempt, None
        self._unfinished.pop(sock, None)
        if attempt:
            if result < 0:
                sock.peer, sock.local = None, False
            ended = attempt._replace(ns=ns, kind=Kind.CONNECT_RESULT, result=result, since_ns=attempt.ns, local=False)
            self._sockets.emit(ended)

    def _emit_result(self, task: Task, sock: Socket, ns: int, address: Address, result: int) -> None:
        """The result of an attempt that has no CONNECT event."""
        event = self._sockets.event(task, sock, ns, Kind.CONNECT_RESULT, address.endpoint(sock.type.protocol), result)
        if result == 0:
            pid, generation = sock.peer_process
            event = event._replace(peer_pid=pid, peer_generation=generation, local=sock.local)
        self._sockets.emit(event)

    def getsockopt(self, _: Task, sock: Socket, call: Call) -> None:
        """SO_ERROR is the result of an attempt that has ended."""
        if (number := arguments.socket_error(call.arguments)) is not None:
            self.end(sock, call.end_ns, -number)

    def getpeername(self, _: Task, sock: Socket, call: Call) -> None:
        """This call succeeds if an attempt has succeeded."""
        self.end(sock, call.end_ns, 0)

    def complete(self, now_ns: int, entry_of: Callable[[Socket, Task], Entry | None]) -> None:
        """End attempts that have succeeded by the kernel's tables."""
        for sock, task in list(self._unfinished.items()):
            if (entry := entry_of(sock, task)) and entry.established:
                self.end(sock, now_ns, 0)
