"""Set-ups: whose time is that of a shared fixture or an import, and which tests share it."""

from __future__ import annotations

from msgspec.structs import replace
from trace_builder import TraceBuilder, classified

from tracer.classify.classification import assemble
from tracer.classify.merge import merge
from tracer.classify.model import Classification, SetUp
from tracer.classify.services.config import Config
from tracer.classify.services.rules import Rules
from tracer.classify.via import Via
from tracer.trace.ids import InstanceId, ProcessId, SpanId

MS = 1_000_000
CONFIG = Config(None, {}, Rules())


class Suite(TraceBuilder):
    """A session whose spans take the milliseconds that are said."""

    def begin(self) -> tuple[ProcessId, SpanId]:
        process = self.process()
        return process, self.open("session", process)

    def wait(self, milliseconds: int) -> None:
        self.ns += milliseconds * MS

    def collect(self, process: ProcessId, session: SpanId, module: str, milliseconds: int) -> None:
        span = self.open("collection", process, session, module)
        self.wait(milliseconds)
        self.close(span)

    def set_up(self, process: ProcessId, parent: SpanId, instance: InstanceId, milliseconds: int) -> None:
        span = self.open("fixture", process, parent, instance)
        self.wait(milliseconds)
        self.close(span)


def milliseconds(one: Classification) -> dict[str, int]:
    return {set_up.via: round(1000 * set_up.duration_s) for set_up in one.set_ups}


def a_run() -> Classification:
    """Two modules; a session fixture of 200 ms within a module fixture of 30 ms; its finalizer in the last test."""
    suite = Suite()
    process, session = suite.begin()
    suite.wait(500)
    suite.collect(process, session, "a.py", 900)
    suite.collect(process, session, "b.py", 40)
    database = suite.instance("database", process)
    table = suite.instance("table", process, "module", (database,), "a.py")
    quick = suite.instance("quick", process)
    test, call = suite.test("a.py::first", process, session)
    around = suite.open("fixture", process, test, table)
    suite.set_up(process, around, database, 200)
    suite.wait(30)
    suite.close(around)
    suite.set_up(process, test, quick, 0)
    suite.wait(7)
    suite.finish(test, call, instances=(table, quick))
    test, call = suite.test("b.py::second", process, session)
    suite.wait(5)
    suite.set_up(process, test, database, 10)
    suite.finish(test, call, instances=(database,))
    suite.wait(60)
    suite.close(session)
    return classified(suite.trace(), CONFIG)


def test_each_set_up_has_its_own_time() -> None:
    assert milliseconds(a_run()) == {"fixture:database@": 210, "fixture:table@a.py": 30, "module:b.py": 40}


def test_a_test_refers_to_what_it_depends_on() -> None:
    one = a_run()
    used = {nodeid: [one.set_ups[n].via for n in test.set_ups] for nodeid, test in one.tests.items()}
    assert used == {
        "a.py::first": ["fixture:database@", "fixture:table@a.py"],
        "b.py::second": ["fixture:database@", "module:b.py"],
    }


def test_the_time_of_set_ups_is_a_part_of_the_tests_duration() -> None:
    tests = a_run().tests
    assert [round(1000 * test.shared_s) for test in tests.values()] == [230, 10]
    assert [round(1000 * (test.duration_s - test.shared_s)) for test in tests.values()] == [7, 5]


def test_the_first_import_is_a_part_of_the_session() -> None:
    """500 ms, the first import and the end; the second import is the module's."""
    session_s = a_run().run.session_s
    assert session_s is not None
    assert round(1000 * session_s) == 500 + 900 + 60


def test_fixtures_of_function_scope_are_a_part_of_the_test() -> None:
    suite = Suite()
    process, session = suite.begin()
    own = suite.instance("own", process, "function")
    test, call = suite.test("a.py::x", process, session)
    suite.set_up(process, test, own, 50)
    suite.finish(test, call)
    suite.close(session)
    one = classified(suite.trace(), CONFIG)
    assert (one.set_ups, one.tests["a.py::x"].shared_s) == ((), 0)


def test_a_session_within_a_test_shares_nothing() -> None:
    suite = Suite()
    process, session = suite.begin()
    test, call = suite.test("a.py::x", process, session)
    inner = suite.open("session", process, call)
    suite.collect(process, inner, "inner.py", 100)
    suite.set_up(process, inner, suite.instance("inner", process), 100)
    suite.close(inner)
    suite.finish(test, call)
    suite.close(session)
    one = classified(suite.trace(), CONFIG)
    assert (one.set_ups, one.tests["a.py::x"].shared_s) == ((), 0)


def test_merging_keeps_the_longest_time_in_any_order() -> None:
    first = a_run()
    slower = tuple(
        replace(one, duration_s=2 * one.duration_s if one.via.kind == "fixture" else 0.002) for one in first.set_ups
    )
    added = (SetUp(Via("fixture", "added"), "session", "", None, 1.0), *slower)
    tests = {
        nodeid: replace(test, set_ups=(0, *(number + 1 for number in test.set_ups)))
        for nodeid, test in first.tests.items()
    }
    run = replace(first.run, started_at="2026-11-21T00:00:00Z")
    second = assemble(
        tests, first.facts, first.rules, run=run, run_evidence=(), generated_at="2026-11-21T00:00:00Z", set_ups=added
    )
    merged = merge([first, second])
    assert merged == merge([second, first, second]) == merge([merged, first])
    assert milliseconds(merged) == {
        "fixture:added@": 1000,
        "fixture:database@": 420,
        "fixture:table@a.py": 60,
        "module:b.py": 40,
    }
    test = merged.tests["a.py::first"]
    assert test.set_ups == (0, 1, 2)
    assert test.shared_s == round(2 * first.tests["a.py::first"].shared_s, 6)
