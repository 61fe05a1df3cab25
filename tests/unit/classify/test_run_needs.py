"""Services without which no session begins: the tests that need them."""

from __future__ import annotations

import suites
from msgspec.structs import replace

from tracer.classify.merge import merge
from tracer.classify.model import Classification, Evidence
from tracer.classify.run_needs import RunNeeds, find_run_needs
from tracer.classify.selection import ANYTHING, needs_of_tests, uses_of_tests
from tracer.classify.services.rules import Contract, Rules, Tier
from tracer.classify.tiers import tier_of

TIERS = (Tier("none", within=frozenset()), Tier("postgres", within=frozenset({"postgres"})), Tier("rest"))
TESTS = {"a.py::x": suites.result(), "db/b.py::x": suites.result(["redis"]), "db/sub/c.py::x": suites.result()}


def classified(*run_evidence: Evidence) -> Classification:
    return suites.classification(TESTS, (), Rules(tiers=TIERS), run_evidence=run_evidence)


def test_what_a_conftest_reached_is_needed_below_its_directory() -> None:
    needs = RunNeeds({"postgres": (".",), "redis": ("db",), "kafka": ("db/sub", "d")})
    assert {nodeid: needs.of(nodeid) for nodeid in ("a.py::x", "db/b.py::x", "db/sub/deep/c.py::x", "dbx/b.py::x")} == {
        "a.py::x": {"postgres"},
        "db/b.py::x": {"postgres", "redis"},
        "db/sub/deep/c.py::x": {"postgres", "redis", "kafka"},
        "dbx/b.py::x": {"postgres"},
    }


def test_a_directory_includes_those_below_it() -> None:
    found = find_run_needs([suites.at_start("postgres", "db/sub", "e"), suites.at_start("postgres", "db")])
    assert found == {"postgres": ("db", "e")}
    assert find_run_needs([suites.at_start("postgres", "db"), suites.at_start("postgres")]) == {"postgres": (".",)}


def test_goodbyes_and_services_of_the_run_itself_are_no_needs() -> None:
    seen = suites.at_start("postgres")
    assert find_run_needs([replace(seen, how="goodbye"), replace(seen, self_hosted=True)]) == {}


def test_every_mode_of_select_and_all_tiers_include_them() -> None:
    one = classified(suites.at_start("postgres"), suites.at_start("kafka", "db/sub"))
    expected = {"a.py::x": {"postgres"}, "db/b.py::x": {"postgres", "redis"}, "db/sub/c.py::x": {"kafka", "postgres"}}
    assert needs_of_tests(one) == expected
    assert uses_of_tests(one) == expected
    assert one.summary.tiers == {"none": 0, "postgres": 1, "rest": 2}
    assert one.summary.directories["db"].tiers == {"rest": 2}
    assert {combination.services for combination in one.summary.combinations} == set(
        map(tuple, map(sorted, expected.values()))
    )
    assert one.summary.services == {"redis": 1}  # they are not used by the tests
    assert [tier_of(needs, TIERS) for needs in needs_of_tests(one).values()] == ["postgres", "rest", "rest"]


def test_a_test_that_no_report_has_still_needs_anything() -> None:
    assert needs_of_tests(classified(suites.at_start("postgres")), ["new.py::x"]) == {"new.py::x": {ANYTHING}}


def test_a_trial_may_show_that_a_session_begins_without_it() -> None:
    one = classified(suites.at_start("postgres"), suites.at_start("kafka"))
    verdicts = suites.verification({nodeid: suites.verdict("unaffected") for nodeid in TESTS}, "postgres")
    assert needs_of_tests(replace(one, verified=(verdicts,))) == {
        "a.py::x": {"kafka"},
        "db/b.py::x": {"kafka", "redis"},
        "db/sub/c.py::x": {"kafka"},
    }


def test_merged_reports_have_those_of_each_run() -> None:
    one, other = classified(suites.at_start("postgres", "db")), classified(suites.at_start("kafka"))
    other = replace(other, run=replace(other.run, started_at="2026-11-21T21:45:00Z"))
    merged = merge([one, other])
    assert merged.run_needs == {"kafka": (".",), "postgres": ("db",)}
    assert merge([one, one]).run_needs == {"postgres": ("db",)}


def test_a_contract_says_what_a_test_needs_that_never_finished() -> None:
    rules = Rules(contracts=(Contract("marker", "queue", ("kafka",)), Contract("path", "**", "some")))
    tests = {
        "a.py::x": suites.result(["redis"], outcome="failed", facts=0),
        "a.py::y": suites.result(["redis"], facts=0),
    }
    one = suites.classification(tests, [suites.facts("a.py", markers=["queue"])], rules)
    assert needs_of_tests(one) == {"a.py::x": {"kafka", "redis"}, "a.py::y": {"redis"}}
