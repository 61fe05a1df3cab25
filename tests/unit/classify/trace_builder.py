"""Small traces, built by saying what happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from tracer.trace.endpoint import Endpoint
from tracer.trace.records import (
    Attempt,
    End,
    Flow,
    Instance,
    Listen,
    Process,
    Run,
    Span,
    SpanKind,
    StaticFacts,
    Thread,
    Trace,
)

MAIN = 100  # the tid of a runner's own thread


@dataclass(repr=False)
class TraceBuilder:
    """Spans open and close by the call; each call that says something happened moves the clock by a microsecond."""

    ns: int = 1_000_000
    processes: dict[int, Process] = field(default_factory=dict)
    threads: dict[tuple[int, int], Thread] = field(default_factory=dict)
    spans: dict[int, Span] = field(default_factory=dict)
    facts: list[StaticFacts] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    instances: dict[int, Instance] = field(default_factory=dict)
    listens: list[Listen] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    _ids: count[int] = field(default_factory=lambda: count(1))

    def tick(self) -> int:
        self.ns += 1_000
        return self.ns

    def process(self, parent: int = 0, command: str = "python") -> int:
        number = len(self.processes) + 1
        self.processes[number] = Process(number, parent, 1000 + number, self.tick(), command)
        return number

    def thread(self, process: int, tid: int, name: str = "worker") -> int:
        self.threads[process, tid] = Thread(process, tid, self.tick(), name)
        return tid

    def open(
        self, kind: SpanKind, process: int, parent: int = 0, subject: str | int | None = None, tid: int = MAIN
    ) -> int:
        number = next(self._ids)
        self.spans[number] = Span(number, parent, process, tid, kind, self.tick(), 1 << 60, subject)
        return number

    def close(self, *spans: int, crashed: bool = False) -> None:
        for number in spans:
            span = self.spans[number]
            self.spans[number] = Span(
                span.id,
                span.parent,
                span.process,
                span.tid,
                span.kind,
                span.start_ns,
                self.tick(),
                span.subject,
                crashed=crashed,
            )

    def test(self, nodeid: str, process: int, session: int, tid: int = MAIN) -> tuple[int, int]:
        """Open a test and its call."""
        test = self.open("test", process, session, nodeid, tid)
        return test, self.open("call", process, test, None, tid)

    def finish(self, test: int, *phases: int, instances: tuple[int, ...] = (), outcome: str = "passed") -> None:
        """Close a test, with its attempt."""
        self.close(*phases, test)
        nodeid = str(self.spans[test].subject)
        self.facts.append(StaticFacts(nodeid.partition("::")[0], (), (), ()))
        outcomes = {} if outcome == "passed" else {"call": outcome}
        self.attempts.append(Attempt(test, nodeid, len(self.facts), outcomes, instances))

    def instance(
        self, name: str, process: int, scope: str = "session", requires: tuple[int, ...] = (), baseid: str = ""
    ) -> int:
        number = len(self.instances) + 1
        self.instances[number] = Instance(number, process, name, scope, baseid, "", None, requires)
        return number

    def send(
        self,
        endpoint: str,
        *spans: int,
        process: int = 1,
        tid: int = MAIN,
        socket: int = 1,
        connects: int = 0,
        sends: int = 1,
        heads: tuple[bytes, ...] = (),
        prefixes: tuple[bytes, ...] = (),
        peer: int = 0,
        errors: dict[str, int] | None = None,
    ) -> Flow:
        flow = Flow(
            process,
            tid,
            socket,
            Endpoint.parse(endpoint),
            spans,
            self.tick(),
            self.tick(),
            sends,
            10 * sends,
            connects,
            connects if not errors else 0,
            0,
            peer,
            tuple(prefix.hex() for prefix in prefixes),
            {head.hex(): 1 for head in heads},
            errors or {},
        )
        self.flows.append(flow)
        return flow

    def listen(self, endpoint: str, process: int) -> None:
        self.listens.append(Listen(process, Endpoint.parse(endpoint), 0, self.tick()))

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
        )
