"""Guesses about unknown tests, and their recall: compared with leaving each known test out."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import suites
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tracer.classify.guesses import Basis, Recall, guess_needs
from tracer.classify.model import Classification
from tracer.classify.selection import ANYTHING, Needs, needs_of_tests, unit_of
from tracer.classify.services.rules import AssumptionRule, Rules
from tracer.trace.records import StaticFacts

KNOWN = {
    "tests/a.py::TestA::test_x[1]": ["postgres"],
    "tests/a.py::TestA::test_x[2]": ["postgres", "redis"],
    "tests/a.py::TestA::test_y": ["postgres"],
    "tests/a.py::test_alone": ["kafka"],
    "tests/b.py::test_z": [],
}


def report(
    tests: Mapping[str, list[str]], rules: Rules | None = None, facts: StaticFacts | None = None
) -> Classification:
    known = {nodeid: suites.result(services, facts=None if facts is None else 0) for nodeid, services in tests.items()}
    return suites.classification(known, () if facts is None else (facts,), rules or Rules())


def needs_with(one: Classification, *unknown: str) -> tuple[dict[str, Needs], dict[Basis, Recall]]:
    needs = needs_of_tests(one, [*one.tests, *unknown])
    guesses = guess_needs(one, needs, needs_of_tests(one))
    return {nodeid: guesses.needs[nodeid] for nodeid in unknown}, dict(guesses.recall)


@pytest.mark.parametrize(
    ("nodeid", "basis", "services"),
    [
        ("tests/a.py::TestA::test_x[3]", "function", {"postgres", "redis"}),
        ("tests/a.py::TestA::test_new", "class", {"postgres", "redis"}),
        ("tests/a.py::TestNew::test_new", "file", {"kafka", "postgres", "redis"}),
        ("tests/b.py::test_new", "file", set()),
        ("tests/new.py::test_new", None, {ANYTHING}),
    ],
)
def test_the_most_similar_tests_decide(nodeid: str, basis: str | None, services: set[str]) -> None:
    needs, recall = needs_with(report(KNOWN), nodeid)
    assert needs[nodeid] == services
    assert list(recall) == ([] if basis is None else [basis])


def test_recall_leaves_each_known_test_out() -> None:
    _, recall = needs_with(report(KNOWN), "tests/a.py::TestA::test_x[3]", "tests/a.py::TestA::test_n", "tests/a.py::n")
    assert recall == {
        "function": Recall(2, 1),  # test_x[2] needs Redis, and test_x[1] does not
        "class": Recall(3, 2),
        "file": Recall(4, 0),  # without its class, nothing else of the file needs the same
    }


def test_a_cut_off_test_is_like_those_with_its_fixtures() -> None:
    facts = suites.facts("tests/a.py", fixtures=["db", "cache"])
    one = report({"tests/a.py::test_x": ["postgres"], "tests/b.py::test_y": ["redis"]}, facts=facts)
    cut_off = replace(suites.result(["smtp"], outcome="crashed"), facts=0)
    one = replace(one, tests={**one.tests, "tests/c.py::test_cut_off": cut_off})
    guesses = guess_needs(one, needs_of_tests(one), needs_of_tests(one))
    assert guesses.needs["tests/c.py::test_cut_off"] == {"smtp", "postgres", "redis"}
    assert guesses.guessed == {"fixtures": 1}
    assert guesses.recall == {"fixtures": Recall(2, 0)}


RULE = AssumptionRule(paths=("tests/slow/**",))


@pytest.mark.parametrize(
    ("rules", "nodeid", "services"),
    [
        ({"snuba": RULE}, "tests/new.py::test", {"postgres"}),
        ({"snuba": RULE}, "tests/slow/new.py::test", {"postgres", "snuba"}),
        ({"snuba": AssumptionRule(paths=("tests/slow/a.py",))}, "tests/new.py::test", {ANYTHING}),  # it misses one
        ({"snuba": AssumptionRule(markers=frozenset({"snuba"}))}, "tests/new.py::test", {ANYTHING}),
        ({"snuba": RULE, "postgres": AssumptionRule(in_class=True)}, "tests/new.py::test", set()),
        ({"snuba": RULE, "postgres": AssumptionRule(in_class=True)}, "tests/new.py::TestX::test[a::b]", {"postgres"}),
    ],
)
def test_rules_decide_for_new_files_if_they_miss_no_test(
    rules: dict[str, AssumptionRule], nodeid: str, services: set[str]
) -> None:
    known = {
        "tests/slow/a.py::test": ["snuba"],
        "tests/slow/b.py::test": ["snuba"],
        "tests/a.py::TestA::test": ["postgres"],
    }
    needs, _ = needs_with(report(known, Rules(rules)), nodeid)
    assert needs[nodeid] == services


NODEIDS = st.builds(
    "{}.py::{}{}{}".format,
    st.sampled_from("ab"),
    st.sampled_from(["", "TestA::", "TestB::"]),
    st.sampled_from(["test_x", "test_y"]),
    st.sampled_from(["", "[1]", "[2]", "[3]"]),
)


@given(st.dictionaries(NODEIDS, st.lists(st.sampled_from("pqr"), unique=True), min_size=1), NODEIDS)
def test_recall_is_that_of_guessing_each_test_alone(known: dict[str, list[str]], unknown: str) -> None:
    """The recall of functions and classes is the same as if the report were made without each test in turn."""
    one = report(known)
    needs, recall = needs_with(one, *([] if unknown in known else [unknown]))
    assert all(ANYTHING in services or services <= set("pqr") for services in needs.values())
    for basis in recall.keys() & {"class"}:
        sufficed = total = 0
        for nodeid, services in known.items():
            others = [
                other for other in known if other != nodeid and unit_of(other, "class") == unit_of(nodeid, "class")
            ]
            if others and unit_of(nodeid, "class") != nodeid.partition("[")[0]:
                total += 1
                sufficed += set(services) <= {service for other in others for service in known[other]}
        assert recall[basis] == Recall(total, sufficed)
