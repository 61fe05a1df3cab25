"""Random traces that a real run might have left."""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from struct import pack

from msgspec.structs import replace
from trace_builder import MAIN, TraceBuilder

from tracer.trace.ids import (
    NO_FACTS,
    NO_PROCESS,
    NO_SPAN,
    InstanceId,
    NetworkNamespace,
    ProcessId,
    SpanId,
    Tid,
)
from tracer.trace.records import Attempt, NameSource, SpanKind
from tracer.trace.timeline import Timeline

TCP = "tcp://127.0.0.1:5432", "tcp://127.0.0.1:6379", "tcp://127.0.0.1:9092", "tcp://10.1.1.1:1", "tcp://[::1]:5432"
LOCALHOST = ["tcp://127.0.0.1:6379", "tcp://[::1]:6379"]
CLUSTER = ["tcp://10.1.1.1:1", "tcp://10.1.1.2:1"]  # addresses that may have one name
NAMES = "a.internal", "b.internal"
REQUESTS = [f"GET {path} HTTP/1.1\r\n".encode() for path in ("/", "/users", "/orders")]
UNIX = "unix:///run/x/.s.PGSQL.5432", "unix://@abstract"
UDP = "udp://127.0.0.1:8125", "udp://[2001:db8::1]:53"
LISTENED = "tcp://0.0.0.0:5432", "tcp://127.0.0.1:6379", "tcp://10.1.1.1:1", "tcp://[::]:4711"
KAFKA = TCP[2]
HEADS = [pack(">ihh", 40, key, 7) for key in (0, 1, 3, 12)]
SCOPES = "function", "class", "module", "package", "session"
THREADS = Tid(11), Tid(12)  # that run tests
TIDS = MAIN, MAIN, MAIN, Tid(7), Tid(8), *THREADS


class Story(TraceBuilder):
    """A random run: runners that take their steps in turn, and, between any two steps, all that may happen."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.timeline = Timeline()
        self.sockets: list[tuple[str, int]] = []  # endpoint, network namespace; numbered from 1
        self.known: set[tuple[ProcessId, Tid, int, tuple[SpanId, ...]]] = set()  # process, tid, socket, spans: one flow
        self.modules = [f"test_{name}.py" for name in "ab"]

    def add_steps(self, steps: int) -> None:
        """A run of one pytest, of a controller with its workers, or one with threads; cut off after so many steps."""
        command = self.process()
        runners: dict[tuple[ProcessId, Tid], Iterator[None]] = {}
        match self.chance.choice(["plain", "workers", "threads"]):
            case "plain":
                runners[command, MAIN] = self.session(command, MAIN)
            case "workers":
                self.enter("session", command, MAIN, "/suite")
                for worker in [self.process(command) for _ in range(self.chance.randint(1, 3))]:
                    runners[worker, MAIN] = self.session(worker, MAIN)
            case "threads":
                self.enter("session", command, MAIN, "/suite")
                for tid in THREADS:
                    runners[command, tid] = self.tests(command, tid, [], 0)
        for _ in range(steps):
            if not runners:
                break
            runner = self.chance.choice(list(runners))
            if next(runners[runner], "over") == "over":
                del runners[runner]
            elif self.chance.random() < 0.01:
                self.crash(runner[0])
                runners = {other: steps for other, steps in runners.items() if other[0] != runner[0]}
            self.something_happens()
        for process in self.processes:
            self.crash(process)

    def session(self, process: ProcessId, tid: Tid, depth: int = 0) -> Iterator[None]:
        session = self.enter("session", process, tid, "/suite")
        for module in self.modules:
            yield from self.within(self.enter("collection", process, tid, module))
        yield from self.tests(process, tid, [], depth)
        self.close(session)

    def tests(self, process: ProcessId, tid: Tid, live: list[InstanceId], depth: int) -> Iterator[None]:
        """`live` are the wide instances that are set up."""
        for _ in range(self.chance.randint(1, 4)):
            yield from self.test_life(process, tid, live, depth)
            yield

    def test_life(self, process: ProcessId, tid: Tid, live: list[InstanceId], depth: int) -> Iterator[None]:
        nodeid = f"{self.chance.choice(self.modules)}::test_{self.chance.randint(0, 3)}"
        test = self.enter("test", process, tid, nodeid)
        setup = self.enter("setup", process, tid)
        requested = set(self.some(live))
        narrow = []
        for _ in range(self.chance.randint(0, 2)):
            instance = yield from self.set_up(process, tid, live)
            if self.instances[instance].scope == "function":
                narrow.append(instance)
                requested.update(self.instances[instance].requires)
            else:
                requested.add(instance)
        self.close(setup)
        call = self.enter("call", process, tid)
        yield
        if depth == 0 and self.chance.random() < 0.3:
            inner = self.chance.choice([process, self.process(process)])
            yield from self.session(inner, self.chance.choice([tid, Tid(100 + test)]), depth + 1)  # a thread of its own
        self.close(call)
        teardown = self.enter("teardown", process, tid)
        ending = self.some(live)
        for instance in (*narrow, *ending):
            yield from self.within(self.enter("fixture", process, tid, instance))
        live[:] = [instance for instance in live if instance not in ending]
        self.finish(
            test, teardown, instances=tuple(sorted(requested)), outcome=self.chance.choice(["passed", "failed"])
        )

    def set_up(self, process: ProcessId, tid: Tid, live: list[InstanceId]) -> Generator[None, None, InstanceId]:
        """Returns the instance; those that it requests while it is set up are set up inside of it."""
        scope = self.chance.choice(SCOPES)
        instance = self.instance(f"fixture_{self.chance.randint(0, 2)}", process, scope, tuple(self.some(live)))
        span = self.enter("fixture", process, tid, instance)
        yield
        if self.chance.random() < 0.2:
            inner = yield from self.set_up(process, tid, live)
            if self.instances[inner].scope != "function":
                requires = (*self.instances[instance].requires, inner)
                self.instances[instance] = replace(self.instances[instance], requires=requires)
        self.close(span)
        if scope != "function":
            live.append(instance)
        return instance

    def within(self, span: SpanId) -> Iterator[None]:
        yield
        self.close(span)

    def enter(self, kind: SpanKind, process: ProcessId, tid: Tid, subject: str | InstanceId | None = None) -> SpanId:
        """A span opens where the recorder would put it."""
        return self.open(kind, process, self.timeline.enclosing(process, tid, self.ns), subject, tid)

    def some(self, instances: list[InstanceId]) -> list[InstanceId]:
        return self.chance.sample(instances, self.chance.randint(0, len(instances)))

    def crash(self, process: ProcessId) -> None:
        for span in self.timeline.exit(process, self.ns + 1):
            if self.spans[span].kind == "test":
                self.attempts.append(Attempt(span, str(self.spans[span].subject), NO_FACTS, {}, ()))
            self.close(span, crashed=True)

    def something_happens(self) -> None:
        for _ in range(self.chance.randint(0, 4)):
            what = self.chance.random()
            process = self.chance.choice(list(self.processes))
            if what < 0.6:
                self.background_sends(process)
            elif what < 0.7:
                self.tries_addresses(process, self.chance.choice([LOCALHOST, CLUSTER]))
            elif what < 0.75:
                self.learns_a_name(process)
            elif what < 0.8:
                self.thread(process, self.chance.choice(TIDS[3:]))
            elif what < 0.9:
                self.process(process, self.chance.choice(["psql", "node"]))
            else:
                self.listen(self.chance.choice(LISTENED), process)

    def learns_a_name(self, process: ProcessId) -> None:
        addresses = self.chance.sample(["10.1.1.1", "10.1.1.2", "2001:db8::1"], 2)
        source: NameSource = self.chance.choice(["dns", "dns", "hosts", "container"])
        network = self.chance.choice([0, 4026531840])
        self.names(
            self.chance.choice(NAMES),
            *addresses,
            source=source,
            process=process if source == "dns" else 0,
            network=network,
            port=1 if source == "container" else 0,
        )

    def tries_addresses(self, process: ProcessId, addresses: list[str]) -> None:
        """Attempts at both addresses, each on a socket of its own. The last one may succeed."""
        tid, network = self.chance.choice(TIDS), self.chance.choice([0, 4026531840])
        attempts = self.chance.sample(addresses, 2) * self.chance.randint(1, 2)
        is_found = self.chance.random() < 0.7
        for left, endpoint in zip(range(len(attempts) - 1, -1, -1), attempts, strict=True):
            self.sockets.append((endpoint, network))
            socket, spans = len(self.sockets), self.timeline.at(process, tid, self.ns)
            self.known.add((process, tid, socket, spans))
            answers = is_found and not left
            flow = self.send(
                endpoint,
                *spans,
                process=process,
                tid=tid,
                socket=socket,
                connects=1,
                sends=int(answers),
                errors={} if answers else {"ECONNREFUSED": 1},
            )
            self.flows[-1] = replace(flow, network=NetworkNamespace(network))

    def background_sends(self, process: ProcessId) -> None:
        chance = self.chance
        tid = chance.choice(TIDS)
        fresh = not self.sockets or chance.random() < 0.5
        if fresh:
            self.sockets.append((chance.choice([*TCP, *UNIX, *UDP]), chance.choice([0, 0, 4026531840])))
        socket = len(self.sockets) if fresh else chance.randint(1, len(self.sockets))
        endpoint, network = self.sockets[socket - 1]
        spans = self.timeline.at(process, tid, self.ns)
        if (process, tid, socket, spans) in self.known:
            return
        self.known.add((process, tid, socket, spans))
        errors = {chance.choice(["ECONNREFUSED", "EPIPE"]): 1} if chance.random() < 0.2 else {}
        flow = self.send(
            endpoint,
            *spans,
            process=process,
            tid=tid,
            socket=socket,
            connects=int(fresh and chance.random() < 0.8),
            sends=chance.randint(0, 4),
            errors=errors,
            peer=process if endpoint in UNIX and chance.random() < 0.2 else 0,
            prefixes=tuple(chance.choices(REQUESTS, k=chance.randint(1, 3))) if fresh and chance.random() < 0.3 else (),
            host=chance.choice(NAMES) if chance.random() < 0.1 else "",
        )
        heads = chance.sample(HEADS, flow.sends) if tid != MAIN and endpoint == KAFKA else []
        self.flows[-1] = replace(flow, network=NetworkNamespace(network), heads={head.hex(): 1 for head in heads})

    # Whatever the builder adds, the timeline hears of.

    def process(self, parent: ProcessId = NO_PROCESS, command: str = "python") -> ProcessId:
        number = super().process(parent, command)
        self.timeline.fork(number, parent)
        return number

    def open(
        self,
        kind: SpanKind,
        process: ProcessId,
        parent: SpanId = NO_SPAN,
        subject: str | InstanceId | None = None,
        tid: int = MAIN,
    ) -> SpanId:
        number = super().open(kind, process, parent, subject, tid)
        self.timeline.open(process, Tid(tid), number, self.ns)
        return number

    def close(self, *spans: SpanId, crashed: bool = False) -> None:
        for number in spans:
            super().close(number, crashed=crashed)
            span = self.spans[number]
            self.timeline.close(span.process, span.tid, number, span.end_ns)

    def tick(self) -> int:
        self.ns += self.chance.randint(1, 3_000)
        return self.ns
