"""Passes each system call to its handler, and returns all events. It handles births and ends of tasks itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tracer.record.capture.protocol import Event, Kind
from tracer.record.capture.strace import arguments
from tracer.record.capture.strace.connecting import Connecting
from tracer.record.capture.strace.lifetimes import Lifetimes
from tracer.record.capture.strace.lines import Begun, Call, Ended, Item
from tracer.record.capture.strace.listening import Listening
from tracer.record.capture.strace.sending import Sending
from tracer.record.capture.strace.sockets import Socket, Sockets
from tracer.record.capture.strace.tasks import PROC, Task, Tree
from tracer.trace.ids import Pid, PidNamespace, Tid

_ENDINGS: Final = frozenset({"exit_group", "kill", "tgkill"})
_BIRTHS: Final = frozenset({"clone", "clone3", "fork", "vfork"})
_EFFECTIVE_FAILURES: Final = (
    _ENDINGS
    | _BIRTHS
    | {
        *("connect", "close", "execve", "execveat"),
        *("pwritev2", "send", "sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto", "splice", "write", "writev"),
    }
)
"""Calls that matter even if they fail. All others have no effect then."""
_WAITING_LIMIT: Final = 100_000
"""Items that may wait for the birth of their task."""


class Observer:
    """The system calls of one tree, turned into events."""

    def __init__(self, proc: Path = PROC) -> None:
        self.fifo = ""  # the path of the FIFO for boundaries
        self.blind = 0  # calls that set up an io_uring, whose operations strace does not see
        self.begun = False  # the command has been executed
        self.failed = 0  # the errno with which it could not be executed; 0: it was, or has not been tried
        self.ended = False  # the command's process has ended
        self._unknown = 0
        self._executed = 0  # programs, by the command's process, until the command has begun
        self._root = 0  # the command's pid
        self._events: list[Event] = []
        self._tree = Tree(proc)
        self._waiting: dict[int, list[Item]] = {}  # task → its items, until its birth is known
        self._starting: dict[int, Begun] = {}  # task → its call that starts a process, until it has returned
        self._found_early: set[int] = set()  # tasks that were found in /proc before their parents' calls returned
        self._sockets = Sockets(self._events.append, proc, self._tree.networks.own)
        self._listening = Listening(self._sockets)
        self._connecting = Connecting(self._sockets, self._listening)
        self._sending = Sending(self._sockets, self._connecting, self._listening)
        self._lifetimes = Lifetimes(self._sockets, self._connecting, self._listening)
        self._socket_handlers: dict[str, Callable[[Task, Socket, Call], None]] = {
            "connect": self._connecting.connect,
            "getpeername": self._connecting.getpeername,
            "getsockopt": self._connecting.getsockopt,
            "bind": self._listening.bind,
            "getsockname": self._listening.getsockname,
            "listen": self._listening.listen,
            "shutdown": self._listening.shutdown,
            **dict.fromkeys(("pwritev2", "send", "sendmsg", "sendto", "writev"), self._sending.send),
            **dict.fromkeys(("sendfile", "sendfile64", "splice"), self._sending.sendfile),
            "sendmmsg": self._sending.sendmmsg,
        }
        self._handlers: dict[str, Callable[[Task, Call], None]] = {
            "write": self._write,
            **dict.fromkeys(("accept", "accept4"), self._lifetimes.accept),
            "close": self._lifetimes.close,
            "close_range": self._lifetimes.close_range,
            **dict.fromkeys(("dup", "dup2", "dup3", "pidfd_getfd"), self._lifetimes.duplicate),
            **dict.fromkeys(("fcntl", "fcntl64"), self._lifetimes.fcntl),
            **dict.fromkeys(("socket", "socketpair"), self._lifetimes.socket),
            **dict.fromkeys(
                ("chdir", "chroot", "fchdir"),
                lambda task, call: task.process.directories.change(call),
            ),
            **dict.fromkeys(("mount", "move_mount"), self._tree.mount),
            **dict.fromkeys(_BIRTHS, self._fork),
            **dict.fromkeys(("execve", "execveat"), self._execute),
            **dict.fromkeys(_ENDINGS, self._ending),
            **dict.fromkeys(("setns", "unshare"), self._change_namespaces),
            "io_uring_setup": self._io_uring_setup,
            "prctl": self._prctl,
        }

    @property
    def calls(self) -> tuple[str, ...]:
        """The system calls that strace has to trace. Some exist only for 32-bit programs."""
        return (*self._socket_handlers, *self._handlers)

    @property
    def alive(self) -> bool:
        """Whether a process of the tree has not ended."""
        return bool(self._tree.tasks)

    @property
    def unknown(self) -> int:
        """Calls whose arguments were not understood, and items of tasks whose births are not known."""
        return self._unknown + self._sockets.unknown + sum(map(len, self._waiting.values()))

    def start(self, pid: int, ns: int) -> None:
        """The command's process exists, at CLOCK_MONOTONIC `ns`. It executes the starter first."""
        self._root = pid
        self._tree.start(pid, ns)

    def take(self, item: Item) -> None:
        """Handle one item, or keep it until the birth of its task is known."""
        task = self._tree.tasks.get(item.tid)
        if task is None:
            self._waiting.setdefault(item.tid, []).append(item)
        elif isinstance(item, Call):
            if self.begun or item.name == "execve":
                self._call(task, item)
        elif isinstance(item, Begun):
            if item.name == "connect" and self.begun:
                self._connecting.connect_begun(task, item)
            elif item.name in _ENDINGS and self.begun:
                self._ending(task, item)
            elif item.name in _BIRTHS and "CLONE_THREAD" not in item.arguments:
                self._starting[item.tid] = item
        elif isinstance(item, Ended):
            self._end(task, item)
        else:
            self._tree.supersede(task, item.by)

    def _call(self, task: Task, call: Call) -> None:
        if (call.result is None or call.result < 0) and call.name not in _EFFECTIVE_FAILURES:
            return
        if socket_handler := self._socket_handlers.get(call.name):
            if sock := self._sockets.find(task, call):
                socket_handler(task, sock, call)
        elif handler := self._handlers.get(call.name):
            handler(task, call)
        else:
            self._unknown += 1

    def events(self, now_ns: int) -> list[Event]:
        """The events since the last call, completed by what the kernel's tables show now."""
        for tid in list(self._waiting):
            if tid in self._waiting:  # still: its parent may have been among those before it
                self._find_parent(tid)
        entry_of = self._sockets.entries()
        self._connecting.complete(now_ns, entry_of)
        self._listening.complete(now_ns, entry_of)
        events = self._events[:]
        self._events.clear()
        return events

    # ------------------------------------------------------------------------------------------------ births

    def _fork(self, task: Task, call: Call) -> None:
        """fork(2), vfork(2), clone(2), clone3(2)."""
        self._starting.pop(task.host_tid, None)
        if call.result is None and "CLONE_THREAD" not in call.arguments:
            self._find_child(task, call)
        host_tid = arguments.host_tid(call.returned)
        if call.result is None or call.result <= 0 or host_tid is None:
            return
        if host_tid in self._found_early:
            self._found_early.discard(host_tid)
        else:
            self._born(task, host_tid, call, call.result)

    def _born(self, parent: Task, host_tid: int, call: Call | Begun, number: int = 0) -> None:
        flags = call.arguments
        table = None
        if "CLONE_THREAD" not in flags:
            table = parent.process.table
            if "CLONE_FILES" in flags:
                table.users += 1
            else:
                table = self._sockets.descriptors.copy(table)
        child = self._tree.fork(parent, host_tid, number, flags, call.ns, table)
        if table is not None:
            self._events.append(child.event(call.ns, Kind.FORK))
        for item in self._waiting.pop(host_tid, ()):
            self.take(item)

    def _find_parent(self, tid: int) -> None:
        """Find a process's parent in /proc: its call may return late, as vfork(2) does, which waits for the child."""
        status = self._tree.status_of(tid)
        if status.get("Tgid") == str(tid):
            possible = [
                (parent, begun)
                for begun in self._starting.values()
                if (parent := self._tree.tasks.get(begun.tid)) and str(parent.process.host_pid) == status.get("PPid")
            ]
            if len(possible) == 1:
                parent, begun = possible[0]
                self._found_early.add(tid)
                self._born(parent, tid, begun)
        elif len(self._waiting[tid]) > _WAITING_LIMIT:
            self._unknown += len(self._waiting.pop(tid))

    def _find_child(self, parent: Task, call: Call | Begun) -> None:
        """Find the child of a task that was killed before its call returned: the one process without a parent."""
        others = {str(task.process.host_pid) for task in self._tree.tasks.values()} - {str(parent.process.host_pid)}
        found = []
        for tid in self._waiting:
            status = self._tree.status_of(tid)  # empty: it has ended, too
            if status.get("Tgid", str(tid)) == str(tid) and status.get("PPid") not in others:
                found.append(tid)
        if len(found) == 1:
            self._born(parent, found[0], call)

    # ----------------------------------------------------------------------------- programs, ends, other changes

    def _execute(self, task: Task, call: Call) -> None:
        """execve(2), execveat(2)."""
        if not task.takes_over and call.result != 0:
            if call.result and not self.begun and self._executed:
                self.failed = -call.result
            return
        task.takes_over = False
        if not self.begun:
            self._executed += 1
            self.begun = self._executed > 1  # the first is the starter
            if not self.begun:
                return
        process = task.process
        process.table = self._sockets.descriptors.unshare(process.table)
        closed = self._sockets.descriptors.close(process.table, *process.table.close_on_exec)
        task.announced = False
        if path := arguments.first_string(call.arguments):
            task.rename(path.rpartition("/")[2])
        self._events.append(task.event(call.end_ns, Kind.EXEC))
        self._lifetimes.closed(task, call.end_ns, closed)

    def _ending(self, task: Task, call: Call | Begun) -> None:
        """exit_group(2), kill(2), tgkill(2): a process ends. Other processes may notice this before strace does."""
        if call.name != "exit_group":
            killed = self._tree.tasks.get(arguments.host_tid(call.arguments) or 0)
            failed = isinstance(call, Call) and call.result not in (0, None)
            if killed is None or failed or "SIGKILL" not in call.arguments:
                return
            task = killed
        task.process.ending_ns = task.process.ending_ns or call.ns

    def _end(self, task: Task, ended: Ended) -> None:
        if begun := self._starting.pop(task.host_tid, None):
            self._find_child(task, begun)
        if not self._tree.end(task, ended.status):
            return
        process = task.process
        ns = process.ending_ns or ended.ns
        self._lifetimes.closed(task, ns, self._sockets.descriptors.release(process.table))
        task.tid = Tid(process.pid)
        self._events.append(task.event(ns, Kind.EXIT, process.status))
        self.ended = self.ended or process.host_pid == self._root

    def _prctl(self, task: Task, call: Call) -> None:
        """prctl(2) with PR_SET_NAME."""
        if call.arguments.startswith("PR_SET_NAME") and (name := arguments.first_string(call.arguments)) is not None:
            task.rename(name)

    def _change_namespaces(self, task: Task, call: Call) -> None:
        """unshare(2), setns(2)."""
        self._tree.change_namespaces(task, call)
        if "CLONE_FILES" in call.arguments:
            task.process.table = self._sockets.descriptors.unshare(task.process.table)

    def _io_uring_setup(self, task: Task, call: Call) -> None:
        self.blind += 1

    def _write(self, task: Task, call: Call) -> None:
        """write(2) to a socket, to the FIFO for boundaries, or to a file that sets a thread's name."""
        if sock := self._sockets.find(task, call):
            self._sending.send(task, sock, call)
        elif opened := arguments.descriptor(call.arguments):
            _, path = opened
            if path == self.fifo:
                task.is_runner = True
                self._identify(task, call)
            elif tid := arguments.comm_file(path):
                renamed, sent = self._tree.tasks.get(tid), arguments.sent(call.name, call.arguments)
                if renamed and sent:
                    renamed.rename(sent.data.rstrip(b"\n").decode("utf-8", "surrogateescape"))

    def _identify(self, task: Task, call: Call) -> None:
        """A boundary begins with its process's own numbers. They are needed if /proc was read after its end."""
        process = task.process
        if process.host_pid == self._root or process.pidns.inode:
            return
        if sender := arguments.sender(call.arguments):
            inode, pid, tid = sender
            process.pidns.inode, process.pid, task.tid = PidNamespace(inode), Pid(pid), Tid(tid)
            self._events.append(task.event(call.ns, Kind.FORK))
