"""The records of a trace: everything a run recorded, before anyone judges it.

All times are CLOCK_MONOTONIC nanoseconds of the traced machine. Ids are unique within one trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

PhaseName = Literal["setup", "call", "teardown"]
SpanKind = Literal["session", "collection", "test", "fixture"] | PhaseName
PHASES: Final = get_args(PhaseName)
_NONE: Final[Mapping[str, Any]] = {}  # one for all: hardly any flow of many has errors or heads


@dataclass(frozen=True, slots=True)
class Run:
    """One `svc-trace -- CMD`: the first line of a trace."""

    command: tuple[str, ...]
    backend: str
    kernel: str
    started_at: float  # CLOCK_REALTIME seconds since the epoch
    start_ns: int  # the same moment on CLOCK_MONOTONIC
    directory: str  # the command's working directory


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the traced tree. Its id is never reused, though its pid may be."""

    id: int
    parent: int  # the process that forked it; 0 for the command itself
    pid: int  # as the process sees itself (its own pid namespace)
    start_ns: int
    command: str  # the kernel's comm after the last exec, at most 15 bytes
    end_ns: int | None = None  # None: still alive when the run ended
    status: int | None = None  # wait status (waitpid(2)): exit code << 8 | signal
    lineage_ns: int = 0  # when its line began: birth of the eldest that started one another, up to a runner's thread
    earlier: tuple[str, ...] = ()  # its commands before an exec, in order; only those that used a socket
    earlier_until_ns: tuple[int, ...] = ()  # when each of these executed the next program


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread that used a socket, told before its first socket event."""

    process: int
    tid: int  # in the process's own pid namespace
    start_ns: int  # when the kernel created it
    name: str  # comm at its first socket event, at most 15 bytes
    lineage_ns: int = 0  # when its line began, as a process's


@dataclass(frozen=True, slots=True)
class Span:
    """An interval on a runner's thread."""

    id: int
    parent: int  # the span around it, possibly another runner's; 0 for none
    process: int
    tid: int
    kind: SpanKind
    start_ns: int
    end_ns: int
    subject: str | int | None = None  # collection: the module's node id; test: its node id; fixture: instance id
    crashed: bool = False  # its process died with the span open


@dataclass(frozen=True, slots=True, order=True)
class StaticFacts:
    """What pytest knows about a test before it runs. Static rules use it. Many tests share one record.

    Its number is its position among the records of this type in the trace, counted from 1.
    """

    path: str  # relative to pytest's rootdir, with forward slashes
    fixtures: tuple[str, ...]  # the whole closure, autouse ones too
    markers: tuple[str, ...]  # names, nearest first, without repeats
    bases: tuple[str, ...]  # qualified names of the class and its bases in MRO order, without `object`; empty: no class
    autouse: tuple[str, ...] = ()  # those of the fixtures that are active although the test does not request them


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a test; a rerun is another attempt with the same node id."""

    span: int  # the test's span
    nodeid: str
    facts: int  # number of its static facts; 0: they were lost
    outcomes: Mapping[str, str]  # phase that did not pass → failed | skipped | xfailed | xpassed | interrupted
    instances: tuple[int, ...]  # the fixture instances wider than function scope that it requested, directly or not


@dataclass(frozen=True, slots=True)
class Instance:
    """A fixture instance: one set-up of one fixture, and its finalizer."""

    id: int
    process: int
    name: str
    scope: str  # function | class | module | package | session
    baseid: str  # node id of the place that defines it; empty for plugins and the rootdir's conftest
    node: str  # node id of the node it belongs to
    param: str | None  # the parameter's id, None for an unparametrized fixture
    requires: tuple[int, ...] = ()  # wider-than-function instances that it requested


@dataclass(frozen=True, slots=True)
class Listen:
    """A socket of the traced tree can be reached from now on, so what leads there is self-hosted; or it no longer can.

    TCP listens, and ends to. A datagram socket has a name, and for how long is not told.
    """

    process: int
    endpoint: str
    network: int  # inode number of the network namespace; 0 where unknown
    start_ns: int
    begins: bool = True  # False: one socket fewer can be reached there


@dataclass(frozen=True, slots=True)
class Flow:
    """All sends of one thread on one socket to one endpoint within one span, summed. Flows add up: the same key may
    stand in a trace more than once.

    `spans` are the innermost open spans of the nearest runner: one as a rule, more when several of the runner's
    threads have spans open and the sending thread is none of them, none outside of every span.
    """

    process: int
    tid: int
    socket: int  # the socket's inode number, as in /proc/PID/fd and `ss -e`
    endpoint: str
    spans: tuple[int, ...]
    first_ns: int
    last_ns: int
    sends: int = 0
    bytes: int = 0
    connects: int = 0  # attempts begun; none of UDP, which reach nobody
    established: int = 0  # attempts that succeeded
    network: int = 0  # inode number of the network namespace; 0 where unknown
    peer: int = 0  # the process of the tree that listens behind a unix socket; 0 for none
    prefixes: tuple[str, ...] = ()  # hex of the first ≤ 32 bytes of the socket's first sends
    heads: Mapping[str, int] = field(default_factory=lambda: _NONE)  # other threads: hex of first ≤ 8 bytes → sends
    errors: Mapping[str, int] = field(default_factory=lambda: _NONE)  # errno name of a failed connect or send → times
    local: bool = False  # the endpoint is at an address of the traced machine; False where unknown


@dataclass(frozen=True, slots=True)
class Listener:
    """Who could be reached at an endpoint of the traced machine when the run ended, of the tree or not."""

    endpoint: str  # as it is bound: a wildcard address stands for each of the machine's
    network: int  # inode number of the network namespace
    command: str  # the process's name


@dataclass(frozen=True, slots=True, order=True)
class RunWarning:
    """A problem of a run that the reader of its report must know. Slugs are explained in docs/messages.md."""

    slug: str
    message: str  # what is wrong
    hint: str = ""  # what to do


@dataclass(frozen=True, slots=True)
class End:
    """The last line of a trace; a trace without it was cut off."""

    end_ns: int
    exit_status: int
    lost_events: int  # events the kernel side could not deliver, all CPUs
    lost_boundaries: int  # records of the hook that never arrived
    pytest_reported: bool = True  # whether the hook reported from any process; False: the report has no tests


Record = Run | Process | Thread | Span | StaticFacts | Attempt | Instance | Listen | Flow | Listener | RunWarning | End


@dataclass(frozen=True, slots=True)
class Trace:
    """A whole trace in memory."""

    run: Run
    processes: Mapping[int, Process]
    threads: Mapping[tuple[int, int], Thread]  # (process, tid) → thread; the latest where a tid was reused
    spans: Mapping[int, Span]  # phases and narrow fixtures only with a flow or another kind of span within
    facts: tuple[StaticFacts, ...]
    attempts: tuple[Attempt, ...]  # in the order in which they ended
    instances: Mapping[int, Instance]
    listens: tuple[Listen, ...]
    flows: tuple[Flow, ...]
    warnings: tuple[RunWarning, ...]
    end: End | None  # None: the trace was cut off
    listeners: tuple[Listener, ...] = ()

    def facts_of(self, attempt: Attempt) -> StaticFacts | None:
        """The static facts of an attempt; None: they were lost."""
        return self.facts[attempt.facts - 1] if 0 < attempt.facts <= len(self.facts) else None

    @property
    def complete(self) -> bool:
        """Whether nothing was lost: no kernel event, no boundary, and the trace came to its end."""
        return self.end is not None and self.end.lost_events == 0 and self.end.lost_boundaries == 0
