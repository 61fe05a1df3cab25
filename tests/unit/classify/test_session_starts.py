"""What pytest does before its first test, which all tests of the session need."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from trace_builder import MAIN, TraceBuilder, classified

from tracer.classify.services.config import Config
from tracer.trace.ids import ProcessId, SpanId
from tracer.trace.records import Refused

POSTGRES = "tcp://127.0.0.1:5432"
REDIS = "tcp://127.0.0.1:6379"
KAFKA = "tcp://127.0.0.1:9092"
ALL = (".",)


class Suite(TraceBuilder):
    """A process in which pytest runs."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = self.process()

    def run_test(self, process: ProcessId, session: SpanId, nodeid: str = "a.py::x") -> None:
        test, call = self.test(nodeid, process, session)
        self.finish(test, call)


@pytest.fixture
def suite() -> Suite:
    return Suite()


def test_a_conftests_import_and_hooks_before_the_first_test(suite: Suite, config: Config) -> None:
    suite.send(POSTGRES, connects=1, sends=2, socket=1)
    session = suite.open("session", suite.runner)
    suite.send(REDIS, session, connects=1, socket=2)
    suite.run_test(suite.runner, session)
    suite.send(KAFKA, session, connects=1, socket=3)
    suite.close(session)
    found = classified(suite.trace(), config)
    assert found.run_needs == {"postgres": ALL, "redis": ALL}
    assert found.tests["a.py::x"].services == ()
    assert found.summary.services == {}


def test_a_session_begins_without_what_it_could_not_reach(suite: Suite, config: Config) -> None:
    suite.send(POSTGRES, connects=1, sends=0, errors={"ECONNREFUSED": 1})
    session = suite.open("session", suite.runner)
    suite.run_test(suite.runner, session)
    assert classified(suite.trace(), config).run_needs == {}


def test_a_session_begins_without_lost_datagrams(suite: Suite, config: Config) -> None:
    suite.send("udp://127.0.0.1:8125")
    session = suite.open("session", suite.runner)
    suite.run_test(suite.runner, session)
    trace = suite.trace()
    assert classified(trace, config).run_needs == {"statsd": ALL}
    lost = replace(trace, refused=(Refused("statsd", first_port=8125, last_port=8125, protocols=("udp",)),))
    assert classified(lost, config).run_needs == {}


def test_another_part_of_the_command_is_no_session(suite: Suite, config: Config) -> None:
    pytest_process = suite.process(suite.runner)
    suite.send(POSTGRES, process=suite.runner, connects=1)
    session = suite.open("session", pytest_process)
    suite.run_test(pytest_process, session)
    suite.send(REDIS, process=suite.runner, connects=1, socket=2)
    found = classified(suite.trace(), config)
    assert {one.service for one in found.run_evidence} == {"postgres", "redis"}
    assert found.run_needs == {}


def test_a_program_that_becomes_pytest_is_no_session(suite: Suite, config: Config) -> None:
    suite.send(POSTGRES, connects=1)
    executed_ns = suite.tick()
    suite.processes[suite.runner] = replace(
        suite.processes[suite.runner], earlier=("bash",), earlier_until_ns=(executed_ns,)
    )
    suite.send(REDIS, connects=1, socket=2)
    session = suite.open("session", suite.runner)
    suite.run_test(suite.runner, session)
    assert classified(suite.trace(), config).run_needs == {"redis": ALL}


def test_other_threads_count_if_pytest_woke_them(suite: Suite, config: Config) -> None:
    session = suite.open("session", suite.runner)
    for tid, endpoint, asked in ((7, POSTGRES, 0), (8, KAFKA, 1)):
        suite.send(endpoint, session, tid=tid, connects=1, socket=tid, asked=asked)
    suite.run_test(suite.runner, session)
    assert classified(suite.trace(), config).run_needs == {"kafka": ALL}


def test_each_session_of_a_process_has_its_own_start(suite: Suite, config: Config) -> None:
    for number, endpoint in enumerate((POSTGRES, REDIS), 1):
        suite.send(endpoint, connects=1, socket=number)
        session = suite.open("session", suite.runner)
        suite.run_test(suite.runner, session, f"a.py::x{number}")
        suite.close(session)
    suite.send(KAFKA, connects=1, socket=3)  # after the last session
    assert classified(suite.trace(), config).run_needs == {"postgres": ALL, "redis": ALL}


def test_workers_and_their_controller_count_once(suite: Suite, config: Config) -> None:
    suite.send(POSTGRES, connects=1)
    controller = suite.open("session", suite.runner)
    suite.send(REDIS, controller, connects=1, socket=2)
    for number in (2, 3):
        worker = suite.process(suite.runner)
        suite.send(POSTGRES, process=worker, connects=1, socket=10 * number)
        session = suite.open("session", worker, controller)
        suite.run_test(worker, session, f"a.py::x{number}")
    found = classified(suite.trace(), config)
    assert found.run_needs == {"postgres": ALL, "redis": ALL}
    assert found.summary.combinations[0].services == ("postgres", "redis")
    assert suite.spans[controller].tid == MAIN


def test_what_a_conftests_import_reached_is_needed_below_its_directory(suite: Suite, config: Config) -> None:
    first = suite.open("conftest", suite.runner, subject="db")
    suite.send(POSTGRES, first, connects=1)
    suite.send(KAFKA, first, tid=7, connects=1, socket=7, asked=1)
    suite.close(first)
    session = suite.open("session", suite.runner)
    for directory, endpoint, socket in (("cache", REDIS, 2), ("db/sub", POSTGRES, 3), ("other", KAFKA, 4)):
        conftest = suite.open("conftest", suite.runner, session, subject=directory)
        suite.send(endpoint, conftest, connects=1, socket=socket)
        suite.close(conftest)
    suite.run_test(suite.runner, session)
    late = suite.open("conftest", suite.runner, session, subject="late")
    suite.send(REDIS, late, connects=1, socket=9)
    found = classified(suite.trace(), config)
    assert found.run_needs == {"kafka": ("db", "other"), "postgres": ("db",), "redis": ("cache",)}
    assert found.tests["a.py::x"].services == ()


def test_what_a_conftest_and_a_hook_reached_is_needed_by_all(suite: Suite, config: Config) -> None:
    conftest = suite.open("conftest", suite.runner, subject="db")
    suite.send(POSTGRES, conftest, connects=1)
    suite.close(conftest)
    session = suite.open("session", suite.runner)
    suite.send(POSTGRES, session)
    suite.run_test(suite.runner, session)
    found = classified(suite.trace(), config)
    assert found.run_needs == {"postgres": ALL}


def test_the_conftests_of_workers_belong_to_their_own_sessions(suite: Suite, config: Config) -> None:
    controller = suite.open("session", suite.runner)
    for number in (2, 3):
        worker = suite.process(suite.runner)
        conftest = suite.open("conftest", worker, controller, subject="db")
        suite.send(POSTGRES, conftest, process=worker, connects=1, socket=10 * number)
        suite.close(conftest)
        session = suite.open("session", worker, controller)
        suite.run_test(worker, session, f"a.py::x{number}")
    assert classified(suite.trace(), config).run_needs == {"postgres": ("db",)}


def test_the_conftest_of_a_pytest_within_a_test_is_the_tests(suite: Suite, config: Config) -> None:
    session = suite.open("session", suite.runner)
    test, call = suite.test("a.py::x", suite.runner, session)
    child = suite.process(suite.runner)
    conftest = suite.open("conftest", child, call, subject="db")
    suite.send(POSTGRES, conftest, process=child, connects=1)
    suite.close(conftest)
    suite.finish(test, call)
    found = classified(suite.trace(), config)
    assert (found.run_needs, found.tests["a.py::x"].services) == ({}, ("postgres",))


def test_a_session_without_tests_shows_nothing(suite: Suite, config: Config) -> None:
    session = suite.open("session", suite.runner)
    suite.send(POSTGRES, session, connects=1)
    assert classified(suite.trace(), config).run_needs == {}


def test_a_session_within_a_test_is_the_tests(suite: Suite, config: Config) -> None:
    session = suite.open("session", suite.runner)
    test, call = suite.test("a.py::x", suite.runner, session)
    inner = suite.open("session", suite.runner, call)
    suite.send(POSTGRES, inner, connects=1)
    suite.close(inner)
    suite.finish(test, call)
    found = classified(suite.trace(), config)
    assert found.run_needs == {}
    assert found.tests["a.py::x"].services == ("postgres",)
