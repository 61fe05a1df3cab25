"""The writing end of the FIFO. PYTEST_DONT_REWRITE

A packet is one line, and one write: `[pidns,pid,tid,seq,[message,…]]` in JSON and ASCII, or, if that is longer than
PIPE_BUF, several numbered chunks. `seq` counts the packets of a process, so the recorder notices a missing one.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import fcntl
import functools
import itertools
import json
import json.encoder
import os
import posix
import resource
import signal
import stat
import threading
import time
from platform import python_version
from typing import Any, Callable, TypeVar

import pytest

PIPE_BUF = 4096  # pipe(7): on Linux a write of at most this size is atomic
MAX_CHUNKS = 256  # of one packet; a longer packet is not written, and its number is missing
NO_DESCRIPTOR = 2**31 - 1  # the kernel never returns so high a number: EBADF
OFF = ".off"  # suffix of a file beside the FIFO: a hook has turned itself off
HIGH = 2048  # no suite closes a descriptor of this number or higher and then opens so many that the number is reused
OWN_SIGNAL = signal.SIGRTMAX - 1  # F_SETSIG puts it on our descriptor, and hardly any other program on one of its own
SECOND_NS = 10**9
CLOSE = '["close",%d,%d]'
FACTS = ("path", "fixtures", "markers", "bases", "autouse", "group")

Result = TypeVar("Result")

quote = json.encoder.encode_basestring_ascii  # escapes everything outside ASCII, lone surrogates too
dumps = json.JSONEncoder(separators=(",", ":")).encode


def chunks_of(sender: str, seq: int, messages: str) -> list[bytes]:
    """A packet as numbered chunks, one line and one write each.

    Args:
        sender: "pidns,pid,tid".
        seq: number of the packet.
        messages: JSON, separated by commas.
    """
    size = PIPE_BUF - 128  # the head of a chunk contains six numbers of at most 20 digits
    parts = [messages[start : start + size] for start in range(0, len(messages), size)]
    head = "+%s,%d" % (sender, seq)
    return [("%s,%d,%d,%s\n" % (head, index, len(parts), part)).encode("ascii") for index, part in enumerate(parts)]


class Channel:
    """The writing end of the FIFO: one for each process, shared by all its sessions.

    A full pipe can cost a run one second and one percent of its time; then the channel turns itself off. The descriptor
    is open for reading too, which Linux allows (fifo(7)): if the tracer is killed, no write raises SIGPIPE, whatever
    the suite did to that signal.

    Attributes:
        send: writes messages (JSON, separated by commas) at once, after all queued messages.
    """

    def __init__(self, path: str) -> None:
        # Bound before a test can patch, freeze or fake these functions, and as attributes of an object: freezegun and
        # pyfakefs replace those that they find in modules. A plugin may have called eventlet.monkey_patch() already:
        # that replaces the functions of `os`, and removes `select.poll`. Nothing replaces those of `posix`.
        self.clock = time.monotonic_ns
        self.get_ident = threading.get_ident
        self._getpid, self._get_native_id = posix.getpid, threading.get_native_id
        self._open, self._write, self._close = posix.open, posix.write, posix.close
        self._fstat, self._stat, self._fcntl = posix.fstat, posix.stat, fcntl.fcntl
        self._getrlimit, self._setrlimit = resource.getrlimit, resource.setrlimit
        self._sigtimedwait = signal.sigtimedwait
        self.on = True
        self.path = path
        self.ids = itertools.count(1)
        self.worker: str | None = None  # xdist's id of this process
        self.testrun: str | None = None  # xdist's id of the session to which the worker belongs
        self.has_session = False  # a session has opened in this process, or in one that forked it
        self.forked = False  # the process was forked by one that had already written a packet
        self._fd = NO_DESCRIPTOR
        self._fd_if_high = NO_DESCRIPTOR  # the same, if no other file can have got its number
        self._identity: tuple[int, int] | None = None  # device and inode of the FIFO
        self._waiting_allowed_ns = SECOND_NS
        self._waited_ns = 0  # when the channel last waited
        self._thread = threading.local()
        self._queue: collections.deque[str] = collections.deque()
        self.send = self._make_send(posix.write)
        self._reset()
        os.register_at_fork(after_in_child=functools.partial(self.safely, self._reset_in_child))

    def _reset(self) -> None:
        """Set all that differs from process to process. Nothing was written, nothing is queued."""
        self.pid = 0  # until the first packet
        self._namespace = 0
        self._seq = itertools.count()
        self.facts_ids: dict[tuple[Any, ...], int] = {}
        self._thread.__dict__.clear()  # a child has only this thread
        self._queue.clear()

    def _reset_in_child(self) -> None:
        self.forked = self.forked or self.pid != 0
        self._reset()

    def safely(self, function: Callable[..., Result], *args: Any) -> Result | None:
        """Call a function of the hook. An error of it turns the hook off, and is not raised."""
        if not self.on:
            return None
        try:
            return function(*args)
        except Exception:  # not KeyboardInterrupt and pytest's own outcomes: they are for the suite
            self.turn_off()
            return None

    def turn_off(self) -> None:
        """Write nothing more, and leave a file that says so: the FIFO may be full."""
        self.on = False
        with contextlib.suppress(OSError):  # the run has ended, or the disk is full
            self._close(self._open(self.path + OFF, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def facts_id(self, content: tuple[Any, ...]) -> int:
        """The id of these static facts. They are reported before their id is used for the first time."""
        number = self.facts_ids.get(content)
        if number is None:
            number = self.facts_ids[content] = next(self.ids)
            self.queue(dumps(["facts", number, dict(zip(FACTS, content))]))  # noqa: B905 -- strict: from Python 3.10
        return number

    def queue(self, message: str) -> None:
        """Write this message before the next packet, of any thread."""
        self._queue.append(message)

    def _make_send(self, write: Callable[[int, bytes], int]) -> Callable[[str], None]:
        thread, queue, take_queue, write_safely = self._thread, self._queue, self._take_queue, self._write_safely

        def send(messages: str) -> None:
            try:
                sender = thread.sender
            except AttributeError:
                sender = self._make_sender()
            if queue:
                messages = take_queue() + messages
            seq = next(self._seq)
            line = f"[{sender},{seq},[{messages}]]\n".encode("ascii")
            if len(line) <= PIPE_BUF:  # the kernel writes all of it or nothing
                try:
                    write(self._fd_if_high, line)
                except OSError:
                    write_safely(line)
            else:
                chunks = chunks_of(sender, seq, messages)
                if len(chunks) <= MAX_CHUNKS:
                    for chunk in chunks:
                        write_safely(chunk)

        return send

    def flush(self) -> None:
        """Write all queued messages."""
        if self._queue:
            self.send(self._take_queue()[:-1])

    def _take_queue(self) -> str:
        """All queued messages, a comma behind each. Each message is taken by one thread only."""
        taken = []
        try:
            while True:
                taken.append(self._queue.popleft() + ",")
        except IndexError:
            return "".join(taken)

    def _make_sender(self) -> str:
        """Called for the first packet of a thread, which may be the first of its process."""
        if not self.pid:
            self.pid = self._getpid()
            with contextlib.suppress(OSError):  # no /proc
                self._namespace = self._stat("/proc/self/ns/pid").st_ino
            hello = dumps(["hello", self.clock(), python_version(), pytest.__version__, self.worker, self.testrun])
            self._queue.appendleft(hello)
        sender: str = "%d,%d,%d" % (self._namespace, self.pid, self._get_native_id())
        self._thread.sender = sender
        return sender

    def _write_safely(self, line: bytes) -> None:
        """Write even if a test closed our descriptor or gave its number to another file, or if the pipe is full."""
        try:
            is_ours = self._fcntl(self._fd, fcntl.F_GETSIG) == OWN_SIGNAL
        except OSError:
            is_ours = False
        if not is_ours and not self._reopen():
            return
        while True:
            try:
                self._write(self._fd, line)
                return
            except BlockingIOError:
                self._wait()

    def _reopen(self) -> bool:
        """Open the FIFO, with a high number: suites count and reuse the low ones.

        Returns:
            False if the test has used up all descriptors. The packet is lost, and its number is missing.

        Raises:
            OSError: the FIFO no longer exists.
        """
        try:
            low = self._open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                return False
            raise
        status = self._fstat(low)
        identity = (status.st_dev, status.st_ino)
        if not stat.S_ISFIFO(status.st_mode) or self._identity not in (None, identity):
            self._close(low)
            raise FileNotFoundError(self.path)
        self._identity = identity
        self._fcntl(low, fcntl.F_SETSIG, OWN_SIGNAL)  # no effect without O_ASYNC
        self._fd = self._move_up(low)
        self._fd_if_high = self._fd if self._fd >= HIGH else NO_DESCRIPTOR
        return True

    def _move_up(self, low: int) -> int:
        """Give a descriptor a higher number: HIGH or more if the hard limit allows it, even above the soft limit."""
        soft, hard = limits = self._getrlimit(resource.RLIMIT_NOFILE)
        lifted = False
        try:
            if soft <= HIGH < hard:
                self._setrlimit(resource.RLIMIT_NOFILE, (min(HIGH + 64, hard), hard))
                lifted = True
            moved = self._fcntl(low, fcntl.F_DUPFD_CLOEXEC, HIGH if lifted or soft > HIGH else min(200, soft // 2))
        except (OSError, ValueError):
            return low
        finally:
            if lifted:
                self._setrlimit(resource.RLIMIT_NOFILE, limits)
        self._close(low)
        return moved

    def _wait(self) -> None:
        """Wait a millisecond for space in the pipe.

        Raises:
            TimeoutError: no time is left for that.
        """
        start_ns = self.clock()
        since_last_ns = start_ns - self._waited_ns
        self._waiting_allowed_ns = min(SECOND_NS, self._waiting_allowed_ns + since_last_ns // 100)
        self._sigtimedwait((), 0.001)  # waits for no signal: it sleeps, and no library replaces it
        self._waited_ns = self.clock()
        self._waiting_allowed_ns -= self._waited_ns - start_ns
        if self._waiting_allowed_ns <= 0:
            raise TimeoutError("nothing reads from the FIFO")
