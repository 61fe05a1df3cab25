"""Both streams joined: however they are cut into turns, and whoever is late, the classification is the same."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from struct import pack
from tempfile import TemporaryDirectory
from typing import Final, TypeVar
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from plain import plain

from tracer.classify.classification import classify
from tracer.classify.model import Classification
from tracer.classify.services.config import Config, load_config
from tracer.record import recorder as module
from tracer.record.boundary.messages import (
    Close,
    Facts,
    FixtureInstance,
    Hello,
    Message,
    Open,
    Opened,
    Phase,
    Report,
    Requires,
    Uses,
)
from tracer.record.boundary.packets import Packet
from tracer.record.capture.protocol import Event, Kind, SocketEvent, TaskEvent
from tracer.record.recorder import Recorder
from tracer.trace.endpoint import Endpoint
from tracer.trace.file import TraceWriter, read_trace
from tracer.trace.records import End, PhaseName, Run, StaticFacts

PIDNS: Final = 4026531836
TURN_NS: Final = 20_000_000
SECOND_NS: Final = 1_000_000_000
ENDPOINTS: Final = (
    *(Endpoint("tcp", "127.0.0.1", port) for port in (5432, 6379, 9092)),
    Endpoint("unix", path="/run/x.sock"),
)
T = TypeVar("T")
HEADS: Final = [pack(">ihh", 40, key, 7) for key in (0, 1, 3)]
MAIN: Final = 1  # added to a process's pid: its thread that runs tests


@dataclass
class History:
    """What kernel and hook say of a run, each in the order of time; a clock that moves with all that happens."""

    chance: random.Random
    ns: int = 1_000_000_000
    events: list[Event] = field(default_factory=list)
    packets: list[tuple[int, Packet]] = field(default_factory=list)  # when it was written
    pids: dict[int, int] = field(default_factory=dict)  # living process → pid
    free: dict[int, int] = field(default_factory=dict)  # pid → since when nobody has it
    last_process: int = 0
    last_number: int = 0  # of spans, facts and instances
    last_socket: int = 0
    threads: set[tuple[int, int]] = field(default_factory=set)  # that were told
    results: list[SocketEvent] = field(default_factory=list)  # of attempts that have begun

    def tick(self) -> int:
        self.ns += self.chance.randint(1, TURN_NS // 4)
        return self.ns

    def number(self) -> int:
        self.last_number += 1
        return self.last_number

    # What the kernel says.

    def birth(self, parent: int = 0, pid: int = 0) -> int:
        self.last_process += 1
        process = self.last_process
        # A process that is told late, or read of before it is told, must not meet another with its pid.
        free = [pid for pid, since_ns in self.free.items() if self.ns - since_ns > 2 * TURN_NS]
        self.pids[process] = pid or (self.chance.choice(free) if free else 1000 + 10 * process)
        self.free.pop(self.pids[process], None)
        self._task(Kind.FORK if parent else Kind.EXEC, process, parent=parent, start_ns=self.tick())
        return process

    def death(self, process: int, status: int = 0) -> None:
        self.tick()
        self._task(Kind.EXIT, process, status=status)
        self.free[self.pids.pop(process)] = self.ns

    def thread(self, process: int, tid: int) -> None:
        if (process, tid) not in self.threads:
            self.threads.add((process, tid))
            self._task(Kind.THREAD, process, tid=tid, start_ns=self.ns)

    def _task(
        self, kind: Kind, process: int, *, tid: int = 0, parent: int = 0, start_ns: int = 1, status: int = 0
    ) -> None:
        pid = self.pids[process]
        self.events.append(
            plain(TaskEvent)(self.ns, kind, process, tid or pid, parent, pid, pid, PIDNS, start_ns, "python", status)
        )

    def connect(self, process: int, tid: int) -> None:
        self.thread(process, tid)
        self.last_socket += 1
        endpoint = self.chance.choice(ENDPOINTS)
        begun = plain(SocketEvent)(self.tick(), Kind.CONNECT, process, tid, self.last_socket, 0, endpoint, 0)
        self.events.append(begun)
        self.results.append(
            begun._replace(kind=Kind.CONNECT_RESULT, since_ns=begun.ns, result=self.chance.choice([0, 0, -111]))
        )

    def connected(self) -> None:
        """An attempt comes to its end, whatever its thread does by then."""
        result = self.results.pop(self.chance.randrange(len(self.results)))
        self.events.append(result._replace(ns=self.tick()))

    def send(self, process: int, tid: int) -> None:
        if not self.last_socket:
            return
        self.thread(process, tid)
        socket = self.chance.randint(1, self.last_socket)
        connects = (event for event in self.events if isinstance(event, SocketEvent) and event.socket == socket)
        head = self.chance.choice(HEADS)
        sent = plain(SocketEvent)(self.tick(), Kind.SEND, process, tid, socket, 0, next(connects).endpoint, 44, head)
        self.events.append(sent)
        if self.chance.random() < 0.3:  # a tally: many sends like this one, told later
            count = self.chance.randint(1, 9)
            self.events.append(sent._replace(result=44 * count, sends=count, last_ns=sent.ns + 1))

    # What the hook says.

    def say(self, process: int, tid: int, *messages: Message) -> None:
        self.packets.append((self.ns, plain(Packet)(PIDNS, self.pids[process], tid, 0, messages)))

    def open(self, kind: Opened, subject: str | int, facts: int | None = None) -> Open:
        return plain(Open)(self.number(), self.tick(), kind, subject, facts)

    def phase(self, phase: PhaseName) -> Phase:
        return Phase(self.tick(), phase)

    def close(self, opened: Open) -> Close:
        return plain(Close)(opened.span, self.tick())

    def reports(self, test: Open) -> list[Report]:
        """Told after a test that did not pass has closed."""
        return [plain(Report)(test.span, "call", "failed")] if self.chance.random() < 0.5 else []

    def session(self, process: int) -> Iterator[None]:
        """A runner's life, step by step."""
        tid = self.pids[process] + MAIN
        session = self.open("session", "/suite")
        self.say(process, tid, Hello(self.ns, "3.11", "8.3", None), session)
        collection = self.open("collection", "test_a.py")
        self.say(process, tid, collection)
        yield
        self.say(process, tid, self.close(collection))
        live: list[int] = []
        reports: list[Report] = []
        for _ in range(self.chance.randint(1, 4)):
            facts = plain(Facts)(self.number(), StaticFacts("test_a.py", (), (), ()))
            test = self.open("test", f"test_a.py::test_{self.number()}", facts.number)
            self.say(process, tid, *reports, facts, test)
            yield
            if self.chance.random() < 0.5:
                yield from self.fixture(process, tid, live)
            self.say(process, tid, plain(Uses)(test.span, tuple(live)), self.phase("call"))
            yield
            self.say(process, tid, self.phase("teardown"))
            yield
            self.say(process, tid, self.close(test))
            reports = self.reports(test)
            yield
        self.say(process, tid, *reports, self.close(session))

    def fixture(self, process: int, tid: int, live: list[int]) -> Iterator[None]:
        scope = self.chance.choice(["function", "module", "session"])
        number = self.number()
        made = plain(FixtureInstance)(number, f"fixture_{self.number()}", scope, "", "test_a.py", None)
        span = self.open("fixture", number)
        self.say(process, tid, made, span)
        yield
        self.say(process, tid, self.close(span), plain(Requires)(number, tuple(live)))
        if scope != "function":
            live.append(number)

    def tell(self, steps: int) -> None:
        """A run of one to three runners, cut off after so many steps."""
        command = self.birth()
        runners = [command] if self.chance.random() < 0.3 else [self.birth(command) for _ in range(2)]
        lives = {runner: self.session(runner) for runner in runners}
        for _ in range(steps):
            if not lives:
                break
            runner = self.chance.choice(list(lives))
            if next(lives[runner], "over") == "over" or self.chance.random() < 0.02:
                del lives[runner]
                if runner != command:
                    self.death(runner, self.chance.choice([0, 9]))
            for _ in range(self.chance.randint(0, 3)):
                self.something_happens(set(runners))

    def something_happens(self, runners: set[int]) -> None:
        process = self.chance.choice(list(self.pids))
        tid = self.pids[process] + self.chance.randint(0, 2)
        match self.chance.choice(["send", "send", "connect", "connected", "birth", "death"]):
            case "send":
                self.send(process, tid)
            case "connect":
                self.connect(process, tid)
            case "connected" if self.results:
                self.connected()
            case "birth":
                self.birth(process)
            case "death" if process > 1 and process not in runners:
                self.death(process)


def delayed(history: History) -> list[tuple[int, Event]]:
    """When each event can be read, in the order in which it then is: CPUs don't wait for one another.

    What one thread does comes in its order, and between its process's birth and end.
    """
    read_ns: dict[object, int] = {}  # thread, or process → not before
    timed = []
    for event in history.events:
        ns = event.ns
        if isinstance(event, SocketEvent):
            ns += history.chance.randint(0, TURN_NS)
        ns = max(ns, read_ns.get((event.process, event.tid), 0))
        if event.kind == Kind.EXIT:
            ns = max(ns, read_ns.get(event.process, 0))
        read_ns[event.process, event.tid] = ns
        read_ns[event.process] = max(ns, read_ns.get(event.process, 0))
        timed.append((ns, event))
    return sorted(timed, key=lambda one: one[0])


@dataclass(slots=True)
class Clock:
    """The clock during a turn: first its beginning, and then the time after everything was read."""

    ns: int
    later_ns: int

    def monotonic_ns(self) -> int:
        now_ns, self.ns = self.ns, self.later_ns
        return now_ns


@cache
def config() -> Config:
    return load_config(None, Path("/"))


def take_turns(recorder: Recorder, history: History, turns: list[int], events: list[tuple[int, Event]]) -> None:
    """Let the recorder take a turn at each of these moments."""
    arriving, written = deque(events), deque(history.packets)
    for moment in turns:
        events_now = list(until_ns(arriving, moment))
        read_ns = moment + history.chance.randint(0, TURN_NS // 4)
        packets_now = list(until_ns(written, read_ns))
        # It forgets by the clock, so its clock has to be the history's.
        with patch.object(module, "time", Clock(moment, read_ns)):
            recorder.turn(partial(iter, events_now), partial(iter, packets_now))


def recorded(history: History, turns: list[int], events: list[tuple[int, Event]]) -> Classification:
    """What is told if a turn is taken at each of these moments, and one at the end."""
    end_ns = history.ns + 1
    with TemporaryDirectory() as folder:
        path = Path(folder, "trace")
        with TraceWriter(path) as writer:
            writer.write(Run(("pytest",), "libbpf", "6.18", 1.7e9, 1_000_000, "/suite"))
            recorder = Recorder(writer)
            take_turns(recorder, history, [*turns, end_ns + 2 * TURN_NS], events)
            assert recorder.unknown_packets == 0
            recorder.finish(end_ns)
            writer.write(End(end_ns, 0, 0, 0))
        return classify(read_trace(path), config(), generated_at=datetime(2026, 1, 1, tzinfo=UTC))


def until_ns(queue: deque[tuple[int, T]], ns: int) -> Iterator[T]:
    """Take what is there at a moment."""
    while queue and queue[0][0] <= ns:
        yield queue.popleft()[1]


def opened(packet: Packet) -> list[Open]:
    return [message for message in packet.messages if isinstance(message, Open)]


@given(st.integers(), st.integers(1, 40))
@example(281_826_502_105_304, 6)  # a thread sends before its first span
def test_the_order_of_arrival_does_not_matter(seed: int, steps: int) -> None:
    history = History(random.Random(seed))
    history.tell(steps)
    at_once = recorded(history, [], [(event.ns, event) for event in history.events])
    moment, turns = history.events[0].ns, []
    while moment < history.ns:
        moment += history.chance.randint(TURN_NS, 2 * TURN_NS)
        turns.append(moment)
    in_turns = recorded(history, turns, delayed(history))
    assert in_turns.tests == at_once.tests
    assert Counter(in_turns.run_evidence) == Counter(at_once.run_evidence)


def test_memory_is_for_those_who_live(tmp_path: Path) -> None:
    """As with a suite that forks for each test."""
    history = History(random.Random(0))
    command = history.birth()
    for _ in range(200):
        runner = history.birth(command)
        for _ in history.session(runner):
            history.connect(runner, history.pids[runner] + MAIN)
        history.death(runner)
    with TraceWriter(tmp_path / "trace") as writer:
        recorder = Recorder(writer)
        take_turns(recorder, history, [*range(history.events[0].ns, history.ns, TURN_NS)], delayed(history))
    timeline = recorder._timeline
    for remembered in (timeline._parents, timeline._runners, timeline._changed, recorder.runners._runners):
        assert 0 < len(remembered) < 10


def test_a_pid_that_is_reused_within_a_turn_means_the_process_that_lived_then() -> None:
    """Two pytests, one after the other; nothing is read before both are over."""
    history = History(random.Random(0))
    command = history.birth()
    for _ in range(2):
        runner = history.birth(command, pid=1500)
        for _ in history.session(runner):
            history.connect(runner, 1500 + MAIN)
        history.death(runner)
    told = recorded(history, [], [(event.ns, event) for event in history.events])
    tests = [message for _, packet in history.packets for message in opened(packet) if message.kind == "test"]
    assert told.tests.keys() == {test.subject for test in tests}
    failed = {
        message.test for _, packet in history.packets for message in packet.messages if isinstance(message, Report)
    }
    outcomes = {str(test.subject): "failed" if test.span in failed else "passed" for test in tests}
    assert {nodeid: test.outcome for nodeid, test in told.tests.items()} == outcomes
    assert all(any(one.how == "direct" for one in test.evidence) for test in told.tests.values())


def test_what_outlives_a_crashed_runner_is_no_longer_its_tests() -> None:
    history = History(random.Random(0))
    runner = history.birth(history.birth())
    child = history.birth(runner)
    steps = history.session(runner)
    while not any(message.kind == "test" for _, packet in history.packets for message in opened(packet)):
        next(steps)
    history.connect(child, history.pids[child])
    history.death(runner, status=9)
    history.connect(child, history.pids[child])
    told = recorded(history, [], [(event.ns, event) for event in history.events])
    (test,) = told.tests.values()
    assert (test.outcome, sum(one.connects for one in test.evidence)) == ("crashed", 1)
    assert sum(one.connects for one in told.run_evidence) == 1


def clocked(tmp_path: Path, ages_ns: list[int]) -> Recorder:
    """A process that is 10 s old writes, after a turn that found the FIFO empty, packets with times of such ages."""
    now_ns = time.monotonic_ns()
    start = plain(TaskEvent)(
        now_ns - 10 * SECOND_NS, Kind.EXEC, 1, 7, 0, 7, 7, PIDNS, now_ns - 10 * SECOND_NS, "python", 0
    )
    packets = [
        plain(Packet)(PIDNS, 7, 7, seq, (Hello(now_ns - age, "3", "8", None),)) for seq, age in enumerate(ages_ns)
    ]
    with TraceWriter(tmp_path / "trace") as writer, patch.object(module, "time", Clock(now_ns, now_ns)):
        recorder = Recorder(writer)
        recorder.turn(lambda: [start], lambda: [])
        recorder.turn(lambda: [], lambda: packets)
    return recorder


@pytest.mark.parametrize(
    ("ages_s", "wrong"),
    [
        ([0.0, 0.0], False),
        ([-5.0], True),  # in the future
        ([11.0], True),  # before the process
        ([3.0, 3.0, 3.0], True),
        ([3.0, 3.0, 0.0, 3.0], False),  # the process was stopped between reading the time and writing
        ([0.9, 0.9, 0.9], False),
    ],
)
def test_another_clock_is_recognised(tmp_path: Path, ages_s: list[float], wrong: bool) -> None:
    recorder = clocked(tmp_path, [int(age * SECOND_NS) for age in ages_s])
    assert bool(recorder.clocks.wrong) == wrong
    assert bool(recorder.clocks.unusable) == wrong
    assert recorder.unknown_packets == 0
