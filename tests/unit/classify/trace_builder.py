"""Small traces, built by saying what happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from msgspec.structs import replace

from tracer.classify.classification import classify
from tracer.classify.model import Classification
from tracer.classify.services.config import Config
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import (
    NO_PROCESS,
    NO_SPAN,
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
from tracer.trace.records import (
    Attempt,
    End,
    Flow,
    HostName,
    Instance,
    Listen,
    NameSource,
    Process,
    Run,
    Span,
    SpanKind,
    StaticFacts,
    Thread,
    Trace,
)

MAIN = Tid(100)  # the tid of a runner's own thread


@dataclass(repr=False)
class TraceBuilder:
    """Spans open and close by the call; each call that says something happened moves the clock by a microsecond."""

    ns: int = 1_000_000
    processes: dict[ProcessId, Process] = field(default_factory=dict)
    threads: dict[tuple[ProcessId, Tid], Thread] = field(default_factory=dict)
    spans: dict[SpanId, Span] = field(default_factory=dict)
    facts: list[StaticFacts] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    instances: dict[InstanceId, Instance] = field(default_factory=dict)
    listens: list[Listen] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    host_names: list[HostName] = field(default_factory=list)
    _ids: count[int] = field(default_factory=lambda: count(1))

    def tick(self) -> int:
        self.ns += 1_000
        return self.ns

    def process(self, parent: ProcessId = NO_PROCESS, command: str = "python") -> ProcessId:
        id_ = ProcessId(len(self.processes) + 1)
        self.processes[id_] = Process(id_, parent, Pid(1000 + id_), self.tick(), command)
        return id_

    def thread(self, process: ProcessId, tid: int, name: str = "worker") -> Tid:
        thread = Thread(process, Tid(tid), self.tick(), name)
        self.threads[process, thread.tid] = thread
        return thread.tid

    def open(
        self,
        kind: SpanKind,
        process: ProcessId,
        parent: SpanId = NO_SPAN,
        subject: str | InstanceId | None = None,
        tid: int = MAIN,
    ) -> SpanId:
        id_ = SpanId(next(self._ids))
        self.spans[id_] = Span(id_, parent, process, Tid(tid), kind, self.tick(), 1 << 60, subject)
        return id_

    def close(self, *spans: SpanId, crashed: bool = False) -> None:
        for span in spans:
            self.spans[span] = replace(self.spans[span], end_ns=self.tick(), crashed=crashed)

    def test(self, nodeid: str, process: ProcessId, session: SpanId, tid: int = MAIN) -> tuple[SpanId, SpanId]:
        """Open a test and its call."""
        test = self.open("test", process, session, nodeid, tid)
        return test, self.open("call", process, test, None, tid)

    def finish(
        self, test: SpanId, *phases: SpanId, instances: tuple[InstanceId, ...] = (), outcome: str = "passed"
    ) -> None:
        """Close a test, with its attempt."""
        self.close(*phases, test)
        nodeid = str(self.spans[test].subject)
        self.facts.append(StaticFacts(nodeid.partition("::")[0], (), (), ()))
        outcomes = {} if outcome == "passed" else {"call": outcome}
        self.attempts.append(Attempt(test, nodeid, FactsNumber(len(self.facts)), outcomes, instances))

    def instance(
        self,
        name: str,
        process: ProcessId,
        scope: str = "session",
        requires: tuple[InstanceId, ...] = (),
        baseid: str = "",
    ) -> InstanceId:
        id_ = InstanceId(len(self.instances) + 1)
        self.instances[id_] = Instance(id_, process, name, scope, baseid, "", None, requires)
        return id_

    def send(
        self,
        endpoint: str,
        *spans: SpanId,
        process: int = 1,
        tid: int = MAIN,
        socket: int = 1,
        connects: int = 0,
        sends: int = 1,
        heads: tuple[bytes, ...] = (),
        prefixes: tuple[bytes, ...] = (),
        peer: int = 0,
        errors: dict[str, int] | None = None,
        asked: int | None = None,
        unsure: int = 0,
        host: str = "",
    ) -> Flow:
        flow = Flow(
            process=ProcessId(process),
            tid=Tid(tid),
            socket=SocketInode(socket),
            endpoint=Endpoint.parse(endpoint),
            spans=spans,
            first_ns=self.tick(),
            last_ns=self.tick(),
            sends=sends,
            bytes=10 * sends,
            connects=connects,
            established=connects if not errors else 0,
            peer=ProcessId(peer),
            prefixes=tuple(prefix.hex() for prefix in prefixes),
            heads={head.hex(): 1 for head in heads},
            errors=errors or {},
            asked=asked,
            unsure=unsure,
            host=host,
        )
        self.flows.append(flow)
        return flow

    def names(
        self,
        name: str,
        *addresses: str,
        source: NameSource = "dns",
        process: int = 0,
        network: int = UNKNOWN_NETWORK,
        port: int = 0,
    ) -> None:
        """A host's name becomes known, by an answer or for the whole run."""
        ns = self.tick() if source == "dns" else 0
        for address in addresses:
            one = HostName(name, address, source, ns, ProcessId(process), NetworkNamespace(network), port)
            self.host_names.append(one)

    def listen(self, endpoint: str, process: ProcessId) -> None:
        self.listens.append(Listen(process, Endpoint.parse(endpoint), UNKNOWN_NETWORK, self.tick()))

    def trace(self, *, cut_off: bool = False) -> Trace:
        run = Run(("pytest",), "libbpf", "6.18", 1_700_000_000.0, 1_000_000, "/suite")
        return Trace(
            run,
            self.processes,
            self.threads,
            self.spans,
            tuple(self.facts),
            tuple(self.attempts),
            self.instances,
            tuple(self.listens),
            tuple(self.flows),
            (),
            None if cut_off else End(self.tick(), 0, 0, 0),
            host_names=tuple(self.host_names),
        )


def classified(trace: Trace, config: Config) -> Classification:
    """The classification of a trace, made at a fixed time."""
    return classify(trace, config, generated_at=datetime(2026, 1, 1, tzinfo=UTC))
