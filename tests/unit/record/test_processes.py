"""Who lives, and which pid means whom."""

from __future__ import annotations

import pytest

from tracer.record.capture.protocol import Kind, TaskEvent
from tracer.record.processes import Processes
from tracer.trace.records import Process, Thread
from tracer.trace.timeline import Timeline

PIDNS, INNER = 1000, 1001


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


@pytest.fixture
def processes(timeline: Timeline) -> Processes:
    return Processes(timeline)


def task(kind: Kind, process: int, pid: int, ns: int, **changes: object) -> TaskEvent:
    """A task event of a process that the initial namespace knows by its pid + 5000."""
    event = TaskEvent(ns, kind, process, pid, 0, pid, pid + 5000, PIDNS, ns, "python", 0)
    return event._replace(**changes)  # type: ignore[arg-type]  # fields by name


def test_a_life_becomes_a_record_at_its_end(processes: Processes, timeline: Timeline) -> None:
    assert processes.apply(task(Kind.EXEC, 1, 10, 100)) is None
    assert processes.apply(task(Kind.FORK, 2, 11, 200, parent=1)) is None
    assert processes.apply(task(Kind.EXEC, 2, 11, 300, command="psql", start_ns=200)) is None
    ended = processes.apply(task(Kind.EXIT, 2, 11, 400, command="psql", status=9, start_ns=200))
    assert ended == Process(2, 1, 11, 200, "psql", 400, 9)
    assert list(processes.take_all()) == [Process(1, 0, 10, 100, "python")]
    assert list(processes.take_all()) == []
    assert list(timeline.ancestors(2)) == [2, 1]


def test_threads_pass_through(processes: Processes) -> None:
    processes.apply(task(Kind.EXEC, 1, 10, 100))
    told = processes.apply(task(Kind.THREAD, 1, 10, 200, tid=17, command="rdk:broker1", start_ns=150))
    assert told == Thread(1, 17, 150, "rdk:broker1")
    assert list(processes.take_all()) == [Process(1, 0, 10, 100, "python")]


def test_a_pid_means_the_process_that_had_it_last(processes: Processes) -> None:
    processes.apply(task(Kind.EXEC, 1, 10, 100))
    processes.apply(task(Kind.FORK, 2, 11, 200, parent=1))
    processes.apply(task(Kind.EXIT, 2, 11, 300))
    assert processes.by_pid(PIDNS, 11) == processes.by_host_pid(5011) == 2  # what it wrote may come late
    processes.apply(task(Kind.FORK, 3, 11, 400, parent=1))
    assert processes.by_pid(PIDNS, 11) == processes.by_host_pid(5011) == 3
    assert processes.by_pid(PIDNS, 12) == processes.by_host_pid(5012) == 0


def test_equal_pids_of_two_namespaces_are_two_processes(processes: Processes) -> None:
    processes.apply(task(Kind.EXEC, 1, 1, 100))
    processes.apply(task(Kind.FORK, 2, 1, 200, parent=1, pidns=INNER, host_pid=5002))
    assert (processes.by_pid(PIDNS, 1), processes.by_pid(INNER, 1), processes.by_pid(0, 1)) == (1, 2, 0)
    assert (processes.by_host_pid(5001), processes.by_host_pid(5002)) == (1, 2)


def test_a_process_whose_birth_was_lost_is_known_from_its_next_event(processes: Processes) -> None:
    ended = processes.apply(task(Kind.EXIT, 9, 19, 300, status=256, start_ns=250))
    assert ended == Process(9, 0, 19, 250, "python", 300, 256)
    assert list(processes.take_all()) == []
