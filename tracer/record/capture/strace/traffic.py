"""What the tree's sockets do: connect, send, listen.

What is told is what the probes tell (probes/svc_trace.bpf.c, sockets.h); a rule's reason stands there.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from tracer.record.capture.protocol import Event, Kind, SocketEvent
from tracer.record.capture.strace import arguments as given
from tracer.record.capture.strace.arguments import Address, Sent
from tracer.record.capture.strace.descriptors import Descriptors
from tracer.record.capture.strace.lines import Begun, Call
from tracer.record.capture.strace.sockets import Attempt, Entry, KernelTables, Socket
from tracer.record.capture.strace.tasks import Task, inode_of

_HEAD: Final = 8  # SVC_HEAD_LEN
_PREFIXES: Final = 4  # SVC_PREFIXES
_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
_BEFORE_ITS_FIRST_PACKET: Final = frozenset(
    -number
    for number in (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EACCES, errno.EPERM, errno.EINVAL)
)
"""What makes an attempt to connect by TCP fail before it is one."""
_GOES_ON: Final = frozenset({-errno.EINPROGRESS, -errno.EALREADY, -errno.EINTR})
_NO_ATTEMPT: Final = frozenset({-errno.EISCONN, -errno.EALREADY, -errno.ENOTSOCK, -errno.EFAULT, -errno.EBADF})
_ERROR: Final = re.compile(r"[^,]*, SOL_SOCKET, SO_ERROR, \[(\w+)\]")
_SPLICED: Final = re.compile(r"[^,]*, [^,]*, (\d{1,10}<socket:\[\d{1,19}\]>)")
_REMEMBERED: Final = 256
"""Sockets that closed before their own address was known: the answers that they got may still tell it."""


class Traffic:
    """All sockets of one tree.

    Attributes:
        unknown: calls whose arguments made no sense.
    """

    def __init__(
        self,
        descriptors: Descriptors,
        monotonic: Callable[[int], int],
        tell: Callable[[Event], None],
        proc: Path,
    ) -> None:
        self.unknown = 0
        self._descriptors = descriptors
        self._monotonic = monotonic
        self._tell = tell
        self._proc = proc
        self._own_network = inode_of(proc / "self/ns/net")
        self._sockets: dict[int, Socket] = {}
        self._bound: dict[str, Socket] = {}  # where it is found → the unix socket of the tree that was bound there last
        self._untold: dict[Socket, tuple[SocketEvent, Task]] = {}  # its LISTEN lacks the address; who made it so
        self._connecting: dict[Socket, Task] = {}  # without blocking, who began it
        self._left: dict[Socket, Task] = {}  # listens, but nobody is known to have it; who had it last

    # ---------------------------------------------------------------------------------------------- sockets

    def add(self, sock: Socket) -> None:
        """A socket was made."""
        self._sockets[sock.inode] = sock

    def find(self, task: Task, arguments: str) -> Socket | None:
        """The socket that is a call's first argument, if it is one."""
        found = given.socket_of(arguments)
        if found is None:
            return None
        fd, inode = found
        sock = self._sockets.get(inode)
        if sock is None:
            self._descriptors.open(task.process.table, fd, inode, close_on_exec=False)
            sock = self._sockets[inode] = self._strange(task, inode)
        return sock

    def _strange(self, task: Task, inode: int) -> Socket:
        """A socket that the tree was given: what it is, only the kernel knows."""
        entry = self._kernel(task.network.inode, task).find(inode)
        if entry is None:
            return Socket(inode, 0, "", "", task.network, handed_on=True)
        sock = Socket(inode, entry.family, entry.kind, entry.protocol, task.network, entry.own, entry.peer)
        sock.handed_on = True
        sock.local = sock.peer is not None and self._is_local(task, sock, sock.peer)
        return sock

    def hand_on(self, arguments: str) -> None:
        """Descriptors were sent to another process (SCM_RIGHTS): which numbers they get there is not looked at."""
        for _, inode in given.sockets_of(arguments):
            if sock := self._sockets.get(inode):
                sock.handed_on = True

    def gone(self, task: Task, ns: int, inodes: Iterable[int]) -> None:
        """The tree's last known descriptors of sockets were closed, by this task."""
        for inode in inodes:
            sock = self._sockets.get(inode)
            if sock is None:
                continue
            if sock.handed_on:
                if sock.listens:
                    self._left[sock] = task
                continue
            if sock.attempt:
                self._connect_ends(sock, ns, -errno.ECANCELED)
            if sock.listens:
                self._listen_ends(task, sock, ns)
            del self._sockets[inode]

    def complete(self, now_ns: int) -> None:
        """Ask the kernel for what no call has told, for each of its tables once."""
        asked: dict[Path, KernelTables] = {}

        def entry_of(sock: Socket, task: Task) -> Entry | None:
            tables = self._kernel(sock.network.inode, task)
            return asked.setdefault(tables.folder, tables).find(sock.inode)

        for sock, task in list(self._connecting.items()):
            entry = entry_of(sock, task)
            if entry is not None and entry.established:
                self._connect_ends(sock, now_ns, 0)
        for sock, (_, task) in list(self._untold.items()):
            entry = entry_of(sock, task) if self._sockets.get(sock.inode) is sock else None
            if entry is not None and entry.own is not None:
                self._learn(sock, entry.own)
        for sock, task in list(self._left.items()):
            entry = entry_of(sock, task)
            if entry is None or not entry.listens:
                self._listen_ends(task, sock, now_ns)
                del self._sockets[sock.inode]
        while len(self._untold) > _REMEMBERED and (oldest := next(iter(self._untold))).inode not in self._sockets:
            del self._untold[oldest]

    def _kernel(self, network: int, task: Task) -> KernelTables:
        """The tables of a network namespace, through a task that is in it."""
        return KernelTables(self._proc / ("self" if network == self._own_network else str(task.host_tid)) / "net")

    def _event(self, task: Task, ns: int, kind: Kind, sock: Socket, endpoint: str, result: int) -> SocketEvent:
        who = (task.process.serial, task.tid)
        return SocketEvent(ns, kind, *who, sock.inode, sock.network.inode, endpoint, result)

    def _announce(self, task: Task, ns: int) -> None:
        if not task.announced:
            task.announced = True
            self._tell(task.event(ns, Kind.THREAD))

    # -------------------------------------------------------------------------------------------- to connect

    def connect_begins(self, task: Task, begun: Begun) -> None:
        """The call has begun: it may take minutes."""
        sock, address = self.find(task, begun.arguments), given.named(begun.arguments)
        if sock and address and sock.protocol == "tcp" and address.family in _INTERNET and not sock.peer:
            self._begin(task, sock, address, begun.ns)

    def _begin(self, task: Task, sock: Socket, address: Address, ns: int) -> None:
        """An attempt by TCP; until it fails, the socket has this peer."""
        since_ns = self._monotonic(ns)
        self._announce(task, since_ns)
        self._associate(task, sock, address)
        assert sock.peer is not None
        endpoint = sock.peer.endpoint(sock.protocol)
        sock.attempt = Attempt(since_ns, task.process.serial, task.tid, endpoint)
        event = self._event(task, since_ns, Kind.CONNECT, sock, endpoint, 0)
        self._tell(event._replace(local=sock.local))

    def connect(self, task: Task, call: Call) -> None:
        """The call has ended."""
        sock, address = self.find(task, call.arguments), given.named(call.arguments)
        if sock is None or address is None or (call.result in _NO_ATTEMPT and not sock.attempt):
            return
        if address.family == socket.AF_UNSPEC:
            if call.result == 0:
                self._dissolve(task, sock, self._monotonic(call.end_ns))
        elif sock.protocol == "tcp":
            if address.family in _INTERNET:
                self._connect_tcp(task, call, sock, address)
        elif call.result is None or call.result in _GOES_ON:
            pass
        elif sock.family in _INTERNET and address.family in _INTERNET:
            if call.result == 0:
                self._associate(task, sock, address)
            self._tell_connect(task, call, sock, address.endpoint(sock.protocol), call.result)
        elif sock.family == address.family == socket.AF_UNIX:
            if call.result == 0:
                sock.peer = address = self._server(task, sock, address)
            self._tell_connect(task, call, sock, address.endpoint("unix"), call.result)

    def _connect_tcp(self, task: Task, call: Call, sock: Socket, address: Address) -> None:
        result = call.result
        if sock.attempt is None:
            if sock.peer:
                return  # the end of an attempt whose result was asked for and told before
            if result in _BEFORE_ITS_FIRST_PACKET:
                assert result is not None
                self._tell_connect(task, call, sock, address.endpoint(sock.protocol), result)
                return
            self._begin(task, sock, address, call.ns)
        if result is None or result in _GOES_ON:  # interrupted, or without blocking
            self._connecting[sock] = task
        else:
            self._connect_ends(sock, self._monotonic(call.end_ns), 0 if result == -errno.EISCONN else result)

    def _dissolve(self, task: Task, sock: Socket, ns: int) -> None:
        """Whatever a socket was connected to, it no longer is; it does not listen either."""
        self._connect_ends(sock, ns, -errno.ECANCELED)
        if sock.listens:
            self._listen_ends(task, sock, ns)
        sock.peer, sock.local = None, False

    def _connect_ends(self, sock: Socket, ns: int, result: int) -> None:
        attempt, sock.attempt = sock.attempt, None
        self._connecting.pop(sock, None)
        if attempt is None:
            return
        if result < 0:
            sock.peer, sock.local = None, False
        where = (sock.inode, sock.network.inode, attempt.endpoint)
        kind = Kind.CONNECT_RESULT
        self._tell(SocketEvent(ns, kind, attempt.process, attempt.tid, *where, result, since_ns=attempt.since_ns))

    def _tell_connect(self, task: Task, call: Call, sock: Socket, endpoint: str, result: int) -> None:
        """The result of an attempt that nothing announced."""
        ns = self._monotonic(call.end_ns)
        self._announce(task, ns)
        pid, mark = sock.listener if result == 0 else (0, 0)
        event = self._event(task, ns, Kind.CONNECT_RESULT, sock, endpoint, result)
        self._tell(event._replace(peer_pid=pid, peer_generation=mark, local=sock.local and result == 0))

    def _associate(self, task: Task, sock: Socket, address: Address) -> None:
        if address.is_any:  # leads to this machine (ip(7))
            host = "127.0.0.1" if address.family == socket.AF_INET else "::1"
            address = address._replace(host=host)
        sock.peer = address
        sock.local = self._is_local(task, sock, address)

    def _is_local(self, task: Task, sock: Socket, address: Address) -> bool:
        if address.is_loopback or address.family not in _INTERNET:
            return address.is_loopback
        return address.host in self._kernel(sock.network.inode, task).hosts()

    def _server(self, task: Task, sock: Socket, address: Address) -> Address:
        """Who a unix socket has reached, by the name that its server bound: the client's may be relative, or a link."""
        path = address.path
        if not path.startswith("@"):
            path = task.process.folders.seen_from_outside(path)
            path = path if path in self._bound else os.path.realpath(path)
        server = self._bound.get(path)
        if server is not None and self._descriptors.held(server.inode) and server.own is not None:
            sock.listener = server.server
            return server.own
        sock.listener = (0, 0)
        names = self._kernel(sock.network.inode, task).unix_names()
        found = next((name for name in (path, address.path) if name in names), address.path)
        return Address(socket.AF_UNIX, path=found)

    def told_error(self, task: Task, call: Call) -> None:
        """getsockopt(2): SO_ERROR is how one learns how an attempt has ended."""
        if call.result == 0 and (found := _ERROR.match(call.arguments)):
            sock = self.find(task, call.arguments)
            if sock is not None and sock.attempt:
                number = 0 if found[1] == "0" else int(getattr(errno, found[1], errno.EIO))
                self._connect_ends(sock, self._monotonic(call.end_ns), -number)

    def told_peer(self, task: Task, call: Call) -> None:
        """getpeername(2) succeeds when an attempt has."""
        sock = self.find(task, call.arguments)
        if call.result == 0 and sock is not None and sock.attempt:
            self._connect_ends(sock, self._monotonic(call.end_ns), 0)

    # --------------------------------------------------------------------------------------------- to listen

    def bind(self, task: Task, call: Call) -> None:
        """A socket gets a name."""
        sock, address = self.find(task, call.arguments), given.named(call.arguments)
        if call.result != 0 or sock is None or address is None or sock.family == 0:
            return
        sock.own = address
        if sock.family == socket.AF_UNIX and address.path:
            self._bind_path(task, sock)
        if sock.kind == "SOCK_DGRAM":
            sock.named = True
            self._listen_begins(task, sock, self._monotonic(call.end_ns))

    def _bind_path(self, task: Task, sock: Socket) -> None:
        assert sock.own is not None
        path = sock.own.path
        if not path.startswith("@"):
            path = os.path.realpath(task.process.folders.seen_from_outside(path))
        self._bound[path] = sock

    def listen(self, task: Task, call: Call) -> None:
        """A socket can be connected to. Of unix sockets, who connects is told who listens."""
        sock = self.find(task, call.arguments)
        if call.result != 0 or sock is None:
            return
        sock.server = (task.process.host_pid, task.process.serial)
        if sock.protocol == "tcp" and not sock.listens:
            sock.listens = True
            self._listen_begins(task, sock, self._monotonic(call.end_ns))

    def shutdown(self, task: Task, call: Call) -> None:
        """This ends listening, too."""
        sock = self.find(task, call.arguments)
        if call.result == 0 and sock is not None and sock.listens and "SHUT_WR" not in call.arguments:
            self._listen_ends(task, sock, self._monotonic(call.end_ns))

    def told_name(self, task: Task, call: Call) -> None:
        """getsockname(2): the port or name that the kernel chose."""
        sock, address = self.find(task, call.arguments), given.named(call.arguments)
        if call.result == 0 and sock is not None and address is not None:
            self._learn(sock, address)

    def _learn(self, sock: Socket, address: Address) -> None:
        """A socket's own address."""
        if not _is_whole(address):
            return
        if sock.own is None and sock.anywhere:
            address = address._replace(host="::" if sock.family == socket.AF_INET6 else "0.0.0.0")
        elif sock.own is not None and sock.own.host:
            address = address._replace(host=sock.own.host)
        sock.own = address
        if untold := self._untold.pop(sock, None):
            self._tell(untold[0]._replace(endpoint=address.endpoint(sock.protocol)))

    def _listen_begins(self, task: Task, sock: Socket, ns: int) -> None:
        self._announce(task, ns)
        event = self._event(task, ns, Kind.LISTEN, sock, "", 0)
        if sock.own is not None and _is_whole(sock.own):
            self._tell(event._replace(endpoint=sock.own.endpoint(sock.protocol)))
        else:
            self._untold[sock] = event, task

    def _listen_ends(self, task: Task, sock: Socket, ns: int) -> None:
        sock.listens = False
        self._left.pop(sock, None)
        if self._untold.pop(sock, None) is None and sock.own is not None:
            endpoint = sock.own.endpoint(sock.protocol)
            self._tell(self._event(task, ns, Kind.LISTEN_END, sock, endpoint, 0))

    # ----------------------------------------------------------------------------------------------- to send

    def write(self, task: Task, call: Call) -> None:
        """Bytes for a file or a socket."""
        self._send(task, call, given.sent_by_write(call.arguments), call.result)

    def write_vector(self, task: Task, call: Call) -> None:
        """writev(2), pwritev2(2)."""
        self._send(task, call, given.sent_by_vector(call.arguments), call.result)

    def send_to(self, task: Task, call: Call) -> None:
        """sendto(2)."""
        self._send(task, call, given.sent_to(call.arguments), call.result)

    def send_message(self, task: Task, call: Call) -> None:
        """sendmsg(2)."""
        if "SCM_RIGHTS" in call.arguments:
            self.hand_on(call.arguments)
        self._send(task, call, given.sent_message(call.arguments), call.result)

    def send_messages(self, task: Task, call: Call) -> None:
        """sendmmsg(2): each of its messages is a send."""
        if call.result is None:
            return
        if call.result < 0:
            self._send(task, call, given.sent_message(call.arguments.replace("[{msg_hdr=", "", 1)), call.result)
            return
        messages = list(given.sent_messages(call.arguments))[: call.result]
        self.unknown += len(messages) < call.result and given.socket_of(call.arguments) is not None
        for sent, size in messages:
            self._send(task, call, sent, size)

    def send_file(self, task: Task, call: Call) -> None:
        """sendfile(2)."""
        self._send(task, call, Sent(b"", None), call.result)

    def splice(self, task: Task, call: Call) -> None:
        """Bytes from a pipe."""
        if found := _SPLICED.match(call.arguments):
            self._send(task, call._replace(arguments=found[1]), Sent(b"", None), call.result)

    def _send(self, task: Task, call: Call, sent: Sent | None, result: int | None) -> None:
        sock = self.find(task, call.arguments)
        if sock is None or result is None or sock.served:
            return
        if sock.family == 0:
            self.unknown += not sock.kind  # given to the tree, and gone before anybody could ask what it was
            return
        if sent is None:
            self.unknown += 1
            return
        to = sent.to
        if sock.protocol == "tcp" and "MSG_FASTOPEN" in sent.flags and to and not sock.peer:
            self._fast_open(task, call, sock, to)
        if result == -errno.EAGAIN or (result == 0 and sock.is_stream):
            return
        if sock.attempt:
            self._connect_ends(sock, self._monotonic(call.end_ns), min(result, 0))
        if sock.protocol == "tcp" or (sock.family == socket.AF_UNIX and sock.kind != "SOCK_DGRAM"):
            to = None  # such a socket has the peer that it has
        peer = sock.peer if to is None or to.family == 0 else to
        if peer is None:
            return
        ns = self._monotonic(call.end_ns)
        self._announce(task, ns)
        data = sent.data[: max(result, 0)]
        prefix = b""
        if sock.prefixes < _PREFIXES:
            sock.prefixes += 1
            prefix = data
        pid, mark = sock.listener
        local = to is None and sock.local
        event = self._event(task, ns, Kind.SEND, sock, peer.endpoint(sock.protocol), result)
        event = event._replace(head=data[:_HEAD], prefix=prefix, peer_pid=pid, peer_generation=mark, local=local)
        self._tell(event)
        if sock.kind == "SOCK_DGRAM":
            self._datagram_sent(task, sock, peer, ns, answers=to is not None, local=local, sent=result >= 0)

    def _fast_open(self, task: Task, call: Call, sock: Socket, to: Address) -> None:
        """sendto(2) connects, too."""
        self._begin(task, sock, to, call.ns)
        if call.result == -errno.EINPROGRESS:
            self._connecting[sock] = task
        elif call.result is not None and call.result != -errno.EAGAIN:
            self._connect_ends(sock, self._monotonic(call.end_ns), min(call.result, 0))

    def _datagram_sent(
        self, task: Task, sock: Socket, peer: Address, ns: int, *, answers: bool, local: bool, sent: bool
    ) -> None:
        """Somebody on this machine may answer to where a datagram came from."""
        sock.asked = peer
        if sent and sock.family in _INTERNET and not sock.named and (local or peer.is_loopback):
            sock.named = True
            sock.anywhere = sock.peer is None
            self._listen_begins(task, sock, ns)
        if answers and sock.own is not None:
            for asking in self._untold:
                if asking is not sock and asking.asked is not None and _reaches(asking.asked, sock.own):
                    self._learn(asking, peer)  # an answer tells where the question came from
                    break


def _is_whole(address: Address) -> bool:
    """Whether an address says where a socket can be reached."""
    return bool(address.port or address.path)


def _reaches(to: Address, own: Address) -> bool:
    """Whether what is sent to an address arrives at a socket with that one."""
    return to.path == own.path and to.port == own.port and (own.is_any or to.host == own.host)
