"""The records of a trace: everything that a run recorded, before it is interpreted.

Times whose names end in `_ns` are CLOCK_MONOTONIC nanoseconds of the traced machine. Ids are unique within one trace,
and are never reused. `process`, `span` and `instance` in a record are ids of records of that type.

An endpoint is a text: `tcp://127.0.0.1:5432`, `udp://[::1]:53`, `unix:///run/redis.sock`, or `unix://@NAME` for an
abstract socket. A runner is a process with open spans: a pytest process whose hook reports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, get_args

from msgspec import Struct, field
from msgspec.structs import force_setattr

from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import (
    NO_PROCESS,
    UNKNOWN_NETWORK,
    FactsNumber,
    InstanceId,
    NetworkNamespace,
    Pid,
    ProcessId,
    SocketInode,
    SpanId,
    Tid,
)

PhaseName = Literal["setup", "call", "teardown"]
NameSource = Literal["dns", "hosts", "container", "compose"]
SpanKind = Literal["session", "conftest", "collection", "test", "fixture"] | PhaseName
PHASES: Final = get_args(PhaseName)
_NONE: Final[Mapping[str, Any]] = {}  # one for all: few flows have errors or heads


class _Row(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A record of which a trace has many: msgspec encodes it as its row, and decodes it, without another object.

    Its values contain no records, so the garbage collector need not search it for cycles.
    """


class Run(Struct, frozen=True):
    """One `svc-trace -- CMD`. It is the first record of a trace."""

    command: tuple[str, ...]  # the words after `--`
    backend: str  # the backend that recorded it, such as libbpf
    kernel: str  # its release, as of `uname -r`
    started_at: float  # CLOCK_REALTIME seconds since the epoch
    start_ns: int  # the same moment on CLOCK_MONOTONIC
    directory: str  # the command's working directory
    lacks_causes: str = "an older svc-trace recorded it"  # why `asked` is null in all flows; empty: it is known


class Process(_Row, frozen=True, tag="process"):
    """A process of the traced tree. Its id is never reused; its pid may be."""

    id: ProcessId  # 1 for the command itself
    parent: ProcessId  # the process that forked it; 0 for the command itself
    pid: Pid  # in its own pid namespace
    start_ns: int  # when it was forked
    command: str  # the kernel's name for it (comm) after the last exec, at most 15 bytes
    end_ns: int | None = None  # when it ended; null: it was alive when the run ended
    status: int | None = None  # wait status, see waitpid(2): exit code << 8 | signal; null as for `end_ns`
    lineage_ns: int = 0
    """When its lineage began: the threads and processes that started one another, from a runner's thread down to this
    process. It is the start of the oldest one below the runner's thread. 0: unknown."""
    earlier: tuple[str, ...] = ()  # the names it had before each exec, oldest first; only if it used a socket by then
    earlier_until_ns: tuple[int, ...] = ()  # the time of each of these execs


class Thread(_Row, frozen=True, tag="thread"):
    """A thread that used a socket. A tid that is reused within a process is another record."""

    process: ProcessId  # the process to which it belongs
    tid: Tid  # in the process's own pid namespace
    start_ns: int  # when the kernel created it
    name: str  # its name (comm) at its first socket event, at most 15 bytes
    lineage_ns: int = 0  # when its lineage began, as for `process`


class Span(_Row, frozen=True, tag="span"):
    """An interval on a runner's thread: a session, the import of a conftest, a collection, a test, a phase of a test,
    or a fixture's set-up or finalizer.
    """

    id: SpanId  # unique among spans
    parent: SpanId  # the span around it, possibly another runner's; 0 for none
    process: ProcessId  # the runner: the process that reported it
    tid: Tid  # the runner's thread, in the process's own pid namespace
    kind: SpanKind  # what it is an interval of
    start_ns: int  # when it opened
    end_ns: int  # when it closed
    subject: str | InstanceId | None = None
    """session: rootdir; conftest: the directory whose tests need its import, from the rootdir; collection: the module's
    node id; test: its node id; fixture: instance id"""
    crashed: bool = False  # its process died with the span open


class StaticFacts(Struct, frozen=True, order=True):
    """What pytest knows about a test before it runs. Static rules use it. Many tests share one record.

    Its number is its position among the records of this type in the trace, counted from 1.
    """

    path: str  # relative to pytest's rootdir, with forward slashes
    fixtures: tuple[str, ...]  # the whole closure, autouse ones too
    markers: tuple[str, ...]  # names, nearest first, without repeats
    bases: tuple[str, ...]  # qualified names of the class and its bases in MRO order, without `object`; empty: no class
    autouse: tuple[str, ...] = ()  # those of the fixtures that are active although the test does not request them
    group: str = ""  # the name of its `xdist_group`, whose tests run in one worker; empty: it has none


class Attempt(_Row, frozen=True, tag="attempt"):
    """One execution of a test; a rerun is another attempt with the same node id."""

    span: SpanId  # the test's span
    nodeid: str  # pytest's, without xdist's `@group`
    facts: FactsNumber  # number of its static facts; 0: they were lost
    outcomes: Mapping[str, str]
    """Phase that did not pass → failed | skipped | xfailed | xpassed | interrupted | not run. Not run: with
    --setup-only and --setup-plan, pytest does not call the test."""
    instances: tuple[InstanceId, ...]  # the instances wider than function scope that it requested, directly or not


class Instance(_Row, frozen=True, tag="instance"):
    """A fixture instance: one set-up of one fixture, and its finalizer."""

    id: InstanceId  # unique among instances
    process: ProcessId  # the runner that set it up
    name: str  # the fixture's name
    scope: str  # function | class | module | package | session
    baseid: str  # node id of the place that defines it; empty for plugins and the rootdir's conftest
    node: str  # node id of the test, class, module, package or session for which it was set up
    param: str | None  # the parameter's id; null for a fixture without parameters
    requires: tuple[InstanceId, ...] = ()  # the instances wider than function scope that it requested


class Listen(_Row, frozen=True, tag="listen"):
    """From this time on, a socket of the traced tree can be reached at an endpoint, so the endpoint is self-hosted. If
    `begins` is false, it can no longer be reached.

    For TCP, both are recorded. For datagram sockets, the time of binding is recorded, and the end is not.
    """

    process: ProcessId  # the process that called listen or bind
    endpoint: Endpoint  # the socket's own address
    network: NetworkNamespace  # inode number of the network namespace; 0: unknown
    start_ns: int  # when it began, or ended
    begins: bool = True  # false: one socket less can be reached there


class Flow(_Row, frozen=True, tag="flow"):
    """What one thread did on one socket with one endpoint within one span, summed: attempts to connect, and sends.

    A trace may contain several flows with the same process, tid, socket, endpoint and spans: add them up.
    """

    process: ProcessId  # the process that connected or sent
    tid: Tid  # its thread, in the process's own pid namespace
    socket: SocketInode  # the socket's inode number, as in /proc/PID/fd and `ss -e`
    endpoint: Endpoint  # the peer
    spans: tuple[SpanId, ...]
    """The innermost open spans of the nearest runner. As a rule there is one. There are several if several threads of
    the runner have open spans and the sending thread has none. It is empty if no span was open."""
    first_ns: int  # the first event
    last_ns: int  # the last event
    sends: int = 0  # successful sends
    bytes: int = 0  # bytes of these sends
    connects: int = 0  # attempts to connect that began here; 0 for UDP, where connect sends nothing
    established: int = 0  # attempts that succeeded
    network: NetworkNamespace = UNKNOWN_NETWORK  # inode number of the network namespace; 0: unknown
    peer: ProcessId = NO_PROCESS  # the process of the tree that listens at a unix socket; 0: none, or unknown
    prefixes: tuple[str, ...] = ()  # hex of the first ≤ 32 bytes of each of the socket's first 4 sends
    heads: Mapping[str, int] = field(default_factory=lambda: _NONE)
    """Hex of a send's first ≤ 16 bytes → number of sends that begin so, at most 32 different beginnings. Sends with a
    prefix are not included. Once the thread has opened a span, only flows with at most 2 sends have heads, and
    sends that the kernel only counted (a tally, see architecture.md) are not included."""
    errors: Mapping[str, int] = field(default_factory=lambda: _NONE)  # errno name → failed connects and sends
    local: bool = False  # whether the endpoint is at an address of the traced machine; false: no, or unknown
    asked: int | None = None
    """How many of the attempts, the sends and the failed sends were asked for by the runner of `spans`: its thread with
    that span woke the sending thread, directly or through other threads, since the innermost test around the span
    opened. Without a test around it: since the span opened. If there are several spans, the first one asked. What a
    runner's thread does in its own span is asked for. 0 if `spans` is empty. null: unknown."""
    unsure: int = 0
    """How many of the attempts and sends that are not in `asked` may have been asked for as well. Their thread, or one
    that woke it, was busy when the test began, and has not waited since. Such a thread can find new work without being
    woken."""
    host: str = ""
    """The name of the host that the socket's first sends contain: HTTP's `Host` or `:authority`, TLS's server name. In
    lower case, without a port. Empty: they contain none."""

    def beginnings(self) -> Iterator[tuple[str, int]]:
        """Hex of the known first bytes of sends, and the number of sends that begin so."""
        yield from self.heads.items()
        for prefix in self.prefixes:
            yield prefix, 1


class Listener(Struct, frozen=True):
    """A process that listened at an endpoint of the traced machine when the run ended, in the traced tree or not."""

    endpoint: Endpoint  # the address it is bound to; a wildcard address stands for all addresses of the machine
    network: NetworkNamespace  # inode number of the network namespace
    command: str  # the process's name


class HostName(Struct, frozen=True):
    """A host has this name and this address, as the traced tree learnt from a name server or could read in a file."""

    name: str  # in lower case, without the dot at its end
    address: str  # of IPv4 or IPv6, in the canonical text form
    source: NameSource
    """dns: a name server's or a local resolver's answer; hosts: /etc/hosts; container: Docker or Podman; compose: a
    Compose file."""
    ns: int = 0  # dns: when the answer was read; others: 0, the name is valid during the whole run
    process: ProcessId = NO_PROCESS  # dns: the process that read the answer; 0: any process
    network: NetworkNamespace = UNKNOWN_NETWORK  # inode number of the network namespace; 0: any
    port: int = 0  # the only port that the name is for, such as a container's published port; 0: all ports


class Refused(Struct, frozen=True):
    """What is refused to the traced tree, as if it were stopped: peers, or a unix socket. It is recorded when the run
    begins, and again when it ends if calls were refused. The calls of equal records add up. By UDP, datagrams are lost
    without an error: flows count them as sends.
    """

    service: str  # its name in the configuration; empty: everything that no other record has
    network: str = ""  # of the peers, such as `127.0.0.0/8`; empty: all addresses
    first_port: int = 0  # of the peers
    last_port: int = 65535  # the ports between are refused, too
    protocols: tuple[str, ...] = ()  # of the peers: tcp, udp; empty: it is a unix socket
    path: str = ""  # of the unix socket, as in endpoints
    error: str = ""  # errno name of a refused call; empty: by UDP only
    calls: int | None = 0  # calls that were refused, and datagrams that were lost; null: unknown
    excepted: bool = False  # these peers are not refused, whatever other records say


class RunWarning(Struct, frozen=True, order=True):
    """A problem of a run that the reader of its report must know."""

    slug: str  # identifies the kind of warning, see docs/messages.md
    message: str  # what is wrong
    hint: str = ""  # what to do


class End(Struct, frozen=True):
    """The last record of a trace. A trace without it was cut off."""

    end_ns: int  # when recording ended
    exit_status: int  # the command's; 128 + N if signal N ended it
    lost_events: int  # socket and process events that were not recorded
    lost_boundaries: int  # messages of the hook that did not arrive
    pytest_reported: bool = True  # whether the hook reported from any process; false: the report has no tests
    missing_tests: int | None = 0
    """Tests that are not in the trace: a pytest process ended before it began them, or they ran in a process that was
    not traced. null: some, of an unknown number."""
    partial: bool = False
    """whether a session of pytest left out tests of files that it collected: they were deselected, the arguments did
    not name them, or it stopped early"""


Record = (
    Run
    | Process
    | Thread
    | Span
    | StaticFacts
    | Attempt
    | Instance
    | Listen
    | Flow
    | Listener
    | HostName
    | Refused
    | RunWarning
    | End
)


class Trace(Struct, frozen=True):
    """A whole trace in memory."""

    run: Run
    processes: Mapping[ProcessId, Process]
    threads: Mapping[tuple[ProcessId, Tid], Thread]  # (process, tid) → thread; the latest where a tid was reused
    spans: Mapping[SpanId, Span]  # without phases and function-scoped fixtures that contain no flow and no other span
    facts: tuple[StaticFacts, ...]
    attempts: tuple[Attempt, ...]  # in the order in which they ended
    instances: Mapping[InstanceId, Instance]
    listens: tuple[Listen, ...]
    flows: tuple[Flow, ...]
    warnings: tuple[RunWarning, ...]
    end: End | None  # None: the trace was cut off
    listeners: tuple[Listener, ...] = ()
    host_names: tuple[HostName, ...] = ()  # in the order in which they were recorded
    refused: tuple[Refused, ...] = ()

    def take_flows(self) -> tuple[Flow, ...]:
        """The flows, which the trace no longer has then. Without another reference, each can be freed on its own."""
        flows = self.flows
        force_setattr(self, "flows", ())
        return flows

    def facts_of(self, attempt: Attempt) -> StaticFacts | None:
        """The static facts of an attempt; None: they were lost."""
        return self.facts[attempt.facts - 1] if 0 < attempt.facts <= len(self.facts) else None

    @property
    def rootdirs(self) -> tuple[str, ...]:
        """Pytest's rootdirs, in the order of time, each once, without those of sessions within tests."""
        sessions = sorted((span.start_ns, span.id) for span in self.spans.values() if span.kind == "session")
        outer = (self.spans[span] for _, span in sessions if not self._is_within_test(self.spans[span]))
        return tuple(dict.fromkeys(session.subject for session in outer if isinstance(session.subject, str)))

    def _is_within_test(self, span: Span | None) -> bool:
        while span is not None and span.kind != "test":
            span = self.spans.get(span.parent)
        return span is not None

    @property
    def complete(self) -> bool:
        """Whether nothing is missing: no kernel event, no boundary, no test, and the trace came to its end."""
        end = self.end
        return end is not None and (end.lost_events, end.lost_boundaries, end.missing_tests) == (0, 0, 0)
