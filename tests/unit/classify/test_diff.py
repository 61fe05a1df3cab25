from __future__ import annotations

import suites
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tracer.classify.diff import Change, Side, Totals, compare
from tracer.classify.merge import merge
from tracer.classify.model import Classification, Outcome, TestResult
from tracer.classify.services.rules import Rules, Tier

RULES = Rules(tiers=(Tier("no_services", within=frozenset()), Tier("rest")))
OUTCOMES: list[Outcome] = ["passed", "skipped", "crashed"]
RESULTS = st.builds(
    suites.result,
    st.lists(st.sampled_from(["kafka", "postgres", "unknown:tcp://10.0.0.1:99"]), unique=True).map(sorted),
    outcome=st.sampled_from(OUTCOMES),
)
TESTS = st.dictionaries(st.sampled_from(["a.py::x", "a.py::y", "b.py::x"]), RESULTS)


def classified(tests: dict[str, TestResult], rules: Rules = RULES) -> Classification:
    return suites.classification(tests, (), rules)


def test_the_difference_has_new_gone_and_changed_tests() -> None:
    old = classified(
        {
            "a.py::gone": suites.result(["redis"]),
            "a.py::same": suites.result(["redis"]),
            "a.py::x": suites.result(["redis"]),
        }
    )
    new = classified(
        {"a.py::new": suites.result(), "a.py::same": suites.result(["redis"]), "a.py::x": suites.result(["kafka"])}
    )
    found = compare(old, replace(new, run=replace(new.run, complete=False)))
    assert found
    assert found.added == {"a.py::new": ()}
    assert found.removed == {"a.py::gone": ("redis",)}
    assert found.changed == {"a.py::x": Change(("kafka",), ("redis",), "rest", "rest", "passed", "passed")}
    assert found.services == {"redis": Totals(3, 1), "kafka": Totals(0, 1)}
    assert found.tiers == {"no_services": Totals(0, 1), "rest": Totals(3, 2)}
    assert (found.old, found.new) == (Side(suites.RUN.started_at, 3, True), Side(suites.RUN.started_at, 3, False))
    assert found.same_rules


def test_what_differs_from_run_to_run_is_no_difference() -> None:
    test = suites.result(["postgres"], evidence=[suites.evidence("postgres")])
    changed = replace(suites.evidence("postgres", phase="setup", fixture="db"), sends=99, bytes=9, first_s=5.0)
    other = replace(test, duration_s=9.0, attempts=2, ambient=("kafka",), outcome="failed", evidence=(changed,))
    assert not compare(classified({"a.py::x": test}), classified({"a.py::x": other}))


def test_endpoints_that_no_rule_names_are_one_service() -> None:
    then = suites.result(["postgres", "unknown:tcp://127.0.0.1:41000"])
    now = suites.result(["postgres", "unknown:tcp://127.0.0.1:41001", "unknown:unix:///tmp/x"])
    found = compare(
        classified({"a.py::x": then, "a.py::y": suites.result()}), classified({"a.py::x": now, "a.py::y": now})
    )
    assert {nodeid: change.gained for nodeid, change in found.changed.items()} == {"a.py::y": ("(unknown)", "postgres")}
    assert found.services["(unknown)"] == Totals(1, 2)


def test_a_test_that_was_skipped_now_has_lost_nothing() -> None:
    then, now = suites.result(["postgres"]), suites.result([], outcome="skipped")
    assert not compare(classified({"a.py::x": then}), classified({"a.py::x": now}))
    assert compare(classified({"a.py::x": now}), classified({"a.py::x": then})).changed["a.py::x"].gained == (
        "postgres",
    )


def test_skipped_not_run_and_gone_are_three_things() -> None:
    tests = ("a.py::gone", "a.py::skipped", "a.py::cut_off", "a.py::x", "shard.py::x", "removed.py::x")
    old = classified({nodeid: suites.result(["postgres"]) for nodeid in tests})
    outcomes = {"a.py::skipped": "skipped", "a.py::cut_off": "interrupted", "a.py::x": "passed"}
    new = classified({nodeid: suites.result(["postgres"], outcome=outcome) for nodeid, outcome in outcomes.items()})  # type: ignore[arg-type]
    found = compare(old, new, lambda file: file != "removed.py")
    assert list(found.removed) == ["a.py::gone", "removed.py::x"]
    assert list(found.skipped) == ["a.py::skipped"]
    assert list(found.not_run) == ["a.py::cut_off", "shard.py::x"]
    assert found
    assert not compare(old, classified({"b.py::x": suites.result()}), lambda _: True).removed


def test_what_a_partial_run_lacks_did_not_run() -> None:
    old = classified({nodeid: suites.result(["postgres"]) for nodeid in ("a.py::other", "a.py::x", "removed.py::x")})
    new = classified({"a.py::x": suites.result(["postgres"])})
    assert list(compare(old, new).removed) == ["a.py::other"]
    for run in (replace(new.run, partial=True), replace(new.run, missing_tests=None)):
        found = compare(old, replace(new, run=run), lambda file: file == "a.py")
        assert (list(found.removed), list(found.not_run)) == (["removed.py::x"], ["a.py::other"])


def test_a_test_is_gone_if_one_run_of_its_file_was_whole() -> None:
    old = classified({nodeid: suites.result(["postgres"]) for nodeid in ("a.py::gone", "b.py::other")})
    whole = classified({"a.py::x": suites.result()})
    both = classified({"a.py::x": suites.result(), "b.py::x": suites.result()})
    partial = replace(both, run=replace(both.run, started_at="2026-11-20T22:45:00Z", partial=True))
    found = compare(old, merge([whole, partial]))
    assert (list(found.removed), list(found.not_run)) == (["a.py::gone"], ["b.py::other"])


def test_a_shard_is_no_difference() -> None:
    old = classified({"a.py::x": suites.result(["postgres"]), "b.py::x": suites.result()})
    assert not compare(old, classified({"b.py::x": suites.result()}))


def test_the_difference_says_whether_the_rules_are_the_same() -> None:
    found = compare(classified({"a.py::x": suites.result()}, Rules()), classified({"a.py::x": suites.result()}))
    assert not found.same_rules
    assert found.tiers == {"no_services": Totals(0, 1), "rest": Totals(0, 0), "other": Totals(1, 0)}


@given(TESTS)
def test_nothing_differs_from_itself(tests: dict[str, TestResult]) -> None:
    assert not compare(classified(tests), classified(tests))


@given(TESTS, TESTS)
def test_the_other_way_round_what_came_has_gone(then: dict[str, TestResult], now: dict[str, TestResult]) -> None:
    there, back = compare(classified(then), classified(now)), compare(classified(now), classified(then))
    only_now = {**back.removed, **{nodeid: one for nodeid, one in back.not_run.items() if nodeid not in then}}
    assert there.added == only_now
    assert {name: (one.old, one.new) for name, one in there.services.items()} == {
        name: (one.new, one.old) for name, one in back.services.items()
    }
    for nodeid, change in there.changed.items():
        if now[nodeid].outcome == then[nodeid].outcome == "passed":
            assert (change.gained, change.lost) == (back.changed[nodeid].lost, back.changed[nodeid].gained)
