"""The calls that make, duplicate and close sockets. A socket ends when its last known descriptor is closed."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from tracer.record.capture.strace import arguments
from tracer.record.capture.strace.connecting import Connecting
from tracer.record.capture.strace.lines import Call
from tracer.record.capture.strace.listening import Listening
from tracer.record.capture.strace.sockets import Socket, Sockets
from tracer.record.capture.strace.tasks import Task


class Lifetimes:
    """When the sockets of one tree begin and end."""

    def __init__(self, sockets: Sockets, connecting: Connecting, listening: Listening) -> None:
        self._sockets = sockets
        self._descriptors = sockets.descriptors
        self._connecting = connecting
        self._listening = listening

    def socket(self, task: Task, call: Call) -> None:
        """One socket was made and returned, or two by socketpair(2), which it puts into an argument."""
        for descriptor, inode in arguments.socket_descriptors(f"{call.arguments} {call.returned}"):
            self._sockets.by_inode[inode] = Socket(inode, arguments.socket_type(call.arguments), task.network)
            self._open(task, call, descriptor, inode, close_on_exec="SOCK_CLOEXEC" in call.arguments)

    def accept(self, task: Task, call: Call) -> None:
        """A connection was accepted."""
        if accepted := arguments.socket_descriptor(call.returned):
            descriptor, inode = accepted
            if listener := self._sockets.find(task, call):
                self._sockets.by_inode[inode] = Socket(inode, listener.type, listener.network, accepted=True)
            self._open(task, call, descriptor, inode, close_on_exec="SOCK_CLOEXEC" in call.arguments)

    def duplicate(self, task: Task, call: Call) -> None:
        """A descriptor was duplicated, which may have replaced another."""
        if duplicate := arguments.socket_descriptor(call.returned):
            close_on_exec = "O_CLOEXEC" in call.arguments or call.name == "pidfd_getfd"
            self._open(task, call, *duplicate, close_on_exec=close_on_exec)
        elif call.result is not None:
            self.closed(task, call.end_ns, self._descriptors.close(task.process.table, call.result))

    def fcntl(self, task: Task, call: Call) -> None:
        """A descriptor was duplicated, or its flags were set."""
        if "F_DUPFD" in call.arguments:
            if duplicate := arguments.socket_descriptor(call.returned):
                self._open(task, call, *duplicate, close_on_exec="F_DUPFD_CLOEXEC" in call.arguments)
        elif "F_SETFD" in call.arguments and (changed := arguments.socket_descriptor(call.arguments)):
            self._open(task, call, *changed, close_on_exec="FD_CLOEXEC" in call.arguments)

    def close(self, task: Task, call: Call) -> None:
        """A descriptor was closed, even if the call returned an error."""
        if closed := arguments.socket_descriptor(call.arguments):
            descriptor, inode = closed
            table = task.process.table
            self._descriptors.open(table, descriptor, inode, close_on_exec=False)  # no call may have shown it before
            self.closed(task, call.end_ns, self._descriptors.close(table, descriptor))

    def close_range(self, task: Task, call: Call) -> None:
        """Descriptors were closed, or will be by execve(2)."""
        if (parsed := arguments.descriptor_range(call.arguments)) is None:
            return
        numbers, flags = parsed
        if "CLOSE_RANGE_UNSHARE" in flags:
            task.process.table = self._descriptors.unshare(task.process.table)
        table = task.process.table
        descriptors = [descriptor for descriptor in table.inodes if descriptor in numbers]
        if "CLOSE_RANGE_CLOEXEC" in flags:
            table.close_on_exec.update(descriptors)
        else:
            self.closed(task, call.end_ns, self._descriptors.close(table, *descriptors))

    def _open(self, task: Task, call: Call, descriptor: int, inode: int, *, close_on_exec: bool) -> None:
        replaced = self._descriptors.open(task.process.table, descriptor, inode, close_on_exec=close_on_exec)
        self.closed(task, call.end_ns, replaced)

    def closed(self, task: Task, ns: int, inodes: Iterable[int]) -> None:
        """A task has closed the last known descriptors of sockets."""
        for inode in inodes:
            if (sock := self._sockets.by_inode.get(inode)) is None:
                continue
            if not sock.untracked:
                self._connecting.end(sock, ns, -errno.ECANCELED)
                self._listening.end(task, sock, ns)
                del self._sockets.by_inode[inode]
            elif sock.listens:
                self._listening.without_descriptor[sock] = task
