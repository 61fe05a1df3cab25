"""Who lives, and which pid means whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain import plain

from tracer.record.capture.protocol import Kind, TaskEvent
from tracer.record.processes import Processes
from tracer.trace import records
from tracer.trace.ids import HostPid, Pid, PidGeneration, PidNamespace, ProcessId
from tracer.trace.timeline import Timeline

PIDNS, INNER = 1000, 1001
Process, Thread = plain(records.Process), plain(records.Thread)


class PlainProcesses(Processes):
    """Processes that takes plain integers."""

    def by_pid(self, pidns: int, pid: int, ns: int | None = None) -> ProcessId:
        return super().by_pid(PidNamespace(pidns), Pid(pid), ns)

    def by_host_pid(self, pid: int, ns: int = 1 << 62, generation: int = 0) -> ProcessId:
        return super().by_host_pid(HostPid(pid), ns, PidGeneration(generation))


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


@pytest.fixture
def processes(timeline: Timeline) -> PlainProcesses:
    return PlainProcesses(timeline)


def task(kind: Kind, process: int, pid: int, ns: int, **changes: object) -> TaskEvent:
    """A task event of a process that the initial namespace knows by its pid + 5000."""
    event = plain(TaskEvent)(ns, kind, process, pid, 0, pid, pid + 5000, PIDNS, ns, "python", 0)
    return event._replace(**changes)  # type: ignore[arg-type]  # fields by name


def test_a_life_becomes_a_record_at_its_end(processes: PlainProcesses, timeline: Timeline) -> None:
    assert processes.apply(task(Kind.EXEC, 1, 10, 100)) is None
    assert processes.apply(task(Kind.FORK, 2, 11, 200, parent=1)) is None
    assert processes.apply(task(Kind.EXEC, 2, 11, 300, command="psql", start_ns=200)) is None
    ended = processes.apply(task(Kind.EXIT, 2, 11, 400, command="psql", status=9, start_ns=200))
    assert ended == Process(2, 1, 11, 200, "psql", 400, 9)
    assert list(processes.take_all()) == [Process(1, 0, 10, 100, "python")]
    assert list(processes.take_all()) == []
    assert list(timeline.ancestors(ProcessId(2))) == [2, 1]


def test_the_namespace_of_a_process_may_be_known_late(processes: PlainProcesses) -> None:
    processes.apply(task(Kind.EXEC, 1, 10, 100))
    processes.apply(task(Kind.FORK, 2, 0, 200, parent=1, pidns=0))
    assert processes.by_pid(INNER, 1) == 0
    processes.apply(task(Kind.FORK, 2, 1, 300, parent=1, pidns=INNER))
    assert processes.by_pid(INNER, 1) == 2
    assert processes.apply(task(Kind.EXIT, 2, 0, 400, pidns=0)) == Process(2, 1, 1, 200, "python", 400, 0)


def test_threads_pass_through(processes: PlainProcesses) -> None:
    processes.apply(task(Kind.EXEC, 1, 10, 100))
    told = processes.apply(task(Kind.THREAD, 1, 10, 200, tid=17, command="rdk:broker1", start_ns=150))
    assert told == Thread(1, 17, 150, "rdk:broker1")
    assert list(processes.take_all()) == [Process(1, 0, 10, 100, "python")]


def test_a_pid_means_the_process_that_lived_at_the_moment(processes: PlainProcesses) -> None:
    processes.apply(task(Kind.EXEC, 1, 10, 100))
    processes.apply(task(Kind.FORK, 2, 11, 200, parent=1))
    processes.apply(task(Kind.EXIT, 2, 11, 300))
    processes.apply(task(Kind.FORK, 3, 11, 400, parent=1))  # within one turn
    assert [processes.by_pid(PIDNS, 11, ns) for ns in (199, 200, 300, 301, 399, 400, 999)] == [0, 2, 2, 0, 0, 3, 3]
    assert processes.by_pid(PIDNS, 11) == 3  # what tells no time
    assert processes.by_pid(PIDNS, 12) == processes.by_host_pid(5012) == 0


def test_a_listener_is_known_after_its_death(processes: PlainProcesses) -> None:
    processes.apply(task(Kind.EXEC, 1, 10, 100))
    processes.apply(task(Kind.FORK, 2, 11, 200, parent=1))
    processes.apply(task(Kind.EXIT, 2, 11, 300))
    processes.apply(task(Kind.FORK, 3, 11, 400, parent=1))
    assert [processes.by_host_pid(5011, ns) for ns in (199, 200, 399, 400)] == [0, 2, 2, 3]
    assert processes.by_host_pid(5011) == 3


def test_a_process_whose_end_was_lost_gives_way_to_the_next(processes: PlainProcesses) -> None:
    processes.apply(task(Kind.EXEC, 1, 10, 100))
    processes.apply(task(Kind.EXEC, 2, 10, 200))
    assert [processes.by_pid(PIDNS, 10, ns) for ns in (150, 250)] == [1, 2]


def test_an_unknown_namespace_is_no_hindrance_where_a_pid_is_unique(processes: PlainProcesses) -> None:
    processes.apply(task(Kind.EXEC, 1, 10, 100))
    processes.apply(task(Kind.FORK, 2, 1, 200, parent=1, pidns=INNER))
    processes.apply(task(Kind.FORK, 3, 1, 300, parent=1, pidns=INNER + 1))
    assert [processes.by_pid(0, 10, 400), processes.by_pid(0, 1, 250), processes.by_pid(0, 1, 400)] == [1, 2, 0]


def test_a_namespaces_number_is_reused_too(processes: PlainProcesses) -> None:
    """As when each test runs its own `unshare --pid`: the kernel hands out the lowest free number."""
    processes.apply(task(Kind.EXEC, 1, 10, 100))
    for process, ns in ((2, 200), (3, 400)):
        processes.apply(task(Kind.FORK, process, 1, ns, parent=1, pidns=INNER, host_pid=5000 + process))
        processes.apply(task(Kind.EXIT, process, 1, ns + 100, pidns=INNER))
    assert [processes.by_pid(INNER, 1, ns) for ns in (250, 350, 450)] == [2, 0, 3]


def test_equal_pids_of_two_namespaces_are_two_processes(processes: PlainProcesses) -> None:
    processes.apply(task(Kind.EXEC, 1, 1, 100))
    processes.apply(task(Kind.FORK, 2, 1, 200, parent=1, pidns=INNER, host_pid=5002))
    assert (processes.by_pid(PIDNS, 1), processes.by_pid(INNER, 1), processes.by_pid(0, 1)) == (1, 2, 0)
    assert (processes.by_host_pid(5001), processes.by_host_pid(5002)) == (1, 2)


def test_a_process_whose_birth_was_lost_is_known_from_its_next_event(processes: PlainProcesses) -> None:
    ended = processes.apply(task(Kind.EXIT, 9, 19, 300, status=256, start_ns=250))
    assert ended == Process(9, 0, 19, 250, "python", 300, 256)
    assert list(processes.take_all()) == []


def test_the_dead_are_forgotten_with_the_last_of_their_line(processes: PlainProcesses) -> None:
    processes.apply(task(Kind.EXEC, 1, 10, 100))
    processes.apply(task(Kind.FORK, 2, 11, 200, parent=1))
    processes.apply(task(Kind.FORK, 3, 12, 210, parent=2))
    processes.apply(task(Kind.EXIT, 2, 11, 220))
    assert processes.forget_before(1_000) == []
    assert processes.by_host_pid(5011) == 2  # its child may serve the socket that it listened on
    processes.apply(task(Kind.EXIT, 3, 12, 1_000))
    assert processes.forget_before(1_000) == []
    assert [processes.by_host_pid(5012), processes.by_pid(PIDNS, 12, 900)] == [3, 3]  # what it wrote may come late
    assert processes.forget_before(1_001) == [3, 2]
    assert [processes.by_host_pid(pid) for pid in (5010, 5011, 5012)] == [1, 0, 0]
    assert [process.id for process in processes.take_all()] == [1]


def test_memory_is_for_those_who_live(processes: PlainProcesses) -> None:
    forgotten: set[int] = set()
    processes.apply(task(Kind.EXEC, 1, 1, 1))
    for number in range(2, 100_002):
        ns = 10 * number
        processes.apply(task(Kind.FORK, number, 100 + number % 30_000, ns, parent=1))
        processes.apply(task(Kind.EXIT, number, 100 + number % 30_000, ns + 5))
        forgotten.update(processes.forget_before(ns - 50))
    assert len(processes._entries) == len(processes._by_pid) == len(processes._by_host_pid) < 10
    assert len(processes._ended) < 10
    assert len(forgotten) > 100_000 - 10


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[TaskEvent, TaskEvent]]:
    """Births and ends: few pids in two namespaces, each pid one process's at a time."""
    lives, free_ns = [], dict.fromkeys([(PIDNS, 7), (PIDNS, 8), (INNER, 7)], 1)
    for process in range(1, draw(st.integers(1, 12)) + 1):
        place = draw(st.sampled_from(sorted(free_ns)))
        born_ns = free_ns[place] + draw(st.integers(0, 30))
        ended_ns = born_ns + draw(st.integers(0, 30))
        free_ns[place] = ended_ns + 1
        birth = task(Kind.FORK, process, place[1], born_ns, pidns=place[0], start_ns=born_ns)
        lives.append((birth, birth._replace(kind=Kind.EXIT, ns=ended_ns)))
    return lives


@given(histories(), st.integers(0, 400))
def test_each_moment_of_a_life_is_that_lifes(history: list[tuple[TaskEvent, TaskEvent]], forgotten_ns: int) -> None:
    processes = PlainProcesses(Timeline())
    for event in sorted((event for life in history for event in life), key=lambda event: (event.ns, event.kind)):
        processes.apply(event)
    processes.forget_before(forgotten_ns)
    for ns in range(400):
        for pidns, pid in ((PIDNS, 7), (PIDNS, 8), (INNER, 7)):
            living = [
                birth.process
                for birth, end in history
                if (birth.pidns, birth.pid) == (pidns, pid) and birth.ns <= ns <= end.ns and end.ns >= forgotten_ns
            ]
            assert processes.by_pid(pidns, pid, ns) == sum(living)
