"""The hook's messages become records; what makes no sense is left out and disturbs nothing."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from plain import plain

from tracer.record.boundary import messages as hook
from tracer.record.boundary.messages import OUTCOMES, Facts, FixtureInstance, Hello, Message, Outcome, Phase, Results
from tracer.record.boundary.packets import Packet
from tracer.record.runners import Runners
from tracer.trace import records
from tracer.trace.ids import NO_PROCESS, HookNumber, ProcessId, Tid
from tracer.trace.records import PHASES, Record, StaticFacts
from tracer.trace.timeline import Timeline

RUNNER, CHILD, TID = ProcessId(1), ProcessId(2), Tid(100)
Open, Close, Interrupted, Report = plain(hook.Open), plain(hook.Close), plain(hook.Interrupted), plain(hook.Report)
Plan, Partial, Below = plain(hook.Plan), plain(hook.Partial), plain(hook.Below)
Uses, Requires = plain(hook.Uses), plain(hook.Requires)
Attempt, Instance, Span = plain(records.Attempt), plain(records.Instance), plain(records.Span)
R = TypeVar("R", bound=Record)


class Suite:
    """Runners whose process 2 is a fork of process 1; collects what they write."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.timeline.fork(RUNNER, NO_PROCESS)
        self.timeline.fork(CHILD, RUNNER)
        self.records: list[Record] = []
        self.runners = Runners(self.timeline, self.records.append)

    def say(self, *messages: Message, process: ProcessId = RUNNER, tid: int = TID) -> list[Record]:
        """What these messages complete."""
        before = len(self.records)
        self.runners.apply(process, plain(Packet)(0, 0, tid, 0, messages))
        return self.records[before:]

    def exit(self, process: ProcessId, ns: int) -> list[Record]:
        before = len(self.records)
        self.runners.exit(process, ns)
        return self.records[before:]

    def finish(self, ns: int) -> list[Record]:
        before = len(self.records)
        self.runners.finish(ns)
        return self.records[before:]

    def of(self, kind: type[R]) -> list[R]:
        """All records of one type so far."""
        return [record for record in self.records if isinstance(record, kind)]


@pytest.fixture
def suite() -> Suite:
    return Suite()


def facts(number: int, path: str = "tests/test_a.py") -> Facts:
    return Facts(HookNumber(number), StaticFacts(path, ("db",), ("slow",), ()))


def instance(number: int, name: str = "db", scope: str = "session") -> FixtureInstance:
    return FixtureInstance(HookNumber(number), name, scope, "", "tests", None)


def test_the_import_of_a_conftest_alone_is_no_report(suite: Suite) -> None:
    assert suite.say(Hello(1, "3.11", "8.3", None), Open(1, 2, "conftest", ".")) == []
    assert suite.say(Below(1, "db"), Close(1, 3)) == [Span(1, 0, RUNNER, TID, "conftest", 2, 3, "db")]
    reported = suite.runners.reported
    assert suite.say(Below(1, "db"), Open(2, 4, "session", "/root"), Below(2, "db")) == []
    assert (reported, suite.runners.reported) == (False, True)
    assert suite.say(Close(2, 5)) == [Span(2, 0, RUNNER, TID, "session", 4, 5, "/root")]


def test_an_unsupported_pytest_is_remembered_and_is_no_runner(suite: Suite) -> None:
    for number in range(20):
        assert suite.say(hook.Inactive("2.7.18", f"4.6.{number % 10}")) == []
    assert suite.say(Hello(1, "3.11", "8.3", None), hook.Inactive("2.7.18", "no hook's"), process=CHILD) == []
    assert not suite.runners.reported
    assert len(suite.runners.inactive) == 8
    assert ("2.7.18", "4.6.0") in suite.runners.inactive
    suite.finish(10)
    assert suite.runners.unfinished == 0


def test_a_tests_life(suite: Suite) -> None:
    assert suite.say(facts(1)) == [StaticFacts("tests/test_a.py", ("db",), ("slow",), ())]
    assert suite.say(Open(1, 10, "session", "/project", None), Open(2, 20, "test", "a.py::test", 1)) == []
    assert suite.timeline.at(RUNNER, TID, 20) == (3,)
    assert suite.say(Phase(30, "call")) == [Span(3, 2, RUNNER, TID, "setup", 20, 30)]
    assert suite.say(Phase(40, "teardown")) == [Span(4, 2, RUNNER, TID, "call", 30, 40)]
    assert suite.say(Close(2, 50)) == [
        Span(5, 2, RUNNER, TID, "teardown", 40, 50),
        Span(2, 1, RUNNER, TID, "test", 20, 50, "a.py::test"),
    ]
    assert suite.say(Report(2, "call", "failed"), Open(3, 60, "test", "a.py::other", 1)) == [
        Attempt(2, "a.py::test", 1, {"call": "failed"}, ())
    ]
    assert suite.runners.closed == {2, 3, 4, 5}


def test_a_phase_ends_with_all_within_it_where_the_next_one_opens(suite: Suite) -> None:
    """As when the close of a fixture's set-up was lost."""
    suite.say(Open(1, 10, "test", "a.py::test", 0), instance(2))
    suite.say(Open(3, 11, "fixture", 2, None), Open(4, 12, "fixture", 2, None))
    assert suite.say(Phase(20, "call")) == [
        Instance(1, RUNNER, "db", "session", "", "tests", None),
        Span(4, 3, RUNNER, TID, "fixture", 12, 20, 1),
        Span(3, 2, RUNNER, TID, "fixture", 11, 20, 1),
        Span(2, 1, RUNNER, TID, "setup", 10, 20),
    ]
    assert suite.say(Close(4, 30), Close(3, 30)) == []  # they are long over
    assert suite.timeline.at(RUNNER, TID, 30) == (5,)


@pytest.mark.parametrize("process", [RUNNER, CHILD])
def test_a_phase_ends_no_phase_around_its_test(suite: Suite, process: ProcessId) -> None:
    """As with pytester, in process, or in a child."""
    suite.say(Open(1, 10, "test", "outer", 0), Phase(11, "call"))
    suite.say(Open(2, 20, "session", "/inner", None), Open(3, 30, "test", "inner", 0), process=process)
    suite.say(Phase(40, "call"), Close(3, 50), Close(2, 60), process=process)
    assert [(span.kind, span.start_ns, span.end_ns) for span in suite.of(records.Span)] == [
        *(("setup", 10, 11), ("setup", 30, 40), ("call", 40, 50), ("test", 30, 50), ("session", 20, 60)),
    ]
    assert suite.timeline.at(RUNNER, TID, 70) == (3,)
    assert suite.say(Phase(80, "teardown")) == [Span(3, 1, RUNNER, TID, "call", 11, 80)]


def test_a_phase_is_of_its_own_threads_test(suite: Suite) -> None:
    for tid in TID, TID + 1:
        suite.say(Open(tid, 10, "test", "a.py::test", 0), tid=tid)
    assert suite.say(Phase(20, "call")) == [Span(2, 1, RUNNER, TID, "setup", 10, 20)]
    assert suite.say(Phase(21, "call"), tid=300) == suite.say(Phase(22, "call"), process=CHILD) == []
    assert suite.timeline.at(RUNNER, Tid(TID + 1), 30) == (4,)


def test_a_phase_without_a_test_is_left_out(suite: Suite) -> None:
    """As when the opening of the test was lost."""
    suite.say(Open(1, 10, "session", "/project", None))
    assert suite.say(Phase(20, "call"), Phase(30, "teardown")) == []
    assert suite.timeline.at(RUNNER, TID, 40) == (1,)


def test_reports_come_after_the_close(suite: Suite) -> None:
    """Until the test's own thread opens another one, whatever the others do."""
    suite.say(Open(1, 10, "test", "a.py::first", 0), Close(1, 20))
    suite.say(Open(2, 21, "test", "a.py::second", 0), tid=TID + 1)
    assert suite.of(records.Attempt) == []
    suite.say(Report(1, "setup", "skipped"), Report(1, "teardown", "failed"), tid=TID + 1)
    assert suite.say(Open(3, 30, "test", "a.py::third", 0)) == [
        Attempt(1, "a.py::first", 0, {"setup": "skipped", "teardown": "failed"}, ())
    ]
    assert suite.say(Report(1, "call", "failed")) == []  # too late


@pytest.mark.parametrize("outcomes", [("failed", "xfailed"), ("xfailed", "failed"), ("skipped", "xfailed", "failed")])
def test_of_several_reports_a_failure_counts(suite: Suite, outcomes: tuple[Outcome, ...]) -> None:
    suite.say(Open(1, 10, "test", "a.py::test", 0), *(Report(1, "call", outcome) for outcome in outcomes))
    suite.finish(20)
    assert [dict(attempt.outcomes) for attempt in suite.of(records.Attempt)] == [{"call": "failed"}]


def test_of_several_reports_none_of_which_failed_the_last_counts(suite: Suite) -> None:
    suite.say(Open(1, 10, "test", "a.py::test", 0), Report(1, "call", "skipped"), Report(1, "call", "xfailed"))
    suite.finish(20)
    assert [dict(attempt.outcomes) for attempt in suite.of(records.Attempt)] == [{"call": "xfailed"}]


def test_an_interrupted_test_ends_with_its_session(suite: Suite) -> None:
    suite.say(Open(1, 10, "session", "/project", None), Open(2, 20, "test", "a.py::test", 0), Phase(30, "call"))
    assert suite.say(Interrupted(2, 40)) == [
        Span(4, 2, RUNNER, TID, "call", 30, 40),
        Span(2, 1, RUNNER, TID, "test", 20, 40, "a.py::test"),
    ]
    suite.say(Close(1, 50))
    assert suite.finish(60) == [Attempt(2, "a.py::test", 0, {"call": "interrupted"}, ())]


def test_a_failure_before_the_interruption_counts(suite: Suite) -> None:
    suite.say(Open(1, 10, "test", "a.py::test", 0), Phase(20, "call"), Report(1, "call", "failed"))
    suite.say(Interrupted(1, 30))
    suite.finish(40)
    assert [dict(attempt.outcomes) for attempt in suite.of(records.Attempt)] == [{"call": "failed"}]


def test_the_main_thread_tells_of_all_threads_interrupted_tests(suite: Suite) -> None:
    suite.say(Open(1, 10, "session", "/project", None))
    for tid in 7, 8:
        suite.say(Open(tid, 20, "test", f"a.py::test_{tid}", 0), tid=tid)
    suite.say(Phase(25, "call"), tid=8)
    told = suite.say(Interrupted(7, 30), Interrupted(8, 31), Close(1, 32))
    ended = [(span.kind, span.tid, span.end_ns) for span in told if isinstance(span, records.Span)]
    assert ended == [("setup", 7, 30), ("test", 7, 30), ("call", 8, 31), ("test", 8, 31), ("session", TID, 32)]
    suite.finish(40)
    assert [(attempt.nodeid, dict(attempt.outcomes)) for attempt in suite.of(records.Attempt)] == [
        ("a.py::test_7", {"setup": "interrupted"}),
        ("a.py::test_8", {"call": "interrupted"}),
    ]


def test_a_test_that_is_over_cannot_be_interrupted(suite: Suite) -> None:
    suite.say(Open(1, 10, "test", "a.py::test", 0), Close(1, 20), Interrupted(1, 30))
    suite.finish(40)
    assert [dict(attempt.outcomes) for attempt in suite.of(records.Attempt)] == [{}]


def test_equal_facts_are_written_once(suite: Suite) -> None:
    assert len(suite.say(facts(1))) == 1
    assert suite.say(facts(1), process=CHILD) == []
    assert suite.say(facts(2)) == []
    assert suite.say(facts(3, "tests/test_b.py")) == [StaticFacts("tests/test_b.py", ("db",), ("slow",), ())]


def test_a_fixture_instance_is_written_when_its_set_up_ends(suite: Suite) -> None:
    assert suite.say(instance(7), instance(8, "cursor"), Requires(8, (7, 99)), Open(1, 10, "fixture", 8, None)) == []
    first, span = suite.say(Close(1, 20))
    assert first == Instance(2, RUNNER, "cursor", "session", "", "tests", None, (1,))
    assert span == Span(1, 0, RUNNER, TID, "fixture", 10, 20, 2)
    (finalizer,) = suite.say(Open(2, 30, "fixture", 8, None), Close(2, 40))
    assert finalizer == Span(2, 0, RUNNER, TID, "fixture", 30, 40, 2)


def test_a_forked_runner_uses_its_parents_instances(suite: Suite) -> None:
    suite.say(instance(7), Open(1, 10, "fixture", 7, None), Close(1, 20))
    suite.say(Open(2, 30, "test", "a.py::test", 0), Uses(2, (7,)), process=CHILD)
    suite.say(instance(8, "own"), Uses(2, (8, 7, 99)), process=CHILD)
    suite.exit(CHILD, 40)
    assert [attempt.instances for attempt in suite.of(records.Attempt)] == [(1, 2)]


def test_a_forked_runner_cannot_close_its_parents_spans(suite: Suite) -> None:
    suite.say(Open(1, 10, "test", "a.py::test", 0))
    assert suite.say(Close(1, 20), Interrupted(1, 20), process=CHILD) == []
    assert suite.say(Report(1, "call", "failed"), Phase(20, "teardown"), process=CHILD) == []
    assert suite.timeline.at(RUNNER, TID, 30) == suite.timeline.at(CHILD, TID, 30) == (2,)
    suite.say(Close(1, 40))
    suite.finish(50)
    assert [(span.id, span.process, span.end_ns) for span in suite.of(records.Span)] == [
        (2, RUNNER, 40),
        (1, RUNNER, 40),
    ]
    assert [dict(attempt.outcomes) for attempt in suite.of(records.Attempt)] == [{}]


def test_a_childs_span_is_inside_its_parents(suite: Suite) -> None:
    suite.say(Open(1, 10, "test", "a.py::test", 0))
    suite.say(Open(1, 20, "session", "/inner", None), process=CHILD)
    assert suite.exit(CHILD, 30) == [Span(3, 2, CHILD, TID, "session", 20, 30, "/inner", crashed=True)]


def test_an_exit_crashes_what_is_open(suite: Suite) -> None:
    """A crash in the call: reports come after the test, and so never."""
    suite.say(Open(1, 10, "test", "a.py::test", 0), Phase(20, "call"))
    assert suite.exit(RUNNER, 99) == [
        Span(3, 1, RUNNER, TID, "call", 20, 99, crashed=True),
        Span(1, 0, RUNNER, TID, "test", 10, 99, "a.py::test", crashed=True),
        Attempt(1, "a.py::test", 0, {}, ()),
    ]
    assert suite.of(records.Span)[0] == Span(2, 1, RUNNER, TID, "setup", 10, 20)
    assert suite.exit(RUNNER, 100) == suite.finish(101) == []


def test_a_rerun_is_another_attempt(suite: Suite) -> None:
    for number in 1, 2:
        suite.say(Open(number, 10 * number, "test", "a.py::test", 0), Close(number, 10 * number + 5))
    suite.finish(30)
    assert [(attempt.span, attempt.nodeid) for attempt in suite.of(records.Attempt)] == [
        (1, "a.py::test"),
        (3, "a.py::test"),
    ]


def test_a_test_run_by_a_test_does_not_end_it(suite: Suite) -> None:
    """As with pytester, in process: the inner test opens while the outer one is open."""
    suite.say(Open(1, 10, "test", "outer", 0), Open(2, 20, "test", "inner", 0), Close(2, 30))
    suite.say(Report(1, "call", "failed"), Close(1, 40))
    suite.finish(50)
    assert [(attempt.nodeid, dict(attempt.outcomes)) for attempt in suite.of(records.Attempt)] == [
        ("outer", {"call": "failed"}),
        ("inner", {}),
    ]


small = st.integers(0, 5)
numbers = st.lists(small, max_size=3).map(tuple)
messages = st.one_of(
    st.builds(Hello, small, st.just("3.11"), st.just("8.3"), st.none()),
    st.builds(hook.Open, small, small, st.sampled_from(["session", "collection"]), st.sampled_from("ab")),
    st.builds(hook.Open, small, small, st.just("test"), st.sampled_from("ab"), small),
    st.builds(hook.Open, small, small, st.just("fixture"), small),
    st.builds(Phase, small, st.sampled_from(PHASES)),
    st.builds(hook.Close, small, small),
    st.builds(hook.Close, small, small),
    st.builds(hook.Interrupted, small, small),
    st.builds(facts, small, st.sampled_from("ab")),
    st.builds(instance, small, st.just("db"), st.sampled_from(["session", "function"])),
    st.builds(hook.Uses, small, numbers),
    st.builds(hook.Requires, small, numbers),
    st.builds(hook.Plan, small, small),
    st.builds(Results, st.sampled_from("ab"), st.sampled_from("ab"), small),
    st.builds(hook.Report, small, st.sampled_from(PHASES), st.sampled_from(OUTCOMES)),
)


@given(st.lists(st.tuples(st.sampled_from([RUNNER, CHILD]), st.integers(1, 2), messages), max_size=60))
def test_whatever_is_said_each_opening_becomes_one_span_and_phases_follow_one_another(
    said: list[tuple[ProcessId, int, Message]],
) -> None:
    suite = Suite()
    for ns, (process, tid, message) in enumerate(said):
        if isinstance(message, Hello | hook.Open | hook.Close | Phase | hook.Interrupted):
            message = replace(message, ns=ns)  # a thread's boundaries come in the order of time
        suite.say(message, process=process, tid=tid)
    suite.finish(len(said))
    openings = [message for _, _, message in said if isinstance(message, hook.Open)]
    spans = suite.of(records.Span)
    phases = [span for span in spans if span.kind in PHASES]
    assert Counter(span.kind for span in spans if span.kind not in PHASES) == Counter(
        message.kind for message in openings
    )
    assert sorted(span.id for span in spans) == list(range(1, len(spans) + 1)) == sorted(suite.runners.closed)
    known = {span.id: span for span in spans}
    for span in spans:
        assert span.start_ns <= span.end_ns
        assert span.parent == 0 or known[span.parent].start_ns <= span.start_ns
    for test in (span for span in spans if span.kind == "test"):
        own = sorted((phase for phase in phases if phase.parent == test.id), key=lambda phase: phase.id)
        assert (own[0].kind, own[0].start_ns, own[-1].end_ns) == ("setup", test.start_ns, test.end_ns)
        assert all(one.end_ns == other.start_ns for one, other in pairwise(own))
    tests = {span.id for span in spans if span.kind == "test"}
    attempts = suite.of(records.Attempt)
    assert {attempt.span for attempt in attempts} <= tests
    assert len({attempt.span for attempt in attempts}) == len(attempts)
    written = {one.id for one in suite.of(records.Instance)}
    assert len(written) == len(suite.of(records.Instance))


def test_a_session_that_its_process_left_open_is_unfinished() -> None:
    suite = Suite()
    suite.say(Open(1, 10, "session", "/root", None))
    suite.exit(RUNNER, 20)
    suite.finish(30)
    assert (suite.runners.unfinished, suite.runners.cut_off) == (1, 0)


def test_a_runner_that_outlives_the_command_is_unfinished() -> None:
    suite = Suite()
    suite.say(Open(1, 10, "session", "/root", None))
    suite.finish(20)
    assert (suite.runners.unfinished, suite.runners.cut_off) == (1, 1)


def test_tests_that_a_session_planned_and_did_not_begin() -> None:
    """A rerun is not another test, nor is a test of a session that a test runs. A forked child's test is one."""
    suite = Suite()
    suite.say(Open(1, 10, "session", "/root", None), Plan(1, 9))
    for number in 2, 3:
        suite.say(Open(number, 10 * number, "test", "a.py::test_again", 0), Close(number, 10 * number + 5))
    suite.say(Open(4, 40, "test", "a.py::test_outer", 0))
    suite.say(Open(5, 50, "session", "/inner", None), Plan(5, 100), Open(6, 51, "test", "b.py::test_inner", 0))
    suite.say(Open(1, 60, "session", "/inner", None), Plan(1, 100), process=CHILD)
    suite.exit(CHILD, 61)
    suite.say(Close(4, 70))
    suite.say(Open(7, 80, "test", "a.py::test_forked", 0), process=CHILD)
    suite.exit(RUNNER, 90)
    assert suite.runners.not_begun == 9 - 3


def test_a_session_without_a_plan_lacks_an_unknown_number_of_tests() -> None:
    suite = Suite()
    suite.say(Open(1, 10, "session", "/root", None), Plan(1, 5))
    suite.say(Open(1, 10, "session", "/root", None), process=CHILD)
    suite.finish(30)
    assert suite.runners.not_begun is None


def test_a_session_that_leaves_out_tests_counts_unless_it_is_within_a_test() -> None:
    suite = Suite()
    suite.say(Open(1, 10, "session", "/root", None), Open(2, 20, "test", "a.py::test_outer", 0))
    suite.say(Open(3, 30, "session", "/inner", None), Partial(3), Close(3, 40), Partial(3))
    suite.say(Open(1, 45, "session", "/inner", None), Partial(1), process=CHILD)
    assert not suite.runners.partial
    suite.say(Close(2, 50), Partial(1))
    assert suite.runners.partial


def test_a_session_that_ended_and_that_of_a_worker_lack_no_tests() -> None:
    """A worker's controller gives its tests to another worker, or says that they did not run."""
    suite = Suite()
    suite.say(Open(1, 10, "session", "/root", None), Plan(1, 5), Close(1, 20))
    suite.say(Hello(30, "3.11", "8.3", "gw0"), Open(1, 40, "session", "/root", None), process=CHILD)
    suite.finish(50)
    assert (suite.runners.unfinished, suite.runners.not_begun) == (1, 0)


def test_results_of_a_worker_that_never_reported() -> None:
    suite = Suite()
    suite.say(Hello(10, "3.11", "8.3", "gw0", "run"), process=CHILD)
    suite.say(Hello(11, "3.11", "8.3", None), hook.Worker("gw2", "run"))
    suite.say(Results("run", "gw2", 1), Results("run", "gw0", 3), Results("run", "gw1", 5), Results("other", "gw0", 7))
    assert suite.runners.untraced == {("run", "gw1"): 5, ("other", "gw0"): 7}
