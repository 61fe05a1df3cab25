"""Sends: calls that write to a socket's peer, or to an address. Each emits a SEND event with the first bytes."""

from __future__ import annotations

import errno
from typing import Final

from tracer.record.capture.protocol import Kind
from tracer.record.capture.strace import arguments
from tracer.record.capture.strace.arguments import INTERNET, Address, Sent
from tracer.record.capture.strace.connecting import Connecting
from tracer.record.capture.strace.lines import Call
from tracer.record.capture.strace.listening import Listening
from tracer.record.capture.strace.sockets import Socket, Sockets
from tracer.record.capture.strace.tasks import Task

_HEAD: Final = 16  # SVC_HEAD_LEN
_PREFIX: Final = 32  # SVC_PREFIX_LEN
_PREFIXES: Final = 4  # SVC_PREFIXES


class Sending:
    """The sends of one tree's sockets."""

    def __init__(self, sockets: Sockets, connecting: Connecting, listening: Listening) -> None:
        self._sockets = sockets
        self._connecting = connecting
        self._listening = listening

    def send(self, task: Task, sock: Socket, call: Call) -> None:
        """One send, whose data is in the call's arguments."""
        if call.name == "sendmsg" and "SCM_RIGHTS" in call.arguments:
            for _, inode in arguments.socket_descriptors(call.arguments):
                if passed_on := self._sockets.by_inode.get(inode):
                    passed_on.untracked = True
        self._send(task, sock, call, arguments.sent(call.name, call.arguments), call.result)

    def sendmmsg(self, task: Task, sock: Socket, call: Call) -> None:
        """Several sends: each message is one."""
        if call.result is None or call.result < 0:
            self.send(task, sock, call)
            return
        messages = list(arguments.sent_messages(call.arguments))[: call.result]
        self._sockets.unknown += len(messages) < call.result
        for sent, size in messages:
            self._send(task, sock, call, sent, size)

    def sendfile(self, task: Task, sock: Socket, call: Call) -> None:
        """One send, whose data is not known. For splice(2), too."""
        self._send(task, sock, call, Sent(b""), call.result)

    def _send(self, task: Task, sock: Socket, call: Call, sent: Sent | None, result: int | None) -> None:
        if result is None or sock.accepted:
            return
        if sock.type.family == 0:
            self._sockets.unknown += not sock.type.kind  # closed before the kernel's tables could be read
            return
        if sent is None:
            self._sockets.unknown += 1
            return
        if sock.type.protocol == "tcp" and "MSG_FASTOPEN" in sent.flags and sent.to and not sock.peer:
            self._connecting.fast_open(task, sock, sent.to, call.ns)
            if result == -errno.EINPROGRESS:  # the attempt has begun, without the data
                return
        if result == -errno.EAGAIN:
            return
        self._connecting.end(sock, call.end_ns, min(result, 0))
        if result == 0 and sock.type.kind == "SOCK_STREAM":
            return
        keeps_peer = sock.type.protocol == "tcp" or (sock.type.protocol == "unix" and sock.type.kind != "SOCK_DGRAM")
        to = None if keeps_peer or (sent.to and sent.to.family == 0) else sent.to
        if to or sock.peer:
            self._emit(task, sock, call.end_ns, to, sent.data[: max(result, 0)], result)

    def _emit(self, task: Task, sock: Socket, ns: int, to: Address | None, data: bytes, result: int) -> None:
        peer = to or sock.peer
        assert peer is not None
        pid, generation = sock.peer_process
        local = to is None and sock.local
        event = self._sockets.event(task, sock, ns, Kind.SEND, peer.endpoint(sock.type.protocol), result)
        is_first = sock.prefixes < _PREFIXES
        prefix = data[:_PREFIX] if is_first else b""
        sock.prefixes += 1
        self._sockets.emit(
            event._replace(head=data[:_HEAD], prefix=prefix, peer_pid=pid, peer_generation=generation, local=local)
        )
        if is_first and sock.type.protocol == "tcp" and len(data) > _PREFIX:
            self._sockets.emit(event._replace(kind=Kind.OPENING, prefix=data))
        if sock.type.kind == "SOCK_DGRAM":
            sock.last_peer = peer
            if result >= 0 and sock.type.family in INTERNET and not sock.receives and (local or peer.is_loopback):
                sock.on_any_host = sock.peer is None
                self._listening.receive(task, sock, ns)  # a process on this machine may answer
            if to:
                self._listening.answered(sock, peer)
