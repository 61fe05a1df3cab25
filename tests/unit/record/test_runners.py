"""The hook's messages become records; what makes no sense is left out and disturbs nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.record.boundary.messages import (
    KINDS,
    OUTCOMES,
    Close,
    FactsTold,
    Hello,
    InstanceTold,
    Message,
    Open,
    Packet,
    Report,
    Requires,
    Uses,
)
from tracer.record.runners import Runners
from tracer.trace.records import PHASES, Attempt, Facts, Instance, Process, Record, Span
from tracer.trace.timeline import Timeline

RUNNER, CHILD, TID = 1, 2, 100
R = TypeVar("R", bound=Record)


class Suite:
    """Runners whose process 2 is a fork of process 1; collects what they yield."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.timeline.fork(RUNNER, 0)
        self.timeline.fork(CHILD, RUNNER)
        self.runners = Runners(self.timeline)
        self.records: list[Record] = []

    def say(self, *messages: Message, process: int = RUNNER, tid: int = TID) -> list[Record]:
        """What these messages complete."""
        told = list(self.runners.apply(process, Packet(0, 0, tid, 0, messages)))
        self.records += told
        return told

    def exit(self, process: int, ns: int, status: int = 9) -> list[Record]:
        told = list(self.runners.exit(Process(process, 0, 1, 1, "pytest", ns, status)))
        self.records += told
        return told

    def finish(self, ns: int) -> list[Record]:
        told = list(self.runners.finish(ns))
        self.records += told
        return told

    def of(self, kind: type[R]) -> list[R]:
        """All records of one type so far."""
        return [record for record in self.records if isinstance(record, kind)]


@pytest.fixture
def suite() -> Suite:
    return Suite()


def facts(number: int, path: str = "tests/test_a.py") -> FactsTold:
    return FactsTold(number, path, ("db",), ("slow",), ())


def instance(number: int, name: str = "db", scope: str = "session") -> InstanceTold:
    return InstanceTold(number, name, scope, "", "tests", None)


def test_greeting_is_hearing(suite: Suite) -> None:
    assert not suite.runners.heard
    assert suite.say(Hello(1, "3.11", "8.3", None)) == []
    assert suite.runners.heard


def test_a_tests_life(suite: Suite) -> None:
    assert suite.say(facts(1)) == [Facts(1, "tests/test_a.py", ("db",), ("slow",), ())]
    suite.say(
        Open(1, 10, "session", "/project", None), Open(2, 20, "test", "a.py::test", 1), Open(3, 21, "setup", None, None)
    )
    assert suite.say(Open(4, 30, "call", None, None)) == [Span(3, 2, RUNNER, TID, "setup", 21, 30)]
    assert suite.say(Open(5, 40, "teardown", None, None)) == [Span(4, 2, RUNNER, TID, "call", 30, 40)]
    assert suite.say(Close(2, 50)) == [
        Span(5, 2, RUNNER, TID, "teardown", 40, 50),
        Span(2, 1, RUNNER, TID, "test", 20, 50, "a.py::test"),
    ]
    reports = Report(2, "setup", "passed", 0.5), Report(2, "call", "failed", 0.25), Report(2, "teardown", "passed", 0.0)
    assert suite.say(*reports, Open(6, 60, "test", "a.py::other", 1)) == [
        Attempt(
            2,
            "a.py::test",
            1,
            {"setup": "passed", "call": "failed", "teardown": "passed"},
            {"setup": 0.5, "call": 0.25, "teardown": 0.0},
            (),
        )
    ]
    assert suite.runners.closed == {2, 3, 4, 5}


def test_a_phase_ends_with_all_within_it_where_the_next_one_opens(suite: Suite) -> None:
    """As when the close of a fixture's set-up was lost."""
    suite.say(Open(1, 10, "test", "a.py::test", None), Open(2, 10, "setup", None, None), instance(3))
    suite.say(Open(4, 11, "fixture", 3, None), Open(5, 12, "fixture", 3, None))
    assert suite.say(Open(6, 20, "call", None, None)) == [
        Instance(1, RUNNER, "db", "session", "", "tests", None),
        Span(4, 3, RUNNER, TID, "fixture", 12, 20, 1),
        Span(3, 2, RUNNER, TID, "fixture", 11, 20, 1),
        Span(2, 1, RUNNER, TID, "setup", 10, 20),
    ]
    assert suite.say(Close(5, 30), Close(4, 30), Close(2, 30)) == []  # they are long over
    assert suite.timeline.at(RUNNER, TID, 30) == (5,)


def test_a_phase_ends_no_phase_around_its_test(suite: Suite) -> None:
    """As with pytester, in process, or in a child."""
    for process in RUNNER, CHILD:
        suite = Suite()
        suite.say(Open(1, 10, "test", "outer", None), Open(2, 10, "call", None, None))
        suite.say(
            Open(3, 20, "session", "/inner", None),
            Open(4, 30, "test", "inner", None),
            Open(5, 30, "setup", None, None),
            process=process,
        )
        suite.say(Open(6, 40, "call", None, None), Close(4, 50), Close(3, 60), process=process)
        assert {(span.kind, span.end_ns) for span in suite.of(Span)} == {
            *(("setup", 40), ("call", 50), ("test", 50), ("session", 60)),
        }
        assert suite.timeline.at(RUNNER, TID, 70) == (2,)
        assert suite.say(Open(7, 80, "teardown", None, None)) == [Span(2, 1, RUNNER, TID, "call", 10, 80)]


def test_a_phase_ends_no_phase_of_another_thread(suite: Suite) -> None:
    for tid in TID, TID + 1:
        suite.say(Open(tid, 10, "test", "a.py::test", None), Open(tid + 10, 10, "setup", None, None), tid=tid)
    assert suite.say(Open(200, 20, "call", None, None)) == [Span(2, 1, RUNNER, TID, "setup", 10, 20)]
    assert suite.say(Open(201, 21, "call", None, None), tid=300) == []


def test_reports_come_after_the_close(suite: Suite) -> None:
    """Until the test's own thread opens another one, whatever the others do."""
    suite.say(Open(1, 10, "test", "a.py::first", None), Close(1, 20))
    assert suite.say(Open(2, 21, "test", "a.py::second", None), tid=TID + 1) == []
    suite.say(Report(1, "setup", "passed", 0.5), Report(1, "call", "failed", 1.5), tid=TID + 1)
    assert suite.say(Open(3, 30, "test", "a.py::third", None)) == [
        Attempt(1, "a.py::first", 0, {"setup": "passed", "call": "failed"}, {"setup": 0.5, "call": 1.5}, ())
    ]
    assert suite.say(Report(1, "teardown", "passed", 0.0)) == []  # too late


def test_equal_facts_are_written_once(suite: Suite) -> None:
    assert len(suite.say(facts(1))) == 1
    assert suite.say(facts(1), process=CHILD) == []
    assert suite.say(facts(2)) == []
    assert suite.say(facts(3, "tests/test_b.py")) == [Facts(2, "tests/test_b.py", ("db",), ("slow",), ())]


def test_a_fixture_instance_is_written_when_its_set_up_ends(suite: Suite) -> None:
    assert suite.say(instance(7), instance(8, "cursor"), Requires(8, (7, 99)), Open(1, 10, "fixture", 8, None)) == []
    first, span = suite.say(Close(1, 20))
    assert first == Instance(2, RUNNER, "cursor", "session", "", "tests", None, (1,))
    assert span == Span(1, 0, RUNNER, TID, "fixture", 10, 20, 2)
    (finalizer,) = suite.say(Open(2, 30, "fixture", 8, None), Close(2, 40))
    assert finalizer == Span(2, 0, RUNNER, TID, "fixture", 30, 40, 2)


def test_a_forked_runner_uses_its_parents_instances(suite: Suite) -> None:
    suite.say(instance(7), Open(1, 10, "fixture", 7, None), Close(1, 20))
    suite.say(Open(2, 30, "test", "a.py::test", None), Uses(2, (7,)), process=CHILD)
    suite.say(instance(8, "own"), Uses(2, (8, 7, 99)), process=CHILD)
    suite.exit(CHILD, 40)
    assert [attempt.instances for attempt in suite.of(Attempt)] == [(1, 2)]


def test_a_forked_runner_cannot_close_its_parents_spans(suite: Suite) -> None:
    suite.say(Open(1, 10, "test", "a.py::test", None), Open(2, 11, "call", None, None))
    assert suite.say(Close(2, 20), Close(1, 20), process=CHILD) == []
    assert suite.say(Report(1, "call", "failed", 0.1), Open(3, 20, "teardown", None, None), process=CHILD) == []
    assert suite.timeline.at(RUNNER, TID, 30) == (2,)
    assert suite.timeline.at(CHILD, TID, 30) == (3,)
    suite.say(Close(1, 40))
    suite.finish(50)
    assert [(span.id, span.process, span.end_ns) for span in suite.of(Span)] == [
        *((2, RUNNER, 40), (1, RUNNER, 40), (3, CHILD, 50)),
    ]
    assert [dict(attempt.outcomes) for attempt in suite.of(Attempt)] == [{}]


def test_a_childs_span_is_inside_its_parents(suite: Suite) -> None:
    suite.say(Open(1, 10, "test", "a.py::test", None))
    suite.say(Open(1, 20, "session", "/inner", None), process=CHILD)
    assert suite.exit(CHILD, 30) == [Span(2, 1, CHILD, TID, "session", 20, 30, "/inner", crashed=True)]


def test_an_exit_crashes_what_is_open(suite: Suite) -> None:
    """A crash in the call: reports come after the test, and so never."""
    suite.say(Open(1, 10, "test", "a.py::test", None), Open(2, 11, "setup", None, None))
    suite.say(Open(3, 20, "call", None, None))
    assert suite.exit(RUNNER, 99) == [
        Span(3, 1, RUNNER, TID, "call", 20, 99, crashed=True),
        Span(1, 0, RUNNER, TID, "test", 10, 99, "a.py::test", crashed=True),
        Attempt(1, "a.py::test", 0, {}, {}, ()),
    ]
    assert suite.of(Span)[0] == Span(2, 1, RUNNER, TID, "setup", 11, 20)
    assert suite.exit(RUNNER, 100) == suite.finish(101) == []


def test_a_rerun_is_another_attempt(suite: Suite) -> None:
    for number in 1, 2:
        suite.say(Open(number, 10 * number, "test", "a.py::test", None), Close(number, 10 * number + 5))
    suite.finish(30)
    assert [(attempt.span, attempt.nodeid) for attempt in suite.of(Attempt)] == [(1, "a.py::test"), (2, "a.py::test")]


def test_a_test_run_by_a_test_does_not_end_it(suite: Suite) -> None:
    """As with pytester, in process: the inner test opens while the outer one is open."""
    suite.say(Open(1, 10, "test", "outer", None), Open(2, 20, "test", "inner", None), Close(2, 30))
    suite.say(Report(1, "call", "passed", 1.0), Close(1, 40))
    suite.finish(50)
    assert [(attempt.nodeid, dict(attempt.outcomes)) for attempt in suite.of(Attempt)] == [
        ("outer", {"call": "passed"}),
        ("inner", {}),
    ]


small = st.integers(0, 5)
numbers = st.lists(small, max_size=3).map(tuple)
messages = st.one_of(
    st.builds(Hello, small, st.just("3.11"), st.just("8.3"), st.none()),
    st.builds(
        Open,
        small,
        small,
        st.sampled_from(KINDS),
        st.one_of(st.none(), small, st.sampled_from("ab")),
        st.none() | small,
    ),
    st.builds(Close, small, small),
    st.builds(Close, small, small),
    st.builds(FactsTold, small, st.sampled_from("ab"), st.just(()), st.just(()), st.just(())),
    st.builds(
        InstanceTold, small, st.just("db"), st.sampled_from(["session", "function"]), *[st.just("")] * 2, st.none()
    ),
    st.builds(Uses, small, numbers),
    st.builds(Requires, small, numbers),
    st.builds(Report, small, st.sampled_from(PHASES), st.sampled_from(OUTCOMES), st.just(0.5)),
)


def typed(message: Message) -> bool:
    """Whether the decoder lets it pass: an opening's subject is of its kind's type."""
    if not isinstance(message, Open):
        return True
    match message.kind:
        case "session" | "collection":
            return isinstance(message.subject, str) and message.facts is None
        case "test":
            return isinstance(message.subject, str) and message.facts is not None
        case "fixture":
            return isinstance(message.subject, int) and message.facts is None
    return message.subject is None and message.facts is None


@given(st.lists(st.tuples(st.sampled_from([RUNNER, CHILD]), st.integers(1, 2), messages.filter(typed)), max_size=60))
def test_whatever_is_said_each_opening_becomes_one_span(said: list[tuple[int, int, Message]]) -> None:
    suite = Suite()
    for ns, (process, tid, message) in enumerate(said):
        # A thread's boundaries come in the order of time.
        suite.say(replace(message, ns=ns) if isinstance(message, Open | Close) else message, process=process, tid=tid)
    suite.finish(len(said))
    openings = [message for _, _, message in said if isinstance(message, Open)]
    spans = suite.of(Span)
    assert Counter(span.kind for span in spans) == Counter(message.kind for message in openings)
    assert sorted(span.id for span in spans) == list(range(1, len(openings) + 1)) == sorted(suite.runners.closed)
    known = {span.id: span for span in spans}
    for span in spans:
        assert span.start_ns <= span.end_ns
        assert span.parent == 0 or known[span.parent].start_ns < span.start_ns
    tests = {span.id for span in spans if span.kind == "test"}
    attempts = suite.of(Attempt)
    assert {attempt.span for attempt in attempts} <= tests
    assert len({attempt.span for attempt in attempts}) == len(attempts)
    written = {one.id for one in suite.of(Instance)}
    assert len(written) == len(suite.of(Instance))


@pytest.mark.parametrize(
    ("status", "silent"),
    [(9, 0), (139, 0), (7 << 8, 0), (0, 1), (1 << 8, 1)],
    ids=["9", "139", "exit 7", "0", "exit 1"],
)
def test_a_session_left_open_by_a_regular_end_was_a_silent_hook(status: int, silent: int) -> None:
    suite = Suite()
    suite.say(Open(1, 10, "session", "/root", None))
    suite.exit(RUNNER, 20, status)
    assert (suite.runners.unfinished, suite.runners.silent) == (1, silent)


def test_a_runner_that_outlives_the_command_is_unfinished() -> None:
    suite = Suite()
    suite.say(Open(1, 10, "session", "/root", None))
    suite.finish(20)
    assert (suite.runners.unfinished, suite.runners.silent) == (1, 1)
