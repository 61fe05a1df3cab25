from __future__ import annotations

import pytest
import suites
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tracer.classify.model import Classification, Outcome, RunResult, TestResult, Verdict
from tracer.classify.selection import ANYTHING, Unit, by_unit, needs_of_tests
from tracer.classify.services.rules import Rules, Tier
from tracer.classify.tiers import tier_of

TIERS = (
    Tier("no_services", within=frozenset()),
    Tier("postgres_only", within=frozenset({"postgres"})),
    Tier("snuba_tier", any=frozenset({"snuba"})),
    Tier("the_rest"),
)
UNKNOWN = frozenset({ANYTHING})


def classified(tests: dict[str, TestResult]) -> Classification:
    return suites.classification(tests, (), Rules(tiers=TIERS))


@pytest.mark.parametrize(("ambient", "needs"), [(True, {"kafka", "postgres"}), (False, {"postgres"})])
def test_ambient_services_are_needed_unless_they_are_left_out(ambient: bool, needs: set[str]) -> None:
    one = classified({"a.py::x": suites.result(["postgres"], ["smtp"], ambient=["kafka"], self_hosted=["http"])})
    assert needs_of_tests(one, ambient=ambient) == {"a.py::x": needs}


@pytest.mark.parametrize(
    ("outcome", "needs"),
    [
        ("passed", {"postgres"}),
        ("xfailed", {"postgres"}),
        ("xpassed", {"postgres"}),
        ("failed", {"postgres", "kafka"}),
        ("error", {"postgres", "kafka"}),
        ("skipped", {"postgres", "kafka"}),
        ("crashed", {"postgres", ANYTHING}),
        ("interrupted", {"postgres", ANYTHING}),
        ("not run", {"postgres", ANYTHING}),
    ],
)
def test_a_test_that_did_not_run_to_its_end_may_need_more(outcome: Outcome, needs: set[str]) -> None:
    test = suites.result(["postgres"], ["kafka"], outcome)
    assert needs_of_tests(classified({"a.py::x": test})) == {"a.py::x": needs}
    passed_before = replace(test, runs=(RunResult(0, "passed", 0.1, 1), RunResult(1, outcome, 0.1, 1)))
    assert needs_of_tests(classified({"a.py::x": passed_before})) == {"a.py::x": {"postgres"}}


@pytest.mark.parametrize(
    ("outcome", "word", "without", "needs"),
    [
        ("passed", "tolerates", ["postgres"], {"kafka"}),
        ("passed", "tolerates", ["kafka", "postgres"], set()),
        ("passed", "unaffected", ["kafka", "postgres"], {"postgres"}),  # it was changed since: it uses Postgres
        ("passed", "undecided", ["postgres"], {"kafka", "postgres"}),
        ("passed", "needs", ["postgres"], {"kafka", "postgres"}),
        ("passed", "needs", ["redis"], {"kafka", "postgres", "redis"}),
        ("passed", "needs", ["redis", "smtp"], {"kafka", "postgres"}),
        ("failed", "tolerates", ["smtp", "postgres"], {"kafka"}),
        ("crashed", "tolerates", ["(unknown)", "kafka", "postgres"], {ANYTHING}),
    ],
)
def test_what_trials_show_is_not_needed(outcome: Outcome, word: Verdict, without: list[str], needs: set[str]) -> None:
    one = classified({"a.py::x": suites.result(["postgres"], ["smtp"], outcome, ambient=["kafka"])})
    verified = suites.verification({"a.py::x": suites.verdict(word)}, *without)
    assert needs_of_tests(replace(one, verified=(verified,))) == {"a.py::x": needs}


def test_an_endpoint_without_a_name_is_needed_once() -> None:
    verified = suites.verification(
        {"a.py::x": suites.verdict("needs"), "a.py::y": suites.verdict("needs")}, "(unknown)"
    )
    unknown = "unknown:tcp://10.0.0.1:70"
    one = classified({"a.py::x": suites.result([unknown]), "a.py::y": suites.result()})
    found = needs_of_tests(replace(one, verified=(verified,)), ["a.py::x", "a.py::y", "a.py::z"])
    assert found == {"a.py::x": {unknown}, "a.py::y": {"(unknown)"}, "a.py::z": UNKNOWN}


def test_of_what_is_collected_the_unknown_needs_anything_and_what_is_gone_is_left_out() -> None:
    one = classified({"a.py::x[1]": suites.result(["postgres"]), "a.py::gone": suites.result()})
    found = needs_of_tests(one, ["a.py::renamed", "a.py::x[1]", "a.py::x[2]"])
    assert found == {"a.py::renamed": UNKNOWN, "a.py::x[1]": {"postgres"}, "a.py::x[2]": UNKNOWN}
    assert list(found) == ["a.py::renamed", "a.py::x[1]", "a.py::x[2]"]


@pytest.mark.parametrize(
    ("collected", "plain"),
    [
        ("a.py::x@group", "a.py::x"),
        ("a.py::new[p]@group-1", "a.py::new[p]"),
        ("a.py::A::new@a b", "a.py::A::new"),
        ("a.py::mail[a@b.c]", "a.py::mail[a@b.c]"),
        ("a.py::mail[a]@b.c]", "a.py::mail[a]@b.c]"),
        ("b@c.py::new", "b@c.py::new"),
        ("c.yaml::a case@home", "c.yaml::a case@home"),
    ],
)
def test_the_group_that_xdist_appends_is_no_part_of_the_node_id(collected: str, plain: str) -> None:
    known = classified({"a.py::x": suites.result()})
    assert list(needs_of_tests(known, [collected])) == [plain]


@pytest.mark.parametrize(
    ("nodeid", "names"),
    [
        ("d/a.py::x", ("d/a.py::x", "d/a.py::x", "d/a.py")),
        ("a.py::x[b::c/d.py::e[1]]", ("a.py::x[b::c/d.py::e[1]]", "a.py::x", "a.py")),
        ("a.py::A::B::x[1]", ("a.py::A::B::x[1]", "a.py::A", "a.py")),
        ("d[1]/a.py::A::x", ("d[1]/a.py::A::x", "d[1]/a.py::A", "d[1]/a.py")),
        ("a.txt", ("a.txt", "a.txt", "a.txt")),
    ],
)
def test_what_selects_a_unit(nodeid: str, names: tuple[str, ...]) -> None:
    units: tuple[Unit, ...] = ("test", "class", "file")
    assert tuple(name for unit in units for name in by_unit({nodeid: frozenset()}, unit)) == names


def test_a_file_is_in_the_tier_of_its_most_demanding_test() -> None:
    needs = {
        "a.py::x": frozenset[str](),
        "a.py::y": frozenset({"postgres"}),
        "b.py::x": frozenset({"postgres"}),
        "b.py::new": UNKNOWN,
        "c.py::x": frozenset({"snuba"}),
        "c.py::y": frozenset({"redis"}),
    }
    tiers = {file: tier_of(services, TIERS) for file, services in by_unit(needs, "file").items()}
    assert tiers == {"a.py": "postgres_only", "b.py": "the_rest", "c.py": "snuba_tier"}


NEEDS = st.dictionaries(
    st.builds("{}.py::{}::{}".format, st.sampled_from("ab"), st.sampled_from("AB"), st.sampled_from("xyz")),
    st.frozensets(st.sampled_from(["postgres", "redis", "snuba", ANYTHING])),
)


UNITS: st.SearchStrategy[Unit] = st.sampled_from(["test", "class", "file"])


@given(NEEDS, UNITS, st.frozensets(st.sampled_from(["postgres", "redis", "snuba"])))
def test_no_selection_holds_a_test_that_needs_more(
    needs: dict[str, frozenset[str]], unit: Unit, within: frozenset[str]
) -> None:
    selected = [name for name, services in by_unit(needs, unit).items() if services <= within]
    for nodeid, services in needs.items():
        if any(nodeid == name or nodeid.startswith(f"{name}::") for name in selected):
            assert services <= within
            assert ANYTHING not in services
