"""strace's calls, put where they belong: tasks, descriptors, traffic. Together they tell every backend's events."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tracer.record.capture.protocol import Event, Kind
from tracer.record.capture.strace import arguments as given
from tracer.record.capture.strace.descriptors import Descriptors, Table
from tracer.record.capture.strace.lines import Begun, Call, Ended, Item
from tracer.record.capture.strace.sockets import Socket, made
from tracer.record.capture.strace.tasks import PROC, Task, Tree
from tracer.record.capture.strace.traffic import Traffic

_ELSEWHERE: Final = re.compile(r" /\* (\d{1,10}) in strace's PID NS \*/")
_NAME_FILE: Final = re.compile(r"/proc/(?:\d{1,10}/task/)?(\d{1,10})/comm")
_FIRST_STRING: Final = re.compile(r'[^"]*("(?:[^"\\]|\\.)*")', re.S)
_ENDINGS: Final = frozenset({"exit_group", "kill", "tgkill"})
_KILL: Final = re.compile(r"(\d{1,10})(?: /\* (\d{1,10}) in strace's PID NS \*/)?, (?:\d+, )?SIGKILL")
_CLOSE_RANGE: Final = re.compile(r"(\d{1,10}), (\d{1,10}), (.+)")
_MOUNT: Final = re.compile(r'("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*"), [^,]*, ([A-Z_|]+)', re.S)
_MOVE_MOUNT: Final = re.compile(r'[^,]*, "", [^,]*, ("(?:[^"\\]|\\.)*")', re.S)
_PAIR: Final = re.compile(r".*\[(\d{1,10})<socket:\[(\d{1,19})\]>, (\d{1,10})<socket:\[(\d{1,19})\]>\]")
_WAITING: Final = 100_000
"""Items that may wait for the birth of their task."""


class Observer:
    """What the calls of one tree mean.

    Attributes:
        fifo: the path of the hook's FIFO.
        blind: calls that begin what strace cannot see.
        begun: the command has been executed.
        failed: the errno with which it could not be; 0: it could, or has not been tried.
        ended: the command's process has ended.
    """

    def __init__(self, monotonic: Callable[[int], int], proc: Path = PROC) -> None:
        """`monotonic`: strace's time as CLOCK_MONOTONIC ns. `proc`: where the kernel can be asked."""
        self.fifo = ""
        self.blind = 0
        self.begun = False
        self.failed = 0
        self.ended = False
        self._unknown = 0
        self._executed = 0  # programs of the root
        self._root = 0
        self._monotonic = monotonic
        self._tree = Tree(proc)
        self._descriptors = Descriptors()
        self._events: list[Event] = []
        self._traffic = Traffic(self._descriptors, monotonic, self._events.append, proc)
        self._waiting: dict[int, list[Item]] = {}  # task → what it did, until its birth is told
        self._bearing: dict[int, Begun] = {}  # task → the call in which it starts another
        self._looked_up: set[int] = set()  # tasks whose birth is yet to be told
        traffic = self._traffic
        self._handlers: dict[str, Callable[[Task, Call], None]] = {
            "accept": self._accept,
            "accept4": self._accept,
            "bind": traffic.bind,
            "chdir": self._change_folder,
            "chroot": self._change_root,
            "clone": self._fork,
            "clone3": self._fork,
            "close": self._close,
            "close_range": self._close_range,
            "connect": traffic.connect,
            "dup": self._duplicate,
            "dup2": self._duplicate,
            "dup3": self._duplicate,
            "execve": self._execute,
            "exit_group": self._ending,
            "execveat": self._execute,
            "fchdir": self._change_folder_to,
            "fcntl": self._control,
            "fork": self._fork,
            "getpeername": traffic.told_peer,
            "getsockname": traffic.told_name,
            "getsockopt": traffic.told_error,
            "io_uring_setup": self._ring,
            "kill": self._ending,
            "listen": traffic.listen,
            "mount": self._mount,
            "move_mount": self._mount_opened,
            "pidfd_getfd": self._duplicate,
            "prctl": self._set_process,
            "pwritev2": traffic.write_vector,
            "sendfile": traffic.send_file,
            "sendmmsg": traffic.send_messages,
            "sendmsg": traffic.send_message,
            "sendto": traffic.send_to,
            "setns": self._enter_namespaces,
            "shutdown": traffic.shutdown,
            "socket": self._make,
            "socketpair": self._make_pair,
            "splice": traffic.splice,
            "tgkill": self._ending,
            "unshare": self._enter_namespaces,
            "vfork": self._fork,
            "write": self._write,
            "writev": traffic.write_vector,
        }

    @property
    def calls(self) -> tuple[str, ...]:
        """The calls that are looked at."""
        return tuple(self._handlers)

    @property
    def alive(self) -> bool:
        """Whether anybody of the tree lives."""
        return bool(self._tree.tasks)

    @property
    def unknown(self) -> int:
        """Calls whose arguments made no sense, or that came from a task whose birth was never told."""
        return self._unknown + self._traffic.unknown + sum(map(len, self._waiting.values()))

    def plant(self, pid: int, ns: int) -> None:
        """The command's process is there, at CLOCK_MONOTONIC `ns`. It executes the starter first."""
        self._root = pid
        self._tree.plant(pid, ns)

    def take(self, item: Item) -> None:
        """Take one item in."""
        task = self._tree.tasks.get(item.tid)
        if task is None:
            self._waiting.setdefault(item.tid, []).append(item)
        elif isinstance(item, Call):
            if self.begun or item.name == "execve":
                handler = self._handlers.get(item.name)
                if handler is None:
                    self._unknown += 1
                else:
                    handler(task, item)
        elif isinstance(item, Begun):
            if item.name == "connect" and self.begun:
                self._traffic.connect_begins(task, item)
            elif item.name in _ENDINGS and self.begun:
                self._ending(task, item)
            elif item.name == "vfork" or "CLONE_VFORK" in item.arguments:
                self._bearing[item.tid] = item
        elif isinstance(item, Ended):
            self._end(task, item)
        else:
            self._tree.supersede(task, item.by)

    def events(self, now_ns: int) -> list[Event]:
        """What is told since the last call, when the kernel has been asked for what no call tells."""
        for tid in list(self._waiting):
            self._look_up(tid)
        self._traffic.complete(now_ns)
        told = self._events[:]
        self._events.clear()
        return told

    # ------------------------------------------------------------------------------------------------ tasks

    def _end(self, task: Task, ended: Ended) -> None:
        if not self._tree.end(task, ended.status):
            return
        process = task.process
        ns = process.ending_ns or self._monotonic(ended.ns)
        self._traffic.gone(task, ns, self._descriptors.release(process.table))
        task.tid = process.pid
        self._events.append(task.event(ns, Kind.EXIT, process.status))
        self.ended = self.ended or process.host_pid == self._root

    def _ending(self, task: Task, call: Call | Begun) -> None:
        """A process is to end. Others may see that it has before strace does."""
        if call.name != "exit_group":
            found = _KILL.match(call.arguments)
            killed = self._tree.tasks.get(int(found[2] or found[1])) if found else None
            if killed is None or (isinstance(call, Call) and call.result not in (0, None)):
                return
            task = killed
        task.process.ending_ns = task.process.ending_ns or self._monotonic(call.ns)

    def _fork(self, task: Task, call: Call) -> None:
        self._bearing.pop(task.host_tid, None)
        if not call.result or call.result < 0:
            return
        elsewhere = _ELSEWHERE.match(call.note)
        host_tid = int(elsewhere[1]) if elsewhere else call.result
        if host_tid in self._looked_up:
            self._looked_up.discard(host_tid)
        else:
            self._bear(task, host_tid, call.result, call.arguments, call.ns)

    def _bear(self, parent: Task, host_tid: int, number: int, flags: str, ns: int) -> None:
        table: Table | None = None
        if "CLONE_THREAD" not in flags:
            table = parent.process.table
            if "CLONE_FILES" in flags:
                table.users += 1
            else:
                table = self._descriptors.copy(table)
        began_ns = self._monotonic(ns)
        child = self._tree.bear(parent, host_tid, number, flags, began_ns, table)
        if table is not None:
            self._events.append(child.event(began_ns, Kind.FORK))
        for item in self._waiting.pop(host_tid, ()):
            self.take(item)

    def _look_up(self, tid: int) -> None:
        """Find the parent of a process that is there before its parent has returned: from vfork(2), it takes long."""
        status = self._tree.status_of(tid)
        if status.get("Tgid") == str(tid):
            possible = [
                (parent, begun)
                for begun in self._bearing.values()
                if (parent := self._tree.tasks.get(begun.tid)) and str(parent.process.host_pid) == status.get("PPid")
            ]
            if len(possible) == 1:
                parent, begun = possible[0]
                self._looked_up.add(tid)
                self._bear(parent, tid, int(status.get("NSpid", "0").split()[-1]), begun.arguments, begun.ns)
        elif len(self._waiting[tid]) > _WAITING:
            self._unknown += len(self._waiting.pop(tid))

    def _execute(self, task: Task, call: Call) -> None:
        if call.result and not task.takes_over:
            if not self.begun and self._executed:
                self.failed = -call.result
            return
        if call.result is None and not task.takes_over:
            return
        task.takes_over = False
        if not self.begun:
            self._executed += 1
            self.begun = self._executed > 1  # the first is the starter
            if not self.begun:
                return
        process = task.process
        if process.table.users > 1:
            process.table.users -= 1
            process.table = self._descriptors.copy(process.table)
        ns = self._monotonic(call.end_ns)
        closed = self._descriptors.close_all(process.table, process.table.close_on_exec)
        task.announced = False
        if found := _FIRST_STRING.match(call.arguments):
            task.rename(_text(found[1]).rpartition("/")[2])
        self._events.append(task.event(ns, Kind.EXEC))
        self._traffic.gone(task, ns, closed)

    def _set_process(self, task: Task, call: Call) -> None:
        """prctl(2): only the name matters."""
        if call.arguments.startswith("PR_SET_NAME") and (found := _FIRST_STRING.match(call.arguments)):
            task.rename(_text(found[1]))

    def _change_folder(self, task: Task, call: Call) -> None:
        if call.result == 0 and (found := _FIRST_STRING.match(call.arguments)):
            folders = task.process.folders
            folders.current = os.path.normpath(Path(folders.current, _text(found[1])))

    def _change_folder_to(self, task: Task, call: Call) -> None:
        if call.result == 0 and (found := given.descriptor(call.arguments)):
            task.process.folders.current = found[1]

    def _change_root(self, task: Task, call: Call) -> None:
        if call.result == 0 and (found := _FIRST_STRING.match(call.arguments)):
            folders = task.process.folders
            folders.root = folders.seen_from_outside(_text(found[1]))

    def _mount(self, task: Task, call: Call) -> None:
        """mount(2): a folder is found at another place, too."""
        found = _MOUNT.match(call.arguments)
        if call.result == 0 and found and "MS_BIND" in found[3]:
            task.process.folders.mount(_text(found[1]), _text(found[2]))

    def _mount_opened(self, task: Task, call: Call) -> None:
        """move_mount(2), as mount(8) calls it now."""
        opened, found = given.descriptor(call.arguments), _MOVE_MOUNT.match(call.arguments)
        if call.result == 0 and opened and found:
            task.process.folders.mount(opened[1], _text(found[1]))

    def _enter_namespaces(self, task: Task, call: Call) -> None:
        """unshare(2), setns(2)."""
        if call.result != 0:
            return
        self._tree.enter(task, call.arguments)
        if "CLONE_FILES" in call.arguments and task.process.table.users > 1:
            task.process.table.users -= 1
            task.process.table = self._descriptors.copy(task.process.table)

    def _ring(self, task: Task, call: Call) -> None:
        self.blind += call.result is not None and call.result >= 0

    def _write(self, task: Task, call: Call) -> None:
        """write(2): to a socket, to the hook's FIFO, or of a thread's name."""
        if "<socket:" in call.arguments:
            self._traffic.write(task, call)
        elif (found := given.descriptor(call.arguments)) and found[1] == self.fifo:
            task.runner = True
        elif found and (named := _NAME_FILE.fullmatch(found[1])):
            renamed, sent = self._tree.tasks.get(int(named[1])), given.sent_by_write(call.arguments)
            if renamed and sent:
                renamed.rename(sent.data.rstrip(b"\n").decode("utf-8", "surrogateescape"))

    # ------------------------------------------------------------------------------------------ descriptors

    def _open(self, task: Task, fd: int, inode: int, *, close_on_exec: bool, call: Call) -> None:
        gone = self._descriptors.open(task.process.table, fd, inode, close_on_exec=close_on_exec)
        self._traffic.gone(task, self._monotonic(call.end_ns), gone)

    def _make(self, task: Task, call: Call) -> None:
        """socket(2)."""
        if found := given.socket_of(f"{call.result}{call.note}"):
            fd, inode = found
            self._traffic.add(made(inode, call.arguments, task.network))
            self._open(task, fd, inode, close_on_exec="SOCK_CLOEXEC" in call.arguments, call=call)

    def _make_pair(self, task: Task, call: Call) -> None:
        if call.result != 0 or not (found := _PAIR.match(call.arguments)):
            return
        for fd, inode in ((int(found[1]), int(found[2])), (int(found[3]), int(found[4]))):
            self._traffic.add(made(inode, call.arguments, task.network))
            self._open(task, fd, inode, close_on_exec="SOCK_CLOEXEC" in call.arguments, call=call)

    def _accept(self, task: Task, call: Call) -> None:
        accepted = given.socket_of(f"{call.result}{call.note}")
        if accepted is None:
            return
        fd, inode = accepted
        listener = self._traffic.find(task, call.arguments)
        if listener is not None:
            family, kind, protocol = listener.family, listener.kind, listener.protocol
            self._traffic.add(Socket(inode, family, kind, protocol, listener.network, served=True))
        self._open(task, fd, inode, close_on_exec="SOCK_CLOEXEC" in call.arguments, call=call)

    def _duplicate(self, task: Task, call: Call) -> None:
        """dup(2), dup2(2), dup3(2), pidfd_getfd(2)."""
        if call.result is None or call.result < 0:
            return
        if found := given.socket_of(f"{call.result}{call.note}"):
            closes = "O_CLOEXEC" in call.arguments or call.name == "pidfd_getfd"
            self._open(task, *found, close_on_exec=closes, call=call)
        else:
            closed = self._descriptors.close(task.process.table, call.result)
            self._traffic.gone(task, self._monotonic(call.end_ns), closed)

    def _control(self, task: Task, call: Call) -> None:
        """fcntl(2)."""
        if "F_DUPFD" in call.arguments:
            if found := given.socket_of(f"{call.result}{call.note}"):
                self._open(task, *found, close_on_exec="F_DUPFD_CLOEXEC" in call.arguments, call=call)
        elif "F_SETFD" in call.arguments and call.result == 0 and (found := given.socket_of(call.arguments)):
            closes = "FD_CLOEXEC" in call.arguments
            self._open(task, *found, close_on_exec=closes, call=call)

    def _close(self, task: Task, call: Call) -> None:
        """close(2). Whatever it returns, the descriptor is closed."""
        if found := given.socket_of(call.arguments):
            fd, inode = found
            self._descriptors.open(task.process.table, fd, inode, close_on_exec=False)  # if nobody saw it come
            self._traffic.gone(task, self._monotonic(call.end_ns), self._descriptors.close(task.process.table, fd))

    def _close_range(self, task: Task, call: Call) -> None:
        if call.result != 0 or not (found := _CLOSE_RANGE.fullmatch(call.arguments)):
            return
        table, first, last = task.process.table, int(found[1]), int(found[2])
        if "CLOSE_RANGE_UNSHARE" in found[3] and table.users > 1:
            table.users -= 1
            table = task.process.table = self._descriptors.copy(table)
        within = [fd for fd in table.inodes if first <= fd <= last]
        if "CLOSE_RANGE_CLOEXEC" in found[3]:
            table.close_on_exec.update(within)
        else:
            self._traffic.gone(task, self._monotonic(call.end_ns), self._descriptors.close_all(table, within))


def _text(quoted: str) -> str:
    return given.text_bytes(quoted).decode("utf-8", "surrogateescape")
