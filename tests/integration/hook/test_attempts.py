"""Tests: their static facts, and to which attempt an outcome belongs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hook.suites import Environment, plain, run
from tracer.record.boundary.messages import Facts


def test_facts_are_reported_once(environment: Environment, tmp_path: Path) -> None:
    reported = run(
        environment,
        tmp_path,
        """
        pytestmark = pytest.mark.filterwarnings("default")
        @pytest.fixture(autouse=True)
        def always(): pass
        @pytest.fixture
        def behind(): pass
        @pytest.fixture
        def front(behind): pass

        @pytest.mark.parametrize("n", range(5))
        def test_many(n): pass
        def test_front(front): pass
        def test_front_too(front): pass
        """,
    )
    facts = reported.facts()
    assert facts["test_it.py::test_front"] == facts["test_it.py::test_front_too"]
    assert facts["test_it.py::test_front"].fixtures == ("always", "front", "behind")
    assert facts["test_it.py::test_front"].autouse == ("always",)
    assert facts["test_it.py::test_many[0]"].markers == ("parametrize", "filterwarnings")
    assert len([message for message in reported.messages() if isinstance(message, Facts)]) == 2


def test_facts_name_the_group_of_xdist(environment: Environment, tmp_path: Path) -> None:
    """As xdist finds it: by position, by name, `default` without either; of the class too, where the nearest counts."""
    facts = run(
        environment,
        tmp_path,
        """
        @pytest.mark.xdist_group("shop")
        class TestShop:
            def test_class(self): pass
            @pytest.mark.xdist_group(name="own")
            def test_own(self): pass
        @pytest.mark.xdist_group
        def test_default(): pass
        def test_none(): pass
        """,
        conftest="def pytest_configure(config): config.addinivalue_line('markers', 'xdist_group(name)')",
    ).facts()
    groups = {nodeid.rpartition("::")[2]: one.group for nodeid, one in facts.items()}
    assert groups == {"test_class": "shop", "test_own": "own", "test_default": "default", "test_none": ""}


@pytest.mark.parametrize("where", ["setup", "call", "teardown"])
def test_an_interruption_that_became_a_report_is_a_failure(
    environment: Environment, tmp_path: Path, where: str
) -> None:
    """As with --pdb, after which pytest continues."""
    reported = run(
        environment,
        tmp_path,
        f"""
        def interrupt(where):
            if where == "{where}": raise KeyboardInterrupt
        @pytest.fixture
        def own():
            interrupt("setup")
            yield
            interrupt("teardown")
        def test_a(own): interrupt("call")
        def test_b(): pass
        """,
        "--pdb",
        "--pdbcls=conftest:Continues",
        conftest="""
        import pdb
        class Continues(pdb.Pdb):
            def interaction(self, *args, **kwargs): pass
        """,
    )
    assert reported.status == 1, reported.output
    steps = reported.steps()
    assert [line for line in steps if "interrupted" in line or line.endswith("failed")] == [f"{where} failed"]
    assert steps[-4:] == plain("test_b")


def test_ctrl_c_interrupts_the_tests_of_all_threads(environment: Environment, tmp_path: Path) -> None:
    reported = run(
        environment,
        tmp_path,
        "@pytest.mark.parametrize('n', range(3))\ndef test_a(n): pass",
        conftest="""
        import threading, pytest
        all_are_set_up = threading.Barrier(4)
        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_setup(item):
            yield
            all_are_set_up.wait()
            if item.name != "test_a[0]": threading.Event().wait()
        def pytest_runtestloop(session):
            def run(item):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            threads = [threading.Thread(target=run, args=(item,), daemon=True) for item in session.items]
            for thread in threads: thread.start()
            all_are_set_up.wait()
            threads[0].join()
            raise KeyboardInterrupt
        """,
    )
    assert reported.status == 2, reported.output
    ends = sorted(line for line in reported.steps() if line.startswith("-"))
    assert ends == ["-test_a[0]", "-test_a[1] interrupted", "-test_a[2] interrupted"]
    assert (reported.lost, reported.malformed) == (0, 0)


def test_each_outcome_is_of_its_own_threads_test(environment: Environment, tmp_path: Path) -> None:
    reported = run(
        environment,
        tmp_path,
        """
        @pytest.mark.parametrize("n", range(60))
        def test_a(n): assert n % 7
        """,
        conftest="""
        import json, threading
        logged = {}
        def pytest_runtest_logreport(report):
            logged.setdefault(report.nodeid, []).append([report.when, report.outcome])
        def pytest_sessionfinish():
            with open("logged", "w") as file: json.dump(logged, file)
        def pytest_runtestloop(session):
            def run(items):
                for item in items:
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            threads = [threading.Thread(target=run, args=(session.items[n::3],)) for n in range(3)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            return True
        """,
    )
    assert reported.lost == 0
    assert len({packet.tid for packet in reported.packets}) == 4
    names = {test.span: str(test.subject) for test in reported.tests()}
    outcomes: dict[str, list[list[str]]] = {name: [] for name in names.values()}
    for report in reported.outcomes():
        outcomes[names[report.test]].append([report.phase, report.outcome])
    # pytest itself is not made for threads, and some of these tests fail because of that.
    logged = json.loads((tmp_path / "suite" / "logged").read_text())
    assert outcomes == {name: [pair for pair in pairs if pair[1] != "passed"] for name, pairs in logged.items()}


def test_pytest_within_a_test_of_the_same_name(environment: Environment, tmp_path: Path) -> None:
    reported = run(
        environment,
        tmp_path,
        """
        import sys
        def test_a(pytester):
            del sys.modules["test_it"]
            pytester.makepyfile(test_it="def test_a(): assert 0")
            assert pytester.runpytest_inprocess("-p", "no:cacheprovider").ret == 1
        """,
        conftest="pytest_plugins = 'pytester'",
    )
    assert reported.status == 0, reported.output
    outer, inner = reported.tests()
    assert outer.subject == inner.subject == "test_it.py::test_a"
    assert [(report.test, report.outcome) for report in reported.outcomes()] == [(inner.span, "failed")]


def test_tests_of_the_same_name_and_reports_of_another(environment: Environment, tmp_path: Path) -> None:
    reported = run(
        environment,
        tmp_path,
        "def test_a(): assert 0",
        conftest="""
        import pytest
        def pytest_collection_modifyitems(items):
            items += items
        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_makereport():
            outcome = yield
            outcome.get_result().nodeid = "a name to be shown"
        """,
    )
    assert reported.status == 1, reported.output
    assert reported.steps() == ["test_a", "call", "call failed", "teardown", "-test_a"] * 2
    assert [report.test for report in reported.outcomes()] == [test.span for test in reported.tests()]


@pytest.mark.parametrize("mark", ["", "@pytest.mark.forked"])
def test_subtests_of_the_oldest_plugin(oldest: Environment, tmp_path: Path, mark: str) -> None:
    """A failed subtest fails the call; a skipped subtest does not skip it. Newer ones: outcomes/subtests*."""
    reported = run(
        oldest,
        tmp_path,
        f"""
        {mark}
        def test_a(subtests):
            with subtests.test("bad"): assert 0
            with subtests.test("good"): pass
        {mark}
        def test_b(subtests):
            with subtests.test("good"): pass
            with subtests.test("not here"): pytest.skip("no")
            with subtests.test("known"): pytest.xfail("no")
        """,
    )
    spans = {test.subject: test.span for test in reported.tests()}
    assert {(report.test, report.phase, report.outcome) for report in reported.outcomes()} == {
        (spans["test_it.py::test_a"], "call", "failed"),
    }, reported.output
