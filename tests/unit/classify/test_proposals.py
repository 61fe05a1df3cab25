from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st
from suites import evidence, facts, result

from tracer.classify.assumptions import claims
from tracer.classify.model import TestResult
from tracer.classify.proposals import Proposal, propose
from tracer.classify.services.rules import AssumptionRule
from tracer.trace.records import StaticFacts


def proposed(tests: Mapping[str, TestResult], known: Sequence[StaticFacts]) -> tuple[Proposal, ...]:
    blind = sorted(nodeid for nodeid, test in tests.items() if "kafka" in test.services and "kafka" not in test.assumed)
    return propose(tests, known, "kafka", blind)


def summary(proposals: Sequence[Proposal]) -> list[tuple[str, int, int]]:
    return [(str(one.entry), len(one.caught), len(one.over_assumed)) for one in proposals]


def test_a_class_is_proposed_rather_than_its_file_or_the_fixtures_of_many() -> None:
    known = [
        facts("tests/test_orders.py", fixtures=["db", "customer"]),
        facts("tests/test_orders.py", fixtures=["db", "customer"], bases=["test_orders.TestCheckout"]),
    ]
    tests = {
        "o::save": result(["kafka"], ["kafka"], facts=0),
        "o::none": result(facts=0),
        "o::refused": result(facts=0),
        "o::checkout": result(["kafka"], facts=1),
        "o::empty": result(facts=1),
    }
    (proposal,) = proposed(tests, known)
    assert str(proposal.entry) == "class test_orders.TestCheckout"
    assert (proposal.caught, proposal.over_assumed) == (("o::checkout",), ("o::empty",))


def test_the_entry_that_catches_most_comes_first_and_others_catch_the_rest() -> None:
    known = [
        facts("a/test_a.py", fixtures=["broker"]),
        facts("b/test_b.py", fixtures=["broker"], bases=["T"]),
        facts("b/test_c.py"),
        facts("b/test_d.py"),
    ]
    tests = {f"t::{number}": result(["kafka"], facts=number % 3) for number in range(9)} | {"t::d": result(facts=3)}
    assert summary(proposed(tests, known)) == [("fixture broker", 6, 0), ("path b/test_c.py", 3, 0)]


def test_of_entries_that_catch_the_same_the_most_specific_is_proposed() -> None:
    blind = {"t": result(["kafka"], facts=0)}
    assert summary(proposed(blind, [facts("a/b/test_a.py")])) == [("path a/b/test_a.py", 1, 0)]
    both = [facts("a/b/test_a.py", bases=["Own", "Base"])]
    assert summary(proposed(blind, both)) == [("class Own", 1, 0)]
    through = {"t": result(["kafka"], facts=0, evidence=[evidence("kafka", phase="setup", fixture="broker")])}
    assert summary(proposed(through, [facts("t.py", fixtures=["db", "broker"], bases=["Own"])])) == [
        ("fixture broker", 1, 0)
    ]


def test_what_is_pytests_own_is_not_proposed() -> None:
    known = [facts("a/t.py", markers=["parametrize"], fixtures=["tmp_path"]), facts("b/t.py")]
    tests = {"t::blind": result(["kafka"], facts=0), "t::other": result(facts=1)}
    assert summary(proposed(tests, known)) == [("path a/t.py", 1, 0)]


def test_what_would_claim_more_in_vain_than_it_catches_is_not_proposed() -> None:
    tests = {"t::blind": result(["kafka"], facts=0), "t::1": result(facts=0), "t::2": result(facts=0)}
    assert proposed(tests, [facts("t.py", fixtures=["db"])]) == ()


def test_tests_of_which_nothing_can_be_told_are_not_claimed_in_vain() -> None:
    tests = {
        "t::blind": result(["kafka"], facts=0),
        "t::skipped": result(outcome="skipped", facts=0),
        "t::ambient": result(ambient=["kafka"], facts=0),
        "t::assumed": result([], ["kafka"], facts=0),
        "t::known": result(["kafka"], ["kafka"], facts=0),
    }
    assert summary(proposed(tests, [facts("t.py")])) == [("path t.py", 1, 0)]


def test_a_file_is_named_even_if_its_name_is_a_glob() -> None:
    (proposal,) = proposed({"t": result(["kafka"], facts=0)}, [facts("a/test_[x].py")])
    assert claims(AssumptionRule(paths=(proposal.entry.value,)), facts("a/test_[x].py"))
    assert not claims(AssumptionRule(paths=(proposal.entry.value,)), facts("a/test_x.py"))


def test_a_blind_spot_without_facts_is_left() -> None:
    assert proposed({"t": result(["kafka"])}, []) == ()


names = st.lists(st.sampled_from("abc"), unique=True, max_size=3)
known_facts = st.builds(
    facts,
    st.sampled_from(["t.py", "x/t.py", "x/y/t.py", "x/y/u.py"]),
    fixtures=names,
    markers=names,
    bases=names,
)
RULES = {
    "marker": lambda value: AssumptionRule(markers=frozenset({value})),
    "class": lambda value: AssumptionRule(classes=(value,)),
    "fixture": lambda value: AssumptionRule(fixtures=frozenset({value})),
    "path": lambda value: AssumptionRule(paths=(value,)),
}


@given(st.lists(known_facts, min_size=1, max_size=6, unique=True), st.data())
def test_proposals_keep_their_word(known: list[StaticFacts], data: st.DataObject) -> None:
    """Each entry, applied as a rule, claims the tests that it lists. At least half of its claims are correct."""
    numbers = st.lists(st.tuples(st.integers(0, len(known) - 1), st.booleans(), st.booleans()), max_size=12)
    tests = {
        f"t::{place}": result(["kafka"] if used else [], ["kafka"] if assumed else [], facts=number)
        for place, (number, used, assumed) in enumerate(data.draw(numbers))
    }
    caught: set[str] = set()
    in_vain: set[str] = set()
    for proposal in proposed(tests, known):
        rule = RULES[proposal.entry.kind](proposal.entry.value)
        claimed = {
            nodeid
            for nodeid, test in tests.items()
            if test.facts is not None and not test.assumed and claims(rule, known[test.facts])
        }
        used = {nodeid for nodeid in claimed if tests[nodeid].services}
        assert set(proposal.caught) == used - caught
        assert set(proposal.over_assumed) == claimed - used - in_vain
        assert proposal.caught
        assert len(proposal.over_assumed) <= len(proposal.caught)
        caught |= used
        in_vain |= claimed - used
    blind = {nodeid for nodeid, test in tests.items() if test.services and not test.assumed}
    assert caught <= blind
    for left in blind - caught:  # its file would not have been worth it either
        path = known[tests[left].facts or 0].path
        there = {nodeid for nodeid, test in tests.items() if known[test.facts or 0].path == path and not test.assumed}
        everywhere = {nodeid: test for nodeid, test in tests.items() if known[test.facts or 0].path == path}
        used = {nodeid for nodeid, test in everywhere.items() if test.services}
        is_mostly_wrong = len(everywhere) - len(used) > len(used)
        assert is_mostly_wrong or len(there - blind - in_vain) > len(there & blind - caught)
