"""What a capture backend is, and the events all of them speak in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from tracer.record.capture.doctor.checks import Check
from tracer.trace.records import RunWarning

COMMAND_PROCESS = 1
"""The serial number of the command's own process in every backend."""


class Kind(IntEnum):
    """What happened; the numbers are `enum svc_kind` of probes/svc_trace.h."""

    FORK = 1
    EXEC = 2
    EXIT = 3
    THREAD = 4
    CONNECT = 5
    CONNECT_RESULT = 6
    SEND = 7
    LISTEN = 8
    LISTEN_END = 9


class TaskEvent(NamedTuple):
    """A process was born, runs another program or ended; or a thread is about to use sockets.

    Times are CLOCK_MONOTONIC ns.
    """

    ns: int
    kind: Kind  # FORK, EXEC, EXIT or THREAD
    process: int  # serial number, never reused in a run; COMMAND_PROCESS is the command
    tid: int  # in the process's own pid namespace
    parent: int  # FORK: the forking process's serial number; else 0
    pid: int  # in the process's own pid namespace
    host_pid: int  # in the initial pid namespace, or as near to it as the backend sees
    pidns: int  # inode number of the process's own pid namespace; 0 where unknown
    start_ns: int  # when the task was created
    command: str  # the kernel's comm
    status: int  # EXIT: wait status; else 0
    lineage_ns: int = 0  # when its line began: see the trace's Process; 0: unknown
    pid_generation: int = 0  # tells apart the processes that have the same host_pid; 0 where unknown


class SocketEvent(NamedTuple):
    """A thread connected, sent, or began or ceased to listen. Times are CLOCK_MONOTONIC ns."""

    ns: int
    kind: Kind  # CONNECT, CONNECT_RESULT, SEND, LISTEN or LISTEN_END
    process: int
    tid: int
    socket: int  # inode number
    network: int  # inode number of the network namespace; 0 where unknown
    endpoint: str  # the peer; LISTEN, LISTEN_END: the socket's own address
    result: int  # SEND: bytes of all sends or -errno; CONNECT_RESULT: 0 or -errno
    head: bytes = b""  # SEND: the first ≤ 8 bytes
    prefix: bytes = b""  # SEND: the first ≤ 32 bytes, for the first sends of a socket
    since_ns: int = 0  # CONNECT_RESULT: when the attempt began; 0: its beginning was not told and is told by this
    peer_pid: int = 0  # unix: the listener's pid in the initial pid namespace; 0 where unknown
    peer_generation: int = 0  # which of the processes that have had this pid it is; 0 where unknown
    local: bool = False  # the peer is at an address of this machine; False where unknown
    sends: int = 1  # SEND: how many sends of one thread on one socket within one epoch this stands for
    last_ns: int = 0  # SEND: when the last of several happened; 0: there is one


Event = TaskEvent | SocketEvent


class Before(NamedTuple):
    """What has to be executed with the command behind it, because it can only observe what it starts."""

    words: tuple[str, ...]
    errors: str  # the path where its standard error goes
    environment: Mapping[str, str]  # added to the tracer's; the command's is the user's


class Capture(Protocol):
    """A source of events about one tree of processes.

    The order of calls: `start`, `plant` before the command's first instruction, `before`, `started`, then `drain` again
    and again, `catch_up` when the command has ended, a last `drain`, `close`. Only `start` and `plant` need privileges.
    Events of one thread come in their order; a process's FORK comes before its own events.
    """

    name: str
    blind_to: frozenset[str]
    """What it can't see, by the names of the truth suite's capabilities."""

    @staticmethod
    def checks() -> Iterable[Check]:
        """What it needs of this machine, asked one by one. Changes nothing."""

    def start(self) -> None:
        """Load and attach.

        Raises:
            SvcTraceError: this machine can't run the backend; says what is missing and what to do.
        """

    def plant(self, pid: int) -> None:
        """Trace the stopped child `pid` and all its descendants from now on."""

    def expect_boundaries(self, inode: int) -> None:
        """The inode number of the FIFO that boundaries are written to, before the command's first instruction.

        An epoch lasts from one such write to the next. A backend may sum up sends of one epoch, never of several.
        """

    def before(self, fifo: Path) -> Before | None:
        """What is executed with the command behind it. `fifo` is the one for boundaries."""
        return None

    def started(self) -> int:
        """Wait until what stands before the command has executed it; returns the errno with which it could not, or 0.

        Raises:
            SvcTraceError: what stands before it failed.
        """
        return 0

    def catch_up(self) -> None:
        """The command has ended: wait until all that came before can be drained."""
        return

    def drain(self) -> Iterable[Event]:
        """All events that happened since the last call."""

    def lost_events(self) -> int:
        """How many events could not be delivered so far, on all CPUs."""

    def warnings(self) -> Iterable[RunWarning]:
        """Why events were lost, as far as the backend knows; without any, it could not keep up."""
        return ()

    def close(self) -> None:
        """Detach and free everything; may be called at any time, and twice."""
