"""The stages of a backend, and the events that every backend emits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import (
    NO_PROCESS,
    UNKNOWN_GENERATION,
    HostPid,
    NetworkNamespace,
    Pid,
    PidGeneration,
    PidNamespace,
    ProcessId,
    SocketInode,
    Tid,
)

if TYPE_CHECKING:
    from tracer.record.capture.checks import Check
    from tracer.trace.records import RunWarning

SHORTEST_PAUSE_S: Final = 0.02
"""Between two drains. In that time, one core can fill about a tenth of the ring buffer."""
UNKNOWN_CAUSE: Final = -1
"""In place of the time of a cause, where wake-ups are not observed."""
COMMAND_PROCESS = ProcessId(1)
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
    OPENING = 10
    ANSWER = 11


class TaskEvent(NamedTuple):
    """A process was born, runs another program or ended; or a thread is about to use sockets.

    Times are CLOCK_MONOTONIC ns.
    """

    ns: int
    kind: Kind  # FORK, EXEC, EXIT or THREAD
    process: ProcessId  # serial number, never reused in a run; COMMAND_PROCESS is the command
    tid: Tid  # in the process's own pid namespace
    parent: ProcessId  # FORK: the forking process's serial number; else 0
    pid: Pid  # in the process's own pid namespace
    host_pid: HostPid  # in the initial pid namespace, or as near to it as the backend sees
    pidns: PidNamespace  # inode number of the process's own pid namespace; 0 where unknown
    start_ns: int  # when the task was created
    command: str  # the kernel's comm
    status: int  # EXIT: wait status; else 0
    lineage_ns: int = 0  # when its lineage began: see the trace's Process; 0: unknown
    pid_generation: PidGeneration = UNKNOWN_GENERATION


class SocketEvent(NamedTuple):
    """A thread connected, sent, or began or stopped to listen; or it used bytes that contain host names.

    Times are CLOCK_MONOTONIC ns. An OPENING comes after the SEND whose bytes it has; an ANSWER is what a thread read
    from a name server, or from the resolver of systemd.
    """

    ns: int
    kind: Kind  # one of those from CONNECT on
    process: ProcessId
    tid: Tid
    socket: SocketInode  # inode number
    network: NetworkNamespace  # inode number of the network namespace; 0 where unknown
    endpoint: Endpoint  # the peer; LISTEN, LISTEN_END: the socket's own address
    result: int  # SEND: bytes of all sends or -errno; CONNECT_RESULT: 0 or -errno; OPENING, ANSWER: bytes
    head: bytes = b""  # SEND: the first ≤ 16 bytes
    prefix: bytes = b""
    """SEND: the first ≤ 32 bytes, for the first sends of a socket. OPENING, ANSWER: the first ≤ 2,048 bytes. OPENING:
    only of a TCP socket's first sends, those with more than 32 bytes."""
    since_ns: int = 0  # CONNECT_RESULT: when the attempt began; 0: there was no CONNECT event of it
    peer_pid: HostPid = HostPid(0)  # unix: the listener's pid in the initial pid namespace; 0 where unknown
    peer_generation: PidGeneration = UNKNOWN_GENERATION  # the pid_generation of that process
    local: bool = False  # the peer is at an address of this machine; False where unknown
    sends: int = 1  # SEND: how many sends of one thread on one socket within one epoch this stands for
    last_ns: int = 0  # SEND: when the last of several happened; 0: there is one
    cause_ns: int = UNKNOWN_CAUSE
    """When a runner's thread last caused this thread to run, directly or through others; `ns` for a runner's own
    thread. 0: never. UNKNOWN_CAUSE: wake-ups are not observed. Not set in the CONNECT_RESULT of a CONNECT."""
    cause_process: ProcessId = NO_PROCESS  # that runner
    cause_tid: Tid = Tid(0)  # that runner's thread
    unsure_from_ns: int = 0  # the thread, or one that woke it, did not wait from then …
    unsure_to_ns: int = 0  # … to then, so it may have found new work without being woken for it; 0: no such time


Event = TaskEvent | SocketEvent


class Wrapper(NamedTuple):
    """A program that executes the command, such as strace, which can only observe what it starts."""

    arguments: tuple[str, ...]  # its own command line; the command's follows
    errors: Path  # the file for its standard error
    environment: Mapping[str, str]  # added to the tracer's; the command gets the user's
    exec_result: Callable[[], int]
    """Waits for the wrapper's exec of the command. Returns 0, or the errno with which it failed.

    Raises:
        SvcTraceError: the wrapper itself failed.
    """


class Backend(Protocol):
    """One way to record the socket events of a tree of processes: `start`, then `trace`, then `drain` repeatedly."""

    name: str
    blind_to: frozenset[str]
    """What it cannot observe, in the truth suite's names for capabilities."""

    def checks(self) -> Iterable[Check]:
        """What it needs of this machine, for `svc-trace doctor`. Asking changes nothing."""

    def prepare(self) -> None:
        """Import what the end of `start` needs, while another thread executes `start`. Default: nothing."""
        return

    def start(self) -> Loaded:
        """Load and attach what it needs; changes nothing if it fails.

        Raises:
            SvcTraceError: this machine cannot run the backend; says what is missing and what to do.
        """


class Loaded(Protocol):
    """A backend that is ready to trace a command."""

    name: str
    privileged: bool  # `trace` needs root

    @property
    def lacks_causes(self) -> str:
        """Why its events have no causes (SocketEvent.cause_ns); empty: they have.

        May wait for the end of a trial. To be read before `close`.
        """

    def trace(self, pid: int, fifo: Path, *, causes: bool = True) -> Session:
        """Trace the stopped process `pid` and all its descendants. One session at a time. `causes`: events have them.

        `fifo` is the existing FIFO for the hook's boundaries. A write to it begins an epoch: a backend may sum up sends
        within an epoch, but not across epochs. Other files that the backend needs are created in its directory.
        """

    def close(self) -> None:
        """Detach and free everything. A second call does nothing."""


class Session(Protocol):
    """The events of one command and its descendants.

    Events of one thread arrive in the order of time. A process's FORK arrives before its other events.
    """

    wrapper: Wrapper | None = None  # what has to execute the command; None: the child itself
    ring: int | None = None
    """Descriptor of a ring buffer whose reader the kernel wakes if it should be drained before its time. None: there is
    no such ring buffer."""

    def longest_pause(self) -> float:
        """Seconds that may pass until the next `drain`, if the kernel does not wake the reader of `ring`."""
        return SHORTEST_PAUSE_S

    def drain(self) -> Iterable[Event]:
        """All events since the last call."""

    def catch_up(self) -> None:
        """Wait, after the command's end, until `drain` can return everything that happened before. Default: no wait."""
        return

    def lost(self) -> int:
        """How many events could not be delivered since the backend was started, on all CPUs."""

    def warnings(self) -> Iterable[RunWarning]:
        """Why events were lost. Default: none, the tracer could not keep up."""
        return ()

    def close(self) -> None:
        """Stop reading. A second call does nothing."""
