"""Entries that are mostly wrong, and what replaces them."""

from __future__ import annotations

import tomllib

import suites
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tracer.classify.assumptions import Entry
from tracer.classify.classification import recheck
from tracer.classify.detailed_checks import DetailedCheck, check_in_detail
from tracer.classify.model import Classification, TestResult
from tracer.classify.services.rules import AssumptionRule, Rules
from tracer.reports.rule_toml import rule_lines
from tracer.trace.records import StaticFacts

BROKER = AssumptionRule(fixtures=frozenset({"broker"}), paths=("slow/**",))


def suite(known: list[StaticFacts], tests: dict[str, TestResult], rule: AssumptionRule = BROKER) -> Classification:
    return suites.classification(tests, known, Rules({"kafka": rule}))


def checked(one: Classification) -> DetailedCheck:
    (check,) = check_in_detail(one)
    return check


def corrected(check: DetailedCheck) -> AssumptionRule:
    """The rule that is proposed, through the text that a user pastes."""
    lines = rule_lines(check.service, check.rule, check.proposals, pyproject=False, dropped=check.dropped)
    table = tomllib.loads("\n".join(lines))["assumptions"][check.service]
    return AssumptionRule(
        fixtures=frozenset(table.get("fixtures", ())),
        markers=frozenset(table.get("markers", ())),
        classes=tuple(table.get("classes", ())),
        paths=tuple(table.get("paths", ())),
        in_class=table.get("in_class", False),
    )


def test_an_entry_that_is_mostly_wrong_is_narrowed() -> None:
    known = [suites.facts("a.py", fixtures=["broker"], markers=["sends"]), suites.facts("b.py", fixtures=["broker"])]
    tests = {f"a.py::{number}": suites.result(["kafka"], facts=0) for number in range(2)}
    tests |= {f"b.py::{number}": suites.result(facts=1) for number in range(12)}
    check = checked(suite(known, tests))
    assert check.dropped == (Entry("fixture", "broker"),)
    assert [(str(one.entry), len(one.caught), len(one.over_assumed)) for one in check.proposals] == [
        ("marker sends", 2, 0)
    ]
    assert corrected(check) == AssumptionRule(markers=frozenset({"sends"}), paths=("slow/**",))


def test_an_entry_that_no_test_needs_is_dropped() -> None:
    check = checked(suite([suites.facts("a.py", fixtures=["broker"])], {"a.py::x": suites.result(facts=0)}))
    assert (check.dropped, check.proposals) == ((Entry("fixture", "broker"),), ())


def test_an_entry_that_nothing_can_replace_remains() -> None:
    known = [suites.facts("a.py", fixtures=["broker"])]
    tests = {f"a.py::{number}": suites.result(["kafka"] if number < 2 else [], facts=0) for number in range(14)}
    check = checked(suite(known, tests))
    assert (check.dropped, check.proposals) == ((), ())
    assert [one.is_mostly_wrong for one in check.entries] == [True, False]


def test_fixtures_that_pytest_names_for_itself_are_not_proposed_but_the_class_is() -> None:
    fixture = "_unittest_setUpClass_fixture_TestCart"
    known = [suites.facts("a.py", fixtures=[fixture], bases=["a.TestCart", "unittest.case.TestCase"])]
    seen = suites.evidence("kafka", phase="setup", fixture=fixture, via=f"fixture:{fixture}@a.py")
    check = checked(suite(known, {"a.py::TestCart::x": suites.result(["kafka"], facts=0, evidence=[seen])}))
    assert [str(one.entry) for one in check.proposals] == ["class a.TestCart"]


def test_a_proposal_is_right_about_tests_that_others_claim_too() -> None:
    """The class catches one blind spot without a new false positive, but it is wrong about twelve that are claimed."""
    rule = AssumptionRule(markers=frozenset({"queue"}))
    known = [
        suites.facts("a.py", bases=["T"]),
        suites.facts("b.py", bases=["T"], markers=["queue"]),
        suites.facts("c.py", markers=["queue"]),
    ]
    tests = {"a.py::x": suites.result(["kafka"], facts=0)}
    tests |= {f"b.py::{number}": suites.result(facts=1) for number in range(12)}
    tests |= {f"c.py::{number}": suites.result(["kafka"], facts=2) for number in range(20)}
    assert [str(one.entry) for one in checked(suite(known, tests, rule)).proposals] == ["path a.py"]


NAMES = st.lists(st.sampled_from("abc"), unique=True, max_size=3)
FACTS = st.builds(
    suites.facts,
    st.sampled_from(["t.py", "x/t.py", "x/y/t.py", "x/y/u.py"]),
    fixtures=NAMES,
    markers=NAMES,
    bases=st.lists(st.sampled_from(["A", "m.B", "C"]), unique=True, max_size=2),
)
RULES = st.builds(
    AssumptionRule,
    fixtures=NAMES.map(frozenset),
    markers=NAMES.map(frozenset),
    classes=st.lists(st.sampled_from(["A", "B"]), unique=True).map(tuple),
    paths=st.lists(st.sampled_from(["x/**", "t.py", "**"]), unique=True).map(tuple),
    in_class=st.booleans(),
)
RESULTS = st.sampled_from(
    [suites.result(["kafka"]), suites.result(), suites.result(ambient=["kafka"]), suites.result(outcome="skipped")]
)


@given(st.lists(FACTS, min_size=1, max_size=5, unique=True), RULES, st.data())
def test_a_proposed_rule_is_not_called_wrong_when_it_is_validated(
    known: list[StaticFacts], rule: AssumptionRule, data: st.DataObject
) -> None:
    drawn = data.draw(st.lists(st.tuples(st.integers(0, len(known) - 1), RESULTS), max_size=14))
    one = suite(known, {f"t::{place}": replace(test, facts=number) for place, (number, test) in enumerate(drawn)}, rule)
    before = checked(one)
    again = recheck(one, Rules({"kafka": corrected(before)}))
    after = checked(again)
    assert set(again.validation["kafka"].blind_spots) == set(before.left)
    assert not after.dropped
    assert not after.proposals
    kept = {check.entry for check in before.entries if check.is_mostly_wrong} - set(before.dropped)
    assert {check.entry for check in after.entries if check.is_mostly_wrong} == kept
